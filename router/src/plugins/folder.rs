//! The watched folder: which files of it changed. What that means is decided elsewhere.
//!
//! Looking at inode, size and change time sees every way of writing a file: in place, by rename, through a symlink of
//! a container's volume. What stands still for two looks counts, so that half a file is never loaded, and a file that
//! is gone for a moment is not gone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Changes act within two looks.
pub(crate) const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(400);
/// The gateway just started and requests wait.
pub(crate) const FIRST_LOOKS_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

#[derive(Debug, Default)]
struct Seen {
    last: Option<Stamp>,
    acted: Option<Stamp>,
}

/// What two looks agree on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// New, or with other content.
    pub(crate) changed: Vec<PathBuf>,
    /// Were there.
    pub(crate) gone: Vec<PathBuf>,
}

/// Remembers earlier looks.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    files: BTreeMap<PathBuf, Seen>,
}

impl Looks {
    /// Takes in a look and returns what changed since what was returned before.
    pub(crate) fn look(&mut self, now: &BTreeMap<PathBuf, Stamp>) -> Difference {
        let mut difference = Difference::default();
        for file in now.keys() {
            if !self.files.contains_key(file) {
                self.files.insert(file.clone(), Seen::default());
            }
        }
        self.files.retain(|file, seen| {
            let stamp = now.get(file).copied();
            let still = std::mem::replace(&mut seen.last, stamp) == stamp;
            if !still {
                return true;
            }
            match stamp {
                Some(_) if seen.acted != stamp => {
                    seen.acted = stamp;
                    difference.changed.push(file.clone());
                    true
                }
                Some(_) => true,
                None => {
                    if seen.acted.is_some() {
                        difference.gone.push(file.clone());
                    }
                    false
                }
            }
        });
        difference
    }
}

/// Looks at the folder. One that does not exist is empty; one that can't be read says nothing.
pub(crate) fn list(folder: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // A link is looked through; one that leads nowhere is no file, for the moment at least.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_file() {
            let stamp = Stamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            };
            files.insert(path, stamp);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn look(looks: &mut Looks, files: &[(&str, u64)]) -> Difference {
        let stamp = |size| Stamp { device: 1, inode: 1, size, changed: (0, 0) };
        looks.look(&files.iter().map(|(name, size)| (PathBuf::from(name), stamp(*size))).collect())
    }

    #[test]
    fn a_file_counts_once_it_stands_still() {
        let mut looks = Looks::default();
        assert_eq!(look(&mut looks, &[("a", 1)]), Difference::default());
        assert_eq!(look(&mut looks, &[("a", 2)]), Difference::default());
        assert_eq!(look(&mut looks, &[("a", 2)]).changed, paths(&["a"]));
        assert_eq!(look(&mut looks, &[("a", 2)]), Difference::default());
        look(&mut looks, &[("a", 3)]);
        assert_eq!(look(&mut looks, &[("a", 3)]).changed, paths(&["a"]));
    }

    #[test]
    fn a_file_that_is_away_for_one_look_is_not_gone() {
        let mut looks = Looks::default();
        look(&mut looks, &[("a", 1)]);
        look(&mut looks, &[("a", 1)]);
        assert_eq!(look(&mut looks, &[]), Difference::default());
        assert_eq!(look(&mut looks, &[("a", 1)]), Difference::default());
        assert_eq!(look(&mut looks, &[("a", 1)]), Difference::default());
        look(&mut looks, &[]);
        assert_eq!(look(&mut looks, &[]).gone, paths(&["a"]));
        assert_eq!(look(&mut looks, &[]), Difference::default());
    }

    #[test]
    fn a_renamed_file_is_gone_and_new_in_the_same_look() {
        let mut looks = Looks::default();
        look(&mut looks, &[("a", 1)]);
        look(&mut looks, &[("a", 1)]);
        look(&mut looks, &[("b", 1)]);
        let difference = look(&mut looks, &[("b", 1)]);
        assert_eq!((difference.gone, difference.changed), (paths(&["a"]), paths(&["b"])));
    }

    #[test]
    fn a_swapped_link_and_a_write_in_place_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("one")).unwrap();
        fs::create_dir(at("two")).unwrap();
        fs::write(at("one/x"), "same").unwrap();
        fs::write(at("two/x"), "same").unwrap();
        fs::write(at(".hidden.wasm"), "").unwrap();
        fs::write(at("readme.txt"), "").unwrap();
        std::os::unix::fs::symlink("one", at("data")).unwrap();
        std::os::unix::fs::symlink("data/x", at("x.wasm")).unwrap();
        let first = list(folder.path()).unwrap();
        assert_eq!(first.keys().cloned().collect::<Vec<_>>(), [at("x.wasm")]);
        std::os::unix::fs::symlink("two", at("data.new")).unwrap();
        fs::rename(at("data.new"), at("data")).unwrap();
        let second = list(folder.path()).unwrap();
        assert_ne!(first, second);
        fs::write(at("two/x"), "else!").unwrap();
        assert_ne!(list(folder.path()).unwrap(), second);
        assert!(list(&at("nowhere")).unwrap().is_empty());
    }
}
