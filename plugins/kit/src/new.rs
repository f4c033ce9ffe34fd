//! Makes the folder of a new plugin from its language's template.

use std::fs;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::language::Language;
use crate::project::{ID_RULE, is_id};
use crate::templates;

/// What templates call their plugin.
const PLACEHOLDER: &str = "my-guard";

/// Why there is no new plugin.
#[derive(Debug, Error)]
pub enum NewError {
    /// The name can't be a plugin's id.
    #[error("name a plugin {0:?}: a name has {ID_RULE}")]
    Name(String),
    /// Something is there already.
    #[error("make {0}: it exists and is not empty")]
    Exists(String),
    /// A file can't be written.
    #[error("write {file}: {source}")]
    Write {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
}

/// Writes a new plugin with its golden cases into a folder that is not there yet, or empty.
///
/// # Errors
/// See [`NewError`]. Nothing is overwritten.
pub fn new(language: Language, name: &str, folder: &Path) -> Result<(), NewError> {
    if !is_id(name) {
        return Err(NewError::Name(name.to_owned()));
    }
    if fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()) {
        return Err(NewError::Exists(folder.display().to_string()));
    }
    let sdk = if language == Language::Rust { templates::RUST_SDK } else { &[] };
    for (file, text) in templates::of(language).iter().chain(templates::SHARED).chain(sdk) {
        let file = folder.join(file);
        let failed = |source| NewError::Write { file: file.display().to_string(), source };
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&file, text.replace(PLACEHOLDER, name)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::golden;
    use crate::project::Project;

    #[test]
    fn a_new_plugin_of_each_language_has_its_name_and_cases() {
        for language in Language::value_variants() {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("there");
            new(*language, "no-swearing", &folder).unwrap();
            let project = Project::open(&folder).unwrap();
            assert_eq!((project.name.as_str(), project.language), ("no-swearing", *language));
            assert!(golden::read(&project.cases()).unwrap().len() > 20);
            assert!(folder.join("README.md").exists() && folder.join(".gitignore").exists(), "{language}");
        }
    }

    #[test]
    fn nothing_is_overwritten_and_names_are_ids() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("mine"), "").unwrap();
        assert!(matches!(new(Language::C, "a", place.path()), Err(NewError::Exists(_))));
        assert!(matches!(new(Language::C, "A b", place.path()), Err(NewError::Name(_))));
    }
}
