//! Portkey's switches of who sees and changes what: their names, their defaults, and the scopes that each decides on.
//!
//! One table for everything: the Admin API shows and vets them by it, and asks it whether a role has a scope; requests
//! read what it says of configs in headers. A workspace's word beats the organisation's, which beats the default.

use serde_json::Value;

use super::terms::flag;

/// Whose scopes a switch decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// Members of a workspace.
    Members,
    /// Managers of a workspace.
    Managers,
    /// Owners and admins of the organisation.
    OrganisationAdmins,
}

impl People {
    /// Returns the word for them.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::Managers => "managers",
            Self::OrganisationAdmins => "admins of the organisation",
        }
    }
}

/// What of a resource a switch decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Actions that show it.
    View,
    /// Actions that change it. Use (to infer, to render, to send logs) is neither.
    Write,
}

impl Part {
    fn of(action: &str) -> Option<Self> {
        match action {
            "read" | "list" | "view" | "export" => Some(Self::View),
            "create" | "update" | "delete" | "rotate" | "publish" | "duplicate" | "copy" => Some(Self::Write),
            _ => None,
        }
    }
}

/// One switch.
#[derive(Debug)]
pub struct Switch {
    /// Portkey's name.
    pub name: &'static str,
    /// What holds without a word.
    pub default: bool,
    /// Whose it is; `None` for everyone's requests.
    pub of: Option<People>,
    /// Part of which resources; none where it decides on rows, not on scopes.
    on: (Part, &'static [&'static str]),
}

const fn switch(
    name: &'static str,
    default: bool,
    of: Option<People>,
    part: Part,
    resources: &'static [&'static str],
) -> Switch {
    Switch { name, default, of, on: (part, resources) }
}

const MEMBERS: Option<People> = Some(People::Members);
const MANAGERS: Option<People> = Some(People::Managers);
const ADMINS: Option<People> = Some(People::OrganisationAdmins);
const LOGS: &[&str] = &["logs"];
const ANALYTICS: &[&str] = &["analytics"];
const CONFIGS: &[&str] = &["configs"];
const PROMPTS: &[&str] = &["prompts"];
// A virtual key is a provider with its credential in one.
const PROVIDERS: &[&str] = &["providers", "virtual_keys"];
const GUARDRAILS: &[&str] = &["guardrails"];
/// Service keys are not for members at all.
const OWN_KEYS: &[&str] = &["workspace_user_api_keys"];
const KEYS: &[&str] = &["workspace_user_api_keys", "workspace_service_api_keys"];
const ROWS: &[&str] = &[];

/// Every switch.
pub const ALL: [Switch; 36] = {
    use Part::{View, Write};
    [
        switch("membersViewLogs", true, MEMBERS, View, LOGS),
        switch("managersViewLogs", true, MANAGERS, View, LOGS),
        switch("organisationAdminsViewLogs", true, ADMINS, View, LOGS),
        switch("membersViewLogMetadata", true, MEMBERS, View, ROWS),
        switch("managersViewLogMetadata", true, MANAGERS, View, ROWS),
        switch("organisationAdminsViewLogMetadata", true, ADMINS, View, ROWS),
        switch("membersViewAllData", true, MEMBERS, View, ROWS),
        switch("managersViewAllData", true, MANAGERS, View, ROWS),
        switch("membersViewAnalytics", true, MEMBERS, View, ANALYTICS),
        switch("managersViewAnalytics", true, MANAGERS, View, ANALYTICS),
        switch("membersViewApiKeys", true, MEMBERS, View, OWN_KEYS),
        switch("membersWriteApiKeys", true, MEMBERS, Write, OWN_KEYS),
        switch("managersViewApiKeys", true, MANAGERS, View, KEYS),
        switch("managersWriteApiKeys", true, MANAGERS, Write, KEYS),
        switch("membersViewConfigs", true, MEMBERS, View, CONFIGS),
        switch("membersWriteConfigs", false, MEMBERS, Write, CONFIGS),
        switch("managersViewConfigs", true, MANAGERS, View, CONFIGS),
        switch("managersWriteConfigs", true, MANAGERS, Write, CONFIGS),
        switch("membersViewPrompts", true, MEMBERS, View, PROMPTS),
        // Portkey's documents and its answers disagree on the next two of members: the lesser right holds.
        switch("membersWritePrompts", false, MEMBERS, Write, PROMPTS),
        switch("managersViewPrompts", true, MANAGERS, View, PROMPTS),
        switch("managersWritePrompts", true, MANAGERS, Write, PROMPTS),
        switch("membersViewVirtualKeys", true, MEMBERS, View, PROVIDERS),
        switch("membersWriteVirtualKeys", false, MEMBERS, Write, PROVIDERS),
        switch("managersViewVirtualKeys", true, MANAGERS, View, PROVIDERS),
        switch("managersWriteVirtualKeys", true, MANAGERS, Write, PROVIDERS),
        switch("membersViewGuardrails", true, MEMBERS, View, GUARDRAILS),
        switch("membersWriteGuardrails", false, MEMBERS, Write, GUARDRAILS),
        switch("managersViewGuardrails", true, MANAGERS, View, GUARDRAILS),
        switch("managersWriteGuardrails", true, MANAGERS, Write, GUARDRAILS),
        switch("managersWriteWsIntegrations", true, MANAGERS, Write, &["workspace_integrations"]),
        switch("managersWriteWsMcpIntegrations", true, MANAGERS, Write, &["workspace_mcp_integrations"]),
        switch("managersWriteMcpServers", true, MANAGERS, Write, &["mcp_servers"]),
        switch("managersUpdateWs", true, MANAGERS, Write, &["workspaces"]),
        switch("managersWriteWsUsers", true, MANAGERS, Write, &["workspace_users"]),
        // Portkey's is on for organisations of late; here configs in headers are what most clients begin with.
        switch(BLOCK_INLINE_CONFIG, false, None, Write, ROWS),
    ]
};

