//! Bytes → plugin, aside of everything that runs. Blocks: call it on a thread that may.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_plugin_host::{Grants, Host, HostOptions, Limits, NoPowers, Plugin, Powers, Setup};

use super::error::PluginError;
use crate::settings::DeclaredPlugin;

/// What is declared about plugins, by id.
pub(crate) type Declared = BTreeMap<String, DeclaredPlugin>;

/// Loads plugins. The host's engine and threads start with the first one, so that a gateway without plugins has none.
pub(crate) struct Loader {
    cache: PathBuf,
    powers: Arc<dyn Powers>,
    host: Mutex<Option<Arc<Host>>>,
}

impl Loader {
    pub(crate) fn new(cache: PathBuf, powers: Arc<dyn Powers>) -> Self {
        Self { cache, powers, host: Mutex::new(None) }
    }

    fn host(&self) -> Result<Arc<Host>, PluginError> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = host.as_ref() {
            return Ok(host.clone());
        }
        let options = HostOptions { cache: Some(self.cache.clone()), ..HostOptions::default() };
        Ok(host.insert(Host::start(options)?).clone())
    }

    /// Loads a plugin with what is declared about it. Which one it is, only it can say: it is asked first, with no
    /// power lent. The second load takes the compiled code of the first.
    pub(crate) fn load(&self, bytes: &[u8], declared: &Declared) -> Result<Arc<Plugin>, PluginError> {
        let host = self.host()?;
        let probe = host.load(bytes, probe(declared))?;
        let mine = declared.get(&probe.manifest().id).cloned().unwrap_or_default();
        Ok(host.load(bytes, self.setup(&mine))?)
    }

    /// Loads a plugin whose id is known.
    pub(crate) fn load_as(
        &self,
        id: &str,
        bytes: &[u8],
        declared: &Declared,
    ) -> Result<Arc<Plugin>, PluginError> {
        let mine = declared.get(id).cloned().unwrap_or_default();
        let plugin = self.host()?.load(bytes, self.setup(&mine))?;
        let found = &plugin.manifest().id;
        if found == id {
            Ok(plugin)
        } else {
            Err(PluginError::Misnamed { id: id.to_owned(), found: found.clone() })
        }
    }

    fn setup(&self, declared: &DeclaredPlugin) -> Setup {
        Setup {
            grants: declared.grants.clone(),
            config: declared
                .config
                .iter()
                .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
                .collect(),
            limits: declared.limits.clone(),
            instances: declared.instances,
            powers: self.powers.clone(),
        }
    }
}

/// Everything granted and nothing lent: only to ask a plugin what it is. Its memory is the largest that any plugin
/// has, since its own limits are not known yet.
fn probe(declared: &Declared) -> Setup {
    let normal = DeclaredPlugin::default().limits;
    let most = |of: fn(&Limits) -> u64, least: u64| {
        declared.values().map(|plugin| of(&plugin.limits)).fold(least, u64::max)
    };
    let memory = most(|limits| limits.memory as u64, normal.memory as u64);
    Setup {
        grants: Grants { http: vec!["localhost".to_owned()], kv: true, models: true, ..Grants::default() },
        limits: Limits {
            deadline_ms: most(|limits| limits.deadline_ms, normal.deadline_ms),
            total_ms: most(|limits| limits.total_ms, normal.total_ms),
            memory: usize::try_from(memory).unwrap_or(normal.memory),
            ..normal
        },
        powers: Arc::new(NoPowers),
        ..Setup::default()
    }
}
