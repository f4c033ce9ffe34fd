//! Usage-limit and rate-limit policies: which requests they match, and which bucket of theirs a request falls into.
//!
//! All conditions must hold; of a condition's values one. A value that the request lacks matches nothing; `*` asks
//! only that there is one. What a condition excludes is looked at first. Requests that lack a value to group by are
//! not counted.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use serde_json::Value;
use tidegate_store::{BudgetRecord, LimitRecord};

use super::Bad;
use super::by_workspace::Scoped;

/// Longer bucket names are cut and end in a hash.
const LONGEST_BUCKET: usize = 200;

/// What a request shows to policies.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Id of the key.
    pub key: &'a str,
    /// Its metadata.
    pub metadata: &'a std::collections::BTreeMap<String, String>,
    /// Slug of the provider.
    pub slug: &'a str,
    /// Portkey's name of its vendor.
    pub vendor: &'a str,
    /// Slug of the config, where it is a saved one.
    pub config: Option<&'a str>,
    /// `@provider/model`.
    pub model: &'a str,
    /// Path below `/v1`, like `/chat/completions`.
    pub endpoint: &'a str,
    /// Id of the workspace; empty is the default one.
    pub workspace: &'a str,
}

/// What a policy looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// Id of the API key.
    ApiKey,
    /// A member of the metadata.
    Metadata(String),
    /// Slug of the provider.
    VirtualKey,
    /// The vendor.
    Provider,
    /// Slug of the config.
    Config,
    /// Slug of a prompt.
    Prompt,
    /// `@provider/model`.
    Model,
    /// Path below `/v1`.
    Endpoint,
    /// Id of the workspace.
    Workspace,
}

impl Key {
    /// Reads a key's name.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        Some(match name {
            "api_key" => Self::ApiKey,
            "virtual_key" => Self::VirtualKey,
            "provider" => Self::Provider,
            "config" => Self::Config,
            "prompt" => Self::Prompt,
            "model" => Self::Model,
            "endpoint_type" => Self::Endpoint,
            "workspace_id" => Self::Workspace,
            other => {
                Self::Metadata(other.strip_prefix("metadata.").filter(|key| !key.is_empty())?.to_owned())
            }
        })
    }

    /// Returns its name in two parts.
    fn name(&self) -> (&'static str, &str) {
        let name = match self {
            Self::ApiKey => "api_key",
            Self::Metadata(key) => return ("metadata.", key),
            Self::VirtualKey => "virtual_key",
            Self::Provider => "provider",
            Self::Config => "config",
            Self::Prompt => "prompt",
            Self::Model => "model",
            Self::Endpoint => "endpoint_type",
            Self::Workspace => "workspace_id",
        };
        (name, "")
    }

    /// Returns what a request has there, if anything.
    pub(super) fn of<'a>(&self, facts: &Facts<'a>) -> Option<&'a str> {
        let text = match self {
            Self::ApiKey => facts.key,
            Self::Metadata(key) => facts.metadata.get(key)?,
            Self::VirtualKey => facts.slug,
            Self::Provider => facts.vendor,
            Self::Config => facts.config?,
            // Requests don't come from prompts yet.
            Self::Prompt => return None,
            Self::Model => facts.model,
            Self::Endpoint => facts.endpoint.trim_start_matches('/'),
            Self::Workspace => facts.workspace,
        };
        (!text.is_empty()).then_some(text)
    }
}

/// One condition.
#[derive(Clone, Debug)]
struct Condition {
    key: Key,
    /// `None` accepts any value.
    values: Option<Vec<String>>,
    excludes: Vec<String>,
}

impl Condition {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        let Some(value) = self.key.of(facts) else { return false };
        let matches = |pattern: &String| match pattern.strip_suffix("/*") {
            Some(start) if self.key == Key::Model => {
                value.strip_prefix(start).is_some_and(|rest| rest.starts_with('/'))
            }
            _ => pattern == value,
        };
        !self.excludes.iter().any(matches)
            && self.values.as_ref().is_none_or(|values| values.iter().any(matches))
    }
}

/// What a policy applies to.
#[derive(Clone, Debug)]
pub struct Scope {
    conditions: Vec<Condition>,
    group_by: Vec<Key>,
    /// The workspace that it is for; `None` is all.
    workspace: Option<String>,
}

