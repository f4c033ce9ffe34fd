//! A plugin's folder and its `plugin.toml`:
//!
//! ```toml
//! name = "no-swearing"                  # also the name of the built file
//! language = "python"
//! world = "stream-guardrail-plugin"     # of tidegate:plugin; this is the default
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::language::Language;

/// The world of checks that also judge streams.
const USUAL_WORLD: &str = "stream-guardrail-plugin";

/// Why a folder is no plugin's.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// The file is not there or can't be read.
    #[error("read {file}: {source}")]
    Read {
        /// Which file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error("read {file}: {message}")]
    Settings {
        /// Which file.
        file: String,
        /// What is wrong in it.
        message: String,
    },
}

/// A plugin's folder.
#[derive(Clone, Debug)]
pub struct Project {
    /// Where it is, absolute.
    pub folder: PathBuf,
    /// The plugin's id.
    pub name: String,
    /// What it is written in.
    pub language: Language,
    /// The world that it exports.
    pub world: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    language: Language,
    #[serde(default = "usual_world")]
    world: String,
}

fn usual_world() -> String {
    USUAL_WORLD.to_owned()
}

impl Project {
    /// Reads the `plugin.toml` of a folder.
    ///
    /// # Errors
    /// When it is not there, or says something else than name, language and world.
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        let file = folder.join("plugin.toml");
        let named = file.display().to_string();
        let failed = |source| ProjectError::Read { file: named.clone(), source };
        let text = fs::read_to_string(&file).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let wrong = |message: String| ProjectError::Settings { file: named.clone(), message };
        let settings: Settings = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if !is_id(&settings.name) {
            return Err(wrong(format!("name {:?} is not {ID_RULE}", settings.name)));
        }
        Ok(Self { folder, name: settings.name, language: settings.language, world: settings.world })
    }

    /// Returns where the built component and what led to it are put.
    #[must_use]
    pub fn build_folder(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// Returns where the built component is put.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.build_folder().join(format!("{}.wasm", self.name))
    }

    /// Returns where the golden cases are.
    #[must_use]
    pub fn cases(&self) -> PathBuf {
        self.folder.join("cases")
    }
}

/// What an id looks like.
pub(crate) const ID_RULE: &str = "lower-case letters, digits and dashes, beginning with a letter";

/// Says whether a name can be a plugin's id.
pub(crate) fn is_id(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &str) -> Result<Project, ProjectError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plugin.toml"), text).unwrap();
        Project::open(folder.path())
    }

    #[test]
    fn the_world_of_streams_is_the_usual_one() {
        let project = opened("name = \"a-1\"\nlanguage = \"assemblyscript\"").unwrap();
        assert_eq!((project.language, project.world.as_str()), (Language::AssemblyScript, USUAL_WORLD));
        assert!(project.component().ends_with("build/a-1.wasm"));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file() {
        for (text, about) in [
            ("language = \"go\"", "name"),
            ("name = \"a\"\nlanguage = \"cobol\"", "cobol"),
            ("name = \"../a\"\nlanguage = \"go\"", "lower-case letters"),
            ("name = \"a\"\nlanguage = \"go\"\nwrold = \"x\"", "wrold"),
        ] {
            let error = opened(text).unwrap_err().to_string();
            assert!(error.contains("plugin.toml") && error.contains(about), "{text}: {error}");
        }
        let error = Project::open(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.starts_with("read /nowhere/plugin.toml: "), "{error}");
    }
}
