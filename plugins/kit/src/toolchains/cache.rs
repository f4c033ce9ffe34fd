//! The folder that toolchains are kept in. The only place of this package that reads the environment.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::ToolchainError;

/// Written into a folder once it is complete; a folder without it is what a broken installation left.
const COMPLETE: &str = "tidegate-complete";

/// Where toolchains are found and installed.
#[derive(Clone, Debug)]
pub struct Toolchains {
    folder: PathBuf,
    notice: fn(&str),
}

impl Toolchains {
    /// Returns the toolchains of a cache folder. `notice` hears of installations, which take time.
    #[must_use]
    pub fn new(cache: &Path, notice: fn(&str)) -> Self {
        Self { folder: cache.join("toolchains"), notice }
    }

    /// Returns the toolchains of this user: in `TIDEGATE_CACHE`, else in `tidegate` of the user's cache folder.
    ///
    /// # Errors
    /// [`ToolchainError::NoCache`] when the environment names neither.
    pub fn of_user(notice: fn(&str)) -> Result<Self, ToolchainError> {
        let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        named("TIDEGATE_CACHE")
            .or_else(|| Some(named("XDG_CACHE_HOME")?.join("tidegate")))
            .or_else(|| Some(named("HOME")?.join(".cache/tidegate")))
            .map(|cache| Self::new(&cache, notice))
            .ok_or(ToolchainError::NoCache)
    }

    /// Returns the folder of a name, filled by `install` unless it is complete already. Others wait meanwhile.
    pub(super) fn folder(
        &self,
        name: &str,
        install: impl FnOnce(&Path) -> Result<(), ToolchainError>,
    ) -> Result<PathBuf, ToolchainError> {
        let folder = self.folder.join(name);
        if folder.join(COMPLETE).exists() {
            return Ok(folder);
        }
        let failed = |source| ToolchainError::Cache { folder: folder.display().to_string(), source };
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let lock = File::create(self.folder.join(format!("{name}.lock"))).map_err(failed)?;
        lock.lock().map_err(failed)?;
        if !folder.join(COMPLETE).exists() {
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(failed)?;
            }
            (self.notice)(&format!("installing {name} into {} (once)", self.folder.display()));
            fs::create_dir_all(&folder).map_err(failed)?;
            install(&folder)?;
            File::create(folder.join(COMPLETE)).map_err(failed)?;
        }
        Ok(folder)
    }

    /// Returns a folder that a tool may keep its intermediate results in.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join("scratch").join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_complete_is_installed_once_and_what_broke_off_again() {
        let cache = tempfile::tempdir().unwrap();
        let toolchains = Toolchains::new(cache.path(), |_| ());
        let broken = toolchains.folder("tool-1.0", |folder| {
            fs::write(folder.join("half"), "").unwrap();
            Err(ToolchainError::NoCache)
        });
        assert!(broken.is_err());
        let folder = toolchains.folder("tool-1.0", |folder| {
            assert!(!folder.join("half").exists(), "the broken installation was kept");
            fs::write(folder.join("all"), "").unwrap();
            Ok(())
        });
        assert!(folder.unwrap().join("all").exists());
        toolchains.folder("tool-1.0", |_| panic!("installed twice")).unwrap();
    }
}
