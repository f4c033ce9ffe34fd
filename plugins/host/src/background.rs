//! The threads for guests that need longer than a moment: few, and of low priority, so that a hostile guest takes
//! processor time from other guests and not from the gateway.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::HostError;

/// What is added to the threads' nice value. At 10 a busy normal thread gets about ten times as much.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Owns the threads. Dropping it stops what runs there at its next tick, without waiting.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Option<Runtime>,
}

/// A task that is stopped when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Task<T>(JoinHandle<T>);

impl Background {
    pub(crate) fn start(threads: usize) -> Result<Self, HostError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(2)
            // A guest that loops runs for a whole tick each time: with the usual intervals, made for tasks of
            // microseconds, others would wait behind dozens of ticks for their turn, a timer or an answer.
            .global_queue_interval(2)
            .event_interval(4)
            .thread_name("plugin-guest")
            .on_thread_start(lower_priority)
            .enable_all()
            .build()
            .map_err(HostError::Threads)?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs a future there; `None` after the end.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<Task<T>> {
        self.runtime.as_ref().map(|runtime| Task(runtime.spawn(future)))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime must not be dropped inside of another one, where the last holder of a plugin may well be.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl<T> Task<T> {
    /// Waits for the end. `None` if it panicked or the threads are gone.
    pub(crate) async fn join(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Lowers the priority of this thread, as far as the system can do that for a single thread.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a plugin thread keeps its priority");
    }
}
