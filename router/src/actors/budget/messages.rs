//! What a budget's actor is asked and told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Handler, Message};
use tidegate_leases::PoolId;
use tidegate_leases::protocol::{Answer, Asked, Opening};
use tidegate_store::BudgetRecord;

use super::reserving::Seat;
use super::{BudgetActor, BudgetGauge, BudgetHandle, BudgetView, next_alert};
use crate::actors::news::Story;
use crate::actors::permit::Hold;
use crate::actors::pool::{Heard, Next, Part, Pool, dealt, let_in};
use crate::clock;
use crate::limits::Exhausted;

/// Why nothing is reserved.
#[derive(Clone, Debug)]
pub(super) enum Refused {
    /// There is not that much left.
    Exhausted(Exhausted),
    /// The shared side must be asked first. Boxed: every answer is moved from hand to hand, and this one is large.
    Shared(Box<Next>),
}

#[derive(Clone, Message)]
#[rtype(result = "Result<Hold, Refused>")]
pub(super) struct Reserve {
    pub(super) need: i64,
    pub(super) want: i64,
    pub(super) handle: Arc<BudgetHandle>,
}

impl Handler<Reserve> for BudgetActor {
    type Result = Result<Hold, Refused>;

    fn handle(&mut self, order: Reserve, _context: &mut Self::Context) -> Self::Result {
        self.hold(order)
    }
}

/// The same, with a seat for the answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ReserveSeat {
    pub(super) order: Reserve,
    pub(super) seat: Seat,
}

impl Handler<ReserveSeat> for BudgetActor {
    type Result = ();

    fn handle(&mut self, asked: ReserveSeat, _context: &mut Self::Context) {
        asked.seat.take(self.hold(asked.order));
    }
}

/// Holds without a lease: the budget is open on store loss.
#[derive(Clone, Message)]
#[rtype(result = "Result<Hold, Exhausted>")]
pub(super) struct LetIn {
    pub(super) need: i64,
    pub(super) want: i64,
    pub(super) handle: Arc<BudgetHandle>,
}

impl Handler<LetIn> for BudgetActor {
    type Result = Result<Hold, Exhausted>;

    fn handle(&mut self, order: LetIn, _context: &mut Self::Context) -> Self::Result {
        self.collect();
        // What all nodes spent as far as Redis said, and what this one did since.
        let known = self.pool.as_ref().and_then(Pool::seen).map_or(0, |seen| seen.spent_all);
        let amount = self.spend.reserve_beyond(clock::unix(), known, order.need.max(1), order.want);
        let amount = match amount {
            Ok(amount) => amount,
            Err(exhausted) => {
                self.refused(&exhausted);
                return Err(exhausted);
            }
        };
        let part = self.pool.as_mut().map(|pool| pool.let_in(self.spend.terms(), amount));
        self.publish();
        let (spent, held) = self.spend.state();
        let limit = self.spend.terms().limit;
        let left = limit - spent.max(known) - held;
        Ok(Hold::new(order.handle, amount, part, limit, left.max(0)))
    }
}

/// What Redis answered; `None` when nothing came.
#[derive(Clone, Message)]
#[rtype(result = "Heard")]
pub(super) struct Hear {
    pub(super) pool: PoolId,
    pub(super) asked: Asked,
    pub(super) answer: Option<Answer>,
}

impl Handler<Hear> for BudgetActor {
    type Result = actix::MessageResult<Hear>;

    fn handle(&mut self, order: Hear, _context: &mut Self::Context) -> Self::Result {
        let Some(pool) = &mut self.pool else { return actix::MessageResult(Heard::Again) };
        let before = pool.seen().map_or(0, |seen| seen.spent_all);
        let heard = pool.hear(&order.pool, &order.asked, order.answer.as_ref());
        let after = pool.seen().map_or(0, |seen| seen.spent_all);
        if let Heard::Exhausted(exhausted) = &heard {
            self.refused(exhausted);
        }
        if after >= self.alert_at && after > before {
            let budget = Box::new(self.spend.terms().clone());
            self.news.tell(Story::Spent { budget, period_start: self.spend.period_start(), before, after });
            self.alert_at = next_alert(self.spend.terms(), after);
        }
        self.publish();
        actix::MessageResult(heard)
    }
}

#[derive(Clone, Message)]
#[rtype(result = "Option<Asked>")]
pub(super) struct Open {
    pub(super) pool: PoolId,
    pub(super) opening: Opening,
    pub(super) base: i64,
}

impl Handler<Open> for BudgetActor {
    type Result = Option<Asked>;

    fn handle(&mut self, order: Open, _context: &mut Self::Context) -> Self::Result {
        self.pool.as_mut()?.open(&order.pool, &order.opening, order.base)
    }
}

