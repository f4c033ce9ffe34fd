//! What must hold at any instant, and at rest.

use tidegate_leases::Holder;

use super::World;

impl World {
    /// What must hold at any instant.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        for ((at, holder), credited) in &self.credited {
            let used = self.used_by.get(&(*at, *holder)).copied().unwrap_or_default();
            if used > *credited {
                return Err(format!("{holder} used {used}, and was credited with {credited} in pool {at}"));
            }
        }
        for (at, id) in self.pools.iter().enumerate() {
            let largest = self.largest[at] + self.let_in[at];
            if self.used[at] > largest {
                return Err(format!("{} used of {largest} in {id}", self.used[at]));
            }
            if let Some(pool) = self.model.pool(id).filter(|pool| pool.limit.is_some()) {
                let (spent, leased) = pool.sums();
                // What was let in may be counted twice in doubt; then nothing is granted, which is seen with each answer.
                if !self.faults.open && spent + leased > largest + self.doubt[at] {
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
        }
        for round in 0..300 {
            if round % 100 == 0 {
                // A share that nobody needs does not join, and what an owner before it had would stay; the first need
                // may only come to a declaration.
                self.nodes.iter_mut().for_each(|sim| sim.needs.fill(1));
            }
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
                // A share also reports what was let in under another's name.
                burnt += member.authority - self.store.spent(at, *holder).max(member.spent);
            }
            // What requests really spent, and held when their node was killed.
            let used = self.used[at] - self.orphaned[at];
            if spent < used {
                return Err(format!("{spent} spent, but {used} used in {id}: {pool:?}"));
            }
            // A node that slept may write a hold when others have asked the store about its tenure already. It can't
            // send it any more; if it dies before it says so, the hold is settled in full: spent in the store, by nobody.
            let late = |(of, known): (&(usize, Holder), &i64)| self.store.spent(of.0, of.1) - known;
            let credited = self.credited.iter().filter(|((pool, _), _)| *pool == at);
            let late: i64 = credited.map(late).filter(|late| *late > 0).sum();
            let real = self.store.of_others(at, &[]) - late - self.orphaned[at];
            // In doubt what was let in is counted twice.
            let exact = if self.faults.open { spent >= real + burnt } else { spent == real + burnt };
            if !self.faults.forgets && !exact {
                return Err(format!("{spent} spent, but really {real} and {burnt} burnt in {id}: {pool:?}"));
            }
        }
        Ok(())
    }
}
