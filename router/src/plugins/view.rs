//! What the gateway shows of its plugins: one serialisable view for the Admin API, the command line and tests.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_plugin_host::{Hook, Plugin, State, Statistics};

use super::bundled::Bundled;
use super::error::PluginError;
use super::service::Plugins;
use crate::versions::{Entry, Refusal, Source};

/// All plugins.
#[derive(Clone, Debug, Serialize)]
pub struct PluginsView {
    /// By id.
    pub plugins: Vec<PluginView>,
    /// Files of the folder that are no plugins, or not allowed to be.
    pub refused: Vec<Refusal>,
}

/// How a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// In force.
    Live,
    /// In force, but it failed too often and rests.
    Quarantined,
    /// Bundled, and nobody needed it yet.
    Unused,
    /// Uploaded, and not activated.
    Inactive,
    /// It can't be loaded with what is declared about it.
    Refused,
    /// Removed, while requests that started with it still run.
    Removed,
}

/// One plugin.
#[derive(Clone, Debug, Serialize)]
pub struct PluginView {
    /// Its id.
    pub id: String,
    /// Always `plugin`.
    pub object: &'static str,
    /// How it is.
    pub state: Standing,
    /// The version of its manifest.
    pub version: Option<String>,
    /// SHA-256 of its bytes in hexadecimal.
    pub digest: Option<String>,
    /// Where it came from.
    pub source: Option<Source>,
    /// Its file, if it is one of the folder.
    pub file: Option<PathBuf>,
    /// Since when this version is in force, milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// What it judges.
    pub checks: Vec<CheckView>,
    /// What it decides.
    pub conditions: Vec<ConditionView>,
    /// What it asks for.
    pub wants: Vec<String>,
    /// What of it it got.
    pub granted: Vec<String>,
    /// What it did.
    pub statistics: Option<Statistics>,
    /// All versions that are known, newest first.
    pub versions: Vec<VersionView>,
    /// What is not in force, and why.
    pub refused: Vec<Refusal>,
}

/// A check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckView {
    /// Its id in configs.
    pub id: String,
    /// `input` and `output`.
    pub hooks: Vec<&'static str>,
    /// Whether it judges streams while they run.
    pub streams: bool,
    /// Whether it may change what it judges.
    pub mutates: bool,
    /// JSON Schema of its parameters.
    pub params_schema: Option<Box<RawValue>>,
}

/// A routing condition.
#[derive(Clone, Debug, Serialize)]
pub struct ConditionView {
    /// Its id in configs.
    pub id: String,
    /// JSON Schema of its parameters.
    pub params_schema: Option<Box<RawValue>>,
}

/// A version of a plugin.
#[derive(Clone, Debug, Serialize)]
pub struct VersionView {
    /// SHA-256 of its bytes in hexadecimal.
    pub digest: String,
    /// The version of its manifest.
    pub version: String,
    /// Where it came from.
    pub source: Source,
    /// `live`, `stored` (may be activated) or `retired`.
    pub state: &'static str,
    /// Whether requests run on it.
    pub in_use: bool,
    /// When it was uploaded or went out of force, milliseconds since 1970.
    pub at_ms: Option<i64>,
}

impl Plugins {
    /// Returns all that is known of plugins.
    ///
    /// # Errors
    /// [`PluginError::Unavailable`]
    pub async fn observe(&self) -> Result<PluginsView, PluginError> {
        let shelf = self.handle.observe().await?;
        let mut plugins: Vec<PluginView> = shelf
            .entries()
            .filter(|(_, entry)| entry.matters())
            .map(|(id, entry)| view(id, entry, self.bundled(id)))
            .collect();
        for bundled in self.all_bundled() {
            if shelf.entry(bundled.id).is_none() {
                plugins.push(view(bundled.id, &Entry::default(), Some(bundled)));
            }
        }
        plugins.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(PluginsView { plugins, refused: shelf.refused().cloned().collect() })
    }

