//! The life of plugins: found in a folder, uploaded or bundled; loaded aside; in force by one swap of the whole set.
//!
//! `service` is what the rest of the gateway sees. What a plugin may reach beyond its own memory is lent to it by
//! the module `powers`. The package `tidegate-plugin-host` runs them.

mod bundled;
mod changes;
mod error;
mod folder;
mod loader;
mod scan;
mod service;
mod vault;
mod view;

pub use bundled::{BUNDLED, Bundled};
pub use changes::Uploaded;
pub use error::PluginError;
pub use scan::{LARGEST, watch};
pub(crate) use service::Options;
pub use service::Plugins;
pub use view::{PluginView, PluginsView, Standing};

/// The header of a request that a plugin makes: the plugin's id. The API drops it from requests of clients.
pub const PLUGIN_CALL: &str = "x-portkey-plugin-call";

/// Returns the SHA-256 of bytes in hexadecimal.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
