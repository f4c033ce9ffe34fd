//! What must hold at any instant, and at rest.

use super::World;

impl World {
    /// What must hold at any instant.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        for ((at, holder), known) in &self.closed {
            let used = self.used_by.get(&(*at, *holder)).copied().unwrap_or_default();
            if used > *known {
                return Err(format!("{holder} used {used}, and pool {at} was told {known}"));
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
            // Of what is burnt: what the store does not know to be spent, and what no request used.
            let (mut burnt, mut unused) = (0, 0);
            for (holder, member) in pool.members.iter().filter(|(_, member)| member.ended) {
                // An owner that died in a living process is not known to be dead.
                let lives = self.nodes.iter().any(|sim| sim.node.standing().node == holder.node);
                if holder.node.writes_ahead() && !lives {
                    return Err(format!("nobody credited {member:?} of {holder} in {id}"));
                }
                burnt += member.authority - self.store.spent(at, *holder);
                let used = self.used_by.get(&(at, *holder)).copied().unwrap_or_default();
                let let_in = if self.faults.open { member.spent } else { 0 };
                unused += (member.authority - used - let_in).max(0);
            }
            // What requests really spent, and held when their node was killed. In doubt what was let in counts twice.
            let used = self.used[at] - self.orphaned[at];
            if spent < used + unused {
                return Err(format!("{spent} spent, but {used} used and {unused} burnt in {id}: {pool:?}"));
            }
            if self.faults.forgets || self.faults.open {
                continue;
            }
            // The store may have more of a tenure than its requests used, which the pool was told: a node that died before
            // its last settlements were written, or that slept and wrote a hold when its tenure was closed already.
            let mut more = 0;
            for ((_, holder), known) in self.closed.iter().filter(|((pool, _), _)| *pool == at) {
                let spent = self.store.spent(at, *holder);
                if holder.node.writes_ahead() && *known > spent {
                    return Err(format!("{holder} spent {spent}, and {id} was told {known}"));
                }
                more += spent - known;
            }
            let real = self.store.of_others(at, &[]) - more;
            if spent != real + burnt {
                return Err(format!("{spent} spent, but really {real} and {burnt} burnt in {id}: {pool:?}"));
            }
        }
        Ok(())
    }
}
