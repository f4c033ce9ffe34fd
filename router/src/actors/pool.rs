//! The shared side of a budget: its leases of this period, and of periods whose requests still run.

use std::sync::Arc;

use tidegate_leases::protocol::{Answer, Asked, Granted, Limit, Op, Opening};
use tidegate_leases::{Held, Outcome, PoolId, Share, Short};
use tidegate_store::BudgetRecord;

use crate::clock;
use crate::cluster::Cluster;
use crate::limits::Exhausted;

/// Periods with requests of before that are remembered.
const MOST_PAST: usize = 4;
/// How long it is believed that a limit is used up, so that not every refusal asks Redis.
const BELIEVED_MS: i64 = 100;
/// Longer than the client waits for an answer.
const UNHEARD_MS: i64 = 2_500;
/// More resets than a budget ever sees in one period.
const RESETS: i64 = 1_000_000_000;

/// A part of a lease that a request holds, or what it was let in with while there was none to be had.
#[derive(Debug)]
pub(super) struct Part {
    period: i64,
    held: Kept,
    by: Arc<str>,
}

/// What is held.
#[derive(Debug)]
enum Kept {
    /// Part of a lease.
    Leased(Held),
    /// Nothing that Redis knows of: a tenure and an amount.
    Unleased(u64, i64),
}

impl Part {
    pub(super) fn amount(&self) -> i64 {
        match &self.held {
            Kept::Leased(held) => held.amount(),
            Kept::Unleased(_, amount) => *amount,
        }
    }

    /// Returns whose spend it is in the durable store.
    pub(super) fn by(&self) -> &Arc<str> {
        &self.by
    }

    /// Returns the numbers of its pool and its tenure, where it is part of a lease.
    pub(super) fn place(&self) -> Option<(i64, u64)> {
        match &self.held {
            Kept::Leased(held) => Some((self.period, held.tenure())),
            Kept::Unleased(..) => None,
        }
    }
}

/// Says what each of the parts pays of `spent`; the last one pays what is more than all of them held.
pub(super) fn dealt(parts: &[Part], spent: i64) -> Vec<i64> {
    let mut rest = spent;
    let pays = |(at, part): (usize, &Part)| {
        let pays = if at + 1 < parts.len() { rest.min(part.amount()) } else { rest };
        rest -= pays;
        pays
    };
    parts.iter().enumerate().map(pays).collect()
}

/// Returns what the parts that no lease covers pay of `spent` into the pool of this number.
pub(super) fn let_in(parts: &[Part], spent: i64, number: i64) -> i64 {
    let pays = parts.iter().zip(dealt(parts, spent));
    pays.filter(|(part, _)| part.period == number && part.place().is_none()).map(|(_, pays)| pays).sum()
}

/// What a budget says when it can't decide by itself.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// Ask Redis this, and come back with the answer.
    Ask(PoolId, Asked),
    /// Somebody is asking already.
    Busy,
    /// The lease may not be used now.
    Suspended,
    /// There is not that much left, as Redis said a moment ago.
    Exhausted(Exhausted),
}

/// What came of an answer.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// Try again.
    Again,
    /// There is not that much left.
    Exhausted(Exhausted),
    /// The durable store must be asked first.
    Open(PoolId, Opening),
    /// Nothing is granted for so many milliseconds.
    Wait(i64),
    /// The node must be heard first.
    Hurry,
}

/// The shared side.
pub(super) struct Pool {
    cluster: Arc<Cluster>,
    name: Arc<str>,
    /// Number of the last reset in the feed of changes; 0 without one.
    resets: i64,
    limit: Limit,
    share: Share,
    past: Vec<Share>,
    /// What Redis said last that there is not, until when that is believed, and for what need.
    used_up: Option<(i64, i64, Exhausted)>,
    /// Since when an answer is waited for.
    asked_ms: Option<i64>,
}

impl Pool {
    pub(super) fn new(cluster: Arc<Cluster>, record: &BudgetRecord, resets: i64) -> Self {
        let limit = Limit { amount: record.limit, revision: revision() };
        let name: Arc<str> = record.id.as_str().into();
        let share = share(&cluster, &name, period(record, resets), limit);
        Self { cluster, name, resets, limit, share, past: Vec::new(), used_up: None, asked_ms: None }
    }

