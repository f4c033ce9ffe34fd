//! The payloads in `fixtures/`, found by name.

use std::fs;
use std::path::Path;

use crate::provider::{Endpoint, Lane, Provider, Wire};
use crate::registry;

/// The folders of wires that no vendor answers chats in.
const WIRES: [(&str, Wire); 2] = [("completions", Wire::Completions), ("responses", Wire::Responses)];

/// One file.
pub(super) struct Fixture {
    pub(super) folder: String,
    /// File name with its ending.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Fixture {
    /// Returns folder and file, for messages.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    /// Returns the wire that the file is written in.
    pub(super) fn wire(&self) -> Wire {
        let own = WIRES.iter().find(|(folder, _)| *folder == self.folder).map(|(_, wire)| *wire);
        own.or_else(|| registry::find(&self.folder).map(wire_of)).unwrap()
    }

    pub(super) fn is_stream(&self) -> bool {
        self.name.ends_with(".sse")
    }

    /// Returns whether the vendor broke the stream off.
    pub(super) fn is_broken_stream(&self) -> bool {
        self.is_stream() && self.name.starts_with("stream_error")
    }

    pub(super) fn is_answer(&self) -> bool {
        self.name == "response.json" || (self.name.starts_with("response_") && self.name.ends_with(".json"))
    }

    /// Returns the status that an error answer came with.
    pub(super) fn error_status(&self) -> Option<u16> {
        self.name.strip_prefix("error_")?.strip_suffix(".json")?.parse().ok()
    }
}

/// Returns the wire that a vendor answers conversations in.
pub(super) fn wire_of(provider: &dyn Provider) -> Wire {
    match provider.lane(Endpoint::Chat, "model-x") {
        Some(Lane::Translate(wire)) => wire,
        _ => Wire::Chat,
    }
}

/// Returns every file of every folder, in order.
pub(super) fn all() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for folder in names(&root) {
        for name in names(&root.join(&folder)) {
            let bytes = fs::read(root.join(&folder).join(&name)).unwrap();
            found.push(Fixture { folder: folder.clone(), name, bytes });
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    found
}

/// Returns the streams, whole and broken ones.
pub(super) fn streams() -> Vec<Fixture> {
    all().into_iter().filter(Fixture::is_stream).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_file_is_named_by_the_convention() {
    let others = ["request.json", "stream.sse", "calls.json", "embeddings.json", "models.json"];
    for file in all() {
        let known = others.contains(&file.name.as_str())
            || file.is_answer()
            || file.error_status().is_some()
            || (file.name.starts_with("stream_") && file.is_stream());
        assert!(known, "{} is read by no test of the suite", file.path());
        let of_wire = WIRES.iter().any(|(folder, _)| *folder == file.folder);
        let at_home = of_wire || registry::find(&file.folder).is_some();
        assert!(at_home, "{} is in a folder of no vendor", file.path());
    }
}

#[test]
fn a_vendor_with_fixtures_has_the_main_ones() {
    let files = all();
    for provider in registry::all() {
        let of_vendor: Vec<&str> = files
            .iter()
            .filter(|file| file.folder == provider.slug())
            .map(|file| file.name.as_str())
            .collect();
        if of_vendor.is_empty() {
            continue;
        }
        for name in ["request.json", "response.json", "stream.sse"] {
            assert!(of_vendor.contains(&name), "{}: {name} is missing", provider.slug());
        }
        assert!(of_vendor.iter().any(|name| name.starts_with("error_")), "{}", provider.slug());
    }
}
