//! The address of an actor that may die: asks have a deadline, a closed mailbox is respawned.
//!
//! actix's Supervisor restarts an actor that stops but not one that panics, so revival is ours: whoever finds the
//! mailbox closed starts the actor again from its last published state and asks once more.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Poll};
use std::time::Duration;

use actix::dev::Request;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message};
use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::time::Sleep;

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

    /// Asks at once, whether the answer is waited for or not. So who asks several has asked all before it waits for
    /// the first.
    pub(super) fn ask<M>(&self, message: M) -> Asked<'_, A, M>
    where
        A: Handler<M>,
        M: Message + Clone + Send + 'static,
        M::Result: Send,
    {
        let request = self.reach(|address| address.send(message.clone()));
        Asked { owner: self, again: Some(message), request: Box::pin(request), polls: 0, deadline: None }
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

/// A question that is asked already. Waits for the answer until the deadline; an actor that died meanwhile is asked
/// once more.
#[must_use = "the answer is dropped, and with it what it grants"]
pub(super) struct Asked<'a, A, M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Clone + Send + 'static,
    M::Result: Send,
{
    owner: &'a Owner<A>,
    /// The question, until it was asked a second time.
    again: Option<M>,
    /// Boxed, for what waits for it is moved about, and this is large.
    request: Pin<Box<Request<A, M>>>,
    polls: u8,
    deadline: Option<Pin<Box<Sleep>>>,
}

// Only what is boxed must stay in its place.
impl<A, M> Unpin for Asked<'_, A, M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Clone + Send + 'static,
    M::Result: Send,
{
}

impl<A, M> Future for Asked<'_, A, M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Clone + Send + 'static,
    M::Result: Send,
{
    type Output = Result<M::Result, Unavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let it = &mut *self;
        loop {
            match it.request.as_mut().poll(context) {
                Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                Poll::Ready(Err(MailboxError::Closed)) if let Some(message) = it.again.take() => {
                    it.request = Box::pin(it.owner.reach(|address| address.send(message)));
                    it.polls = 0;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Unavailable)),
                Poll::Pending => break,
            }
        }
        // An actor on the asker's own thread has answered when the asker's turn comes again: then no timer is made.
        if it.polls == 0 {
            it.polls = 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let deadline = it.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(ASK_DEADLINE)));
        deadline.as_mut().poll(context).map(|()| Err(Unavailable))
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
