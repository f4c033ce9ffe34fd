//! Real servers that nodes share: a PostgreSQL, and a Redis that keeps a trace of every change.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

fn free_port() -> u16 {
    // Nobody else gets the port between here and there: the system hands ports out in turn.
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port()
}

/// A PostgreSQL; it stops when this process ends, however it ends.
pub(crate) struct Postgres {
    port: u16,
    _folder: TempDir,
    child: Child,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../router/store/tests/postgres");
        let port = free_port();
        let mut command = Command::new("bash");
        command.arg(script).arg("run").arg(folder.path().join("postgres")).arg(port.to_string());
        // Its standard input ends with this process, and it with that.
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script that starts PostgreSQL");
        let output = child.stdout.take().expect("standard output");
        let ready = BufReader::new(output).lines().map_while(Result::ok).any(|line| line == "ready");
        assert!(ready, "PostgreSQL did not start");
        Self { port, _folder: folder, child }
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://tidegate:wunder-bar@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

/// A Redis that writes every change to its append-only file, in the order it happened.
pub(crate) struct Redis {
    port: u16,
    folder: TempDir,
    child: Child,
    keeps: bool,
}

impl Redis {
    /// `keeps`: whether it remembers over a restart.
    pub(crate) fn start(keeps: bool) -> Self {
        let (port, folder) = (free_port(), TempDir::new().expect("a folder"));
        let child = serve(port, &folder, keeps);
        Self { port, folder, child, keeps }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// `kill -9`, and another one in its place.
    pub(super) fn restart(&mut self) {
        self.stop();
        self.go_on();
    }

    /// `kill -9`.
    pub(super) fn stop(&mut self) {
        self.child.kill().expect("redis-server lives");
        self.child.wait().expect("an end");
    }

    /// Another one in the place of the one that was stopped.
    pub(super) fn go_on(&mut self) {
        self.child = serve(self.port, &self.folder, self.keeps);
    }

    /// Returns everything that was ever written, command by command.
    pub(super) fn trace(&self) -> Vec<Vec<String>> {
        let folder = self.folder.path().join("appendonlydir");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("the append-only files")
            .map(|file| file.expect("a file").path())
            .filter(|path| path.to_string_lossy().ends_with(".aof"))
            .collect();
        files.sort();
        files.iter().flat_map(|file| commands(&std::fs::read(file).expect("a trace"))).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(port: u16, folder: &TempDir, keeps: bool) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    if keeps {
        command.args([
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--auto-aof-rewrite-percentage",
            "0",
        ]);
        command.args(["--aof-use-rdb-preamble", "no"]);
    } else {
        command.args(["--appendonly", "no"]);
    }
    command.arg("--dir").arg(folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server is needed: tests/run installs it")
}

/// Reads commands in Redis' serialization protocol. One that is being written, and so is cut, is not there yet.
fn commands(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut at = 0;
    let line = |at: &mut usize| {
        let end = bytes.get(*at..)?.windows(2).position(|two| two == b"\r\n")?;
        let text = String::from_utf8_lossy(&bytes[*at..*at + end]).into_owned();
        *at += end + 2;
        Some(text)
    };
    let mut all = Vec::new();
    while let Some(head) = line(&mut at) {
        let Some(count) = head.strip_prefix('*').and_then(|count| count.parse::<usize>().ok()) else {
            continue;
        };
        let mut command = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(length) = line(&mut at).and_then(|head| head.strip_prefix('$')?.parse::<usize>().ok())
            else {
                return all;
            };
            let Some(value) = bytes.get(at..at + length) else { return all };
            command.push(String::from_utf8_lossy(value).into_owned());
            at += length + 2;
        }
        all.push(command);
    }
    all
}