/// Whether configs, vendors and hosts in headers are refused.
pub const BLOCK_INLINE_CONFIG: &str = "block_inline_config";

/// How the switches stand in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    on: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Switches {
    /// Reads how they stand; of several `security_settings` the first that says something counts.
    #[must_use]
    pub fn of(said: &[&Value]) -> Self {
        let is_on = |switch: &Switch| {
            let word = said.iter().find_map(|settings| flag(settings.get(switch.name)?));
            word.unwrap_or(switch.default)
        };
        let on = ALL.iter().enumerate().filter(|(_, switch)| is_on(switch));
        Self { on: on.fold(0, |on, (at, _)| on | 1 << at) }
    }

    /// Returns whether a switch is on; false for names that are none.
    #[must_use]
    pub fn is_on(self, name: &str) -> bool {
        ALL.iter().position(|switch| switch.name == name).is_some_and(|at| self.on >> at & 1 == 1)
    }

    /// Returns the switch that decides whether people have a scope, and how it stands; `None` where no switch does.
    #[must_use]
    pub fn decide(self, people: People, scope: &str) -> Option<(&'static str, bool)> {
        let (resource, action) = scope.split_once('.')?;
        let part = Part::of(action)?;
        let decides = |switch: &Switch| {
            switch.of == Some(people) && switch.on.0 == part && switch.on.1.contains(&resource)
        };
        let at = ALL.iter().position(decides)?;
        Some((ALL[at].name, self.on >> at & 1 == 1))
    }

    /// Returns every switch with how it stands.
    pub fn each(self) -> impl Iterator<Item = (&'static str, bool)> {
        ALL.iter().enumerate().map(move |(at, switch)| (switch.name, self.on >> at & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_nearest_word_counts() {
        let (own, house) = (json!({"membersViewLogs": true}), json!({"membersViewLogs": false}));
        assert!(Switches::default().is_on("membersViewLogs"));
        assert!(!Switches::of(&[&Value::Null, &house]).is_on("membersViewLogs"));
        assert!(Switches::of(&[&own, &house]).is_on("membersViewLogs"));
        assert!(!Switches::default().is_on("membersWriteConfigs"));
        assert!(!Switches::default().is_on(BLOCK_INLINE_CONFIG));
        assert!(!Switches::default().is_on("everybodyDoesAll"));
    }

    #[test]
    fn a_switch_decides_on_its_part_of_its_resource_for_its_people() {
        let switches =
            Switches::of(&[&json!({"membersViewConfigs": false, "managersWriteVirtualKeys": false})]);
        let decide = |people, scope| switches.decide(people, scope);
        assert_eq!(decide(People::Members, "configs.list"), Some(("membersViewConfigs", false)));
        assert_eq!(decide(People::Managers, "configs.list"), Some(("managersViewConfigs", true)));
        assert_eq!(decide(People::Managers, "virtual_keys.copy"), Some(("managersWriteVirtualKeys", false)));
        for scope in ["guardrails.invoke", "logs.write", "completions.write", "policies.read"] {
            assert_eq!(decide(People::Members, scope), None, "{scope}");
        }
    }

    #[test]
    fn every_switch_has_a_name_and_a_bit_of_its_own() {
        let names: std::collections::BTreeSet<&str> = ALL.iter().map(|switch| switch.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.len() <= 64);
    }
}
