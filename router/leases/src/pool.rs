//! One pool: who has how much of it.
//!
//! Always: `base + Σ max(authority, spent) <= limit`, unless the limit was lowered or a holder spent more than it
//! had; then nothing is handed out.

use std::collections::BTreeMap;

use crate::ids::{Epoch, Holder};
use crate::model::Lives;
use crate::protocol::{
    Credit, Declare, Done, Granted, Init, Limit, MAX, Opening, Reap, Refusal, SHARE, Sync, cut,
};

/// What a pool knows of one tenure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Member {
    /// The last operation done.
    pub seq: u64,
    /// Handed out and not given back, spent or not.
    pub authority: i64,
    /// Spent of it.
    pub spent: i64,
    /// Its lease counts as spent: the node is dead, or has begun another tenure.
    pub ended: bool,
    /// What was answered last.
    pub last: Granted,
}

impl Member {
    /// Returns what is handed out and not spent.
    pub fn lease(&self) -> i64 {
        self.authority - self.spent
    }
}

/// One shared limit in one period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pool {
    /// The epoch it belongs to.
    pub epoch: Epoch,
    /// None until the pool is opened.
    pub limit: Option<Limit>,
    /// Spent by tenures that are not members.
    pub base: i64,
    /// How often somebody has declared.
    pub version: i64,
    /// When it was used last.
    pub touched_ms: i64,
    /// By tenure.
    pub members: BTreeMap<Holder, Member>,
}

impl Pool {
    fn new(epoch: Epoch, now_ms: i64) -> Self {
        Self { epoch, limit: None, base: 0, version: 0, touched_ms: now_ms, members: BTreeMap::new() }
    }

    /// Returns what is spent or burnt, and what is leased.
    pub fn sums(&self) -> (i64, i64) {
        let (mut spent, mut leased) = (self.base, 0_i64);
        for member in self.members.values() {
            if member.ended {
                spent = spent.saturating_add(member.authority);
            } else {
                spent = spent.saturating_add(member.spent);
                leased = leased.saturating_add(member.lease());
            }
        }
        (spent, leased)
    }

    /// Ends a tenure: what it had and did not spend is burnt.
    fn end(&mut self, holder: Holder) {
        let Some(member) = self.members.get_mut(&holder) else { return };
        member.ended = true;
        if member.lease() == 0 {
            self.base = self.base.saturating_add(member.spent).min(MAX);
            self.members.remove(&holder);
        }
    }

    fn end_of_the_dead(&mut self, lives: &mut Lives, now_ms: i64, but: Option<Holder>) -> i64 {
        let ending: Vec<Holder> = self
            .members
            .iter()
            .filter(|(holder, member)| {
                let replaced = but.is_some_and(|but| holder.node == but.node && holder.tenure < but.tenure);
                let own = but == Some(**holder);
                !member.ended && !own && (replaced || lives.dead_since(holder.node, now_ms).is_some())
            })
            .map(|(holder, _)| *holder)
            .collect();
        for holder in &ending {
            self.end(*holder);
        }
        i64::try_from(ending.len()).unwrap_or(i64::MAX)
    }
}

/// A pool while an operation is done.
pub(crate) struct Scene<'a> {
    pub(crate) pool: &'a mut Option<Pool>,
    pub(crate) lives: &'a mut Lives,
    pub(crate) now_ms: i64,
    /// Rest of the grace time.
    pub(crate) wait_ms: i64,
    pub(crate) grace_ms: i64,
    pub(crate) epoch: Epoch,
}

