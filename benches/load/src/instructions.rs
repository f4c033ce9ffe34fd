//! Instructions in user space, counted by callgrind: the same on a quiet and on a loud machine, and so what a check
//! against regressions wants. A figure is the difference of two runs of one process, divided by what the second did more:
//! starts and constant costs cancel out. One connection, one request after the other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::run::mock;
use crate::script::Script;
use crate::targets::{self, Launch, Place, Running, Target};
use crate::work::{Until, block_on, closed};

/// Bytes of prompts and of answers' texts.
const PROMPT: usize = 1_024;
const ANSWER: usize = 300;
/// Far more than a target needs for a chunk under callgrind, so that each chunk is read by itself.
const CHUNK_RATE: u64 = 250;
/// The least of so many: what clocks set off in a gateway meanwhile is only ever added.
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// What `load instructions` counts.
#[derive(Args)]
pub(crate) struct Options {
    /// Targets, divided by commas
    #[arg(long, value_delimiter = ',', default_value = "nginx,hyper,tidegate,tidegate-full")]
    targets: Vec<String>,
    /// Compares with the figures in this file and fails where one is passed by more than `--tolerance`
    #[arg(long, conflicts_with = "write")]
    check: Option<PathBuf>,
    /// Writes the figures to this file
    #[arg(long)]
    write: Option<PathBuf>,
    /// Per cent that a figure may be above the file's
    #[arg(long, default_value_t = 5.0)]
    tolerance: f64,
    /// Keeps what callgrind wrote in this folder, for `callgrind_annotate`
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Figures by what is counted.
type Counts = BTreeMap<&'static str, f64>;

/// Counts, prints, and writes or checks.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let targets = targets::find(&options.targets)?;
    let (_mock, upstream) = mock()?;
    let mut all = Vec::new();
    println!("| instructions | a request | a chunk | a stream of 100 chunks at once |\n|---|---|---|---|");
    for target in targets {
        let counts = count(target, upstream, options.keep.as_deref())?;
        let cells: Vec<_> = ["request", "chunk", "burst"].map(|name| format!("{:.0}", counts[name])).into();
        println!("| {} | {} |", target.name, cells.join(" | "));
        all.push((target.name, counts));
    }
    if let Some(file) = &options.write {
        let rounded = |counts: &Counts| {
            counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), json!(count.round())))
                .collect::<Map<_, _>>()
        };
        let figures: Map<String, Value> =
            all.iter().map(|(name, counts)| ((*name).to_owned(), Value::Object(rounded(counts)))).collect();
        std::fs::write(file, serde_json::to_string_pretty(&figures)? + "\n")?;
    }
    options.check.as_deref().map_or(Ok(()), |file| check(file, &all, options.tolerance))
}

fn check(file: &Path, all: &[(&str, Counts)], tolerance: f64) -> io::Result<()> {
    let allowed: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let mut above = Vec::new();
    for (target, counts) in all {
        for (name, count) in counts {
            let Some(was) = allowed[target][name].as_f64() else {
                return Err(io::Error::other(format!("{} has no {name} of {target}", file.display())));
            };
            let change = (count / was - 1.0) * 100.0;
            println!("{target}, {name}: {count:.0}, was {was:.0} ({change:+.1} %)");
            if change > tolerance {
                above.push(format!("{target}'s {name} needs {change:.1} % more instructions"));
            } else if change < -tolerance {
                println!("  this is better by more than {tolerance} %: write the new figures with --write");
            }
        }
    }
    if above.is_empty() { Ok(()) } else { Err(io::Error::other(above.join("; "))) }
}

fn count(target: Target, upstream: SocketAddr, keep: Option<&Path>) -> io::Result<Counts> {
    let own = tempfile::tempdir()?;
    let folder = keep.map_or_else(|| own.path().to_owned(), |keep| keep.join(target.name));
    std::fs::create_dir_all(&folder)?;
    let out = format!("--callgrind-out-file={}", folder.join("out").display());
    let launch = Launch {
        prefix: ["valgrind", "-q", "--tool=callgrind", "--fair-sched=yes", "--compress-strings=no", &out]
            .map(OsString::from)
            .to_vec(),
        single: true,
    };
    let mut place = Place::new(target)?;
    let running = place.start(upstream, &launch)?;
    let mut callgrind = Callgrind { running, folder, dumps: 0 };
    let mut counts = Counts::new();
    let request = |_| Script::whole(ANSWER);
    counts.insert("request", callgrind.quotient(request, [100, 600], |amount| amount)?);
    let stream = |chunks| Script::stream(chunks, CHUNK_RATE);
    counts.insert("chunk", callgrind.quotient(stream, [100, 600], |_| 1)?);
    let burst = |_| Script::stream(100, 0);
    counts.insert("burst", callgrind.quotient(burst, [20, 120], |amount| amount)?);
    callgrind.running.stop()?;
    Ok(counts)
}

struct Callgrind {
    running: Running,
    folder: PathBuf,
    dumps: usize,
}

impl Callgrind {
    /// Asks for a smaller and for a larger amount and returns the instructions of one more. `script` and `requests` say
    /// what an amount is.
    fn quotient(
        &mut self,
        script: impl Fn(usize) -> Script,
        [few, many]: [usize; 2],
        requests: impl Fn(usize) -> usize,
    ) -> io::Result<f64> {
        // First without counting: pools and buffers grow to what they need.
        self.ask(script(many), requests(few))?;
        self.dump()?;
        let mut least = f64::INFINITY;
        for _ in 0..ROUNDS {
            self.ask(script(few), requests(few))?;
            let less = self.dump()?;
            self.ask(script(many), requests(many))?;
            let more = self.dump()?;
            least = least.min((more - less) / (many - few) as f64);
        }
        Ok(least)
    }

    fn ask(&self, script: Script, requests: usize) -> io::Result<()> {
        let question = self.running.question(script, PROMPT);
        let until = Until::Count(requests as u64);
        let tally = block_on(async { Ok(closed(&question, 1, Duration::ZERO, until).await) })?;
        tally.failure.map_or(Ok(()), |failure| Err(io::Error::other(failure)))
    }

    /// Returns the instructions since the last time.
    fn dump(&mut self) -> io::Result<f64> {
        let id = self.running.id().ok_or_else(|| io::Error::other("direct has no process"))?;
        let mut control = Command::new("callgrind_control");
        let status =
            control.args(["--dump", &id.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if !status.success() {
            return Err(io::Error::other("callgrind_control could not reach the target"));
        }
        self.dumps += 1;
        let file = self.folder.join(format!("out.{}", self.dumps));
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
            if let Some(total) = total.and_then(|total| total.trim().parse().ok()) {
                return Ok(total);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other(format!("callgrind wrote no {}", file.display())))
    }
}
