//! What do guards add to a request of the real binary? One connection, whole answers and streams in turns, without
//! guards and with 1, 3 and 5 of them; then what a good guard's requests cost beside endless loops of a bad one:
//! `guards [ROUNDS]`. `TIDEGATE_BIN` and `MOCK_BIN` name the binaries.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ROUNDS: usize = 1_000;
const WARM_UP: usize = 20;
const KEY: &str = "tg-key-of-the-measurement-0123456789";
/// A check that always passes, and a regular expression over about a kilobyte.
const PASS: &str = r#"{"prompt-free.check": {}}"#;
const LOOP: &str = r#"{"input_guardrails": [{"loops.check": {}}]}"#;
/// So many clients ask for the endless loop, one request after the other.
const LOOPING: usize = 4;
const REGEX: &str = r#"{"default.regexMatch": {"rule": "\\b[A-Z]{3}-\\d{4}\\b", "not": true}}"#;

#[allow(dead_code, reason = "the host's tests need more of it")]
#[path = "../../plugins/host/tests/suite/guest.rs"]
mod guest;

/// A process that does not outlive its measurement.
struct Running(Child, String);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the measurement failed.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

fn spawn(mut command: Command, says: &str) -> io::Result<Running> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let mut lines = BufReader::new(output).lines();
    for line in lines.by_ref() {
        let line = line?;
        if let Some(at) = line.find(says) {
            let address = line[at + says.len()..].trim().trim_end_matches('/').to_owned();
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(Running(child, address));
        }
    }
    Err(io::Error::other("the process ended before it listened"))
}

fn binary(name: &str) -> io::Result<std::ffi::OsString> {
    std::env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} names no binary")))
}

fn settings(folder: &Path, mock: &str) -> String {
    format!(
        "listen = \"127.0.0.1:0\"\ndata = \"{0}/data\"\nplugins = \"{0}/plugins\"\n\
         [[provider]]\nslug = \"mock\"\nvendor = \"openai\"\napi_key = \"file:{0}/key\"\n\
         base_url = \"http://{mock}/v1\"\ntrusted = true\n\
         [[key]]\nname = \"bench\"\nkey = \"file:{0}/key\"\n",
        folder.display()
    )
}

struct Client {
    address: String,
    stream: TcpStream,
}

impl Client {
    fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { address: address.to_owned(), stream })
    }

    /// Sends a chat and returns how long its answer took to be complete.
    fn ask(&mut self, config: &str, body: &str) -> io::Result<Duration> {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {KEY}\r\n\
             content-type: application/json\r\nx-portkey-config: {config}\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let started = Instant::now();
        self.stream.write_all(request.as_bytes())?;
        let (mut answer, mut piece) = (Vec::new(), [0; 16 << 10]);
        loop {
            let read = self.stream.read(&mut piece)?;
            answer.extend_from_slice(&piece[..read]);
            if read == 0 || complete(&answer) {
                break;
            }
        }
        let took = started.elapsed();
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
        }
        Ok(took)
    }
}

fn complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length| body.len() >= length)
}