/// What there is to report, and whether nothing is leased any more.
#[derive(Clone, Message)]
#[rtype(result = "(Vec<(PoolId, Asked)>, bool)")]
pub(super) struct Due {
    pub(super) leaving: bool,
}

impl Handler<Due> for BudgetActor {
    type Result = actix::MessageResult<Due>;

    fn handle(&mut self, order: Due, _context: &mut Self::Context) -> Self::Result {
        let Some(pool) = &mut self.pool else { return actix::MessageResult((Vec::new(), true)) };
        let due = pool.due(order.leaving);
        let at_rest = pool.is_at_rest();
        self.publish();
        actix::MessageResult((due, at_rest))
    }
}

/// Asks whether parts of leases may be acted on.
#[derive(Clone, Message)]
#[rtype(result = "bool")]
pub(super) struct MaySend(pub(super) Vec<(i64, u64)>);

impl Handler<MaySend> for BudgetActor {
    type Result = bool;

    fn handle(&mut self, question: MaySend, _context: &mut Self::Context) -> Self::Result {
        self.pool.as_ref().is_some_and(|pool| pool.may_send(&question.0))
    }
}

/// Tells that holds ended whose figures are in the gauge, and matter to somebody.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actors) struct Ended;

impl Handler<Ended> for BudgetActor {
    type Result = ();

    fn handle(&mut self, _ended: Ended, _context: &mut Self::Context) {
        self.gauge.hear();
        self.collect();
    }
}

/// Ends a hold that is part of leases, or that the published period does not know. If the message dies unread, it leaves
/// its figures in the gauge.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::actors) struct SettleHold {
    held: i64,
    actual: i64,
    parts: Vec<Part>,
    gauge: Arc<BudgetGauge>,
    read: bool,
}

impl SettleHold {
    pub(in crate::actors) fn new(held: i64, actual: i64, parts: Vec<Part>, gauge: Arc<BudgetGauge>) -> Self {
        Self { held, actual, parts, gauge, read: false }
    }
}

impl Drop for SettleHold {
    fn drop(&mut self) {
        if !self.read {
            let let_in = let_in(&self.parts, self.actual, self.gauge.pool.load(Ordering::Relaxed));
            self.gauge.lost_let_in.fetch_add(let_in, Ordering::AcqRel);
            // Nobody is left to be told: the next actor looks when it starts.
            let _ = self.gauge.end(self.held, self.actual);
        }
    }
}

impl Handler<SettleHold> for BudgetActor {
    type Result = ();

    fn handle(&mut self, mut order: SettleHold, _context: &mut Self::Context) {
        order.read = true;
        self.settle(order.held, order.actual);
        if let Some(pool) = &mut self.pool {
            let spent = dealt(&order.parts, order.actual);
            for (part, spent) in std::mem::take(&mut order.parts).into_iter().zip(spent) {
                pool.settle(part, spent);
            }
        }
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(super) struct Reload(pub(super) BudgetRecord);

impl Handler<Reload> for BudgetActor {
    type Result = ();

    fn handle(&mut self, order: Reload, _context: &mut Self::Context) {
        self.collect();
        self.spend.change(order.0, clock::unix());
        if let Some(pool) = &mut self.pool {
            pool.change(self.spend.terms());
        }
        self.rearm();
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(super) struct Reset {
    pub(super) spent: i64,
    pub(super) number: i64,
}

impl Handler<Reset> for BudgetActor {
    type Result = ();

    fn handle(&mut self, order: Reset, _context: &mut Self::Context) {
        // What ended before is in the store, and so in what is spent.
        self.collect();
        self.spend.reset(order.spent);
        if let Some(pool) = &mut self.pool {
            pool.reset(self.spend.terms(), order.number);
        }
        self.rearm();
        self.publish();
    }
}

#[derive(Clone, Message)]
#[rtype(result = "BudgetView")]
pub(super) struct Observe;

impl Handler<Observe> for BudgetActor {
    type Result = actix::MessageResult<Observe>;

    fn handle(&mut self, _question: Observe, _context: &mut Self::Context) -> Self::Result {
        self.collect();
        self.publish();
        let (own, held) = self.spend.state();
        // In a cluster what all nodes spent, as far as this one heard; what it let in unheard comes on top.
        let seen = self.pool.as_ref().and_then(Pool::seen).map_or(0, |seen| seen.spent_all);
        let spent = own.max(seen);
        let now = clock::unix();
        actix::MessageResult(BudgetView {
            id: self.spend.terms().id.clone(),
            name: self.spend.terms().name.clone(),
            limit: self.spend.terms().limit,
            spent,
            held,
            period_start: self.spend.period_start(),
            resets_at: self.spend.terms().period_end(now),
        })
    }
}
