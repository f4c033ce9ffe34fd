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

/// A part of a lease that a request holds.
#[derive(Debug)]
pub(super) struct Part {
    period: i64,
    held: Held,
    by: Arc<str>,
}

impl Part {
    pub(super) fn amount(&self) -> i64 {
        self.held.amount()
    }

    /// Returns whose spend it is in the durable store.
    pub(super) fn by(&self) -> &Arc<str> {
        &self.by
    }
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

    /// Has the question sent again whose asker left before it was sent.
    fn repeat_unheard(&mut self, now_ms: i64) {
        if self.asked_ms.is_some_and(|asked| now_ms - asked > UNHEARD_MS) {
            self.asked_ms = None;
            self.share.repeat();
        }
    }

    /// Ends a hold; `spent` is this part's.
    pub(super) fn settle(&mut self, part: Part, spent: i64) {
        let mut shares = std::iter::once(&mut self.share).chain(&mut self.past);
        if let Some(share) = shares.find(|share| share.pool().period == part.period) {
            share.settle(part.held, spent);
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

/// Returns the number of the pool: another one for each period, and after each reset in it.
fn period(record: &BudgetRecord, resets: i64) -> i64 {
    record.period_start(clock::unix()).saturating_mul(RESETS).saturating_add(resets % RESETS)
}

/// What this node learned last is right: nodes learn of a change within a fraction of a second.
fn revision() -> u64 {
    u64::try_from(clock::unix_ms()).unwrap_or(0)
}