impl Scene<'_> {
    pub(crate) fn sync(&mut self, sync: &Sync) -> Result<Granted, Refusal> {
        let member = self.pool.as_ref().and_then(|pool| pool.members.get(&sync.holder)).copied();
        match &member {
            Some(member) if member.ended => return Err(Refusal::Forgotten),
            Some(member) if member.seq == sync.seq => return Ok(member.last),
            Some(member) if member.seq > sync.seq => return Err(Refusal::Stale),
            None if sync.seq != 1 || self.has_later(sync.holder) => return Err(Refusal::Forgotten),
            _ => {}
        }
        let opening = self.opening();
        let Some(pool) = self.pool.as_mut() else { return Err(opening) };
        let Some(mut limit) = pool.limit else { return Err(opening) };
        pool.end_of_the_dead(self.lives, self.now_ms, Some(sync.holder));
        if sync.limit.revision > limit.revision {
            limit = Limit { amount: cut(sync.limit.amount), revision: sync.limit.revision };
        }
        pool.limit = Some(limit);

        let mut member = member.unwrap_or_default();
        member.spent = member.spent.max(cut(sync.spent));
        member.authority -= cut(sync.give_back).min(member.lease().max(0));
        // Spent beyond the lease: that is done, and counts.
        member.authority = member.authority.max(member.spent);
        pool.members.insert(sync.holder, member);
        let (spent_all, leased_all) = pool.sums();
        let free = limit.amount.saturating_sub(spent_all).saturating_sub(leased_all);
        let (want, need) = (cut(sync.want), cut(sync.need));
        let granted = if free < need || free <= 0 { 0 } else { want.min(free / SHARE).max(need) };
        member.authority += granted;
        member.seq = sync.seq;
        member.last = Granted {
            granted,
            lease: member.lease(),
            limit: limit.amount,
            spent_all: spent_all.min(MAX),
            leased_all: leased_all.saturating_add(granted).min(MAX),
        };
        pool.members.insert(sync.holder, member);
        pool.touched_ms = self.now_ms;
        Ok(member.last)
    }

    pub(crate) fn declare(&mut self, declare: &Declare) -> Result<Done, Refusal> {
        if let Some(member) = self.pool.as_ref().and_then(|pool| pool.members.get(&declare.holder)) {
            return match member {
                Member { ended: true, .. } => Err(Refusal::Forgotten),
                member if member.seq == declare.seq => Ok(Done::Declared),
                member if member.seq > declare.seq => Err(Refusal::Stale),
                _ => Err(Refusal::Forgotten),
            };
        }
        if self.pool.as_ref().is_some_and(|pool| pool.limit.is_some()) {
            // The base counts this tenure already, as far as the durable store knew of it.
            return Err(Refusal::Forgotten);
        }
        let spent = cut(declare.spent);
        let authority = spent.saturating_add(cut(declare.lease)).min(MAX);
        let pool = self.pool.get_or_insert_with(|| Pool::new(self.epoch, self.now_ms));
        pool.members
            .insert(declare.holder, Member { seq: declare.seq, authority, spent, ..Member::default() });
        pool.version += 1;
        pool.touched_ms = self.now_ms;
        Ok(Done::Declared)
    }

    pub(crate) fn init(&mut self, init: &Init) -> Result<Done, Refusal> {
        if self.pool.as_ref().is_some_and(|pool| pool.limit.is_some()) {
            return Ok(Done::Opened);
        }
        let version = self.pool.as_ref().map_or(0, |pool| pool.version);
        // Who took longer than the grace time knows an old base.
        let late = self.now_ms - init.opened_ms > self.grace_ms || init.opened_ms > self.now_ms;
        if self.wait_ms > 0 || version != init.version || late {
            return Err(self.opening());
        }
        let pool = self.pool.get_or_insert_with(|| Pool::new(self.epoch, self.now_ms));
        pool.limit = Some(Limit { amount: cut(init.limit.amount), revision: init.limit.revision });
        pool.base = cut(init.base);
        pool.touched_ms = self.now_ms;
        Ok(Done::Opened)
    }

    pub(crate) fn credit(&mut self, credit: &Credit) -> Result<Done, Refusal> {
        if self.pool.as_ref().is_some_and(|pool| pool.limit.is_none()) {
            // Whoever opens it has been told its members, and counts on them.
            return Err(self.opening());
        }
        let Some(pool) = self.pool.as_mut() else { return Err(Refusal::Closed) };
        let Some(known) = pool.members.get(&credit.holder) else { return Err(Refusal::Closed) };
        if let Some(read_ms) = credit.foreign {
            if !credit.holder.node.writes_ahead() {
                return Err(Refusal::Unproven);
            }
            let Some(since) = self.lives.dead_since(credit.holder.node, self.now_ms) else {
                return Err(Refusal::StillAlive);
            };
            // A node that lives on unheard has fenced itself by then.
            let wait = since + self.grace_ms - self.now_ms;
            if wait > 0 {
                return Err(Refusal::Wait(wait.min(self.grace_ms)));
            }
            // What was read before may miss a hold of that node's last moment.
            if read_ms < since + self.grace_ms || read_ms > self.now_ms {
                return Err(Refusal::Read(self.now_ms));
            }
        } else if known.seq >= credit.seq {
            return Ok(Done::Credited { burnt: known.lease() });
        }
        let (mut member, mut burnt) = (*known, 0);
        if credit.foreign.is_some() {
            member.spent = cut(credit.spent).max(member.spent);
        } else {
            member.spent = member.spent.max(cut(credit.spent));
            member.seq = credit.seq;
            burnt = member.lease().clamp(0, cut(credit.keep));
        }
        member.authority = member.spent + burnt;
        member.ended = true;
        pool.members.insert(credit.holder, member);
        pool.end(credit.holder);
        pool.touched_ms = self.now_ms;
        Ok(Done::Credited { burnt })
    }

    pub(crate) fn reap(&mut self, reap: &Reap) -> Done {
        let now_ms = self.now_ms;
        let Some(pool) = self.pool.as_mut() else {
            return Done::Reaped { ended: 0, removed: true, now_ms, dead: Vec::new() };
        };
        let (mut ended, mut in_use, mut dead) = (0, false, Vec::new());
        if pool.limit.is_some() {
            ended = pool.end_of_the_dead(self.lives, self.now_ms, None);
            in_use = pool.sums().1 > 0;
            for (holder, _) in pool.members.iter().filter(|(_, member)| member.ended) {
                // The same as in a credit: then a node that lives on unheard has fenced itself.
                let since = self.lives.dead_since(holder.node, now_ms);
                if holder.node.writes_ahead() && since.is_some_and(|since| since + self.grace_ms <= now_ms) {
                    dead.push(*holder);
                }
            }
        } else {
            // Nobody's tenure ends before the pool is open: its opener may count on the members it was told.
            for (holder, member) in &pool.members {
                let dead = self.lives.dead_since(holder.node, self.now_ms).is_some();
                in_use |= !dead && member.lease() > 0;
            }
        }
        // Whoever was told to open it must have given up before it goes.
        let idle_ms = reap.idle_ms.max(2 * self.grace_ms);
        let removed = !in_use && self.now_ms - pool.touched_ms > idle_ms;
        if removed {
            *self.pool = None;
        }
        if removed {
            dead.clear();
        }
        Done::Reaped { ended, removed, now_ms, dead }
    }

    fn has_later(&self, holder: Holder) -> bool {
        self.pool.as_ref().is_some_and(|pool| {
            pool.members.keys().any(|other| other.node == holder.node && other.tenure > holder.tenure)
        })
    }

    fn opening(&self) -> Refusal {
        if self.wait_ms > 0 {
            return Refusal::Wait(self.wait_ms);
        }
        let pool = self.pool.as_ref();
        Refusal::Uninitialised(Opening {
            version: pool.map_or(0, |pool| pool.version),
            opened_ms: self.now_ms,
            members: pool.map_or_else(Vec::new, |pool| pool.members.keys().copied().collect()),
        })
    }
}