fn config(guard: &str, count: usize, side: &str) -> String {
    let guards = vec![guard; count].join(", ");
    format!(r#"{{"{side}": [{guards}]}}"#)
}

fn main() -> io::Result<()> {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("key"), KEY)?;
    std::fs::create_dir_all(folder.path().join("plugins"))?;
    let mut pass = guest::Guest::passes().with_window("(i32.const 0)");
    pass.manifest.id = "prompt-free".to_owned();
    std::fs::write(folder.path().join("plugins/prompt-free.wasm"), pass.build())?;
    let mut loops = guest::Guest::checks("(loop $again (br $again)) (unreachable)");
    loops.manifest.id = "loops".to_owned();
    std::fs::write(folder.path().join("plugins/loops.wasm"), loops.build())?;

    let mut mock = Command::new(binary("MOCK_BIN")?);
    mock.arg("0");
    let mock = spawn(mock, "listening on ")?;
    let file = folder.path().join("tidegate.toml");
    std::fs::write(&file, settings(folder.path(), &mock.1))?;
    let mut gateway = Command::new(binary("TIDEGATE_BIN")?);
    gateway.env_clear().env("RUST_LOG", "error").args(["serve", "--config"]).arg(&file);
    let gateway = spawn(gateway, "listening on http://")?;
    let mut client = Client::open(&gateway.1)?;

    let text = "All quiet at the harbour, boat 7 came in late. ".repeat(22);
    let body = |stream: bool| {
        format!(
            r#"{{"model": "@mock/gpt-4o", "stream": {stream}, "messages": [{{"role": "user", "content": "{text}"}}]}}"#
        )
    };
    let none = "{}".to_owned();
    let mut cases = vec![("whole, no guard".to_owned(), none.clone(), body(false))];
    for count in [1, 3, 5] {
        let config = config(PASS, count, "input_guardrails");
        cases.push((format!("whole, {count} × lets all pass"), config, body(false)));
    }
    for count in [1, 3, 5] {
        let config = config(REGEX, count, "input_guardrails");
        cases.push((format!("whole, {count} × regex on 1 KB"), config, body(false)));
    }
    cases.push(("stream, no guard".to_owned(), none, body(true)));
    for (name, guard) in [("regex", REGEX), ("pii", r#"{"pii.redact": {}}"#)] {
        cases.push((
            format!("stream, {name} on the answer"),
            config(guard, 1, "output_guardrails"),
            body(true),
        ));
    }
    let mut times = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..rounds + WARM_UP {
        for (at, (_, config, body)) in cases.iter().enumerate() {
            let took = client.ask(config, body)?;
            if round >= WARM_UP {
                times[at].push(took);
            }
        }
    }
    println!("| case | p50 µs | p99 µs | p50 over no guard, µs |\n|---|---|---|---|");
    let mut base = Duration::ZERO;
    for ((name, _, _), mut times) in cases.into_iter().zip(times) {
        times.sort_unstable();
        let (p50, p99) = (times[rounds / 2], times[rounds * 99 / 100]);
        if name.ends_with("no guard") {
            base = p50;
        }
        let over = p50.as_secs_f64() - base.as_secs_f64();
        println!("| {name} | {} | {} | {:.0} |", p50.as_micros(), p99.as_micros(), over * 1e6);
    }
    neighbours(&mut client, &gateway.1, &config(PASS, 1, "input_guardrails"), &body(false), rounds)
}

/// Measures a good guard's requests by turns alone and beside loops.
fn neighbours(client: &mut Client, address: &str, good: &str, body: &str, rounds: usize) -> io::Result<()> {
    let looping = Arc::new(AtomicBool::new(false));
    for _ in 0..LOOPING {
        let (looping, address, body) = (looping.clone(), address.to_owned(), body.to_owned());
        std::thread::spawn(move || {
            let mut client = Client::open(&address)?;
            loop {
                if looping.load(Ordering::Relaxed) {
                    // A check that errs passes, so that each loop ends in an answer.
                    client.ask(LOOP, &body)?;
                } else {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            #[expect(unreachable_code, reason = "says what `?` returns")]
            Ok::<(), io::Error>(())
        });
    }
    let mut times = [Vec::with_capacity(rounds), Vec::with_capacity(rounds)];
    for _ in 0..10 {
        for (at, times) in times.iter_mut().enumerate() {
            looping.store(at == 1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(100));
            for _ in 0..rounds / 10 {
                times.push(client.ask(good, body)?);
            }
        }
    }
    println!("\n| a good guard's requests | p50 µs | p99 µs |\n|---|---|---|");
    for (name, mut times) in ["alone", "beside 4 endless loops"].into_iter().zip(times) {
        times.sort_unstable();
        println!(
            "| {name} | {} | {} |",
            times[rounds / 2 - 1].as_micros(),
            times[rounds * 99 / 100 - 1].as_micros()
        );
    }
    Ok(())
}
