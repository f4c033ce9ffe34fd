//! The master key of a store: the one that sealed what is in it, and no other.

use std::path::{Path, PathBuf};

use tidegate_store::{Store, StoreError};

use crate::gateway::StartError;
use crate::secret::{MasterKey, SEALED, SecretError};
use crate::settings::Settings;

/// Name of a sealed word in the store, by which its master key is known again.
const CHECK: &str = "master_key_check";
/// Files of the data folder that hold, or held, the master key.
const FILES: [&str; 3] = ["master.key", "master.key.new", "master.key.old"];

/// Returns the master key once it has opened what is sealed in the store. A store without secrets takes the key that
/// is there, or a new one. Whoever seals for a store must have it from here: what another key sealed is lost.
///
/// # Errors
/// [`StartError`] when the key is missing or another one; then no new one is made.
pub fn master_key(store: &mut dyn Store, settings: &Settings) -> Result<MasterKey, StartError> {
    let Some(sealed) = sealed(store)? else {
        let master = MasterKey::load(&settings.data, chosen(settings))?;
        store.set_meta(CHECK, &master.seal("tidegate")?)?;
        return Ok(master);
    };
    let is = match MasterKey::known(&settings.data, chosen(settings))? {
        Some(master) if master.open(&sealed).is_ok() => return Ok(master),
        Some(_) => "is not the one that sealed the secrets of this store",
        None => "is missing, and this store has secrets that it sealed",
    };
    let message = format!("{} {is}; {}", name(settings), remedy(settings, &sealed, None));
    Err(SecretError::MasterKey(message).into())
}

/// Checks that the master key opens what a copy of a store holds, which lies in `file`.
///
/// # Errors
/// A sentence that says which key is needed.
pub fn check_copy(store: &dyn Store, settings: &Settings, file: &Path) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let Some(sealed) = sealed(store).map_err(|error| said(&error))? else { return Ok(()) };
    let known = MasterKey::known(&settings.data, chosen(settings)).map_err(|error| said(&error))?;
    if known.is_some_and(|master| master.open(&sealed).is_ok()) {
        return Ok(());
    }
    Err(format!(
        "another master key sealed its secrets, {} does not open them; {}",
        name(settings),
        remedy(settings, &sealed, Some(file.with_extension("key")))
    ))
}

fn chosen(settings: &Settings) -> Option<&str> {
    settings.master_key.as_ref().map(|key| key.reveal())
}

/// Returns something that the store's master key sealed; `None` where nothing is.
fn sealed(store: &dyn Store) -> Result<Option<String>, StoreError> {
    if let Some(sealed) = store.meta(CHECK)? {
        return Ok(Some(sealed));
    }
    // Commands of earlier versions sealed without leaving the word.
    let keys = store.providers()?.into_iter().filter_map(|provider| provider.api_key);
    Ok(keys.into_iter().find(|key| key.starts_with(SEALED)))
}

/// Says where the key comes from that is in use.
fn name(settings: &Settings) -> String {
    match settings.master_key {
        Some(_) => "the key in `master_key` or TIDEGATE_MASTER_KEY".to_owned(),
        None => settings.data.join(FILES[0]).display().to_string(),
    }
}

/// Says which key opens what is sealed, or where to look for it.
fn remedy(settings: &Settings, sealed: &str, beside: Option<PathBuf>) -> String {
    let place = settings.data.join(FILES[0]);
    let opens = |path: &PathBuf| {
        let key = MasterKey::read(path).ok().flatten();
        key.is_some_and(|key| key.open(sealed).is_ok())
    };
    let unset = match settings.master_key {
        Some(_) => "leave `master_key` and TIDEGATE_MASTER_KEY unset",
        None => "",
    };
    match FILES.iter().map(|file| settings.data.join(file)).chain(beside).find(opens) {
        Some(path) if path == place => format!("{} does: {unset}", path.display()),
        Some(path) => {
            let and = if unset.is_empty() { String::new() } else { format!(", and {unset}") };
            format!("{} does: put it in place of {}{and}", path.display(), place.display())
        }
        None => format!(
            "set TIDEGATE_MASTER_KEY to the text of then, or bring back the {} (before `tidegate secrets rotate`: {}) \
             of then; nodes that share a store need the same TIDEGATE_MASTER_KEY",
            FILES[0], FILES[2]
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tidegate_store::SqliteStore;

    use super::*;

    fn settings(data: &Path, master: Option<&str>) -> Settings {
        let text = format!("data = \"{}\"", data.display());
        let master = master.map(str::to_owned);
        Settings::parse(&text, "t", &|name| master.clone().filter(|_| name == "TIDEGATE_MASTER_KEY")).unwrap()
    }

    fn refused(store: &mut dyn Store, settings: &Settings) -> String {
        master_key(store, settings).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_store_takes_the_first_key_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        let with = |master| settings(folder.path(), master);
        master_key(&mut store, &with(Some("the first text"))).unwrap();
        master_key(&mut store, &with(Some("the first text"))).unwrap();
        let said = refused(&mut store, &with(Some("another text")));
        assert!(said.contains("TIDEGATE_MASTER_KEY is not the one that sealed"), "{said}");
        let said = refused(&mut store, &with(None));
        assert!(said.contains("master.key is missing") && said.contains("set TIDEGATE_MASTER_KEY"), "{said}");
        assert!(!folder.path().join("master.key").exists(), "no new key is made");
    }

    #[test]
    fn the_file_that_opens_the_store_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (key, old) = (folder.path().join("master.key"), folder.path().join("master.key.old"));
        let mut store = SqliteStore::open(&folder.path().join("t.db")).unwrap();
        master_key(&mut store, &settings(folder.path(), None)).unwrap();
        let said = refused(&mut store, &settings(folder.path(), Some("a text")));
        assert!(said.contains("master.key does: leave `master_key`"), "{said}");
        fs::rename(&key, &old).unwrap();
        let said = refused(&mut store, &settings(folder.path(), None));
        assert!(said.contains("master.key.old does: put it in place of"), "{said}");
        fs::write(&key, [7; 32]).unwrap();
        let said = refused(&mut store, &settings(folder.path(), None));
        assert!(
            said.contains("is not the one that sealed") && said.contains("master.key.old does"),
            "{said}"
        );
        fs::rename(&old, &key).unwrap();
        master_key(&mut store, &settings(folder.path(), None)).unwrap();
    }
}
