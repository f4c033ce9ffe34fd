//! The host: one engine, its threads, and what plugins share.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{HostError, LoadError, Plugin, Setup};

/// How the host is built.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Folder of compiled plugins. Without it every start compiles.
    pub cache: Option<PathBuf>,
    /// How many instances may live at once, of all plugins.
    pub instances: u32,
    /// Threads for guests that need longer than a moment.
    pub background_threads: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self { cache: None, instances: 256, background_threads: 2 }
    }
}

/// Runs plugins.
#[derive(Debug)]
pub struct Host {}

impl Host {
    /// Makes the engine and its pool of instances, and starts the threads.
    pub fn start(_options: HostOptions) -> Result<Arc<Self>, HostError> {
        Ok(Arc::new(Self {}))
    }

    /// Makes a plugin of a component's bytes. Blocks for as long as the compiler needs: call it off the request path.
    pub fn load(self: &Arc<Self>, _bytes: &[u8], _setup: Setup) -> Result<Arc<Plugin>, LoadError> {
        Err(LoadError::NotAPlugin)
    }
}
