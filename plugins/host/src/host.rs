//! The host: one engine, its threads, and what plugins share.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wasmtime::Engine;

use crate::background::Background;
use crate::bindings::{Answer, Ask};
use crate::cache::{Cache, sha256};
use crate::capability::check_powers;
use crate::clock::{Clock, Clocked};
use crate::guest::Lent;
use crate::plugin::Parts;
use crate::pool::instance::Code;
use crate::pool::shelf::Shelves;
use crate::pool::slots::Slots;
use crate::stats::Counters;
use crate::ticker::Ticker;
use crate::{CallError, Grants, HostError, Limits, LoadError, Manifest, Plugin, Setup};
use crate::{engine, inspect, loader, manifest};

/// How the host is built.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Folder of compiled plugins. Without it every start compiles.
    pub cache: Option<PathBuf>,
    /// How many instances may live at once, of all plugins.
    pub instances: u32,
    /// Threads for guests that need longer than a moment.
    pub background_threads: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self { cache: None, instances: 256, background_threads: 2 }
    }
}

/// What runs guests, and takes the processor back from them.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) ticker: Ticker,
    pub(crate) background: Background,
}

/// Runs plugins. Its threads end with it: each plugin keeps it alive.
#[derive(Debug)]
pub struct Host {
    engine: Engine,
    threads: Threads,
    cache: Option<Cache>,
    places: Arc<Semaphore>,
    shelves: Arc<Shelves>,
    instances: usize,
}

/// The least a plugin gets for saying what it is: interpreters start slowly the first time.
const DESCRIBE_MS: u64 = 1_000;
/// How often a start is timed; the best counts, since the machine may be busy.
const TIMED_STARTS: u32 = 3;
/// A plugin that starts more slowly is not started on a caller's thread.
const SLOW_START: Duration = Duration::from_micros(400);

impl Host {
    /// Makes the engine and its pool of instances, and starts the threads.
    pub fn start(options: HostOptions) -> Result<Arc<Self>, HostError> {
        let HostOptions { cache, instances, background_threads } = options;
        let instances = instances.max(1);
        let engine = engine::engine(instances)?;
        let cache = cache
            .map(|folder| {
                let name = folder.display().to_string();
                Cache::open(folder, &engine).map_err(|source| HostError::Cache { folder: name, source })
            })
            .transpose()?;
        let threads = Threads {
            ticker: Ticker::start(engine.clone())?,
            background: Background::start(background_threads)?,
        };
        let instances = usize::try_from(instances).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(instances));
        Ok(Arc::new(Self { engine, threads, cache, places, shelves: Shelves::new(instances), instances }))
    }

    /// Makes a plugin of a component's bytes. Blocks for as long as the compiler needs: call it off the request path.
    pub fn load(self: &Arc<Self>, bytes: &[u8], setup: Setup) -> Result<Arc<Plugin>, LoadError> {
        let found = inspect::inspect(bytes)?;
        let digest = sha256(bytes);
        let code = loader::load(
            &self.engine,
            self.cache.as_ref(),
            bytes,
            &digest,
            &found,
            setup.limits.memory.min(engine::MAX_MEMORY),
        )?;
        let slots = Slots::new(&self.places, self.instances, setup.limits.concurrency);
        let (described, start) = self.describe(&code, &slots, &digest, &setup)?;
        manifest::validate(&described, found.exports)?;
        check_powers(&found, &described.wants, &setup.grants)?;
        let parts = Parts {
            host: Arc::clone(self),
            code,
            slots,
            manifest: described,
            digest,
            starts_slowly: start > SLOW_START,
            shelf: self.shelves.add(setup.instances),
        };
        Ok(Arc::new(Plugin::new(parts, setup)))
    }

    pub(crate) fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Asks a plugin what it is, without lending it anything, and measures how long it takes to start.
    fn describe(
        &self,
        code: &Code,
        slots: &Slots,
        digest: &str,
        setup: &Setup,
    ) -> Result<(Manifest, Duration), LoadError> {
        let limits =
            Limits { deadline_ms: setup.limits.deadline_ms.max(DESCRIBE_MS), ..setup.limits.clone() };
        let lent = Arc::new(Lent {
            // The id is not known yet; log lines need some name.
            plugin: digest.get(..12).unwrap_or_default().to_owned(),
            config: setup.config.clone(),
            powers: Arc::clone(&setup.powers),
            grants: Grants::none(),
            counters: Counters::default(),
        });
        let (answers, answer) = mpsc::channel();
        let (code, slots, running) = (code.clone(), slots.clone(), self.threads.ticker.run());
        // Not `block_on`: the caller may be inside of a runtime, where that panics.
        let task = self.threads.background.spawn(async move {
            let described = describe(&code, &slots, lent, limits).await;
            drop(running);
            // Nobody listens if the caller panicked; then nobody needs it.
            let _ = answers.send(described);
        });
        let described = answer.recv();
        drop(task);
        described.map_err(|_| LoadError::Describe(CallError::Busy))?
    }
}

/// Describes within the limits, and returns how long the plugin took to start.
async fn describe(
    code: &Code,
    slots: &Slots,
    lent: Arc<Lent>,
    limits: Limits,
) -> Result<(Manifest, Duration), LoadError> {
    let clock = Clock::start(&limits, Instant::now(), false);
    let until = clock.until.into();
    let (code, slots) = (code.clone(), slots.clone());
    let described = Clocked::new(Arc::clone(&clock), || async move {
        // Held until the instances are gone.
        let _slot = slots.take().await.ok_or(LoadError::Describe(CallError::Busy))?;
        let start = || async {
            let begin = Instant::now();
            let live = code.start(Arc::clone(&lent), Arc::from(""), Arc::clone(&clock), &limits).await;
            let live = live.map_err(|(error, _)| LoadError::Describe(error))?;
            Ok::<_, LoadError>((live, begin.elapsed()))
        };
        let (mut live, mut best) = start().await?;
        live.check_types().map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let Answer::Manifest(manifest) = live.call(&Ask::Describe).await.map_err(LoadError::Describe)? else {
            let message = "describe gave no manifest".to_owned();
            return Err(LoadError::Describe(CallError::Trap { message }));
        };
        for _ in 1..TIMED_STARTS {
            // One at a time: there is one slot.
            drop(live);
            let took;
            (live, took) = start().await?;
            best = best.min(took);
        }
        Ok((manifest, best))
    });
    tokio::time::timeout_at(until, described).await.unwrap_or(Err(LoadError::Describe(CallError::Deadline)))
}
