//! Which version is in force, whatever comes in whatever order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Entry, Shelf, Source, Step, Upload, Version};

#[derive(Debug)]
struct Fake {
    id: &'static str,
    digest: String,
}

impl Version for Fake {
    fn id(&self) -> &str {
        self.id
    }

    fn version(&self) -> &'static str {
        "1.0.0"
    }

    fn digest(&self) -> &str {
        &self.digest
    }
}

fn fake(id: &'static str, digest: &str) -> Arc<Fake> {
    Arc::new(Fake { id, digest: digest.to_owned() })
}

fn loaded(file: &str, plugin: &Arc<Fake>) -> Step<Fake> {
    Step::FileLoaded { file: PathBuf::from(file), plugin: plugin.clone() }
}

fn gone(file: &str) -> Step<Fake> {
    Step::FileGone { file: PathBuf::from(file) }
}

fn uploaded(plugin: &Arc<Fake>) -> Step<Fake> {
    Step::Uploaded { id: plugin.id.to_owned(), plugin: Some(plugin.clone()) }
}

fn in_force(shelf: &Shelf<Fake>, id: &str) -> Option<(Source, String)> {
    let (source, plugin) = shelf.entry(id)?.in_force()?;
    Some((source, plugin.digest.clone()))
}

#[test]
fn a_file_comes_before_an_upload_before_what_is_bundled() {
    let mut shelf = Shelf::default();
    let (file, upload, bundled) = (fake("a", "f"), fake("a", "u"), fake("a", "b"));
    shelf.apply(vec![Step::Bundled { id: "a".to_owned(), plugin: Some(bundled) }], 1);
    assert_eq!(in_force(&shelf, "a"), Some((Source::Bundled, "b".to_owned())));
    assert_eq!(shelf.apply(vec![uploaded(&upload)], 2), ["a"]);
    assert_eq!(in_force(&shelf, "a"), Some((Source::Uploaded, "u".to_owned())));
    shelf.apply(vec![loaded("a.wasm", &file)], 3);
    assert_eq!(in_force(&shelf, "a"), Some((Source::Folder, "f".to_owned())));
    assert_eq!(shelf.apply(vec![Step::Uploaded { id: "a".to_owned(), plugin: None }], 4), [""; 0]);
    shelf.apply(vec![gone("a.wasm")], 5);
    assert_eq!(in_force(&shelf, "a"), Some((Source::Bundled, "b".to_owned())));
}

#[test]
fn a_refused_file_leaves_what_it_was_in_force() {
    let mut shelf = Shelf::default();
    shelf.apply(vec![loaded("a.wasm", &fake("a", "1"))], 1);
    let refused = |reason: &str| Step::FileRefused {
        file: PathBuf::from("a.wasm"),
        digest: "bad".to_owned(),
        reason: reason.to_owned(),
    };
    assert_eq!(shelf.apply(vec![refused("no")], 2), [""; 0]);
    assert_eq!(in_force(&shelf, "a"), Some((Source::Folder, "1".to_owned())));
    assert_eq!(shelf.refused().map(|refusal| refusal.reason.as_str()).collect::<Vec<_>>(), ["no"]);
    shelf.apply(vec![Step::FileForgiven { file: PathBuf::from("a.wasm") }], 3);
    assert_eq!(shelf.refused().count(), 0);
    assert_eq!(shelf.apply(vec![refused("no"), gone("a.wasm")], 4), ["a"]);
    assert!(shelf.entry("a").is_none() && shelf.refused().count() == 0);
}

#[test]
fn a_file_that_becomes_another_plugin_leaves_the_first() {
    let mut shelf = Shelf::default();
    shelf.apply(vec![loaded("x.wasm", &fake("a", "1"))], 1);
    shelf.apply(vec![loaded("x.wasm", &fake("b", "2"))], 2);
    assert_eq!((in_force(&shelf, "a"), in_force(&shelf, "b").map(|it| it.1)), (None, Some("2".to_owned())));
}

