//! A store of the plugin's own, separate for each tenant. Needs `kv` in the manifest.
//!
//! ```
//! use tidegate_plugin_sdk::{kv, testing::FakeHost};
//! let fake = FakeHost::install();
//! kv::set("seen", b"yes", 60_000)?;
//! assert_eq!(kv::get("seen")?.as_deref(), Some(&b"yes"[..]));
//! kv::delete("seen")?;
//! assert_eq!(kv::get("seen")?, None);
//! # Ok::<(), tidegate_plugin_sdk::CheckError>(())
//! ```

use crate::verdict::CheckError;

#[cfg(target_family = "wasm")]
use crate::guest::kv as real;
#[cfg(not(target_family = "wasm"))]
use crate::testing::kv as real;

fn error(message: String) -> CheckError {
    CheckError::new("StoreError", message)
}

/// Returns what is stored under a key.
///
/// # Errors
/// [`CheckError`] named `StoreError`.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, CheckError> {
    real::get(key).map_err(error)
}

/// Stores a value for a time.
///
/// # Errors
/// [`CheckError`] named `StoreError`.
pub fn set(key: &str, value: &[u8], ttl_ms: u64) -> Result<(), CheckError> {
    real::set(key, value, ttl_ms).map_err(error)
}

/// Forgets a key.
///
/// # Errors
/// [`CheckError`] named `StoreError`.
pub fn delete(key: &str) -> Result<(), CheckError> {
    real::delete(key).map_err(error)
}
