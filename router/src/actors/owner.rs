//! The address of an actor that may die: asks have a deadline, a closed mailbox is respawned.
//!
//! actix's Supervisor restarts an actor that stops but not one that panics, so revival is ours: whoever finds the
//! mailbox closed starts the actor again from its last published state and asks once more.

use std::future::{Future, poll_fn};
use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
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
        let asked = pin!(self.reach(|address| address.send(message.clone())));
        match answered(asked).await {
            Ok(answer) => Ok(answer),
            Err(MailboxError::Timeout) => Err(Unavailable),
            Err(MailboxError::Closed) => {
                // Boxed: those whose actor lives should not carry it.
                let again = Box::pin(self.reach(|address| address.send(message)));
                answered(again).await.map_err(|_| Unavailable)
            }
        }
    }

    /// Does something with the address of the living actor, started if need be.
    pub(super) fn reach<R>(&self, with: impl FnOnce(&Addr<A>) -> R) -> R {
        let known = self.address.load();
        match known.as_deref().filter(|address| address.connected()) {
            Some(address) => with(address),
            None => with(&self.address()),
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

/// Waits for an answer until the deadline. An actor on the asker's own thread has answered when the asker's turn comes
/// again: then no timer is made.
async fn answered<T, F>(mut asked: Pin<F>) -> Result<T, MailboxError>
where
    F: DerefMut<Target: Future<Output = Result<T, MailboxError>>>,
{
    let mut is_first = true;
    let soon = poll_fn(|context| match asked.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if std::mem::take(&mut is_first) => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    });
    match soon.await {
        Some(answer) => answer,
        None => {
            let late = Box::pin(tokio::time::timeout(ASK_DEADLINE, asked)).await;
            late.unwrap_or(Err(MailboxError::Timeout))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix::{Arbiter, ResponseFuture};
    use tokio::time::Instant;

    use super::*;

    struct Oracle;

    impl Actor for Oracle {
        type Context = Context<Self>;
    }

    #[derive(Clone, Message)]
    #[rtype(result = "u8")]
    struct Ask {
        in_vain: bool,
    }

    impl Handler<Ask> for Oracle {
        type Result = ResponseFuture<u8>;

        fn handle(&mut self, ask: Ask, _context: &mut Self::Context) -> Self::Result {
            Box::pin(async move { if ask.in_vain { std::future::pending().await } else { 7 } })
        }
    }

    #[actix::test]
    async fn an_answer_is_waited_for_on_the_own_thread_and_on_others() {
        let elsewhere = Arbiter::new().handle();
        let (near, far) = (
            Owner::new(|| Oracle.start()),
            Owner::new(move || Oracle::start_in_arbiter(&elsewhere, |_| Oracle)),
        );
        for owner in [near, far] {
            assert_eq!(owner.ask(Ask { in_vain: false }).await, Ok(7));
        }
    }

    #[actix::test]
    async fn who_does_not_answer_is_waited_for_until_the_deadline() {
        let owner = Owner::new(|| Oracle.start());
        tokio::time::pause();
        let began = Instant::now();
        assert_eq!(owner.ask(Ask { in_vain: true }).await, Err(Unavailable));
        assert!((ASK_DEADLINE..ASK_DEADLINE * 2).contains(&began.elapsed()));
    }
}
