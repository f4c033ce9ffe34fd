//! What a plugin may see and reach: asked for by its manifest, and granted by the operator.

use std::collections::BTreeSet;

/// The words for data of a request, besides `header:NAME`.
pub(crate) const DATA: [&str; 5] = ["messages", "params", "metadata", "user", "body"];

/// What the operator grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// Of messages, params, metadata, user and body.
    pub data: BTreeSet<String>,
    /// Headers of the request, by lower-case name.
    pub headers: BTreeSet<String>,
    /// Hosts: `name`, `name:port` or `*.suffix`. None is no HTTP at all.
    pub http: Vec<String>,
    /// The plugin's own store.
    pub kv: bool,
    /// Models, through the gateway.
    pub models: bool,
}

impl Default for Grants {
    /// Grants the data words, since there is no way out for them, and nothing else.
    fn default() -> Self {
        Self {
            data: DATA.map(str::to_owned).into(),
            headers: BTreeSet::new(),
            http: Vec::new(),
            kv: false,
            models: false,
        }
    }
}
