//! What is measured: gateways and what they are compared with, each started with its own folder and free ports.

mod nginx;
mod peers;
mod tidegate;

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{Client, post};
use crate::process::Process;
use crate::script::{MODEL, Script};
use crate::verify::Closeness;
use crate::work::{Question, block_on};

use peers::Peer;
pub(crate) use peers::install;
use tidegate::Setup;

/// A slow starter is one of the peers.
const PATIENCE: Duration = Duration::from_secs(120);

/// Something that answers chats.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Direct,
    Nginx,
    Hyper,
    Tidegate(Setup),
    Portkey,
    LiteLlm,
}

/// All targets, in the order of tables.
pub(crate) const ALL: &[Target] = &[
    target("direct", Kind::Direct),
    target("nginx", Kind::Nginx),
    target("hyper", Kind::Hyper),
    target("tidegate", Kind::Tidegate(Setup::BARE)),
    target("tidegate-full", Kind::Tidegate(Setup::FULL)),
    target("tidegate-noop1", Kind::Tidegate(Setup { config: "noop1", ..Setup::FULL })),
    target("tidegate-noop1-reused", Kind::Tidegate(Setup { config: "noop1-reused", ..Setup::FULL })),
    target("tidegate-noop3", Kind::Tidegate(Setup { config: "noop3", ..Setup::FULL })),
    target("tidegate-noop5", Kind::Tidegate(Setup { config: "noop5", ..Setup::FULL })),
    target("tidegate-regex", Kind::Tidegate(Setup { config: "regex", ..Setup::FULL })),
    target("tidegate-window", Kind::Tidegate(Setup { config: "window", ..Setup::FULL })),
    target("tidegate-window-reused", Kind::Tidegate(Setup { config: "window-reused", ..Setup::FULL })),
    target("tidegate-pii", Kind::Tidegate(Setup { config: "pii", ..Setup::FULL })),
    target("tidegate-nested", Kind::Tidegate(Setup { config: "nested", ..Setup::FULL })),
    target("tidegate-keys", Kind::Tidegate(Setup { keys: 100_000, ..Setup::FULL })),
    target("tidegate-configs", Kind::Tidegate(Setup { configs: 1_000, ..Setup::FULL })),
    target("tidegate-budgets", Kind::Tidegate(Setup { policies: 10, ..Setup::FULL })),
    target("portkey", Kind::Portkey),
    target("litellm", Kind::LiteLlm),
];

const fn target(name: &'static str, kind: Kind) -> Target {
    Target { name, kind }
}

/// Finds targets by name.
pub(crate) fn find(names: &[String]) -> io::Result<Vec<Target>> {
    let known = || ALL.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        let target = ALL.iter().find(|target| target.name == name);
        target.copied().ok_or_else(|| io::Error::other(format!("no target {name:?}; there are {}", known())))
    };
    names.iter().map(find).collect()
}

/// How programs are started: behind `taskset` or `valgrind`.
pub(crate) struct Launch {
    pub(crate) prefix: Vec<OsString>,
    /// Whether a program should stay one process with as few threads as it can.
    pub(crate) single: bool,
}

