//! The address of an actor that may die: asks have a deadline, a closed mailbox is respawned.
//!
//! actix's Supervisor restarts an actor that stops but not one that panics, so revival is ours: whoever finds the
//! mailbox closed starts the actor again from its last published state and asks once more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, MailboxError, Message};
use arc_swap::ArcSwapOption;
use thiserror::Error;

/// An ask takes microseconds; one that takes this long will not be answered in time to be of use.
const ASK_DEADLINE: Duration = Duration::from_secs(2);

/// An actor did not answer. Limits that can't be checked fail closed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a limit could not be checked in time")]
pub struct Unavailable;

/// Address and reviver of one actor, which is started when it is first asked.
pub(super) struct Owner<A: Actor> {
    address: ArcSwapOption<Addr<A>>,
    spawn: Box<dyn Fn() -> Addr<A> + Send + Sync>,
    reviving: Mutex<()>,
}

impl<A: Actor<Context = Context<A>>> Owner<A> {
    pub(super) fn new(spawn: impl Fn() -> Addr<A> + Send + Sync + 'static) -> Self {
        Self { address: ArcSwapOption::empty(), spawn: Box::new(spawn), reviving: Mutex::new(()) }
    }

    /// Asks and waits for the answer.
    pub(super) async fn ask<M>(&self, message: M) -> Result<M::Result, Unavailable>
    where
        A: Handler<M>,
        M: Message + Clone + Send + 'static,
        M::Result: Send,
    {
        let first = self.address().send(message.clone()).timeout(ASK_DEADLINE).await;
        match first {
            Ok(answer) => Ok(answer),
            Err(MailboxError::Timeout) => Err(Unavailable),
            Err(MailboxError::Closed) => {
                self.address().send(message).timeout(ASK_DEADLINE).await.map_err(|_| Unavailable)
            }
        }
    }

    /// Returns the living actor, started if need be.
    pub(super) fn address(&self) -> Addr<A> {
        if let Some(address) = self.living() {
            return address;
        }
        let _one_at_a_time = self.reviving.lock();
        if let Some(address) = self.living() {
            return address;
        }
        let address = (self.spawn)();
        if self.address.swap(Some(Arc::new(address.clone()))).is_some() {
            tracing::error!(actor = std::any::type_name::<A>(), "actor died and is started again");
        }
        address
    }

    fn living(&self) -> Option<Addr<A>> {
        let address = self.address.load();
        address.as_deref().filter(|address| address.connected()).cloned()
    }
}
