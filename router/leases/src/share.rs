//! One node's part of a pool: what requests may hold here and now, without asking anybody.
//!
//! A pure state machine: [`Share::next`] says what to send, [`Share::hear`] takes what came back. One operation is
//! under way at most; lost, it is repeated as it was. It refuses (fails closed) whatever it can't prove.

use crate::ids::{Holder, PoolId, Tenures};
use crate::node::Standing;
use crate::protocol::{Asked, Granted, Limit, Op, Sync, cut};
use crate::tenure::{Held, Tenure};

/// How a share behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// What it asks for at first, in the pool's unit. It doubles while it is used up quickly.
    pub slice: i64,
    /// What nobody used for so long goes back.
    pub idle_ms: i64,
    /// What was spent is reported after so long at most.
    pub report_ms: i64,
}

/// Why nothing can be held.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Short {
    /// Ask [`Share::next`] with the need.
    #[error("less than that is leased to this node")]
    Empty,
    /// Redis has not been heard for too long, or does not know the lease any more.
    #[error("the lease may not be used")]
    Suspended,
}

/// One node's part of a pool.
#[derive(Debug)]
pub struct Share {
    pub(crate) pool: PoolId,
    tenures: Tenures,
    pub(crate) rules: Rules,
    pub(crate) limit: Limit,
    pub(crate) current: Tenure,
    /// Ended ones that Redis may still burn too much for.
    pub(crate) ended: Vec<Tenure>,
    pub(crate) waiting: Option<Waiting>,
    pub(crate) last: Option<Granted>,
    pub(crate) slice: i64,
    pub(crate) synced_ms: i64,
    /// No more is asked for without need until then.
    pub(crate) full_until_ms: i64,
    /// Since when [`Share::low`] is watched.
    pub(crate) watched_ms: i64,
    /// The least that was available since.
    pub(crate) low: i64,
    pub(crate) leaving: bool,
}

/// The operation under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) asked: Asked,
    /// On its way; else it is to be sent again.
    pub(crate) sent: bool,
}

impl Share {
    /// Begins the first tenure. The numbers are those of the process.
    pub fn new(pool: PoolId, standing: &Standing, tenures: &Tenures, rules: Rules, limit: Limit) -> Self {
        let holder = Holder { node: standing.node, tenure: tenures.next() };
        Self {
            pool,
            tenures: tenures.clone(),
            rules,
            limit,
            current: Tenure::new(holder, standing.epoch),
            ended: Vec::new(),
            waiting: None,
            last: None,
            slice: rules.slice.max(1),
            synced_ms: i64::MIN / 2,
            full_until_ms: i64::MIN / 2,
            watched_ms: i64::MIN / 2,
            low: 0,
            leaving: false,
        }
    }

    /// Returns whose spends and holds the durable store files from now on.
    pub fn holder(&self) -> Holder {
        self.current.holder
    }

    /// Returns the pool.
    pub fn pool(&self) -> &PoolId {
        &self.pool
    }

    /// Returns what requests hold, of all tenures that are remembered.
    pub fn held(&self) -> i64 {
        self.ended.iter().map(|tenure| tenure.held).sum::<i64>() + self.current.held
    }

    /// Returns what is leased here and not spent, held or not.
    pub fn lease(&self) -> i64 {
        self.current.authority - self.current.spent
    }

    /// Returns what Redis said last.
    pub fn last(&self) -> Option<&Granted> {
        self.last.as_ref()
    }

    /// Holds a part for a request. Write it to the durable store under [`Held::tenure`], and ask
    /// [`Share::may_send`] *after that* before anything goes upstream.
    pub fn hold(&mut self, now_ms: i64, standing: &Standing, amount: i64) -> Result<Held, Short> {
        let tenure = &mut self.current;
        if !standing.may_use(tenure.holder.node, tenure.epoch, now_ms) {
            return Err(Short::Suspended);
        }
        let amount = cut(amount);
        if !tenure.joined || tenure.available() < amount {
            return Err(Short::Empty);
        }
        tenure.held += amount;
        self.low = self.low.min(tenure.available());
        Ok(Held { tenure: tenure.holder.tenure, amount })
    }

    /// Returns whether a hold of a tenure ([`Held::tenure`]) that is durable now may be acted on. If not, settle it with nothing spent.
    ///
    /// A node may sleep between holding and writing: meanwhile Redis may have forgotten, and another node may have
    /// opened the pool anew from a durable store that did not know of the hold.
    pub fn may_send(&self, now_ms: i64, standing: &Standing, tenure: u64) -> bool {
        let current = &self.current;
        tenure == current.holder.tenure && standing.may_use(current.holder.node, current.epoch, now_ms)
    }

