//! One start of the real binary: until it is healthy, until it answers a key, what it weighs then.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::store::Stocked;

/// How long a gateway rests before it is weighed: the tokenizer loads in the background after the start.
const REST: Duration = Duration::from_millis(1_000);
const PATIENCE: Duration = Duration::from_secs(30);

/// What one start took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From spawn to 200 on `/v1/health`, in milliseconds.
    pub(crate) health_ms: f64,
    /// From spawn to 200 on `/v1/models` with a key that was not used since the start, in milliseconds.
    pub(crate) answer_ms: f64,
    /// The part of it after `/v1/health`, in milliseconds.
    pub(crate) key_ms: f64,
    /// Resident memory at rest, in megabytes.
    pub(crate) resident_mb: f64,
    /// The part of it that is not files, in megabytes.
    pub(crate) own_mb: f64,
}

/// A child that does not outlive its measurement, whatever happens.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless the measurement failed.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Starts a gateway over a store, measures it and stops it.
pub(crate) fn start(binary: &Path, store: &Stocked, run: usize) -> io::Result<Run> {
    let mut command = Command::new(binary);
    // A vendor's key in the environment would become a provider.
    command.env_clear().env("RUST_LOG", "warn").args(["serve", "--config"]).arg(store.settings());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let key = store.key(run);

    let spawned = Instant::now();
    let mut process = Process(command.spawn()?);
    let output = process.0.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let (address, output) = address(output)?;
    get(&address, "/v1/health", "")?;
    let health = spawned.elapsed();
    let models = get(&address, "/v1/models", &format!("authorization: Bearer {key}\r\n"))?;
    let answer = spawned.elapsed();
    if !models.contains("\"@own/m\"") {
        return Err(io::Error::other(format!("the model is missing: {models}")));
    }

    thread::sleep(REST);
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.0.id()))?;
    stop(&mut process)?;
    drop(output);
    Ok(Run {
        health_ms: milliseconds(health),
        answer_ms: milliseconds(answer),
        key_ms: milliseconds(answer - health),
        resident_mb: megabytes(&status, "VmRSS:")?,
        own_mb: megabytes(&status, "RssAnon:")?,
    })
}

/// Waits for `listening on http://ADDRESS`. Reading a line costs the gateway no time, unlike knocking at a port.
fn address(output: ChildStdout) -> io::Result<(String, BufReader<ChildStdout>)> {
    let mut reader = BufReader::new(output);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if let Some(address) = line.trim().strip_prefix("listening on http://") {
            return Ok((address.to_owned(), reader));
        }
        line.clear();
    }
    Err(io::Error::other("the gateway ended before it listened"))
}

/// Returns the whole answer to a GET, which must be a 200.
fn get(address: &str, path: &str, headers: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200 ") {
        Ok(answer)
    } else {
        Err(io::Error::other(format!("GET {path}: {answer}")))
    }
}

/// Stops the gateway as an operator does, so that the next start finds its store closed in order.
fn stop(process: &mut Process) -> io::Result<()> {
    kill_process(Pid::from_child(&process.0), Signal::TERM)?;
    let asked = Instant::now();
    while process.0.try_wait()?.is_none() {
        if asked.elapsed() > PATIENCE {
            return Err(io::Error::other("the gateway does not stop"));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Reads a line like `VmRSS:     21904 kB`.
fn megabytes(status: &str, name: &str) -> io::Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes =
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse::<f64>().ok());
    kilobytes.map(|kb| kb * 1_024.0 / 1e6).ok_or_else(|| io::Error::other(format!("no {name} in {status}")))
}
