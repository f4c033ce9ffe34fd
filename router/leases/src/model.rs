//! What Redis does, as a pure state machine: the reference for `pool.lua`, and a shared memory for one process.
//!
//! Both must give the same answers and hold the same state; `tests/conformance.rs` compares them. Nothing here reads
//! a clock: time is Redis' own, and no other clock is ever compared with it.

use std::collections::BTreeMap;

use crate::ids::{Epoch, NodeId, PoolId};
use crate::pool::{Pool, Scene};
use crate::protocol::{Answer, Asked, Beat, Done, Op, Refusal};

/// Nodes dead for longer are forgotten: no message of theirs is on its way any more.
pub const FORGET_MS: i64 = 24 * 3_600_000;

/// What an operation finds around it.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Redis' clock.
    pub now_ms: i64,
    /// Which life of the Redis process this is.
    pub run: u64,
    /// The epoch, should a new one begin.
    pub proposal: Epoch,
    /// For so long a new epoch opens no pool.
    pub grace_ms: i64,
}

/// An epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Era {
    epoch: Epoch,
    run: u64,
    ready_ms: i64,
}

/// When nodes die: their deadline, or the negative of the time they were declared dead.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lives(BTreeMap<NodeId, i64>);

impl Lives {
    /// Returns whether a node may act.
    pub(crate) fn may_act(&self, node: NodeId) -> bool {
        self.0.get(&node).is_some_and(|score| *score > 0)
    }

    /// Declares a node dead if its time is over. Returns whether it is dead, and since when.
    pub(crate) fn dead_since(&mut self, node: NodeId, now_ms: i64) -> Option<i64> {
        match self.0.get(&node).copied() {
            None => Some(0),
            Some(score) if score <= 0 => Some(-score),
            Some(score) if score < now_ms => {
                self.0.insert(node, -now_ms);
                Some(now_ms)
            }
            Some(_) => None,
        }
    }

    fn beat(&mut self, beat: &Beat, now_ms: i64) -> bool {
        let before = now_ms - FORGET_MS;
        if beat.first {
            self.0.retain(|_, score| *score < -before || *score > before);
        }
        match self.0.get(&beat.node) {
            None if !beat.first => false,
            Some(score) if *score <= 0 => false,
            // Late, but nobody has taken its lease yet.
            _ => {
                self.0.insert(beat.node, now_ms + beat.ttl_ms);
                true
            }
        }
    }
}

/// Redis, as far as leases go.
#[derive(Clone, Debug, Default)]
pub struct Model {
    era: Option<Era>,
    lives: Lives,
    pools: BTreeMap<PoolId, Pool>,
}

impl Model {
    /// Obeys one operation.
    pub fn handle(&mut self, around: &Surroundings, pool: &PoolId, asked: &Asked) -> Answer {
        let era = self.era(around);
        Answer { epoch: era.epoch, result: self.obey(around, &era, pool, asked) }
    }

    /// Forgets everything.
    pub fn flush(&mut self) {
        *self = Self::default();
    }

    /// Returns a pool as it is kept, for tests and for whoever wants to look.
    pub fn pool(&self, pool: &PoolId) -> Option<&Pool> {
        let era = self.era?;
        self.pools.get(pool).filter(|pool| pool.epoch == era.epoch)
    }

    /// Returns when nodes die: their deadline, or the negative of the time they were declared dead.
    pub fn lives(&self) -> impl Iterator<Item = (NodeId, i64)> {
        self.lives.0.iter().map(|(node, score)| (*node, *score))
    }

    fn era(&mut self, around: &Surroundings) -> Era {
        if let Some(era) = self.era.filter(|era| era.run == around.run) {
            return era;
        }
        let ready_ms = around.now_ms + around.grace_ms;
        let era = Era { epoch: around.proposal, run: around.run, ready_ms };
        self.lives = Lives::default();
        *self.era.insert(era)
    }

    fn obey(
        &mut self,
        around: &Surroundings,
        era: &Era,
        id: &PoolId,
        asked: &Asked,
    ) -> Result<Done, Refusal> {
        // A clock that was set back must not make the wait longer.
        let wait_ms = (era.ready_ms - around.now_ms).clamp(0, around.grace_ms);
        let now_ms = around.now_ms;
        if !matches!(asked.op, Op::Reap(_)) && asked.epoch != era.epoch {
            return Err(Refusal::NewEpoch { epoch: era.epoch, wait_ms });
        }
        if let Op::Beat(beat) = &asked.op {
            let alive = self.lives.beat(beat, now_ms);
            return if alive { Ok(Done::Alive { wait_ms }) } else { Err(Refusal::Fenced) };
        }
        let actor = match &asked.op {
            Op::Sync(sync) => Some(sync.holder.node),
            Op::Declare(declare) => Some(declare.holder.node),
            Op::Init(init) => Some(init.node),
            _ => None,
        };
        if actor.is_some_and(|node| !self.lives.may_act(node)) {
            return Err(Refusal::Fenced);
        }
        let mut pool = self.pools.remove(id);
        if pool.as_ref().is_some_and(|pool| pool.epoch != era.epoch) {
            pool = None;
        }
        let mut scene = Scene {
            pool: &mut pool,
            lives: &mut self.lives,
            now_ms,
            wait_ms,
            grace_ms: around.grace_ms,
            epoch: era.epoch,
        };
        let result = match &asked.op {
            Op::Sync(sync) => scene.sync(sync).map(Done::Synced),
            Op::Declare(declare) => scene.declare(declare),
            Op::Init(init) => scene.init(init),
            Op::Credit(credit) => scene.credit(credit),
            Op::Reap(reap) => Ok(scene.reap(reap)),
            Op::Beat(_) => Err(Refusal::Closed),
        };
        if let Some(pool) = pool {
            self.pools.insert(id.clone(), pool);
        }
        result
    }
}
