//! A data folder with so many keys, and settings that name one provider whose models need no upstream.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate::gateway::store_path;
use tidegate::secret::{hash_key, mask};
use tidegate_store::{KeyHash, KeyRecord, LimitRecord, SqliteStore, Store, Window};

/// The settings declare this key, so that a store without keys has somebody to answer too.
const DECLARED: &str = "tg-declared-key-of-the-benches-0123456789abcde";

/// A filled data folder; removed when dropped.
pub(crate) struct Stocked {
    folder: TempDir,
    keys: usize,
    took: Duration,
}

impl Stocked {
    /// Makes the folder and writes all keys in one go.
    pub(crate) fn fill(keys: usize) -> io::Result<Self> {
        let folder = TempDir::new()?;
        std::fs::write(folder.path().join("tidegate.toml"), settings(folder.path()))?;
        let records: Vec<_> = (0..keys).map(record).collect();
        let started = Instant::now();
        let mut store = SqliteStore::open(&store_path(folder.path())).map_err(io::Error::other)?;
        store.put_keys(&records).map_err(io::Error::other)?;
        drop(store);
        Ok(Self { folder, keys, took: started.elapsed() })
    }

    /// Returns how many keys it was filled with.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// Returns how long filling took.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// Returns the size of the store's file.
    pub(crate) fn megabytes(&self) -> io::Result<f64> {
        Ok(store_path(self.folder.path()).metadata()?.len() as f64 / 1e6)
    }

    /// Returns the settings file.
    pub(crate) fn settings(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// Returns a key's text, another one for each run: stored keys where there are any, else the declared one.
    pub(crate) fn key(&self, run: usize) -> String {
        // A prime step spreads the runs over the table.
        if self.keys == 0 { DECLARED.to_owned() } else { text(run * 7_919 % self.keys) }
    }
}

fn settings(folder: &Path) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\ndata = {:?}\nadmin_key = \"tga-admin-key-of-the-benches-0123456789abcdef\"\n\n\
         [[provider]]\nslug = \"own\"\nvendor = \"openai\"\napi_key = \"sk-of-nobody\"\nmodels = [\"m\"]\n\n\
         [[key]]\nname = \"declared\"\nkey = \"{DECLARED}\"\n",
        folder.display().to_string()
    )
}

fn text(number: usize) -> String {
    format!("tg-stored-key-of-the-benches-{number:017}")
}

fn record(number: usize) -> (KeyHash, KeyRecord) {
    let text = text(number);
    let record = KeyRecord {
        mask: mask(&text),
        created_at: 1_700_000_000,
        scopes: vec!["completions.write".to_owned()],
        models: vec!["@own/*".to_owned()],
        limits: vec![
            LimitRecord::requests(600, Window::Minute),
            LimitRecord::tokens(100_000, Window::Minute),
            LimitRecord::Concurrent { amount: 20 },
        ],
        metadata: [("team".to_owned(), format!("team {}", number % 100))].into_iter().collect(),
        ..KeyRecord::named(format!("key_{number:016}"), format!("application {number}"))
    };
    (hash_key(&text), record)
}
