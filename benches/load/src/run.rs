//! The runner: targets on one core, mock and load on another, in turns, so that what else the machine does hits all alike.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::measure::{Amount, Work, measure};
use crate::process::{Process, load_average, open_files, pin};
use crate::report::{self, Row};
use crate::targets::{self, Launch, Place};

/// What `load run` measures.
#[derive(Args)]
pub(crate) struct Options {
    /// Targets, divided by commas; the first one that is not `direct` is what the others are compared with
    #[arg(long, value_delimiter = ',', default_value = "direct,nginx,hyper,tidegate,tidegate-full")]
    targets: Vec<String>,
    /// What to measure, divided by commas
    #[arg(long, value_delimiter = ',', default_value = "start,whole,slow,fast,burst,latency,first,hold")]
    work: Vec<Work>,
    /// How often; the table has medians
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Streams to hold
    #[arg(long, default_value_t = 9_500)]
    streams: usize,
    /// The core of the targets
    #[arg(long, default_value_t = 1)]
    target_core: usize,
    /// The core of mock and load
    #[arg(long, default_value_t = 0)]
    load_core: usize,
    /// Keeps both cores awake with work of idle priority, which gives way at once: a virtual machine's core that has
    /// nothing to do must be woken by the host, which takes longer than most answers
    #[arg(long)]
    awake: bool,
    /// Installs these peers first: portkey, litellm
    #[arg(long, value_delimiter = ',')]
    install: Vec<String>,
    /// Where raw results go, a JSON object a line
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Starts the mock as a process of its own.
pub(crate) fn mock() -> io::Result<(Process, SocketAddr)> {
    let mut command = Command::new(std::env::current_exe()?);
    let (process, address) = Process::until(command.arg("mock"), "listening on ")?;
    Ok((process, address.parse().map_err(io::Error::other)?))
}

/// Measures and prints.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let files = open_files()?;
    if options.work.iter().any(|work| matches!(work, Work::Hold | Work::Recovery)) {
        let needed = 2 * options.streams as u64 + 500;
        if files < needed {
            return Err(io::Error::other(format!(
                "{} held streams need {needed} open files, {files} are allowed: raise `ulimit -n` or lower --streams",
                options.streams
            )));
        }
    }
    options.install.iter().try_for_each(|name| targets::install(name))?;
    let targets = targets::find(&options.targets)?;
    let out = options.out.clone().map_or_else(default_out, Ok)?;
    if let Some(folder) = out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut raw = std::fs::OpenOptions::new().create(true).append(true).open(&out)?;
    let cores = [options.load_core, options.target_core];
    let _awake =
        if options.awake { cores.map(awake).into_iter().collect::<io::Result<_>>()? } else { Vec::new() };
    pin(options.load_core)?;
    let (_mock, upstream) = mock()?;
    let core = options.target_core.to_string();
    let launch = Launch { prefix: ["taskset", "-c", &core].map(OsString::from).to_vec(), single: false };
    let mut places = targets.into_iter().map(Place::new).collect::<io::Result<Vec<_>>>()?;
    let amount = Amount { time: Duration::from_secs_f64(options.seconds), streams: options.streams };
    let mut rows = Vec::new();
    for repeat in 0..options.repeats {
        for place in &mut places {
            let name = place.name();
            eprintln!(
                "round {} of {}: {name} (load average {})",
                repeat + 1,
                options.repeats,
                load_average()
            );
            for &work in &options.work {
                // A start for each: nothing of one measurement is left in the next.
                let measured = place.start(upstream, &launch).and_then(|running| {
                    let figures = measure(work, &running, upstream, amount)?;
                    running.stop()?;
                    Ok(figures)
                });
                match measured {
                    Ok(figures) => {
                        let row = Row { target: name.to_owned(), figures };
                        let work = work.to_possible_value();
                        let work = work.as_ref().map_or("", |value| value.get_name());
                        writeln!(
                            raw,
                            "{}",
                            json!({"target": name, "work": work, "repeat": repeat, "awake": options.awake, "figures": row.figures, "load": load_average()})
                        )?;
                        rows.push(row);
                    }
                    // The others are still worth measuring.
                    Err(error) => eprintln!("{name}, {work:?}: {error}"),
                }
            }
        }
    }
    report::print(&rows)?;
    println!("\nraw results: {}", out.display());
    Ok(())
}

/// Starts work of idle priority on a core, which ends with this process.
fn awake(core: usize) -> io::Result<Process> {
    const WORK: &str = "while kill -0 $PPID; do i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; done";
    let core = core.to_string();
    let mut command = Command::new("chrt");
    let mut process = Process::quiet(command.args(["-i", "0", "taskset", "-c", &core, "sh", "-c", WORK]))?;
    std::thread::sleep(Duration::from_millis(200));
    if process.runs()? {
        Ok(process)
    } else {
        Err(io::Error::other(format!("core {core} can't be kept awake")))
    }
}

fn default_out() -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(PathBuf::from(format!("target/load/{}.jsonl", now.as_secs())))
}
