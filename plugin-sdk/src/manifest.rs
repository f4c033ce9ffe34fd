//! What a plugin says of itself when it is loaded.

use crate::call::Hook;

/// One check. Its id in configs is `plugin.check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckInfo {
    /// Its name.
    pub name: String,
    /// What it can judge.
    pub hooks: Vec<Hook>,
    /// Knows windows. Otherwise a stream that it may block or change is held until its end and judged whole.
    pub streams: bool,
    /// May answer mask or rewrite. Such answers of other checks are errors.
    pub mutates: bool,
    /// JSON Schema of its parameters.
    pub params_schema_json: String,
    /// `sees`: which of the manifest's `wants` it is shown, divided by spaces; and what later versions add.
    pub extra: Vec<(String, String)>,
}

impl CheckInfo {
    /// Returns a check of inputs and outputs that neither streams nor mutates and takes any parameters.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            hooks: vec![Hook::Input, Hook::Output],
            params_schema_json: r#"{"type":"object"}"#.to_owned(),
            ..Self::default()
        }
    }

    /// Judges inputs only.
    #[must_use]
    pub fn input_only(self) -> Self {
        Self { hooks: vec![Hook::Input], ..self }
    }

    /// Judges outputs only.
    #[must_use]
    pub fn output_only(self) -> Self {
        Self { hooks: vec![Hook::Output], ..self }
    }

    /// Knows windows.
    #[must_use]
    pub fn streams(self) -> Self {
        Self { streams: true, ..self }
    }

    /// May change what it judges.
    #[must_use]
    pub fn mutates(self) -> Self {
        Self { mutates: true, ..self }
    }

    /// Is shown only these of what the plugin wants, like `metadata` or `header:NAME`; with none of them its texts and
    /// the route alone, which is what costs a request least. A check that does not say it is shown all of it.
    ///
    /// ```
    /// use tidegate_plugin_sdk::{CheckInfo, Manifest};
    /// let manifest = Manifest::new("teams", "1.0.0").wants("metadata").wants("body");
    /// manifest.check(CheckInfo::new("words").sees(&[])).check(CheckInfo::new("team").sees(&["metadata"]));
    /// ```
    #[must_use]
    pub fn sees(mut self, words: &[&str]) -> Self {
        self.extra.push(("sees".to_owned(), words.join(" ")));
        self
    }

    /// Takes parameters of this JSON Schema.
    #[must_use]
    pub fn params(self, schema_json: &str) -> Self {
        Self { params_schema_json: schema_json.to_owned(), ..self }
    }
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
/// use tidegate_plugin_sdk::{CheckInfo, Manifest};
/// let manifest = Manifest::new("pii", "1.0.0").check(CheckInfo::new("emails").streams());
/// assert!(manifest.wants.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The plugin's id: lower-case letters, digits and dashes.
    pub id: String,
    /// Semantic version of the plugin, not of the interface.
    pub version: String,
    /// Its checks.
    pub checks: Vec<CheckInfo>,
    /// Its routing conditions.
    pub conditions: Vec<ConditionInfo>,
    /// What it asks for: `messages`, `params`, `metadata`, `user`, `body`, `header:NAME`, `http`, `kv`, `models`. The
    /// operator grants it, or not.
    pub wants: Vec<String>,
    /// What later versions add.
    pub extra: Vec<(String, String)>,
}

impl Manifest {
    /// Returns a manifest without checks. The version is mostly `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn new(id: &str, version: &str) -> Self {
        Self { id: id.to_owned(), version: version.to_owned(), ..Self::default() }
    }

    /// Adds a check.
    #[must_use]
    pub fn check(mut self, check: CheckInfo) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds a routing condition with parameters of a JSON Schema.
    #[must_use]
    pub fn condition(mut self, name: &str, params_schema_json: &str) -> Self {
        let params_schema_json = params_schema_json.to_owned();
        self.conditions.push(ConditionInfo { name: name.to_owned(), params_schema_json, extra: Vec::new() });
        self
    }

    /// Asks for something, like `http` or `metadata`.
    #[must_use]
    pub fn wants(mut self, what: &str) -> Self {
        self.wants.push(what.to_owned());
        self
    }
}
