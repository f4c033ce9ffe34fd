//! Hedging: a fallback's next child starts beside one whose first content is late. The first real answer wins; what
//! else runs is dropped, which closes its connections and settles what it cost.

use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use super::docket::Docket;
use super::route::Trip;
use super::tried::{Rest, Tried};
use crate::routing::fallback::Reach;
use crate::routing::race::{Came, Race, Then};
use crate::routing::walk::Contest;

impl Trip<'_> {
    /// Tries the children of a fallback that hedges.
    pub(super) async fn race<'p>(&self, contest: Contest<'p>, docket: &Docket) -> Tried<'p> {
        let Contest { node, children, hedge, on_status_codes, continues } = contest;
        let start = |place: usize, hedged: bool| {
            let own = docket.beside(hedged);
            let own = if continues { own.continuable() } else { own };
            if !hedged {
                own.carry_on();
            }
            let runs = own.clone();
            let child = children.get(place).and_then(|child| node.children.get(*child)).unwrap_or(node);
            (own, async move { self.tour(child, &runs).await }.boxed_local())
        };
        let came = |tried: &Tried<'_>| {
            let falls = tried.verdict.reach == Reach::Shut || tried.verdict.falls(on_status_codes);
            match (&tried.result, falls) {
                (_, true) => Came::Falls,
                (Ok(_), false) => Came::Answer,
                (Err(_), false) => Came::Stays,
            }
        };
        let race = Race::new(children.len(), hedge.most);
        let late = || tokio::time::sleep(hedge.after).boxed_local();
        let (mut tried, next) = run(race, late, start, came, Docket::outrun).await;
        if continues && tried.rest.is_none() {
            let next = children.get(next).copied().unwrap_or(node.children.len());
            tried.rest = Some(Rest { node, next });
        }
        tried
    }
}

/// Runs a race. `late` waits until the first content is late; `start` begins a child and returns a handle on it beside its future; `outrun` is told the handles of
/// those that are dropped. Returns what the race came to and the first child that was not started.
async fn run<'f, T, H>(
    mut race: Race,
    late: impl Fn() -> LocalBoxFuture<'f, ()>,
    start: impl Fn(usize, bool) -> (H, LocalBoxFuture<'f, T>),
    came: impl Fn(&T) -> Came,
    outrun: impl Fn(&H),
) -> (T, usize) {
    let mut handles = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut begin = |child: usize, hedged: bool| {
        let (handle, future) = start(child, hedged);
        handles.push(handle);
        let number = handles.len() - 1;
        async move { (number, hedged, future.await) }
    };
    running.push(begin(0, false));
    let mut due = late();
    loop {
        let ended = if race.may_hedge() {
            match select(running.next(), &mut due).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => {
                    if let Some(child) = race.hedge() {
                        running.push(begin(child, true));
                    }
                    due = late();
                    continue;
                }
            }
        } else {
            running.next().await
        };
        // While a race is not over, somebody runs.
        let Some((number, hedged, result)) = ended else { continue };
        match race.ended(hedged, came(&result)) {
            Then::Done => {
                for (other, handle) in handles.iter().enumerate() {
                    if other != number {
                        outrun(handle);
                    }
                }
                return (result, race.next());
            }
            Then::Wait => {}
            Then::Start(child) => {
                running.push(begin(child, false));
                due = late();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// A child that takes so many milliseconds and comes to this.
    type Child = (u64, Came);

    /// A clock that goes on only when nothing else can.
    #[derive(Default)]
    struct Clock {
        now: Cell<u64>,
        alarms: RefCell<Vec<u64>>,
    }

    impl Clock {
        async fn sleep(&self, ms: u64) {
            let until = self.now.get() + ms;
            self.alarms.borrow_mut().push(until);
            poll_fn(|context| {
                if self.now.get() >= until {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }

        fn run<T>(&self, future: impl Future<Output = T>) -> T {
            let mut future = pin!(future);
            loop {
                if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    return value;
                }
                let now = self.now.get();
                let next = self.alarms.borrow().iter().copied().filter(|at| *at > now).min();
                self.now.set(next.expect("somebody waits"));
            }
        }
    }

    /// Runs a race and returns who won after how long, when each child began, and who was outrun.
    fn raced(children: &[Child], after: u64, most: u32) -> (usize, u64, Vec<(usize, u64)>, Vec<usize>) {
        let clock = Clock::default();
        let (begun, outrun) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let start = |child: usize, _hedged: bool| {
            begun.borrow_mut().push((child, clock.now.get()));
            let (takes, came) = children[child];
            let slept = clock.sleep(takes);
            let future = async move {
                slept.await;
                (child, came)
            };
            (child, future.boxed_local())
        };
        let late = || clock.sleep(after).boxed_local();
        let lose = |loser: &usize| outrun.borrow_mut().push(*loser);
        let race = run(Race::new(children.len(), most), late, start, |(_, came)| *came, lose);
        let ((winner, _), _) = clock.run(race);
        (winner, clock.now.get(), begun.take(), outrun.take())
    }

    #[test]
    fn the_next_starts_when_the_first_is_late_and_not_before() {
        let (winner, took, begun, outrun) = raced(&[(5_000, Came::Answer), (300, Came::Answer)], 800, 1);
        assert_eq!((winner, took), (1, 1_100));
        assert_eq!(begun, [(0, 0), (1, 800)]);
        assert_eq!(outrun, [0]);
    }

    #[test]
    fn a_first_in_time_is_alone() {
        let (winner, took, begun, outrun) = raced(&[(799, Came::Answer), (1, Came::Answer)], 800, 1);
        assert_eq!((winner, took), (0, 799));
        assert_eq!(begun, [(0, 0)]);
        assert!(outrun.is_empty());
    }

    #[test]
    fn a_failure_starts_the_next_at_once() {
        let (winner, took, begun, _) = raced(&[(100, Came::Falls), (50, Came::Answer)], 800, 1);
        assert_eq!((winner, took), (1, 150));
        assert_eq!(begun, [(0, 0), (1, 100)]);
    }

    #[test]
    fn a_hedge_that_fails_leaves_the_first_running() {
        let children = [(5_000, Came::Answer), (100, Came::Stays), (1, Came::Answer)];
        let (winner, took, begun, _) = raced(&children, 800, 1);
        assert_eq!((winner, took), (0, 5_000));
        assert_eq!(begun, [(0, 0), (1, 800)]);
    }

    #[test]
    fn as_many_start_as_the_config_allows_each_after_its_delay() {
        let (_, _, begun, outrun) = raced(&[(9_000, Came::Answer); 4], 500, 2);
        assert_eq!(begun, [(0, 0), (1, 500), (2, 1_000)]);
        assert_eq!(outrun, [1, 2]);
    }

    #[test]
    fn a_child_that_falls_in_turn_may_be_hedged_as_well() {
        let children = [(100, Came::Falls), (5_000, Came::Answer), (200, Came::Answer)];
        let (winner, took, begun, _) = raced(&children, 800, 1);
        assert_eq!((winner, took), (2, 1_100));
        assert_eq!(begun, [(0, 0), (1, 100), (2, 900)]);
    }

    #[test]
    fn when_all_fail_the_last_failure_is_the_answer() {
        let (winner, took, ..) = raced(&[(1_000, Came::Falls), (1_000, Came::Falls)], 200, 1);
        assert_eq!((winner, took), (1, 1_200));
    }
}
