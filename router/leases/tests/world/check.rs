//! What must hold at any instant, and at rest.

use super::World;

impl World {
    /// What must hold at any instant.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (at, id) in self.pools.iter().enumerate() {
            let largest = self.largest[at] + self.let_in[at];
            if self.used[at] > largest {
                return Err(format!("{} used of {largest} in {id}", self.used[at]));
            }
            if let Some(pool) = self.model.pool(id).filter(|pool| pool.limit.is_some()) {
                let (spent, leased) = pool.sums();
                if spent + leased > largest + self.doubt[at] + self.let_in[at] {
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
            self.recover();
            self.credit_the_dead(0);
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
            let mut burnt = 0;
            for (holder, member) in pool.members.iter().filter(|(_, member)| member.ended) {
                // An owner that died in a living process is not known to be dead.
                let lives = self.nodes.iter().any(|sim| sim.node.standing().node == holder.node);
                if holder.node.writes_ahead() && !lives {
                    return Err(format!("nobody credited {member:?} of {holder} in {id}"));
                }
                burnt += member.authority - self.store.spent(at, *holder);
            }
            let real = self.store.of_others(at, &[]);
            // What was let in may be in a base and be reported, too.
            let exact = spent == real + burnt || (self.faults.open && spent > real + burnt);
            if !self.faults.forgets && !exact {
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
