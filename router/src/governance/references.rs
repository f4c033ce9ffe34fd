//! What secret references came to: values in memory only, read again now and then, the last good one kept.

use dashmap::DashMap;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate_store::{ObjectKind, ObjectRecord};

use super::objects::Objects;
use super::wells::{Unread, Well, Wells};
use crate::settings::Secret;

/// Values by the id of their reference.
#[derive(Default)]
pub struct References {
    values: DashMap<String, Secret>,
}

/// Returns whether a reference may be used in a workspace; `None` is the organisation.
#[must_use]
pub fn allowed(reference: &ObjectRecord, workspace: Option<&str>) -> bool {
    let listed = reference.body["allowed_workspaces"].as_array().into_iter().flatten();
    reference.body["allow_all_workspaces"] != false
        || workspace.is_some_and(|id| listed.into_iter().any(|allowed| allowed == id))
}

impl References {
    /// Puts mapped secrets into the opened secrets of an integration: `key` and `configurations`.
    ///
    /// # Errors
    /// The id of a reference that has no value, or that the workspace may not use.
    pub(super) fn fill(
        &self,
        objects: &Objects,
        secrets: &mut Value,
        mappings: &Value,
        workspace: Option<&str>,
    ) -> Result<(), String> {
        for mapping in mappings.as_array().into_iter().flatten() {
            let id = mapping["secret_reference_id"].as_str().unwrap_or_default();
            let unknown = || id.to_owned();
            let reference = objects.by_id(ObjectKind::SecretReference, id).ok_or_else(unknown)?;
            if !allowed(&reference, workspace) {
                return Err(unknown());
            }
            let value = self.values.get(id).ok_or_else(unknown)?;
            let member = mapping["secret_key"].as_str().or_else(|| reference.body["secret_key"].as_str());
            let picked = pick(value.reveal(), member).ok_or_else(unknown)?;
            let is_json = mapping["value_format"] == "json";
            let value =
                if is_json { serde_json::from_str(&picked).map_err(|_| unknown())? } else { picked.into() };
            if !secrets.is_object() {
                *secrets = json!({});
            }
            match target(mapping["target_field"].as_str().unwrap_or_default()) {
                None => secrets["key"] = value,
                Some(name) => {
                    if !secrets["configurations"].is_object() {
                        secrets["configurations"] = json!({});
                    }
                    secrets["configurations"][name] = value;
                }
            }
        }
        Ok(())
    }

    /// Reads every reference that an integration names again. What can't be read keeps its last value, and is logged.
    /// Returns whether a value changed.
    pub async fn refresh(&self, objects: &Objects, wells: &Wells<'_>) -> bool {
        let mut wanted: Vec<String> = Vec::new();
        for integration in objects.all(ObjectKind::Integration) {
            let mappings = integration.body["secret_mappings"].as_array().into_iter().flatten();
            wanted.extend(mappings.filter_map(|it| it["secret_reference_id"].as_str().map(str::to_owned)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        self.values.retain(|id, _| wanted.contains(id));
        let found = wanted.iter().filter_map(|id| objects.by_id(ObjectKind::SecretReference, id));
        let read = join_all(found.map(|reference| async {
            let read = read(objects, &reference, wells).await;
            (reference, read)
        }));
        let mut changed = false;
        for (reference, read) in read.await {
            match read {
                Ok(secret) => {
                    let before = self.values.insert(reference.id.clone(), secret.clone());
                    changed |= before.as_ref() != Some(&secret);
                }
                Err(error) => {
                    tracing::error!(reference = reference.slug, %error, "a secret could not be read; its last value stays");
                }
            }
        }
        changed
    }
}

/// Reads the secret of a reference.
///
/// # Errors
/// [`Unread`]
pub async fn read(objects: &Objects, reference: &ObjectRecord, wells: &Wells<'_>) -> Result<Secret, Unread> {
    let body = &reference.body;
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let auth = match body["sealed"].as_str() {
        Some(sealed) => {
            let opened = objects.master().open(sealed).map_err(|error| Unread::new(error.to_string()))?;
            serde_json::from_str(&opened).unwrap_or_default()
        }
        None => Value::Null,
    };
    let well = Well::of(text("manager_type"), &auth, text("secret_path"), wells.settings);
    well.map_err(|bad| Unread::new(bad.to_string()))?.read(wells).await
}

/// Returns which configuration a mapping is for; `None` is the key.
#[must_use]
pub fn target(field: &str) -> Option<&str> {
    match field {
        "key" | "api_key" | "" => None,
        other => Some(other.strip_prefix("configurations.").unwrap_or(other)),
    }
}

/// Takes a member out of a secret that is a JSON object. Without a name the whole, or the only member of an object.
fn pick(text: &str, member: Option<&str>) -> Option<String> {
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let parsed: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_object);
    match (member.filter(|member| !member.is_empty()), parsed) {
        (Some(member), Some(parsed)) => parsed.get(member).map(as_text),
        (Some(_), None) => None,
        (None, Some(parsed)) => match parsed.as_object().filter(|members| members.len() == 1) {
            Some(members) => members.values().next().map(as_text),
            None => Some(text.to_owned()),
        },
        (None, None) => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_secret_are_picked_by_name() {
        let two = r#"{"key": "sk", "n": 3}"#;
        assert_eq!(pick(two, Some("key")).as_deref(), Some("sk"));
        assert_eq!(pick(two, Some("n")).as_deref(), Some("3"));
        assert_eq!(pick(two, Some("none")), None);
        assert_eq!(pick(two, None).as_deref(), Some(two));
        assert_eq!(pick(r#"{"value": "sk"}"#, None).as_deref(), Some("sk"));
        assert_eq!(pick("sk", None).as_deref(), Some("sk"));
        assert_eq!(pick("sk", Some("key")), None);
    }

    #[test]
    fn targets_are_the_key_or_a_configuration() {
        assert_eq!(target("key"), None);
        assert_eq!(target("configurations.azure_ad_token"), Some("azure_ad_token"));
        assert_eq!(target("azure_ad_token"), Some("azure_ad_token"));
    }
}