    /// Ends a hold with what was really spent. More than was held is taken, and counts.
    pub fn settle(&mut self, held: Held, spent: i64) {
        let tenures = self.ended.iter_mut().chain([&mut self.current]);
        for tenure in tenures {
            if tenure.holder.tenure == held.tenure {
                tenure.settle(held.amount, spent);
                return;
            }
        }
        // Of a tenure that Redis has closed: what it held is burnt or in the base of the pool.
    }

    /// Spends something that no lease covers, as somebody decided who could not ask. It is reported like the rest, and
    /// then counts for all, be it above the limit. `tenure` is [`Share::holder`]'s of when that was decided, which the
    /// durable store files it under: written there before it is acted on, like a hold.
    pub fn charge(&mut self, tenure: u64, spent: i64) {
        match self.ended.iter_mut().find(|ended| ended.holder.tenure == tenure) {
            Some(ended) => ended.charge(spent),
            // Or closed meanwhile: Redis counts what it is told, whoever tells.
            None => self.current.charge(spent),
        }
    }

    /// Returns how much was charged that Redis may not know yet. When the owner of this share dies, the next one
    /// charges its own with it; unlike a lease it is not burnt.
    pub fn uncounted(&self) -> i64 {
        self.ended.iter().chain([&self.current]).map(Tenure::uncounted).sum()
    }

    /// Takes a changed limit; it goes to Redis with the next operation.
    pub fn set_limit(&mut self, limit: Limit) {
        if limit.revision > self.limit.revision {
            self.limit = limit;
            // Now, not when something is used up.
            self.synced_ms = i64::MIN / 2;
            self.full_until_ms = i64::MIN / 2;
        }
    }

    /// Gives everything back as it comes free, and asks for nothing without need.
    pub fn leave(&mut self, leaving: bool) {
        self.leaving = leaving;
    }

    /// Returns whether nothing is lost by dropping this.
    pub fn is_at_rest(&self) -> bool {
        self.ended.is_empty()
            && self.waiting.is_none()
            && self.current.held == 0
            && self.lease() == 0
            && self.current.reported == self.current.spent
    }

    /// Ends the current tenure and begins the next.
    pub(crate) fn retire(&mut self, standing: &Standing) {
        let next = Holder { node: standing.node, tenure: self.tenures.next() };
        let ended = std::mem::replace(&mut self.current, Tenure::new(next, standing.epoch));
        if ended.seq > 0 {
            self.ended.push(ended);
        } else {
            // Redis has never heard of it.
            self.current.charge(ended.charged);
        }
        self.waiting = None;
        self.low = 0;
    }

    /// Returns what should go back now.
    pub(crate) fn idle(&mut self, now_ms: i64) -> i64 {
        let available = self.current.available().max(0);
        let over = self.last.is_some_and(|last| last.spent_all.saturating_add(last.leased_all) > last.limit);
        if over || self.leaving {
            return available;
        }
        if now_ms - self.watched_ms < self.rules.idle_ms {
            return 0;
        }
        let low = self.low.clamp(0, available);
        self.watched_ms = now_ms;
        self.low = available;
        if low == 0 {
            return 0;
        }
        self.slice = (self.slice / 2).max(self.rules.slice).max(1);
        // All of it if nobody came, else half of what nobody needed.
        if low == available { low } else { low / 2 }
    }

    /// Returns what to ask for without anybody waiting.
    pub(crate) fn top_up(&mut self, now_ms: i64) -> i64 {
        let available = self.current.available();
        let worn = available < self.slice / 2 && self.current.joined && self.current.held > 0;
        if self.leaving || !worn || now_ms < self.full_until_ms {
            return 0;
        }
        if now_ms - self.synced_ms < self.rules.report_ms {
            self.slice = self.slice.saturating_mul(2);
        }
        self.slice.saturating_sub(available).max(0)
    }

    /// Builds the next operation of the current tenure, with what goes back already gone.
    pub(crate) fn sync(&mut self, give_back: i64, want: i64, need: i64) -> Op {
        let tenure = &mut self.current;
        tenure.seq += 1;
        tenure.authority -= give_back;
        Op::Sync(Sync {
            holder: tenure.holder,
            seq: tenure.seq,
            spent: tenure.spent,
            give_back,
            want,
            need,
            limit: self.limit,
        })
    }
}
