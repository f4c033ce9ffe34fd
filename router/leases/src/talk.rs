//! What a share says to Redis, and what it makes of the answers.

use crate::ids::{Epoch, Holder};
use crate::node::Standing;
use crate::protocol::{Answer, Asked, Credit, Declare, Done, Granted, Init, Op, Opening, Refusal, Sync, cut};
use crate::share::{Share, Waiting};

/// What an answer came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Something changed: try to hold, and ask [`Share::next`] again.
    Done,
    /// What was needed is not left in the pool. Say so to whoever waits for it.
    Exhausted(Granted),
    /// Ask the durable store, send [`Share::open`], then go on.
    Open(Opening),
    /// Nothing new before so long.
    Wait(i64),
    /// Redis is in another epoch or takes the node for dead: [`crate::Node::hurry`], then go on.
    Hurry,
    /// To something that is no longer asked.
    Ignored,
}

impl Share {
    /// Returns what to send now, if anything. `need` is what somebody waits for, 0 without anybody.
    pub fn next(&mut self, now_ms: i64, standing: &Standing, need: i64) -> Option<Asked> {
        self.follow(standing);
        if now_ms >= standing.until_ms {
            // Redis does not know this node yet, or any more.
            return None;
        }
        if let Some(waiting) = &mut self.waiting {
            if waiting.sent {
                return None;
            }
            waiting.sent = true;
            return Some(waiting.asked);
        }
        let op = self.choose(now_ms, standing, need)?;
        let asked = Asked { epoch: standing.epoch, op };
        self.waiting = Some(Waiting { asked, sent: true });
        Some(asked)
    }

