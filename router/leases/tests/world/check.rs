//! What must hold at any instant, and at rest.

use tidegate_leases::Holder;
use tidegate_leases::protocol::{Asked, Op, Reap};

use super::World;

impl World {
    /// What must hold at any instant.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (at, id) in self.pools.iter().enumerate() {
            let largest = self.largest[at];
            if self.used[at] > largest {
                return Err(format!("{} used of {largest} in {id}", self.used[at]));
            }
            if let Some(pool) = self.model.pool(id).filter(|pool| pool.limit.is_some()) {
                let (spent, leased) = pool.sums();
                if spent + leased > largest + self.doubt[at] {
                    return Err(format!("{spent} spent and {leased} leased of {largest} in {id}: {pool:?}"));
                }
            }
        }
        Ok(())
    }

    /// Ends all faults, and what is under way; then nothing may be leased, and the sums must agree.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.calm = true;
        for node in 0..self.nodes.len() {
            self.nodes[node].paused_until = 0;
            while !self.nodes[node].requests.is_empty() {
                self.finish(node, 0, 70);
            }
            let sim = &mut self.nodes[node];
            sim.shares.iter_mut().for_each(|share| share.leave(true));
            // A share that nobody needs does not join, and what an owner before it had would stay.
            sim.needs.fill(1);
        }
        for _ in 0..300 {
            (0..5).for_each(|_| self.tick());
            for pool in 0..self.pools.len() {
                let epoch = self.nodes[0].node.standing().epoch;
                self.post(0, pool, Asked { epoch, op: Op::Reap(Reap { idle_ms: i64::MAX / 2 }) });
            }
            self.check()?;
        }
        for (at, id) in self.pools.iter().enumerate() {
            for sim in &self.nodes {
                let share = &sim.shares[at];
                if share.held() != 0 || share.lease() > 0 {
                    return Err(format!("{id}: {share:?} does not come to rest"));
                }
            }
            let Some(pool) = self.model.pool(id).filter(|pool| pool.limit.is_some()) else { continue };
            let (spent, leased) = pool.sums();
            if leased != 0 {
                return Err(format!("{leased} leased at rest in {id}: {pool:?}"));
            }
            let of =
                |holder: &Holder| self.durable.get(&(at, *holder)).map_or(0, |(spent, open)| spent + open);
            let real: i64 =
                self.durable.iter().filter(|((pool, _), _)| *pool == at).map(|(_, (s, o))| s + o).sum();
            let burnt: i64 = pool
                .members
                .iter()
                .filter(|(_, member)| member.ended)
                .map(|(holder, member)| member.authority - of(holder))
                .sum();
            if !self.faults.forgets && spent != real + burnt {
                return Err(format!("{spent} spent, but really {real} and {burnt} burnt in {id}: {pool:?}"));
            }
            // What a killed node wrote and could not send any more stays in the durable store, but is no use.
            let used = self.used[at];
            if spent < used {
                return Err(format!("{spent} spent, but {used} used in {id}: {pool:?}"));
            }
        }
        Ok(())
    }
}
