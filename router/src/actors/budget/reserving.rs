//! Several budgets are asked at once: their answers meet at one table, and who waits there is woken once. Who may hold in
//! advance what it needs of each asks none.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;
use tokio::time::Sleep;

use super::BudgetHandle;
use super::messages::{Refused, Reserve, ReserveSeat};
use crate::actors::Unavailable;
use crate::actors::owner::ASK_DEADLINE;
use crate::actors::permit::Hold;
use crate::clock;
use crate::limits::Exhausted;

/// A budget that has not enough left.
pub type Short = (Arc<BudgetHandle>, Exhausted);

/// What a budget answered; `None` where it went away with the question, or could not take it.
type Answer = Option<Result<Hold, Refused>>;

/// Where answers meet.
struct Table(Mutex<Seats>);

struct Seats {
    /// In the order of the questions; `None` is still waited for.
    answers: Vec<Option<Answer>>,
    missing: usize,
    waiting: Option<Waker>,
}

impl Table {
    /// One with these answers on it; where there is none it waits for one.
    fn new(answers: Vec<Option<Answer>>) -> Self {
        let missing = answers.iter().filter(|answer| answer.is_none()).count();
        Self(Mutex::new(Seats { answers, missing, waiting: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, at: usize, answer: Answer) {
        let mut seats = self.lock();
        match seats.answers.get_mut(at) {
            Some(seat) => *seat = Some(answer),
            // The asker left: what was granted goes back, and not under the lock.
            None => {
                drop(seats);
                return drop(answer);
            }
        }
        seats.missing -= 1;
        let waiting = if seats.missing == 0 { seats.waiting.take() } else { None };
        drop(seats);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// Who waits at a table. What is answered after it left goes back.
struct Asker(Arc<Table>);

impl Drop for Asker {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.0.lock().answers);
        drop(left);
    }
}

/// One answer's place. Without an answer it says that none will come.
pub(super) struct Seat {
    table: Option<Arc<Table>>,
    at: usize,
}

impl Seat {
    /// Puts the answer there.
    pub(super) fn take(mut self, answer: Result<Hold, Refused>) {
        if let Some(table) = self.table.take() {
            table.answer(self.at, Some(answer));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            table.answer(self.at, None);
        }
    }
}

/// Asks all budgets at once for at least, and at best, what `bill` says of each; what comes back waits for all answers.
/// All grant, or all give back; of several that refuse, the first is told.
///
/// # Errors
/// [`Unavailable`] when one can't be asked; inside, the refusal.
pub fn reserve_all(
    budgets: &[Arc<BudgetHandle>],
    bill: impl Fn(&BudgetHandle) -> (i64, i64),
) -> impl Future<Output = Result<Result<Vec<Hold>, Short>, Unavailable>> {
    let asked = take_all(budgets, &bill).map_err(|answers| {
        let vacant: Vec<_> = answers.iter().map(Option::is_none).collect();
        let asker = Asker(Arc::new(Table::new(answers)));
        for (at, budget) in budgets.iter().enumerate().filter(|(at, _)| vacant[*at]) {
            let (need, want) = bill(budget);
            let seat = Seat { table: Some(asker.0.clone()), at };
            budget.ask(ReserveSeat { order: Reserve { need, want, handle: budget.clone() }, seat });
        }
        asker
    });
    async move {
        let asker = match asked {
            Ok(holds) => return Ok(Ok(holds)),
            Err(asker) => asker,
        };
        let answers = Waiting { table: &asker.0, is_early: true, deadline: None }.await?;
        let mut granted = Granted::new(budgets.len());
        for (budget, answer) in budgets.iter().zip(answers) {
            let answer = match answer.flatten() {
                Some(Ok(hold)) => Ok(hold),
                Some(Err(Refused::Exhausted(exhausted))) => Err(exhausted),
                // It may live again, or must ask others: whoever asks it alone waits for that.
                None | Some(Err(Refused::Shared(_))) => {
                    let (need, want) = bill(budget);
                    budget.reserve(need, want).await?
                }
            };
            granted.take(budget, answer);
        }
        Ok(granted.into_result())
    }
}

/// Holds in advance what `bill` says of each budget.
///
/// # Errors
/// What some of them gave, with places for the others, which must be asked.
fn take_all(
    budgets: &[Arc<BudgetHandle>],
    bill: impl Fn(&BudgetHandle) -> (i64, i64),
) -> Result<Vec<Hold>, Vec<Option<Answer>>> {
    let now = if budgets.is_empty() { 0 } else { clock::unix() };
    let take = |budget: &Arc<BudgetHandle>| {
        let (need, want) = bill(budget);
        budget.take(now, need, want)
    };
    let mut holds = Vec::with_capacity(budgets.len());
    for budget in budgets {
        let Some(hold) = take(budget) else { break };
        holds.push(hold);
    }
    if holds.len() == budgets.len() {
        return Ok(holds);
    }
    let others = budgets[holds.len() + 1..].iter().map(take);
    let taken: Vec<_> = holds.into_iter().map(Some).chain([None]).collect();
    let all = taken.into_iter().chain(others);
    Err(all.map(|hold| hold.map(|hold| Some(Ok(hold)))).collect())
}

/// The same in a cluster, where each may have to ask others before it answers.
///
/// # Errors
/// [`Unavailable`] when one can't be asked; inside, the refusal.
pub fn reserve_shared(
    budgets: &[Arc<BudgetHandle>],
    bill: impl Fn(&BudgetHandle) -> (i64, i64),
) -> impl Future<Output = Result<Result<Vec<Hold>, Short>, Unavailable>> {
    let asked = budgets.iter().map(|budget| {
        let (need, want) = bill(budget);
        budget.reserve(need, want)
    });
    let asked: Vec<_> = asked.collect();
    async move {
        let mut granted = Granted::new(budgets.len());
        for (budget, answer) in budgets.iter().zip(join_all(asked).await) {
            granted.take(budget, answer?);
        }
        Ok(granted.into_result())
    }
}

/// What budgets granted so far.
struct Granted {
    holds: Vec<Hold>,
    short: Option<Short>,
}

impl Granted {
    fn new(most: usize) -> Self {
        Self { holds: Vec::with_capacity(most), short: None }
    }

    fn take(&mut self, budget: &Arc<BudgetHandle>, answer: Result<Hold, Exhausted>) {
        match answer {
            Ok(hold) => self.holds.push(hold),
            Err(exhausted) => self.short = self.short.take().or_else(|| Some((budget.clone(), exhausted))),
        }
    }

    fn into_result(self) -> Result<Vec<Hold>, Short> {
        self.short.map_or(Ok(self.holds), Err)
    }
}

/// Waits until all have answered.
struct Waiting<'a> {
    table: &'a Table,
    /// Nobody had a turn yet since they were asked.
    is_early: bool,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Future for Waiting<'_> {
    type Output = Result<Vec<Option<Answer>>, Unavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut seats = self.table.lock();
        if seats.missing == 0 {
            return Poll::Ready(Ok(std::mem::take(&mut seats.answers)));
        }
        if std::mem::take(&mut self.is_early) {
            // Actors on the asker's own thread have answered when its turn comes again: no need to be woken by them.
            drop(seats);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        seats.waiting = Some(context.waker().clone());
        drop(seats);
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(ASK_DEADLINE)));
        deadline.as_mut().poll(context).map(|()| Err(Unavailable))
    }
}
