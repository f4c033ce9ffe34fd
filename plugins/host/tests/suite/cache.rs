//! Compiled plugins on disk: used if they are right, never trusted if they are not.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_plugin_host::{Host, HostOptions, Setup};

use crate::guest::Guest;
use crate::{check, run};

fn host(folder: &Path) -> Arc<Host> {
    let cache = Some(folder.to_owned());
    Host::start(HostOptions { cache, instances: 4, background_threads: 1 }).unwrap()
}

fn load_and_call(folder: &Path, bytes: &[u8]) {
    let plugin = host(folder).load(bytes, Setup::default()).unwrap();
    assert!(run(check(&plugin, "text")).is_ok());
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// Returns what tells one writing of a file from another: its inode.
#[cfg(unix)]
fn identity(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
}

#[cfg(unix)]
#[test]
fn a_compiled_plugin_is_used_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::passes().build();
    load_and_call(folder.path(), &bytes);
    let compiled = files(folder.path(), "cwasm");
    assert_eq!(compiled.len(), 1);
    let before = identity(&compiled[0]);
    load_and_call(folder.path(), &bytes);
    assert_eq!(identity(&compiled[0]), before, "it was compiled again");
    assert_eq!(files(folder.path(), "cwasm"), compiled);
    assert!(files(folder.path(), "tmp").is_empty());
}

#[cfg(unix)]
#[test]
fn a_changed_file_is_compiled_again_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::passes().build();
    load_and_call(folder.path(), &bytes);
    let compiled = files(folder.path(), "cwasm").remove(0);
    let digest = files(folder.path(), "sha256").remove(0);
    let good = fs::read(&compiled).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for bad in [&flipped[..], &good[..good.len() / 2], b""] {
        let before = identity(&compiled);
        fs::write(&compiled, bad).unwrap();
        load_and_call(folder.path(), &bytes);
        assert_ne!(identity(&compiled), before, "the changed file was used");
    }
    fs::remove_file(&digest).unwrap();
    let before = identity(&compiled);
    load_and_call(folder.path(), &bytes);
    assert_ne!(identity(&compiled), before, "a file without digest was used");
}

#[cfg(unix)]
#[test]
fn a_file_with_a_right_digest_that_is_no_code_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::passes().build();
    load_and_call(folder.path(), &bytes);
    let compiled = files(folder.path(), "cwasm").remove(0);
    let before = identity(&compiled);
    fs::write(&compiled, b"").unwrap();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    fs::write(&files(folder.path(), "sha256")[0], empty).unwrap();
    load_and_call(folder.path(), &bytes);
    assert_ne!(identity(&compiled), before);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_and_write_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("compiled");
    let bytes = Guest::passes().build();
    load_and_call(&folder, &bytes);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let compiled = files(&folder, "cwasm").remove(0);
    assert_eq!((mode(&compiled), mode(&files(&folder, "sha256")[0])), (0o600, 0o600));

    let before = identity(&compiled);
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o666)).unwrap();
    load_and_call(&folder, &bytes);
    assert_ne!(identity(&compiled), before, "a file that anybody could have written was used");
    assert_eq!(mode(&compiled), 0o600);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_of_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let cache = Some(file.path().join("compiled"));
    let error = Host::start(HostOptions { cache, ..HostOptions::default() }).unwrap_err();
    assert!(error.to_string().contains("compiled"), "{error}");
}
