//! Processes that are measured: on which core they run, what they took of it, how much memory they hold.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(60);

/// A child that does not outlive its measurement.
pub(crate) struct Process {
    child: Child,
    /// Keeps the pipe open and empty.
    _output: Option<std::thread::JoinHandle<()>>,
}

impl Process {
    /// Starts a program; its standard output is thrown away.
    pub(crate) fn quiet(command: &mut Command) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        Ok(Self { child, _output: None })
    }

    /// Starts a program and returns what it says behind `says` on a line of its standard output.
    pub(crate) fn until(command: &mut Command, says: &str) -> io::Result<(Self, String)> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut process = Self { child, _output: None };
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some(at) = line.find(says) {
                let said = line[at + says.len()..].trim().to_owned();
                process._output = Some(std::thread::spawn(move || lines.for_each(drop)));
                return Ok((process, said));
            }
        }
        Err(io::Error::other(format!("{command:?} ended before it said {says:?}")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says whether it still runs.
    pub(crate) fn runs(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Asks it to stop, as an operator does, and waits.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        kill(pid(self.id()), Signal::SIGTERM)?;
        let asked = Instant::now();
        while self.runs()? {
            if asked.elapsed() > PATIENCE {
                return Err(io::Error::other("a target does not stop"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let (Ok(None), Ok(tree)) = (self.child.try_wait(), tree(self.id())) else { return };
        for id in tree {
            // Some have ended meanwhile.
            let _gone = kill(pid(id), Signal::SIGKILL);
        }
        let _status = self.child.wait();
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed())
}

/// Binds the calling thread, and what it starts, to a core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Allows as many open files as can be, also to what is started, and returns how many.
pub(crate) fn open_files() -> io::Result<u64> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}

/// Returns the process and all that descend from it.
fn tree(root: u32) -> io::Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that ended meanwhile has no parent any more.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        if let Some(parent) = behind.split_whitespace().nth(1).and_then(|text| text.parse().ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut all = vec![root];
    let mut at = 0;
    while at < all.len() {
        all.extend(children.remove(&all[at]).unwrap_or_default());
        at += 1;
    }
    Ok(all)
}

/// Returns what the whole tree took of processors so far, in user space and in the kernel, ended threads included.
pub(crate) fn cpu_time(root: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for id in tree(root)? {
        // One that ended meanwhile can't be asked.
        if let Ok(time) = clock_getcpuclockid(pid(id)).and_then(clock_gettime) {
            sum += Duration::from(time);
        }
    }
    Ok(sum)
}

/// Returns the resident memory of the whole tree in KiB; pages that several share count once.
pub(crate) fn resident_kib(root: u32) -> io::Result<f64> {
    let mut sum = 0.0;
    for id in tree(root)? {
        let path = format!("/proc/{id}/smaps_rollup");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib =
            line.and_then(|rest| rest.split_whitespace().next()).and_then(|text| text.parse::<f64>().ok());
        sum += kib.unwrap_or(0.0);
    }
    Ok(sum)
}

/// Returns the bytes of a file, or of all files in a folder.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    let about = std::fs::symlink_metadata(path)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    std::fs::read_dir(path)?.try_fold(0, |sum, entry| Ok(sum + size(&entry?.path())?))
}

/// Returns the machine's load averages.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
