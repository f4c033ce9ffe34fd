//! A Redis of a test's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A Redis that keeps nothing on disk and ends with the test.
pub(crate) struct RedisServer {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl RedisServer {
    /// Starts one.
    pub(crate) fn start() -> Self {
        // Nobody else gets the port between here and there: the system hands ports out in turn.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let folder = TempDir::new().expect("a folder");
        let child = serve(port, &folder);
        let server = Self { port, folder, child };
        server.wait();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection that blocks.
    pub(crate) fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).expect("a connection")
    }

    /// Kills it: what it knew is gone.
    #[allow(dead_code, reason = "not every test binary kills it")]
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("redis-server lives");
        self.child.wait().expect("an end");
    }

    /// Starts it again where it was.
    #[allow(dead_code, reason = "not every test binary kills it")]
    pub(crate) fn restart(&mut self) {
        self.child = serve(self.port, &self.folder);
        self.wait();
    }

    fn wait(&self) {
        let client = redis::Client::open(self.url()).expect("an address");
        let patience = Instant::now() + Duration::from_secs(10);
        while client.get_connection().is_err() {
            assert!(Instant::now() < patience, "redis-server does not answer on port {}", self.port);
            thread::yield_now();
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _dead_already = self.child.kill();
        let _waited_already = self.child.wait();
    }
}

fn serve(port: u16, folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
        ])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}