    /// Nothing came back: the same is sent again.
    pub fn lost(&mut self, asked: &Asked) {
        if let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.asked == *asked) {
            waiting.sent = false;
        }
    }

    /// Nothing came back of whatever is under way: it is sent again.
    pub fn repeat(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.sent = false;
        }
    }

    /// Takes an answer.
    pub fn hear(&mut self, now_ms: i64, standing: &Standing, asked: &Asked, answer: &Answer) -> Outcome {
        let Some(waiting) = self.waiting.filter(|waiting| waiting.asked == *asked) else {
            return Outcome::Ignored;
        };
        match &answer.result {
            Ok(done) => {
                self.waiting = None;
                self.done(now_ms, &waiting.asked, done)
            }
            Err(refusal) => {
                self.lost(asked);
                self.refused(standing, &waiting.asked, refusal)
            }
        }
    }

    /// Returns how to open the pool. `base` is what the durable store says was spent *and is held* in this period by
    /// all but the opening's members; it must have been asked after the opening was answered.
    pub fn open(&self, standing: &Standing, opening: &Opening, base: i64) -> Asked {
        let (version, opened_ms) = (opening.version, opening.opened_ms);
        let init = Init { node: standing.node, version, opened_ms, limit: self.limit, base: cut(base) };
        Asked { epoch: standing.epoch, op: Op::Init(init) }
    }

    /// Draws the consequences of another life of the node and of another epoch.
    fn follow(&mut self, standing: &Standing) {
        if self.waiting.is_some_and(|waiting| waiting.asked.epoch != standing.epoch) {
            // Redis will refuse it, or has forgotten it.
            self.waiting = None;
        }
        if self.current.holder.node != standing.node {
            self.retire(standing);
        }
        // What an earlier epoch burnt is forgotten; the base has it from the durable store.
        let forgotten = self.ended.extract_if(.., |tenure| tenure.epoch != standing.epoch);
        let uncounted = forgotten.map(|tenure| tenure.uncounted()).sum();
        // What was charged since the store was asked, the base has not. In doubt that is counted twice.
        self.current.charge(uncounted);
        if self.current.epoch == standing.epoch {
            return;
        }
        if self.current.epoch == Epoch::UNKNOWN {
            // It was charged before anybody was heard.
            self.current.epoch = standing.epoch;
            return;
        }
        let idle = self.current.held == 0 && self.lease() <= 0;
        if (!self.current.joined || idle) && self.current.uncounted() == 0 {
            self.retire(standing);
            // The base has it.
            self.ended.clear();
            (self.current.spent, self.current.charged) = (0, 0);
        }
    }

    fn choose(&mut self, now_ms: i64, standing: &Standing, need: i64) -> Option<Op> {
        if self.current.epoch != standing.epoch || self.current.undeclared {
            let tenure = &mut self.current;
            tenure.seq += 1;
            let lease = (tenure.authority - tenure.spent).max(0);
            return Some(Op::Declare(Declare {
                holder: tenure.holder,
                seq: tenure.seq,
                spent: tenure.spent,
                lease,
            }));
        }
        let short = cut(need).saturating_sub(self.current.available());
        if need > 0 && short > 0 {
            let want = if self.leaving { short } else { short.saturating_add(self.slice) };
            return Some(self.sync(0, want, short));
        }
        if let Some(credit) = self.credit() {
            return Some(credit);
        }
        let give_back = self.idle(now_ms);
        if give_back > 0 {
            return Some(self.sync(give_back, 0, 0));
        }
        let want = self.top_up(now_ms);
        if want > 0 {
            return Some(self.sync(0, want, 0));
        }
        let news = self.current.spent > self.current.reported
            || self.last.is_some_and(|last| self.current.joined && last.limit != cut(self.limit.amount));
        let due = self.leaving || now_ms - self.synced_ms >= self.rules.report_ms;
        (news && due).then(|| self.sync(0, 0, 0))
    }

    /// Returns what an ended tenure has to say: at first, when half of what is burnt is free, and at the end.
    fn credit(&mut self) -> Option<Op> {
        let tenure =
            self.ended.iter_mut().find(|tenure| tenure.held == 0 || tenure.held <= tenure.burnt / 2)?;
        tenure.seq += 1;
        Some(Op::Credit(Credit {
            holder: tenure.holder,
            seq: tenure.seq,
            spent: tenure.spent,
            keep: tenure.held,
            foreign: None,
        }))
    }

    fn done(&mut self, now_ms: i64, asked: &Asked, done: &Done) -> Outcome {
        match (&asked.op, done) {
            (Op::Sync(sync), Done::Synced(granted)) => self.synced(now_ms, sync, granted),
            (Op::Declare(declare), Done::Declared) => {
                let tenure = &mut self.current;
                tenure.epoch = asked.epoch;
                (tenure.joined, tenure.undeclared) = (true, false);
                tenure.authority = declare.spent.saturating_add(declare.lease);
                tenure.reported = declare.spent;
                Outcome::Done
            }
            (Op::Credit(credit), Done::Credited { burnt }) => {
                if let Some(tenure) = self.ended.iter_mut().find(|tenure| tenure.holder == credit.holder) {
                    tenure.burnt = *burnt;
                    tenure.reported = credit.spent;
                }
                if *burnt == 0 {
                    self.close(credit.holder);
                }
                Outcome::Done
            }
            _ => Outcome::Ignored,
        }
    }

    fn synced(&mut self, now_ms: i64, sync: &Sync, granted: &Granted) -> Outcome {
        let tenure = &mut self.current;
        tenure.joined = true;
        tenure.authority = sync.spent.saturating_add(granted.lease);
        tenure.reported = sync.spent;
        self.last = Some(*granted);
        self.synced_ms = now_ms;
        if granted.granted > 0 {
            self.watched_ms = now_ms;
        } else if sync.want > 0 {
            self.full_until_ms = now_ms + self.rules.report_ms;
        }
        if sync.need > granted.granted { Outcome::Exhausted(*granted) } else { Outcome::Done }
    }

    fn refused(&mut self, standing: &Standing, asked: &Asked, refusal: &Refusal) -> Outcome {
        let unknown = !self.current.joined && self.current.spent > 0 && !self.current.undeclared;
        match refusal {
            Refusal::Wait(_) | Refusal::Uninitialised(_) if unknown && matches!(asked.op, Op::Sync(_)) => {
                self.current.undeclared = true;
                self.waiting = None;
                Outcome::Done
            }
            Refusal::NewEpoch { .. } | Refusal::Fenced => Outcome::Hurry,
            Refusal::Wait(ms) => Outcome::Wait(*ms),
            Refusal::Uninitialised(opening) => Outcome::Open(opening.clone()),
            Refusal::Forgotten | Refusal::Stale => {
                self.retire(standing);
                Outcome::Done
            }
            Refusal::Closed | Refusal::StillAlive | Refusal::Read(_) | Refusal::Unproven => {
                self.waiting = None;
                if let Op::Credit(credit) = &asked.op {
                    self.close(credit.holder);
                }
                Outcome::Done
            }
        }
    }

    /// Forgets a tenure that Redis does not count as burnt any more. Others may have closed it from the durable store
    /// while this node went on without Redis: what it was charged may be later than that, and is charged to the
    /// current one. In doubt it is counted twice.
    fn close(&mut self, holder: Holder) {
        let closed = self.ended.extract_if(.., |tenure| tenure.holder == holder);
        let uncounted = closed.map(|tenure| tenure.uncounted()).sum();
        self.current.charge(uncounted);
    }
}
