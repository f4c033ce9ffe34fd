//! One saved config in memory.

use std::sync::Arc;

use tidegate_config::{ConfigError, Plan};
use tidegate_store::{ConfigRecord, ConfigVersion};

use super::error::ConfigsError;

/// A saved config with the version in force.
#[derive(Debug)]
pub struct Saved {
    /// What is said about it.
    pub record: ConfigRecord,
    /// The version in force, its text in clear.
    pub version: ConfigVersion,
    /// What requests follow, or why they can't.
    pub plan: Result<Arc<Plan>, ConfigError>,
}

/// Finds a version by its number or id, or the one before that in force. `versions` are newest first.
///
/// # Errors
/// [`ConfigsError::UnknownVersion`], [`ConfigsError::NoEarlier`]
pub fn which(
    record: &ConfigRecord,
    versions: &[ConfigVersion],
    wanted: Option<&str>,
) -> Result<ConfigVersion, ConfigsError> {
    let slug = || record.slug.clone();
    let Some(wanted) = wanted else {
        let earlier = versions.iter().find(|version| version.number < record.active);
        return earlier.cloned().ok_or_else(|| ConfigsError::NoEarlier { slug: slug() });
    };
    let found = versions.iter().find(|version| version.id == wanted || version.number.to_string() == wanted);
    found.cloned().ok_or_else(|| ConfigsError::UnknownVersion {
        slug: slug(),
        wanted: wanted.to_owned(),
        newest: versions.first().map_or(0, |version| version.number),
    })
}
