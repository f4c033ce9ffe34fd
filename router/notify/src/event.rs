//! What happened, in the words of the gateway. An event carries everything its receivers are told.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Facts that only the event's own recipients may read: whoever holds the link of an invitation is the invited.
const PERSONAL_FACTS: [&str; 1] = ["invite_link"];

/// One thing that somebody should be told.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Id, the same for every receiver and every attempt.
    pub id: String,
    /// When it happened, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What happened.
    pub kind: Kind,
    /// How bad it is.
    pub level: Level,
    /// Organisation it belongs to.
    pub organisation: String,
    /// Workspace it belongs to; none if it concerns the whole organisation or the gateway.
    pub workspace: Option<String>,
    /// Kind of the thing it happened to.
    pub subject_kind: SubjectKind,
    /// Id of the thing.
    pub subject_id: String,
    /// Name of the thing.
    pub subject_name: String,
    /// One sentence for people.
    pub sentence: String,
    /// Figures for programs. `invite_link` reaches only `recipients`.
    pub facts: BTreeMap<String, Value>,
    /// Events with the same key are sent once until [`Event::dedup_until_ms`]; an empty key is never held back.
    pub dedup_key: String,
    /// End of the window of the key, in milliseconds since the epoch, such as the end of a budget's period.
    pub dedup_until_ms: i64,
    /// Mail addresses of people it concerns, besides those of the channel.
    pub recipients: Vec<String>,
}

impl Event {
    /// Returns an event for trying a channel with [`Channel::send`](crate::Channel::send).
    #[must_use]
    pub fn trial(id: String, at_ms: i64, organisation: String) -> Self {
        Self {
            id,
            at_ms,
            kind: Kind::Test,
            level: Level::Info,
            organisation,
            workspace: None,
            subject_kind: SubjectKind::Gateway,
            subject_id: "gateway".to_owned(),
            subject_name: "Tidegate".to_owned(),
            sentence: "This is a trial. If you can read it, notifications reach you.".to_owned(),
            facts: BTreeMap::new(),
            dedup_key: String::new(),
            dedup_until_ms: 0,
            recipients: Vec::new(),
        }
    }

    /// Returns the fact as it is written in a sentence.
    pub(crate) fn fact(&self, name: &str) -> Option<String> {
        self.facts.get(name).map(fact_text)
    }

    /// Returns the facts that any receiver may read.
    pub(crate) fn public_facts(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.facts.iter().filter(|(name, _)| !PERSONAL_FACTS.contains(&name.as_str()))
    }
}

/// Without facts and recipients: links of invitations and addresses are not for logs.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("level", &self.level)
            .field("subject_id", &self.subject_id)
            .field("dedup_key", &self.dedup_key)
            .finish_non_exhaustive()
    }
}

/// Returns a value as text: strings without quotes, the rest as JSON.
pub(crate) fn fact_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How bad an event is; in a full queue the least is dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Somebody should act soon.
    Warning,
    /// Requests are being refused, or will be.
    Critical,
}

impl Level {
    /// Returns the level's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

/// Kind of the thing an event happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// An API key.
    ApiKey,
    /// A provider.
    Provider,
    /// An integration.
    Integration,
    /// A workspace.
    Workspace,
    /// A usage-limit or rate-limit policy.
    Policy,
    /// A plugin.
    Plugin,
    /// A person.
    User,
    /// The gateway itself: its store, a trial message.
    Gateway,
}