#[test]
fn the_second_file_of_a_plugin_is_refused_until_the_first_goes() {
    let mut shelf = Shelf::default();
    shelf.apply(vec![loaded("1.wasm", &fake("a", "1"))], 1);
    shelf.apply(vec![loaded("2.wasm", &fake("a", "2"))], 2);
    assert_eq!(in_force(&shelf, "a").map(|it| it.1).as_deref(), Some("1"));
    assert!(shelf.refused().next().unwrap().reason.contains("1.wasm already"));
    shelf.apply(vec![gone("1.wasm"), loaded("2.wasm", &fake("a", "2"))], 3);
    assert_eq!(in_force(&shelf, "a").map(|it| it.1).as_deref(), Some("2"));
    assert_eq!(shelf.entry("a").and_then(Entry::file), Some(Path::new("2.wasm")));
    assert_eq!(shelf.refused().count(), 0);
}

#[test]
fn a_renamed_file_changes_nothing_that_is_in_force_but_its_name() {
    let mut shelf = Shelf::default();
    let plugin = fake("a", "1");
    shelf.apply(vec![loaded("1.wasm", &plugin)], 1);
    let changed = shelf.apply(vec![gone("1.wasm"), loaded("2.wasm", &plugin)], 2);
    assert_eq!(changed, [""; 0]);
    assert_eq!(shelf.entry("a").unwrap().since_ms, 1);
}

#[test]
fn old_versions_are_known_as_long_as_somebody_uses_them() {
    let mut shelf = Shelf::default();
    let first = fake("a", "1");
    shelf.apply(vec![loaded("a.wasm", &first)], 1);
    shelf.apply(vec![loaded("a.wasm", &fake("a", "2"))], 2);
    let past = |shelf: &Shelf<Fake>| -> Vec<(String, bool)> {
        shelf.entry("a").unwrap().past.iter().map(|past| (past.digest.clone(), past.in_use())).collect()
    };
    assert_eq!(past(&shelf), [("1".to_owned(), true)]);
    shelf.apply(vec![gone("a.wasm")], 3);
    assert_eq!(in_force(&shelf, "a"), None);
    assert_eq!(past(&shelf), [("1".to_owned(), true), ("2".to_owned(), false)]);
    drop(first);
    shelf.apply(Vec::new(), 4);
    assert!(shelf.entry("a").is_none());
}

#[test]
fn what_is_withdrawn_is_out_of_force_and_listed() {
    let mut shelf = Shelf::default();
    shelf.apply(vec![loaded("a.wasm", &fake("a", "1"))], 1);
    let withdrawn = Step::Withdrawn {
        id: "a".to_owned(),
        source: Source::Folder,
        digest: "1".to_owned(),
        reason: "kv is not granted".to_owned(),
    };
    assert_eq!(shelf.apply(vec![withdrawn], 2), ["a"]);
    let refusal = &shelf.entry("a").unwrap().refused[0];
    assert_eq!((refusal.file.as_deref(), refusal.at_ms), (Some(Path::new("a.wasm")), 2));
    shelf.apply(vec![gone("a.wasm")], 3);
    assert!(shelf.entry("a").is_none());
}

#[test]
fn uploads_on_disk_keep_an_id_that_has_none_in_force() {
    let mut shelf: Shelf<Fake> = Shelf::default();
    let upload = Upload { digest: "u".to_owned(), version: "1.0.0".to_owned(), bytes: 1, at_ms: 1 };
    shelf.apply(vec![Step::Stored { id: "a".to_owned(), uploads: vec![upload] }], 1);
    assert!(shelf.entry("a").is_some() && in_force(&shelf, "a").is_none());
    shelf.apply(vec![Step::Stored { id: "a".to_owned(), uploads: Vec::new() }], 2);
    assert!(shelf.entry("a").is_none());
}