    /// Returns the number of the present pool, and what was let in that Redis may not count yet.
    pub(super) fn uncounted(&self) -> (i64, i64) {
        (self.share.pool().period, self.share.uncounted())
    }

    /// Takes over what an actor before it had let in, if the pool is still the present one.
    pub(super) fn inherit(&mut self, (number, uncounted): (i64, i64)) {
        if uncounted > 0 && self.share.pool().period == number {
            let tenure = self.share.holder().tenure;
            self.share.charge(tenure, uncounted);
        }
    }

    fn now(&self) -> (i64, tidegate_leases::Standing) {
        (Cluster::now_ms(), self.cluster.standing())
    }

    /// Goes on to the pool of the present period.
    pub(super) fn roll(&mut self, record: &BudgetRecord) {
        let period = period(record, self.resets);
        if self.share.pool().period == period {
            return;
        }
        self.used_up = None;
        let mut old =
            std::mem::replace(&mut self.share, share(&self.cluster, &self.name, period, self.limit));
        old.leave(true);
        self.past.retain(|share| !share.is_at_rest());
        if self.past.len() >= MOST_PAST {
            self.past.remove(0);
        }
        self.past.push(old);
    }

    /// Puts a changed limit in force.
    pub(super) fn change(&mut self, record: &BudgetRecord) {
        if record.limit != self.limit.amount {
            self.limit = Limit { amount: record.limit, revision: revision() };
            self.share.set_limit(self.limit);
            self.used_up = None;
        }
        self.roll(record);
    }

    /// Begins anew after the reset of this number.
    pub(super) fn reset(&mut self, record: &BudgetRecord, number: i64) {
        self.resets = self.resets.max(number);
        self.roll(record);
    }

    /// Holds as much as there is, up to `want`, at least `need`.
    pub(super) fn hold(&mut self, record: &BudgetRecord, need: i64, want: i64) -> Result<Part, Next> {
        self.roll(record);
        let (now_ms, standing) = self.now();
        // A used-up budget refuses also what costs nothing: its owner asked for a stop.
        let need = need.max(1);
        let mut suspended = false;
        for amount in [want.max(need), need] {
            match self.share.hold(now_ms, &standing, amount) {
                Ok(held) => {
                    let by = self.share.holder().to_string().into();
                    let held = Kept::Leased(held);
                    return Ok(Part { period: self.share.pool().period, held, by });
                }
                Err(Short::Suspended) => {
                    suspended = true;
                    break;
                }
                Err(Short::Empty) => {}
            }
        }
        if let Some((until_ms, known, exhausted)) = self.used_up
            && now_ms < until_ms
            && need >= known
            && !suspended
        {
            return Err(Next::Exhausted(exhausted));
        }
        // Also of a lease that may not be used: Redis may have to be told of it in another epoch first.
        self.repeat_unheard(now_ms);
        let pool = self.share.pool().clone();
        let silent = if suspended { Next::Suspended } else { Next::Busy };
        let asked = self.share.next(now_ms, &standing, need);
        if asked.is_some() {
            self.asked_ms = Some(now_ms);
        }
        Err(asked.map_or(silent, |asked| Next::Ask(pool, asked)))
    }

    /// Holds something that no lease covers; what it comes to is reported like the rest.
    pub(super) fn let_in(&mut self, record: &BudgetRecord, amount: i64) -> Part {
        self.roll(record);
        let holder = self.share.holder();
        let held = Kept::Unleased(holder.tenure, amount);
        Part { period: self.share.pool().period, held, by: holder.to_string().into() }
    }

    /// Has the question sent again whose asker left before it was sent.
    fn repeat_unheard(&mut self, now_ms: i64) {
        if self.asked_ms.is_some_and(|asked| now_ms - asked > UNHEARD_MS) {
            self.asked_ms = None;
            self.share.repeat();
        }
    }

    /// Returns whether parts that are durable now may be acted on: pool and tenure of each.
    pub(super) fn may_send(&self, places: &[(i64, u64)]) -> bool {
        let (now_ms, standing) = self.now();
        places.iter().all(|(period, tenure)| {
            let mut shares = std::iter::once(&self.share).chain(&self.past);
            let share = shares.find(|share| share.pool().period == *period);
            share.is_some_and(|share| share.may_send(now_ms, &standing, *tenure))
        })
    }