impl SubjectKind {
    /// Returns the kind in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            SubjectKind::ApiKey => "API key",
            SubjectKind::Provider => "Provider",
            SubjectKind::Integration => "Integration",
            SubjectKind::Workspace => "Workspace",
            SubjectKind::Policy => "Policy",
            SubjectKind::Plugin => "Plugin",
            SubjectKind::User => "User",
            SubjectKind::Gateway => "Gateway",
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A part of a budget is used.
    #[serde(rename = "budget.threshold")]
    BudgetThreshold,
    /// A budget is used up.
    #[serde(rename = "budget.exhausted")]
    BudgetExhausted,
    /// A rate limit refuses requests.
    #[serde(rename = "rate_limit.exhausted")]
    RateLimitExhausted,
    /// A key expires within a day.
    #[serde(rename = "key.expiring")]
    KeyExpiring,
    /// A key has expired.
    #[serde(rename = "key.expired")]
    KeyExpired,
    /// A key has a new secret.
    #[serde(rename = "key.rotated")]
    KeyRotated,
    /// A key gets a new secret within a day.
    #[serde(rename = "key.rotation_due")]
    KeyRotationDue,
    /// The old secret of a rotated key stops working within a day.
    #[serde(rename = "key.old_secret_expiring")]
    KeyOldSecretExpiring,
    /// A plugin misbehaved and is no longer called.
    #[serde(rename = "plugin.quarantined")]
    PluginQuarantined,
    /// A provider fails and is no longer called.
    #[serde(rename = "breaker.opened")]
    BreakerOpened,
    /// A provider is called again.
    #[serde(rename = "breaker.closed")]
    BreakerClosed,
    /// The store does not answer.
    #[serde(rename = "store.unavailable")]
    StoreUnavailable,
    /// A person is invited.
    #[serde(rename = "user.invited")]
    UserInvited,
    /// An operator tries a channel.
    #[serde(rename = "test")]
    Test,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 14] = [
        Kind::BudgetThreshold,
        Kind::BudgetExhausted,
        Kind::RateLimitExhausted,
        Kind::KeyExpiring,
        Kind::KeyExpired,
        Kind::KeyRotated,
        Kind::KeyRotationDue,
        Kind::KeyOldSecretExpiring,
        Kind::PluginQuarantined,
        Kind::BreakerOpened,
        Kind::BreakerClosed,
        Kind::StoreUnavailable,
        Kind::UserInvited,
        Kind::Test,
    ];

    /// Returns the name that webhooks carry and settings choose by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::BudgetThreshold => "budget.threshold",
            Kind::BudgetExhausted => "budget.exhausted",
            Kind::RateLimitExhausted => "rate_limit.exhausted",
            Kind::KeyExpiring => "key.expiring",
            Kind::KeyExpired => "key.expired",
            Kind::KeyRotated => "key.rotated",
            Kind::KeyRotationDue => "key.rotation_due",
            Kind::KeyOldSecretExpiring => "key.old_secret_expiring",
            Kind::PluginQuarantined => "plugin.quarantined",
            Kind::BreakerOpened => "breaker.opened",
            Kind::BreakerClosed => "breaker.closed",
            Kind::StoreUnavailable => "store.unavailable",
            Kind::UserInvited => "user.invited",
            Kind::Test => "test",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A budget of a key, 80 % used.
    pub(crate) fn budget_event(id: &str) -> Event {
        Event {
            id: id.into(),
            at_ms: 1_795_000_000_000,
            kind: Kind::BudgetThreshold,
            level: Level::Warning,
            organisation: "acme".into(),
            workspace: Some("support".into()),
            subject_kind: SubjectKind::ApiKey,
            subject_id: "key_1".into(),
            subject_name: "support".into(),
            sentence: "80 % of $50.00 are used until 1 December.".into(),
            facts: BTreeMap::from([("percent".into(), json!(80)), ("limit".into(), json!("$50.00"))]),
            dedup_key: format!("budget:{id}"),
            dedup_until_ms: i64::MAX,
            recipients: Vec::new(),
        }
    }

    #[test]
    fn names_of_kinds_are_the_same_in_json_and_in_settings() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("json"), json!(kind.as_str()));
        }
    }

    #[test]
    fn debug_shows_neither_facts_nor_addresses() {
        let mut event = budget_event("e1");
        event.facts.insert("invite_link".into(), json!("https://gateway.example/join/abc"));
        event.recipients = vec!["ada@example.com".into()];
        let shown = format!("{event:?}");
        assert!(!shown.contains("join") && !shown.contains("ada@"), "{shown}");
    }

    #[test]
    fn links_of_invitations_are_not_public() {
        let mut event = budget_event("e1");
        event.facts.insert("invite_link".into(), json!("https://gateway.example/join/abc"));
        let names: Vec<&String> = event.public_facts().map(|(name, _)| name).collect();
        assert_eq!(names, ["limit", "percent"]);
    }
}