impl Scope {
    /// Reads `conditions` and `group_by`.
    ///
    /// # Errors
    /// [`Bad`]
    pub fn read(body: &Value, workspace: Option<String>) -> Result<Self, Bad> {
        let conditions = body["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let conditions = conditions.iter().enumerate().map(|(at, condition)| {
            let path = format!("conditions[{at}]");
            let key = read_key(&condition["key"], &path)?;
            Ok(Condition {
                key,
                values: match &condition["value"] {
                    Value::Null if !condition["excludes"].is_null() => None,
                    Value::String(any) if any == "*" => None,
                    value => {
                        let values = read_texts(value, &format!("{path}.value"))?;
                        if values.is_empty() {
                            return Err(Bad::new(format!("{path}.value"), "at least one value is expected"));
                        }
                        if values.iter().any(|value| value == "*") { None } else { Some(values) }
                    }
                },
                excludes: match &condition["excludes"] {
                    Value::Null | Value::Bool(false) => Vec::new(),
                    value => read_texts(value, &format!("{path}.excludes"))?,
                },
            })
        });
        let conditions = conditions.collect::<Result<_, Bad>>()?;
        let group_by = match &body["group_by"] {
            Value::Null => Vec::new(),
            Value::Array(groups) => groups
                .iter()
                .enumerate()
                .map(|(at, group)| {
                    let path = format!("group_by[{at}]");
                    if group.is_string() { read_key(group, &path) } else { read_key(&group["key"], &path) }
                })
                .collect::<Result<_, _>>()?,
            _ => return Err(Bad::new("group_by", "a list of objects with key is expected")),
        };
        Ok(Self { conditions, group_by, workspace })
    }

    /// Returns whether its conditions name something that may be another workspace's: keys, providers, configs, models
    /// by their providers, or the workspace itself.
    #[must_use]
    pub fn tells_of_others(&self, workspace: &str) -> bool {
        let mut named = self.conditions.iter().map(|condition| {
            let values = condition.values.iter().flatten().chain(&condition.excludes);
            (&condition.key, values)
        });
        named.any(|(key, mut values)| match key {
            Key::Metadata(_) | Key::Provider | Key::Endpoint => false,
            Key::Workspace => values.any(|value| value != workspace),
            Key::ApiKey | Key::VirtualKey | Key::Config | Key::Prompt | Key::Model => values.next().is_some(),
        })
    }

    /// Returns a condition's key and values where one asks for certain values: requests with others can't match.
    pub(super) fn asks_for(&self) -> Option<(&Key, &[String])> {
        self.conditions.iter().find_map(|condition| {
            let values = condition.values.as_deref()?;
            // Patterns of models match more than one.
            (condition.key != Key::Model).then_some((&condition.key, values))
        })
    }

    /// Writes the name of the bucket that a request falls into behind what is in `id`. Returns false where the policy does
    /// not count the request; `id` is of no use then.
    #[must_use]
    pub fn write_bucket(&self, facts: &Facts<'_>, id: &mut String) -> bool {
        if self.workspace.as_deref().is_some_and(|own| own != facts.workspace) {
            return false;
        }
        if !self.conditions.iter().all(|condition| condition.holds(facts)) {
            return false;
        }
        let start = id.len();
        for key in &self.group_by {
            let Some(value) = key.of(facts) else { return false };
            if id.len() > start {
                id.push('-');
            }
            let (name, rest) = key.name();
            for part in [name, rest, ":", value] {
                id.push_str(part);
            }
        }
        if id.len() == start {
            id.push_str("default");
        }
        if id.len() - start > LONGEST_BUCKET {
            let bucket = shortened(&id[start..]);
            id.truncate(start);
            id.push_str(&bucket);
        }
        true
    }
}

fn shortened(bucket: &str) -> String {
    let hash = digest(&SHA256, bucket.as_bytes());
    let hash: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let end = (0..=LONGEST_BUCKET - 33).rev().find(|at| bucket.is_char_boundary(*at)).unwrap_or(0);
    format!("{}#{hash}", &bucket[..end])
}

fn read_key(value: &Value, path: &str) -> Result<Key, Bad> {
    let key = value.as_str().and_then(Key::read);
    key.ok_or_else(|| {
        Bad::new(
            format!("{path}.key"),
            "api_key, metadata.<name>, virtual_key, provider, config, prompt, model, endpoint_type or workspace_id is expected",
        )
    })
}

fn read_texts(value: &Value, path: &str) -> Result<Vec<String>, Bad> {
    let bad = || Bad::new(path, "a text or a list of texts is expected");
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(texts) => {
            texts.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(bad)).collect()
        }
        _ => Err(bad()),
    }
}