    /// Returns all that is known of a plugin.
    ///
    /// # Errors
    /// [`PluginError::Unknown`]
    pub async fn observe_one(&self, id: &str) -> Result<PluginView, PluginError> {
        let all = self.observe().await?;
        let found = all.plugins.into_iter().find(|plugin| plugin.id == id);
        found.ok_or_else(|| PluginError::Unknown { id: id.to_owned() })
    }
}

fn view(id: &str, entry: &Entry<Plugin>, bundled: Option<&Bundled>) -> PluginView {
    let in_force = entry.in_force();
    let statistics = in_force.map(|(_, plugin)| plugin.statistics());
    let state = match (&statistics, bundled) {
        (Some(statistics), _) if statistics.state == State::Quarantined => Standing::Quarantined,
        (Some(_), _) => Standing::Live,
        (None, _) if !entry.refused.is_empty() => Standing::Refused,
        (None, Some(_)) => Standing::Unused,
        (None, None) if entry.uploads.is_empty() => Standing::Removed,
        (None, None) => Standing::Inactive,
    };
    let manifest = in_force.map(|(_, plugin)| plugin.manifest());
    let checks = manifest.into_iter().flat_map(|manifest| &manifest.checks).map(|check| CheckView {
        id: format!("{id}.{}", check.name),
        hooks: check.hooks.iter().map(|hook| if *hook == Hook::Input { "input" } else { "output" }).collect(),
        streams: check.streams,
        mutates: check.mutates,
        params_schema: RawValue::from_string(check.params_schema_json.clone()).ok(),
    });
    let conditions =
        manifest.into_iter().flat_map(|manifest| &manifest.conditions).map(|condition| ConditionView {
            id: format!("{id}.{}", condition.name),
            params_schema: RawValue::from_string(condition.params_schema_json.clone()).ok(),
        });
    let wants = manifest.map(|manifest| manifest.wants.clone()).unwrap_or_default();
    let granted = wants.iter().filter(|word| in_force.is_some_and(|(_, plugin)| plugin.wants(word)));
    PluginView {
        id: id.to_owned(),
        object: "plugin",
        state,
        version: manifest.map(|manifest| manifest.version.clone()),
        digest: match in_force {
            Some((_, plugin)) => Some(plugin.digest().to_owned()),
            None => bundled.map(|bundled| bundled.digest().to_owned()),
        },
        source: match in_force {
            Some((source, _)) => Some(source),
            None => bundled.map(|_| Source::Bundled),
        },
        file: entry.file().map(ToOwned::to_owned),
        since_ms: in_force.map(|_| entry.since_ms),
        checks: checks.collect(),
        conditions: conditions.collect(),
        granted: granted.cloned().collect(),
        wants,
        statistics,
        versions: versions(entry),
        refused: entry.refused.clone(),
    }
}

fn versions(entry: &Entry<Plugin>) -> Vec<VersionView> {
    let mut versions: Vec<VersionView> = Vec::new();
    if let Some((source, plugin)) = entry.in_force() {
        versions.push(VersionView {
            digest: plugin.digest().to_owned(),
            version: plugin.manifest().version.clone(),
            source,
            state: "live",
            in_use: true,
            at_ms: None,
        });
    }
    for past in entry.past.iter().rev() {
        let known =
            versions.iter_mut().find(|known| known.digest == past.digest && known.source == past.source);
        if let Some(known) = known {
            known.in_use |= past.in_use();
            continue;
        }
        versions.push(VersionView {
            digest: past.digest.clone(),
            version: past.version.clone(),
            source: past.source,
            state: "retired",
            in_use: past.in_use(),
            at_ms: Some(past.until_ms),
        });
    }
    for upload in entry.uploads.iter().rev() {
        let known = versions
            .iter_mut()
            .find(|known| known.digest == upload.digest && known.source == Source::Uploaded);
        match known {
            Some(known) if known.state == "retired" => known.state = "stored",
            Some(_) => {}
            None => versions.push(VersionView {
                digest: upload.digest.clone(),
                version: upload.version.clone(),
                source: Source::Uploaded,
                state: "stored",
                in_use: false,
                at_ms: Some(upload.at_ms),
            }),
        }
    }
    versions
}
