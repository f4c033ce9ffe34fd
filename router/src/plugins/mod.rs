//! The life of plugins: found in a folder, uploaded or bundled; loaded aside; in force by one swap of the whole set.
//!
//! `service` is what the rest of the gateway sees. What a plugin may reach beyond its own memory is lent to it by
//! `powers`. The package `tidegate-plugin-host` runs them.

mod bundled;
mod changes;
mod error;
mod folder;
mod loader;
mod powers;
mod scan;
mod service;
mod shelf;
#[cfg(test)]
mod shelf_tests;
mod step;
mod vault;
mod view;

pub use bundled::{BUNDLED, Bundled};
pub use changes::Uploaded;
pub use error::PluginError;
pub(crate) use powers::Lender;
pub use powers::PLUGIN_CALL;
pub use scan::{LARGEST, watch};
pub(crate) use service::Options;
pub use service::Plugins;
pub(crate) use shelf::{Entry, Shelf, Version};
pub use shelf::{Refusal, Source, Upload};
pub(crate) use step::Step;
pub use view::{PluginView, PluginsView};

/// Returns the SHA-256 of bytes in hexadecimal.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