impl Scoped for UsagePolicy {
    fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Scoped for RatePolicy {
    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// A usage-limit policy.
#[derive(Clone, Debug)]
pub struct UsagePolicy {
    /// What it applies to.
    pub scope: Scope,
    /// The budget of each of its buckets, but for the id: this one's is `policy:<id>`.
    pub budget: Arc<BudgetRecord>,
}

/// A rate-limit policy.
#[derive(Clone, Debug)]
pub struct RatePolicy {
    /// Its id.
    pub id: String,
    /// Operator's name.
    pub name: String,
    /// What it applies to.
    pub scope: Scope,
    /// The limit of each of its buckets.
    pub limits: Arc<Vec<LimitRecord>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn bucket(body: Value, workspace: Option<&str>) -> Option<String> {
        let metadata: BTreeMap<String, String> = [("team".to_owned(), "red".to_owned())].into();
        let facts = Facts {
            key: "k1",
            metadata: &metadata,
            slug: "oa",
            vendor: "openai",
            config: None,
            model: "@oa/gpt-4o",
            endpoint: "/chat/completions",
            workspace: "w1",
        };
        let scope = Scope::read(&body, workspace.map(str::to_owned)).unwrap();
        let mut bucket = "id:".to_owned();
        scope.write_bucket(&facts, &mut bucket).then(|| bucket.split_off(3))
    }

    #[test]
    fn conditions_match_as_portkeys_do() {
        let one = |condition: Value| bucket(json!({"conditions": [condition]}), None).is_some();
        assert!(one(json!({"key": "api_key", "value": "k1"})));
        assert!(one(json!({"key": "api_key", "value": ["k0", "k1"]})));
        assert!(one(json!({"key": "metadata.team", "value": "*"})));
        assert!(!one(json!({"key": "metadata.user", "value": "*"})));
        assert!(one(json!({"key": "model", "value": "@oa/*"})));
        assert!(!one(json!({"key": "model", "value": "@o/*"})));
        assert!(one(json!({"key": "model", "value": "@oa/gpt-4o"})));
        assert!(!one(json!({"key": "model", "value": "*", "excludes": ["@oa/gpt-4o"]})));
        assert!(!one(json!({"key": "config", "value": "pc-a"})));
        assert!(one(json!({"key": "endpoint_type", "value": "chat/completions"})));
        let both = json!([{"key": "provider", "value": "openai"}, {"key": "virtual_key", "value": "other"}]);
        assert_eq!(bucket(json!({"conditions": both}), None), None);
    }

    #[test]
    fn conditions_that_name_what_is_owned_tell_of_others() {
        let tells = |condition: Value| {
            Scope::read(&json!({"conditions": [condition]}), None).unwrap().tells_of_others("w1")
        };
        for plain in [
            json!({"key": "api_key", "value": "*"}),
            json!({"key": "workspace_id", "value": "w1"}),
            json!({"key": "metadata.team", "value": "red"}),
            json!({"key": "provider", "value": "openai"}),
        ] {
            assert!(!tells(plain.clone()), "{plain}");
        }
        for telling in [
            json!({"key": "api_key", "value": ["k1"]}),
            json!({"key": "workspace_id", "value": ["w1", "w2"]}),
            json!({"key": "workspace_id", "value": "*", "excludes": ["w2"]}),
            json!({"key": "model", "value": "@oa/*"}),
        ] {
            assert!(tells(telling.clone()), "{telling}");
        }
    }

    #[test]
    fn buckets_are_named_by_what_they_group() {
        let grouped = |group: Value| bucket(json!({"conditions": [], "group_by": group}), None);
        assert_eq!(grouped(json!([])).as_deref(), Some("default"));
        assert_eq!(
            grouped(json!([{"key": "api_key"}, {"key": "metadata.team"}])).as_deref(),
            Some("api_key:k1-metadata.team:red")
        );
        assert_eq!(grouped(json!([{"key": "metadata.user"}])), None);
        assert_eq!(bucket(json!({}), Some("w2")), None);
        assert!(bucket(json!({}), Some("w1")).is_some());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let read = |body: Value| Scope::read(&body, None).unwrap_err().param;
        assert_eq!(read(json!({"conditions": [{"key": "colour", "value": "red"}]})), "conditions[0].key");
        assert_eq!(read(json!({"conditions": [{"key": "model", "value": 3}]})), "conditions[0].value");
        assert_eq!(read(json!({"group_by": [{"key": "metadata."}]})), "group_by[0].key");
    }
}
