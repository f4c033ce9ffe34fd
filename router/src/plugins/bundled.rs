//! Plugins that come with the gateway. They cost nothing until a config first names one: no compiling, no memory.

use std::sync::OnceLock;

/// A plugin inside of the binary.
#[derive(Debug)]
pub struct Bundled {
    /// The id of its manifest.
    pub id: &'static str,
    /// The component.
    pub bytes: &'static [u8],
    digest: OnceLock<String>,
}

impl Bundled {
    /// Names a component.
    #[must_use]
    pub const fn new(id: &'static str, bytes: &'static [u8]) -> Self {
        Self { id, bytes, digest: OnceLock::new() }
    }

    /// Returns the SHA-256 of the component in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| super::digest_of(self.bytes))
    }
}

macro_rules! bundled {
    ($($id:literal),*) => {
        [$(Bundled::new($id, include_bytes!(concat!("../../../plugins/", $id, "/", $id, ".wasm")))),*]
    };
}

/// All of them: built from the folders of the same names.
pub static BUNDLED: [Bundled; 5] = bundled!["default", "pii", "prompt", "secrets", "topics"];