    /// Ends a hold; `spent` is this part's.
    pub(super) fn settle(&mut self, part: Part, spent: i64) {
        let mut shares = std::iter::once(&mut self.share).chain(&mut self.past);
        if let Some(share) = shares.find(|share| share.pool().period == part.period) {
            match part.held {
                Kept::Leased(held) => share.settle(held, spent),
                Kept::Unleased(tenure, _) => share.charge(tenure, spent),
            }
        }
    }

    fn find(&mut self, pool: &PoolId) -> Option<&mut Share> {
        std::iter::once(&mut self.share).chain(&mut self.past).find(|share| share.pool() == pool)
    }

    /// Takes an answer; `None` when none came.
    pub(super) fn hear(&mut self, pool: &PoolId, asked: &Asked, answer: Option<&Answer>) -> Heard {
        let (now_ms, standing) = self.now();
        if self.share.pool() == pool {
            self.asked_ms = None;
        }
        let Some(share) = self.find(pool) else { return Heard::Again };
        let Some(answer) = answer else {
            share.lost(asked);
            return Heard::Wait(20);
        };
        match share.hear(now_ms, &standing, asked, answer) {
            Outcome::Done | Outcome::Ignored => Heard::Again,
            Outcome::Exhausted(granted) => {
                let exhausted = exhausted(&granted);
                if let Op::Sync(sync) = &asked.op {
                    self.used_up = Some((now_ms + BELIEVED_MS, sync.need.max(1), exhausted));
                }
                Heard::Exhausted(exhausted)
            }
            Outcome::Open(opening) => Heard::Open(pool.clone(), opening),
            Outcome::Wait(ms) => Heard::Wait(ms),
            Outcome::Hurry => Heard::Hurry,
        }
    }

    /// Returns how to open a pool whose base the durable store told.
    pub(super) fn open(&mut self, pool: &PoolId, opening: &Opening, base: i64) -> Option<Asked> {
        let standing = self.cluster.standing();
        self.find(pool).map(|share| share.open(&standing, opening, base))
    }

    /// Returns what there is to report.
    pub(super) fn due(&mut self, leaving: bool) -> Vec<(PoolId, Asked)> {
        let (now_ms, standing) = self.now();
        self.repeat_unheard(now_ms);
        if leaving {
            self.share.leave(true);
        }
        let shares = std::iter::once(&mut self.share).chain(&mut self.past);
        shares
            .filter_map(|share| {
                let asked = share.next(now_ms, &standing, 0)?;
                Some((share.pool().clone(), asked))
            })
            .collect()
    }

    /// Returns whether there is nothing left to say to Redis.
    pub(super) fn is_at_rest(&self) -> bool {
        self.share.is_at_rest() && self.past.iter().all(Share::is_at_rest)
    }

    /// Returns what all nodes spent, and what is leased, as Redis said last.
    pub(super) fn seen(&self) -> Option<&Granted> {
        self.share.last()
    }
}

fn exhausted(granted: &Granted) -> Exhausted {
    Exhausted { limit: granted.limit, spent: granted.spent_all, held: granted.leased_all, resets_at: None }
}

fn share(cluster: &Cluster, name: &Arc<str>, period: i64, limit: Limit) -> Share {
    let pool = PoolId::new(name.clone(), period);
    Share::new(pool, &cluster.standing(), cluster.tenures(), Cluster::rules(limit.amount), limit)
}

/// Returns the start of a pool's period, and what remains of the number of its last reset.
#[must_use]
pub(crate) fn pool_period(pool: &PoolId) -> (i64, i64) {
    (pool.period.div_euclid(RESETS), pool.period.rem_euclid(RESETS))
}

/// Returns whether a pool is the one after this reset.
#[must_use]
pub(crate) fn is_after_reset(pool: &PoolId, number: i64) -> bool {
    pool_period(pool).1 == number % RESETS
}

/// Returns the number of the pool: another one for each period, and after each reset in it.
fn period(record: &BudgetRecord, resets: i64) -> i64 {
    record.period_start(clock::unix()).saturating_mul(RESETS).saturating_add(resets % RESETS)
}

/// What this node learned last is right: nodes learn of a change within a fraction of a second.
fn revision() -> u64 {
    u64::try_from(clock::unix_ms()).unwrap_or(0)
}
