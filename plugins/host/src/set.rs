//! All plugins that are in use, at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Plugin;

/// Plugins by id. Never changes: a reload makes another set, and who holds the old one finishes with it.
#[derive(Debug, Clone, Default)]
pub struct PluginSet {
    plugins: BTreeMap<String, Arc<Plugin>>,
}

impl PluginSet {
    /// Returns this set and a plugin, in the place of the one with its id.
    #[must_use]
    pub fn with(&self, plugin: Arc<Plugin>) -> Self {
        let mut plugins = self.plugins.clone();
        plugins.insert(plugin.manifest().id.clone(), plugin);
        Self { plugins }
    }

    /// Returns this set without a plugin.
    #[must_use]
    pub fn without(&self, id: &str) -> Self {
        let mut plugins = self.plugins.clone();
        plugins.remove(id);
        Self { plugins }
    }

    /// Returns a plugin.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Plugin>> {
        self.plugins.get(id)
    }

    /// Goes through the plugins, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Plugin>)> {
        self.plugins.iter().map(|(id, plugin)| (id.as_str(), plugin))
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plugins.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }
}
