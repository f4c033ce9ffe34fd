//! Compiled plugins on disk, so that a restart does not compile again.
//!
//! Loading compiled code means running it: a file counts only if this host (any process with this engine and this
//! folder) wrote it, its digest is right, and nobody else could have changed it. Anything else is compiled again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine;

/// A folder of compiled plugins.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    compatibility: String,
}

impl Cache {
    /// Uses a folder, and makes it if it is not there. Only the owner may look into it.
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self { folder, compatibility: engine::compatibility(engine) })
    }

    /// Returns what was compiled of the component with this digest, if it can be trusted.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest, "cwasm");
        if !path.exists() {
            return None;
        }
        if let Err(reason) = self.verify(digest, &path) {
            tracing::warn!(path = %path.display(), %reason, "a compiled plugin is not trusted and compiled again");
            return None;
        }
        #[expect(
            unsafe_code,
            reason = "deserialize_file trusts the file to be what the compiler wrote. Only `store` writes to this \
                      folder, which only the owner of this process may change (checked by `verify`, like the \
                      digest), and it replaces files instead of changing them, so the mapping stays as it is"
        )]
        let component = unsafe { Component::deserialize_file(engine, &path) };
        component
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "a compiled plugin is compiled again"),
            )
            .ok()
    }

    /// Keeps what was compiled. Without it the next start is slower, nothing else: failures are logged.
    pub(crate) fn store(&self, digest: &str, component: &Component) {
        let stored = component.serialize().map_err(io::Error::other).and_then(|code| {
            self.write(&self.path(digest, "cwasm"), &code)?;
            self.write(&self.path(digest, "sha256"), sha256(&code).as_bytes())
        });
        if let Err(error) = stored {
            tracing::warn!(folder = %self.folder.display(), %error, "a compiled plugin is not kept");
        }
    }

    fn path(&self, digest: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{}.{extension}", self.compatibility))
    }

    fn verify(&self, digest: &str, path: &Path) -> Result<(), String> {
        let expected_path = self.path(digest, "sha256");
        for path in [self.folder.as_path(), path, &expected_path] {
            check_owner(path)?;
        }
        let expected = fs::read_to_string(&expected_path).map_err(|error| error.to_string())?;
        let code = fs::read(path).map_err(|error| error.to_string())?;
        if sha256(&code) == expected { Ok(()) } else { Err("its digest is wrong".to_owned()) }
    }

    /// Writes a file beside its place and moves it there: readers see all of it or nothing.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let beside = self.folder.join(format!(".{}-{number}.tmp", std::process::id()));
        let written = write_new(&beside, bytes).and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            // Best effort: the error that matters is the one above.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Refuses links, and what others than the owner of this process can write.
#[cfg(unix)]
fn check_owner(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_symlink() {
        return Err(format!("{} is a link", path.display()));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(format!("others may change {}", path.display()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Path) -> Result<(), String> {
    Ok(())
}

/// Returns the SHA-256 of bytes in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
