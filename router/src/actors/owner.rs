//! The address of an actor that may die: asks have a deadline, a closed mailbox is respawned.
//!
//! actix's Supervisor restarts an actor that stops but not one that panics, so revival is ours: whoever finds the
//! mailbox closed starts the actor again from its last published state and asks once more.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{self, Poll};
use std::time::Duration;

use actix::dev::Request;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message};
use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::time::Sleep;

/// An ask takes microseconds; one that takes this long will not be answered in time to be of use.
pub(super) const ASK_DEADLINE: Duration = Duration::from_secs(2);

/// An actor did not answer. Limits that can't be checked fail closed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a limit could not be checked in time")]
pub struct Unavailable;

/// Address and reviver of one actor, which is started when it is first asked.
pub(super) struct Owner<A: Actor> {
    /// Almost every actor lives but once: then it is reached without counting who looks.
    first: OnceLock<Life<A>>,
    /// The last of its later lives.
    later: ArcSwapOption<Life<A>>,
    spawn: Box<dyn Fn() -> Addr<A> + Send + Sync>,
    reviving: Mutex<()>,
}

/// An actor from its start to its end.
struct Life<A: Actor> {
    address: Addr<A>,
    /// The first is 1.
    number: u32,
}

impl<A: Actor<Context = Context<A>>> Owner<A> {
    pub(super) fn new(spawn: impl Fn() -> Addr<A> + Send + Sync + 'static) -> Self {
        Self {
            first: OnceLock::new(),
            later: ArcSwapOption::empty(),
            spawn: Box::new(spawn),
            reviving: Mutex::new(()),
        }
    }

    /// Asks at once, whether the answer is waited for or not. So who asks several has asked all before it waits for
    /// the first.
    pub(super) fn ask<M>(&self, message: M) -> Asked<'_, A, M>
    where
        A: Handler<M>,
        M: Message + Clone + Send + 'static,
        M::Result: Send,
    {
        let (request, life) = self.in_life(|life| (life.address.send(message.clone()), life.number));
        let request = Some(Box::pin(request));
        Asked { owner: self, again: Some(message), request, life, is_early: true, deadline: None }
    }

    /// Does something with the address of the living actor, started if need be.
    pub(super) fn reach<R>(&self, with: impl FnOnce(&Addr<A>) -> R) -> R {
        self.in_life(|life| with(&life.address))
    }

    /// Returns the living actor, started if need be.
    #[cfg(test)]
    pub(super) fn address(&self) -> Addr<A> {
        self.reach(Addr::clone)
    }

    fn in_life<R>(&self, with: impl FnOnce(&Life<A>) -> R) -> R {
        let first = self.first.get_or_init(|| Life { address: (self.spawn)(), number: 1 });
        if first.address.connected() {
            return with(first);
        }
        let later = self.later.load();
        match later.as_deref().filter(|life| life.address.connected()) {
            Some(life) => with(life),
            None => with(&self.revived()),
        }
    }

    fn revived(&self) -> Arc<Life<A>> {
        let _one_at_a_time = self.reviving.lock();
        let last = self.later.load_full();
        if let Some(living) = last.clone().filter(|life| life.address.connected()) {
            return living;
        }
        let number = last.as_ref().map_or(1, |last| last.number) + 1;
        let life = Arc::new(Life { address: (self.spawn)(), number });
        self.later.store(Some(life.clone()));
        tracing::error!(actor = std::any::type_name::<A>(), "actor died and is started again");
        life
    }

    /// Returns whether the actor of a life that ended can still be reached: it is given up on a thread of its own.
    fn is_dying(&self, number: u32) -> bool {
        let is_dying = |life: &Life<A>| life.number == number && life.address.connected();
        self.first.get().is_some_and(is_dying) || self.later.load().as_deref().is_some_and(is_dying)
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
    /// Boxed, for what waits for it is moved about, and this is large. None once the actor that was asked died.
    request: Option<Pin<Box<Request<A, M>>>>,
    /// Which life of the actor was asked.
    life: u32,
    /// Nobody had a turn yet since it was asked.
    is_early: bool,
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
            let Some(request) = &mut it.request else {
                if it.owner.is_dying(it.life) {
                    break;
                }
                let Some(message) = it.again.take() else { return Poll::Ready(Err(Unavailable)) };
                it.request = Some(Box::pin(it.owner.reach(|address| address.send(message))));
                continue;
            };
            match request.as_mut().poll(context) {
                Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
                Poll::Ready(Err(MailboxError::Closed)) if it.again.is_some() => it.request = None,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Unavailable)),
                Poll::Pending => break,
            }
        }
        // An actor on the asker's own thread has answered when the asker's turn comes again: then no timer is made.
        let is_early = std::mem::take(&mut it.is_early);
        if is_early || it.request.is_none() {
            context.waker().wake_by_ref();
        }
        if is_early {
            return Poll::Pending;
        }
        let deadline = it.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(ASK_DEADLINE)));
        deadline.as_mut().poll(context).map(|()| Err(Unavailable))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
    async fn a_question_is_asked_before_its_answer_is_waited_for() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        let owner = Owner::new(move || Counter(counter.clone()).start());
        let questions = [owner.ask(Count), owner.ask(Count)];
        tokio::task::yield_now().await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        for (question, number) in questions.into_iter().zip(1..) {
            assert_eq!(question.await, Ok(number));
        }
    }

    #[actix::test]
    async fn an_actor_that_dies_is_asked_once_more() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        // On a thread of its own, for the panic ends what polls it.
        let elsewhere = Arbiter::new().handle();
        let owner = Owner::new(move || {
            let counter = counter.clone();
            Counter::start_in_arbiter(&elsewhere, move |_| Counter(counter))
        });
        assert_eq!(owner.ask(Die { at: 1 }).await, Ok(2), "the second time it lives");
        assert_eq!(owner.ask(Die { at: 3 }).await, Ok(4));
        assert_eq!(owner.ask(Die { at: 0 }).await, Err(Unavailable), "it dies twice");
    }

    struct Counter(Arc<AtomicUsize>);

    impl Actor for Counter {
        type Context = Context<Self>;
    }

    #[derive(Clone, Message)]
    #[rtype(result = "usize")]
    struct Count;

    impl Handler<Count> for Counter {
        type Result = usize;

        fn handle(&mut self, _count: Count, _context: &mut Self::Context) -> usize {
            self.0.fetch_add(1, Ordering::Relaxed) + 1
        }
    }

    /// Dies where it is the question of this number; 0 is all of them.
    #[derive(Clone, Message)]
    #[rtype(result = "usize")]
    struct Die {
        at: usize,
    }

    impl Handler<Die> for Counter {
        type Result = usize;

        fn handle(&mut self, die: Die, _context: &mut Self::Context) -> usize {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(die.at != 0 && die.at != number, "asked to");
            number
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