impl Launch {
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut words = self.prefix.iter().map(OsString::as_os_str).chain([program.as_ref()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

/// What a target keeps from start to start: its folder.
pub(crate) struct Place {
    target: Target,
    folder: TempDir,
    /// Whether it was filled with what its set-up asks for.
    ready: bool,
}

/// A target that answers.
pub(crate) struct Running {
    process: Option<Process>,
    pub(crate) whole: SocketAddr,
    pub(crate) stream: SocketAddr,
    headers: String,
    model: String,
    closeness: Closeness,
    /// From its start to the end of its first good answer.
    pub(crate) started: Duration,
    /// Bytes of its program.
    pub(crate) size: u64,
}

/// What the start of a target returns before it has answered.
struct Begun {
    process: Option<Process>,
    whole: SocketAddr,
    stream: SocketAddr,
    headers: String,
    model: String,
    closeness: Closeness,
    program: Option<PathBuf>,
}

impl Place {
    pub(crate) fn new(target: Target) -> io::Result<Self> {
        Ok(Self { target, folder: TempDir::new()?, ready: false })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.target.name
    }

    /// Starts the target in front of an upstream and waits for its first good answer.
    pub(crate) fn start(&mut self, upstream: SocketAddr, launch: &Launch) -> io::Result<Running> {
        if let (Kind::Tidegate(setup), false) = (self.target.kind, self.ready) {
            tidegate::prepare(&setup, self.folder.path(), upstream)?;
            self.ready = true;
        }
        let started = Instant::now();
        let begun = self.begin(upstream, launch)?;
        let size = begun.program.as_deref().map_or(Ok(0), crate::process::size)?;
        let mut running = Running {
            process: begun.process,
            whole: begun.whole,
            stream: begun.stream,
            headers: begun.headers,
            model: begun.model,
            closeness: begun.closeness,
            started: Duration::ZERO,
            size,
        };
        running.first_answer(started)?;
        Ok(running)
    }

    fn begin(&self, upstream: SocketAddr, launch: &Launch) -> io::Result<Begun> {
        let plain = |process, address, program| Begun {
            process,
            whole: address,
            stream: address,
            headers: "authorization: Bearer sk-of-nobody\r\n".to_owned(),
            model: MODEL.to_owned(),
            closeness: Closeness::Bytes,
            program,
        };
        // Both write answers anew.
        let peer = |peer: Peer| Begun {
            headers: peer.headers,
            closeness: Closeness::Text,
            ..plain(Some(peer.process), peer.address, Some(peer.files))
        };
        match self.target.kind {
            Kind::Direct => Ok(plain(None, upstream, None)),
            Kind::Hyper => {
                let own = std::env::current_exe()?;
                let mut command = launch.command(&own);
                command.arg("proxy").arg(upstream.to_string());
                let (process, address) = Process::until(&mut command, "listening on ")?;
                Ok(plain(Some(process), parse(&address)?, Some(own)))
            }
            Kind::Nginx => {
                let (process, whole, stream) = nginx::start(self.folder.path(), upstream, launch)?;
                let begun = plain(Some(process), whole, Some(nginx::program()?));
                Ok(Begun { stream, ..begun })
            }
            Kind::Tidegate(setup) => tidegate::start(&setup, self.folder.path(), launch),
            Kind::Portkey => peers::portkey(upstream, launch).map(peer),
            Kind::LiteLlm => peers::litellm(self.folder.path(), upstream, launch).map(peer),
        }
    }
}

impl Running {
    /// Returns the id of its first process; a target without one is the upstream itself.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Returns a question for it, with a prompt of about so many bytes.
    pub(crate) fn question(&self, script: Script, prompt: usize) -> Question {
        let address = if script.streams() { self.stream } else { self.whole };
        let body = script.request(&self.model, prompt);
        let request: Rc<[u8]> = post(address, "/v1/chat/completions", &self.headers, &body).into();
        Question { address, request, script, closeness: self.closeness, seen: Rc::default() }
    }

    /// Stops it in order.
    pub(crate) fn stop(self) -> io::Result<()> {
        self.process.map_or(Ok(()), Process::stop)
    }

    fn first_answer(&mut self, started: Instant) -> io::Result<()> {
        let question = self.question(Script::whole(64), 128);
        let mut verifier = question.verifier();
        loop {
            let asked =
                block_on(async { Client::new(question.address).ask(&question.request, &mut verifier).await });
            let Err(error) = asked else {
                self.started = started.elapsed();
                return Ok(());
            };
            if let Some(process) = &mut self.process
                && !process.runs()?
            {
                return Err(io::Error::other(format!("the target ended: {error}")));
            }
            // A wrong answer does not become right.
            if error.kind() == io::ErrorKind::InvalidData {
                return Err(error);
            }
            if started.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("the target does not answer: {error}")));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

fn parse(address: &str) -> io::Result<SocketAddr> {
    address.trim_end_matches('/').parse().map_err(|error| io::Error::other(format!("{address}: {error}")))
}

/// Returns a port that was free a moment ago.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Finds a program in the search path.
fn program(name: &str, also: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(also.iter().map(PathBuf::from));
    folders.map(|folder: PathBuf| folder.join(name)).find(|file| Path::is_file(file))
}
