//! An instance of a plugin, from start to drop.

use std::sync::Arc;

use wasmtime::component::InstancePre;
use wasmtime::{PoolConcurrencyLimitError, Store, UpdateDeadline, WasmBacktrace};

use crate::CallError;
use crate::Limits;
use crate::bindings::{Answer, Ask, Bound, Indices};
use crate::clock::Clock;
use crate::guest::{Guest, Lent};
use crate::limits::Stop;

/// Ticks before a guest yields for the first time. One tick may be about to end, so two give it a whole one.
const FIRST_TICKS: u64 = 2;
/// What a guest may hand over beyond the bytes of its answer: records and list headers.
const LIFT_SLACK: usize = 64 << 10;
/// Characters of a trap's description.
const TRAP_TEXT: usize = 400;
/// Functions that it names, the innermost first.
const TRAP_FRAMES: usize = 4;

/// Code that is ready to be started.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) indices: Indices,
}

/// A started instance.
pub(crate) struct Live {
    store: Store<Guest>,
    bound: Bound,
}

impl Code {
    /// Starts an instance. The error carries what memory it took.
    pub(crate) async fn start(
        &self,
        lent: Arc<Lent>,
        tenant: Arc<str>,
        clock: Arc<Clock>,
        limits: &Limits,
    ) -> Result<Live, (CallError, usize)> {
        let guest = Guest::new(lent, tenant, clock, limits);
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| &mut guest.meter);
        store.epoch_deadline_callback(|mut context| {
            let guest = context.data_mut();
            if guest.clock.is_over() {
                return Err(guest.meter.stop(Stop::Deadline).into());
            }
            Ok(UpdateDeadline::Yield(1))
        });
        arm(&mut store, limits);
        match self.pre.instantiate_async(&mut store).await {
            Ok(instance) => Ok(Live { store, bound: self.indices.bind(instance) }),
            Err(error) => Err((classify(&error, store.data()), store.data().meter.memory())),
        }
    }
}

impl Live {
    /// Checks that all exports have the types of the interface.
    pub(crate) fn check_types(&mut self) -> wasmtime::Result<()> {
        self.bound.bind_all(&mut self.store)
    }

    /// Prepares for another call.
    pub(crate) fn renew(&mut self, clock: Arc<Clock>, limits: &Limits) {
        self.store.data_mut().renew(clock, limits);
        arm(&mut self.store, limits);
    }

    /// Asks the guest. After an error the instance is of no more use.
    pub(crate) async fn call(&mut self, ask: &Ask) -> Result<Answer, CallError> {
        let answer = self.bound.call(&mut self.store, ask).await;
        answer.map_err(|error| classify(&error, self.store.data()))
    }

    /// Returns the bytes of linear memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().meter.memory()
    }

    /// Whether a fresh instance would be better for the next call.
    pub(crate) fn is_bloated(&self) -> bool {
        self.store.data().meter.is_bloated()
    }
}

fn arm(store: &mut Store<Guest>, limits: &Limits) {
    store.set_epoch_deadline(FIRST_TICKS);
    // Bounds what the host allocates for one answer or one argument before its size is known.
    store.set_hostcall_fuel(limits.output.saturating_add(LIFT_SLACK));
}

fn classify(error: &wasmtime::Error, guest: &Guest) -> CallError {
    if let Some(stop) = guest.meter.stopped().or_else(|| error.downcast_ref().copied()) {
        return match stop {
            Stop::Deadline => CallError::Deadline,
            Stop::Memory => CallError::Memory,
            Stop::HostCalls => CallError::HostCalls,
        };
    }
    if error.downcast_ref::<PoolConcurrencyLimitError>().is_some() {
        return CallError::Busy;
    }
    let mut message = error.root_cause().to_string();
    // The engine has no type for this one.
    if message.contains("fuel allocated for hostcalls") {
        return CallError::Output;
    }
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    for name in frames.iter().filter_map(|frame| frame.func_name()).take(TRAP_FRAMES) {
        message.push_str(", in ");
        message.push_str(name);
    }
    CallError::Trap { message: message.chars().take(TRAP_TEXT).collect() }
}
