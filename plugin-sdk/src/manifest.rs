//! What a plugin says of itself when it is loaded.

use crate::call::Hook;

/// What a check of streams needs around a position to judge it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowNeeds {
    /// Bytes after it. The host holds so many back.
    pub lookahead: u32,
    /// Bytes before it. The host repeats so many at the start of the next window.
    pub overlap: u32,
}

/// One check. Its id in configs is `plugin.check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckInfo {
    /// Its name.
    pub name: String,
    /// What it can judge.
    pub hooks: Vec<Hook>,
    /// Without it a stream is held until its end and judged whole.
    pub stream: Option<WindowNeeds>,
    /// JSON Schema of its parameters.
    pub params_schema_json: String,
    /// What later versions add.
    pub extra: Vec<(String, String)>,
}

/// One routing condition. Its id in configs is `plugin.condition`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionInfo {
    /// Its name.
    pub name: String,
    /// JSON Schema of its parameters.
    pub params_schema_json: String,
    /// What later versions add.
    pub extra: Vec<(String, String)>,
}

/// What a plugin says of itself.
///
/// ```
/// use tidegate_plugin_sdk::{CheckInfo, Hook, Manifest, WindowNeeds};
/// let emails = CheckInfo {
///     name: "emails".to_owned(),
///     hooks: vec![Hook::Input, Hook::Output],
///     // The longest address is 254 bytes (RFC 5321).
///     stream: Some(WindowNeeds { lookahead: 254, overlap: 254 }),
///     params_schema_json: r#"{"type": "object"}"#.to_owned(),
///     ..CheckInfo::default()
/// };
/// let manifest =
///     Manifest { id: "pii".to_owned(), version: "1.0.0".to_owned(), checks: vec![emails], ..Manifest::default() };
/// assert!(manifest.wants.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The plugin's id.
    pub id: String,
    /// Semantic version of the plugin, not of the interface.
    pub version: String,
    /// Its checks.
    pub checks: Vec<CheckInfo>,
    /// Its routing conditions.
    pub conditions: Vec<ConditionInfo>,
    /// Capabilities it asks for, like `messages` or `metadata`. The operator grants them, or not.
    pub wants: Vec<String>,
    /// What later versions add.
    pub extra: Vec<(String, String)>,
}
