//! PostgreSQL under test: a server of this test process, a database for each test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::PostgresStore;
use crate::store::Store;
use crate::suite::Subject;

pub(crate) const PASSWORD: &str = "wunder-bar";

/// A server that lives as long as its pipe: it stops when this process ends, however it ends.
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) port: u16,
    child: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..5 {
            let name =
                format!("tidegate-pg-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let folder = std::env::temp_dir().join(name);
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            // Somebody else may take the port between.
            if let Some(child) = run(&folder, port) {
                return Self { folder, port, child };
            }
        }
        panic!("PostgreSQL did not start; see above");
    }

    /// The one server of this process.
    pub(crate) fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// By Unix socket.
    pub(crate) fn url(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://tidegate:{PASSWORD}@{folder}:{}/{database}", self.port)
    }

    /// By TCP.
    pub(crate) fn tcp_url(&self, host: &str, database: &str, mode: &str) -> String {
        format!("postgres://tidegate:{PASSWORD}@{host}:{}/{database}?sslmode={mode}", self.port)
    }

    /// Makes an empty database and returns its name.
    pub(crate) fn database(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs SQL past every store and returns what it says.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url(database)])
            .output()
            .expect("psql");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Server {
    /// Kills the server and starts it again.
    pub(crate) fn crash(&self) {
        let status =
            script().arg("crash").arg(&self.folder).arg(self.port.to_string()).status().expect("the script");
        assert!(status.success(), "see above");
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres"))
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn run(folder: &Path, port: u16) -> Option<Child> {
    let mut child = script()
        .arg("run")
        .arg(folder)
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A key press that ends the tests must leave it the time to tidy up.
        .process_group(0)
        .spawn()
        .expect("the script that starts PostgreSQL");
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    if said.trim() == "ready" {
        return Some(child);
    }
    child.wait().unwrap();
    None
}

pub(crate) struct PostgresSubject {
    store: PostgresStore,
    database: String,
}

impl PostgresSubject {
    pub(crate) fn new() -> Self {
        let server = Server::shared();
        let database = server.database();
        let store = PostgresStore::open(&server.url(&database), "first").unwrap();
        Self { store, database }
    }
}

impl Subject for PostgresSubject {
    fn store(&mut self) -> &mut dyn Store {
        &mut self.store
    }

    fn successor(&self) -> Box<dyn Store> {
        Box::new(PostgresStore::open(&Server::shared().url(&self.database), "second").unwrap())
    }

    fn tamper(&self, sql: &str) {
        Server::shared().psql(&self.database, sql);
    }
}
