//! What the operator decides about a plugin.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::{Grants, Limits, NoPowers, Powers};

/// How instances of a plugin live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instances {
    /// A new one for each call: nothing is left of the call before.
    #[default]
    Fresh,
    /// One after the other of a tenant's calls of the same check with the same parameters in the same instance. For guests
    /// that start slowly.
    Reuse {
        /// So many calls, then a new one.
        calls: u32,
        /// So many such instances may wait for calls.
        idle: u32,
    },
}

impl Instances {
    /// So many calls where nobody says more.
    pub const CALLS: u32 = 1_000;
    /// So many waiting instances where nobody says more.
    pub const IDLE: u32 = 2;
}

/// What an attachment of a plugin decides for its calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// What a call may cost; `None`: what the plugin's calls may. How many calls may run at once is the plugin's alone.
    pub limits: Option<Limits>,
    /// Whether instances are used again, by this attachment only; `None`: as the plugin's setup says.
    pub reuse: Option<bool>,
}

/// Everything about a plugin that is not in its bytes.
#[derive(Clone)]
pub struct Setup {
    /// What it may see and reach.
    pub grants: Grants,
    /// What it reads with `config`.
    pub config: BTreeMap<String, String>,
    /// What a call may cost.
    pub limits: Limits,
    /// How its instances live.
    pub instances: Instances,
    /// Where its powers come from.
    pub powers: Arc<dyn Powers>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            grants: Grants::default(),
            config: BTreeMap::new(),
            limits: Limits::default(),
            instances: Instances::default(),
            powers: Arc::new(NoPowers),
        }
    }
}

impl fmt::Debug for Setup {
    // The config may hold credentials of the plugin: names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("grants", &self.grants)
            .field("config", &self.config.keys())
            .field("limits", &self.limits)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}
