//! The real binary, started, watched, killed and started again.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::settings::Settings;
use crate::wait::{self, PATIENCE};

/// The admin key of every gateway under test.
pub const ADMIN_KEY: &str = "tga-admin-key-of-the-tests-0123456789";

/// A running gateway with a folder of its own. Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub struct Gateway {
    folder: TempDir,
    process: Process,
    addr: SocketAddr,
}

impl Gateway {
    /// Starts a gateway and waits until it is healthy.
    ///
    /// # Panics
    /// When it does not start, with everything it printed.
    pub async fn start(settings: Settings) -> Gateway {
        crate::files::raise_limit();
        let folder = TempDir::new().expect("a folder");
        write_settings(folder.path(), &settings.write(folder.path(), ADMIN_KEY));
        settings.sow(folder.path());
        let mut process = Process::serve(folder.path());
        let addr = process.address().await;
        let gateway = Gateway { folder, process, addr };
        gateway.wait_until_healthy().await;
        gateway
    }

    async fn wait_until_healthy(&self) {
        wait::until_async("GET /v1/health to answer 200", || async {
            let answer = self.client().get("/v1/health").try_send().await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A client without a key.
    pub fn client(&self) -> Client {
        Client::new(self.addr)
    }

    /// A client with this key.
    pub fn with_key(&self, key: &str) -> Client {
        self.client().with_key(key)
    }

    /// A client with the admin key.
    pub fn admin(&self) -> Client {
        self.client().with_key(ADMIN_KEY)
    }

    /// Live state of actors: `GET /v1/admin/state`.
    pub async fn state(&self) -> Value {
        self.admin().get("/v1/admin/state").send().await.expect(200).await
    }

    /// The budget with this name, or else the only one.
    pub async fn budget(&self, name: &str) -> Value {
        let state = self.state().await;
        let budgets = state["budgets"].as_array().unwrap_or_else(|| panic!("no budgets in {state}"));
        let named = budgets.iter().find(|budget| budget["name"] == name || budget["id"] == name);
        let only = if budgets.len() == 1 { budgets.first() } else { None };
        named.or(only).unwrap_or_else(|| panic!("no budget {name:?} in {state}")).clone()
    }

    /// Waits until a budget holds nothing any more, and returns it.
    pub async fn settled_budget(&self, name: &str) -> Value {
        wait::until_async("holds to return to zero", || async {
            let budget = self.budget(name).await;
            (budget["held"].as_i64() == Some(0)).then_some(budget)
        })
        .await
    }

    /// Runs the command line with `--json` against this gateway's settings and parses what it prints: a document, or
    /// one per line.
    pub fn cli(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "tidegate {arguments:?} failed: {output:?}");
        serde_json::from_str(&text).unwrap_or_else(|_| {
            let rows = text.lines().filter(|line| !line.trim().is_empty());
            rows.map(|line| {
                serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
            })
            .collect()
        })
    }

    /// Runs the command line against this gateway's settings.
    pub fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = command(self.folder.path());
        command.args(arguments).arg("--config").arg(self.settings_path());
        command.output().expect("tidegate runs")
    }

    /// Rows of the request log, oldest or newest first as the gateway likes.
    pub fn logs(&self) -> Vec<Value> {
        let logs = self.cli(&["logs", "--limit", "100000"]);
        rows(logs, &["logs", "requests", "data", "rows"])
    }

    /// Waits for the log row of the request with this trace id.
    pub async fn log_of(&self, trace_id: &str) -> Value {
        wait::until("the request's log row", || {
            let mut rows = self.logs();
            rows.retain(|row| row["trace_id"] == trace_id);
            rows.pop()
        })
        .await
    }

    /// Where the settings file is.
    pub fn settings_path(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    /// The watched folder of plugins; it is not there until somebody makes it.
    pub fn plugin_folder(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Replaces the settings file while the gateway runs.
    pub fn write_settings(&self, settings: &Settings) {
        write_settings(self.folder.path(), &settings.write(self.folder.path(), ADMIN_KEY));
    }

    /// Replaces the settings file with any text.
    pub fn write_settings_text(&self, text: &str) {
        write_settings(self.folder.path(), text);
    }

    /// The text of the settings file.
    pub fn settings_text(&self) -> String {
        std::fs::read_to_string(self.settings_path()).expect("the settings file")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again with the same folder, after [`Gateway::kill`] or without it.
    pub async fn restart(&mut self) {
        self.process.kill();
        self.process = Process::serve(self.folder.path());
        self.addr = self.process.address().await;
        self.wait_until_healthy().await;
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        let id = self.process.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success());
        wait::until("the gateway to drain", || self.process.child.try_wait().expect("a child")).await
    }

    /// Everything it printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.child.id());
        let status = std::fs::read_to_string(path).expect("the process lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a size") * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.output();
            let tail = output.char_indices().rev().nth(20_000).map_or(0, |(at, _)| at);
            eprintln!("--- the gateway's output ---\n{}", &output[tail..]);
        }
    }
}

/// Tries to start a gateway with this text as settings and returns how it ended, and what it printed.
///
/// # Panics
/// When it is still running after the usual patience.
pub async fn start_in_vain(settings: &str) -> (ExitStatus, String) {
    let folder = TempDir::new().expect("a folder");
    write_settings(folder.path(), settings);
    let mut process = Process::serve(folder.path());
    let status = wait::until("the gateway to give up", || process.child.try_wait().expect("a child")).await;
    process.join();
    (status, process.output())
}

/// The rows of a list that may be wrapped in an object.
pub fn rows(listing: Value, names: &[&str]) -> Vec<Value> {
    let wrapped = names.iter().find(|name| listing.get(**name).is_some_and(Value::is_array));
    let list = wrapped.map_or_else(|| listing.clone(), |name| listing[*name].clone());
    match list {
        Value::Array(rows) => rows,
        other => panic!("not a list: {other}"),
    }
}

/// Replaces a file in one step, so that a watcher never sees half of it.
fn write_settings(folder: &Path, text: &str) {
    let aside = folder.join("tidegate.toml.new");
    std::fs::write(&aside, text).expect("settings");
    std::fs::rename(&aside, folder.join("tidegate.toml")).expect("settings");
}

#[derive(Debug)]
struct Process {
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    fn serve(folder: &Path) -> Process {
        let mut command = command(folder);
        command.arg("serve").arg("--config").arg(folder.join("tidegate.toml"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tidegate starts");
        let printed = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("standard output")),
            Box::new(child.stderr.take().expect("standard error")),
        ];
        for output in outputs {
            let printed = Arc::clone(&printed);
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(output).lines() {
                    let Ok(line) = line else { return };
                    printed.lock().expect("output").push(line);
                }
            }));
        }
        Process { child, printed, readers }
    }

    fn output(&self) -> String {
        self.printed.lock().expect("output").join("\n")
    }

    async fn address(&mut self) -> SocketAddr {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(addr) = address_in(&self.output()) {
                return addr;
            }
            if let Some(status) = self.child.try_wait().expect("a child") {
                self.join();
                panic!("the gateway ended with {status}:\n{}", self.output());
            }
            assert!(
                Instant::now() < deadline,
                "the gateway did not say where it listens:\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join();
    }

    fn join(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    // Keys in the developer's environment must not become providers.
    for name in ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.env("RUST_LOG", std::env::var("TIDEGATE_TEST_LOG").unwrap_or_else(|_| "info".to_owned()));
    command
}

/// Finds `listening on http://127.0.0.1:PORT`, in text or in JSON.
fn address_in(output: &str) -> Option<SocketAddr> {
    let after = output.split("listening on http://").nth(1)?;
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(after.len());
    after[..end].parse().ok()
}

/// The binary: `TIDEGATE_BIN`, or the one that cargo builds into the folder of this very test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("TIDEGATE_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/integration-HASH
    let folder = test.parent().and_then(Path::parent).expect("the target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--quiet", "--package", "tidegate", "--bin", "tidegate", "--profile", profile])
        .env("CARGO_TARGET_DIR", folder.parent().expect("the target folder"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo could not build tidegate; TIDEGATE_BIN names a binary to test instead");
    folder.join("tidegate")
}
