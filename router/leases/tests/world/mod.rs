//! A simulated cluster: its faults, and what must hold whatever happens.

mod check;
mod net;
mod store;

use std::collections::BTreeMap;

use tidegate_leases::protocol::{Asked, Credit, Limit, Op, Reap};
use tidegate_leases::{
    Epoch, Held, Holder, Model, Node, NodeId, PoolId, Rules, Share, Surroundings, Tenures, Timing,
};

use net::Message;
use store::{Entry, Ledger, Store};

/// Clocks run up to a third fast or a quarter slow: the grace time covers it.
pub(crate) const TIMING: Timing = Timing { ttl_ms: 100, beat_ms: 25, grace_ms: 200 };
const RULES: Rules = Rules { slice: 50, idle_ms: 40, report_ms: 20 };
const FIRST_LIMIT: i64 = 1_000;
/// Between a process' death and the settling of its holds.
const DEAD_AFTER_MS: i64 = 160;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) kills: bool,
    pub(crate) forgets: bool,
    /// The last node sends before a hold is durable.
    pub(crate) late: bool,
    /// Requests are let in that nobody checks.
    pub(crate) open: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Hold {
        node: usize,
        pool: usize,
        amount: i64,
    },
    Write {
        node: usize,
        at: usize,
    },
    Send {
        node: usize,
        at: usize,
    },
    Settle {
        node: usize,
        at: usize,
        percent: i64,
    },
    Pass {
        ms: i64,
    },
    Pause {
        node: usize,
        ms: i64,
    },
    Limit {
        pool: usize,
        amount: i64,
    },
    Reap {
        node: usize,
        pool: usize,
    },
    CreditTheDead {
        node: usize,
    },
    /// A request that nobody checks: its limit is open on store loss.
    LetIn {
        node: usize,
        pool: usize,
        amount: i64,
    },
    /// Somebody settles what killed processes left open.
    Recover,
    /// The owner of a share dies without its process; its requests go on.
    Forget {
        node: usize,
    },
    Kill {
        node: usize,
    },
    RedisForgets,
    RedisSaves,
    RedisGoesBack,
}

/// What happened, to see that the test tests something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) sent: u64,
    pub(crate) refused_late: u64,
    pub(crate) exhausted: u64,
    pub(crate) opened: u64,
    pub(crate) declared: u64,
    pub(crate) credited: u64,
    pub(crate) foreign: u64,
    pub(crate) fenced: u64,
    pub(crate) epochs: u64,
    pub(crate) delivered: u64,
    pub(crate) let_in: u64,
}

impl Told {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.refused_late += other.refused_late;
        self.exhausted += other.exhausted;
        self.opened += other.opened;
        self.declared += other.declared;
        self.credited += other.credited;
        self.foreign += other.foreign;
        self.fenced += other.fenced;
        self.epochs += other.epochs;
        self.delivered += other.delivered;
        self.let_in += other.let_in;
    }
}

/// How far a request is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Held,
    Writing,
    Sent,
}

#[derive(Debug)]
struct Request {
    id: u64,
    pool: usize,
    holder: Holder,
    kept: Kept,
    stage: Stage,
}

/// What a request holds.
#[derive(Debug)]
enum Kept {
    Leased(Held),
    /// What no lease covers.
    LetIn(i64),
}

impl Kept {
    fn amount(&self) -> i64 {
        match self {
            Self::Leased(held) => held.amount(),
            Self::LetIn(amount) => *amount,
        }
    }
}

struct Sim {
    /// Another process has another one.
    life: u64,
    node: Node,
    tenures: Tenures,
    shares: Vec<Share>,
    needs: Vec<i64>,
    /// When the share's operation was sent, on the node's clock.
    sent_ms: Vec<i64>,
    /// Not before.
    wait_ms: Vec<i64>,
    requests: Vec<Request>,
    ledger: Ledger,
    /// What dead nodes left, as Redis said; whether the durable store said that nothing of it is held any more.
    credits: Vec<(usize, Holder, i64, bool)>,
    clock: (i64, i64),
    paused_until: i64,
}

pub(crate) struct World {
    model: Model,
    saved: Model,
    around: Surroundings,
    nodes: Vec<Sim>,
    pools: Vec<PoolId>,
    limits: Vec<Limit>,
    /// The largest limit that was ever in force.
    largest: Vec<i64>,
    /// What bases counted too much: holds that were written, and may not be sent any more.
    doubt: Vec<i64>,
    /// With the time they arrive at.
    messages: Vec<(i64, Message)>,
    random: u64,
    faults: Faults,
    /// Nothing is lost, late or doubled any more.
    calm: bool,
    store: Store,
    /// Ledgers of the killed, with their life and when they were killed.
    legacies: BTreeMap<u64, (Ledger, i64)>,
    /// Per pool: spent, or held by requests that went upstream, be their node dead.
    used: Vec<i64>,
    /// Per pool: held or spent by requests that nobody checked.
    let_in: Vec<i64>,
    /// Per tenure: what its requests spent of leases, or hold once they went upstream.
    used_by: BTreeMap<(usize, Holder), i64>,
    /// Tenures that are no members any more, with what the pool knows to be spent of them.
    closed: BTreeMap<(usize, Holder), i64>,
    /// Per pool: let in by processes that were killed before Redis heard of it.
    orphaned: Vec<i64>,
    /// What must not be, as far as it is seen at once.
    wrong: Option<String>,
    requests: u64,
    lives: u64,
    pub(crate) told: Told,
}

impl World {
    pub(crate) fn new(clocks: &[(i64, i64)], seed: u64, faults: Faults) -> Self {
        let pools = vec![PoolId::new("a", 1), PoolId::new("a", 2)];
        let around =
            Surroundings { now_ms: 1_000_000, run: 1, proposal: Epoch(1), grace_ms: TIMING.grace_ms };
        let limits = vec![Limit { amount: FIRST_LIMIT, revision: 1 }; pools.len()];
        let mut world = Self {
            model: Model::default(),
            saved: Model::default(),
            around,
            nodes: Vec::new(),
            largest: vec![FIRST_LIMIT; pools.len()],
            doubt: vec![0; pools.len()],
            used: vec![0; pools.len()],
            let_in: vec![0; pools.len()],
            orphaned: vec![0; pools.len()],
            used_by: BTreeMap::new(),
            closed: BTreeMap::new(),
            wrong: None,
            limits,
            pools,
            messages: Vec::new(),
            random: seed | 1,
            calm: false,
            faults,
            store: Store::default(),
            legacies: BTreeMap::new(),
            requests: 0,
            lives: 0,
            told: Told::default(),
        };
        for (at, clock) in clocks.iter().enumerate() {
            let sim = world.born(*clock, !(faults.late && at + 1 == clocks.len()));
            world.nodes.push(sim);
        }
        // The first epoch's grace time.
        world.step(&Step::Pass { ms: 300 });
        world
    }

    fn born(&mut self, clock: (i64, i64), writes_ahead: bool) -> Sim {
        self.lives += 1;
        let node = Node::new(NodeId::new(u128::from(self.lives), writes_ahead), TIMING);
        let tenures = Tenures::default();
        let share = |(pool, limit): (&PoolId, &Limit)| {
            Share::new(pool.clone(), &node.standing(), &tenures, RULES, *limit)
        };
        let shares: Vec<Share> = self.pools.iter().zip(&self.limits).map(share).collect();
        let (needs, sent_ms, wait_ms) =
            (vec![0; shares.len()], vec![0; shares.len()], vec![i64::MIN; shares.len()]);
        let (requests, credits, life) = (Vec::new(), Vec::new(), self.lives);
        Sim {
            life,
            ledger: Ledger::default(),
            node,
            tenures,
            shares,
            needs,
            sent_ms,
            wait_ms,
            requests,
            credits,
            clock,
            paused_until: 0,
        }
    }

    /// Time on a node's own clock.
    fn local(&self, node: usize) -> i64 {
        let (offset, rate) = self.nodes[node].clock;
        offset + self.around.now_ms * rate / 100
    }

    fn runs(&self, node: usize) -> bool {
        self.nodes[node].paused_until <= self.around.now_ms
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass { ms } => {
                for _ in 0..ms {
                    self.tick();
                }
            }
            Step::Limit { pool, amount } => {
                let limit = Limit { amount, revision: self.limits[pool].revision + 1 };
                self.limits[pool] = limit;
                self.largest[pool] = self.largest[pool].max(amount);
                self.nodes.iter_mut().for_each(|sim| sim.shares[pool].set_limit(limit));
            }
            Step::RedisForgets => {
                self.model.flush();
                self.around.run += 1;
            }
            Step::RedisSaves => self.saved = self.model.clone(),
            Step::RedisGoesBack => {
                self.model = self.saved.clone();
                self.around.run += 1;
            }
            Step::Pause { node, ms } => self.nodes[node].paused_until = self.around.now_ms + ms,
            Step::Kill { node } => {
                let writes_ahead = self.writes_ahead(node);
                let born = self.born(self.nodes[node].clock, writes_ahead);
                let killed = std::mem::replace(&mut self.nodes[node], born);
                for (pool, orphaned) in self.orphaned.iter_mut().enumerate() {
                    let let_in = |it: &&Request| it.pool == pool && matches!(it.kept, Kept::LetIn(_));
                    let open: i64 = killed.requests.iter().filter(let_in).map(|it| it.kept.amount()).sum();
                    *orphaned += open + killed.shares[pool].uncounted();
                }
                self.legacies.insert(killed.life, (killed.ledger.killed(), self.around.now_ms));
            }
            Step::Recover => self.recover(),
            Step::Hold { node, .. }
            | Step::Write { node, .. }
            | Step::Send { node, .. }
            | Step::Settle { node, .. }
            | Step::Reap { node, .. }
            | Step::CreditTheDead { node }
            | Step::LetIn { node, .. }
            | Step::Forget { node } => {
                if self.runs(node) {
                    self.act(node, step);
                }
            }
        }
    }

    fn writes_ahead(&self, node: usize) -> bool {
        self.nodes[node].node.standing().node.writes_ahead()
    }

    /// Lets ledgers write what is due.
    fn write(&mut self) {
        let now_ms = self.around.now_ms;
        for node in 0..self.nodes.len() {
            if self.runs(node) {
                let delay_ms = if self.calm { 0 } else { self.random(12) as i64 };
                self.nodes[node].ledger.send(now_ms, delay_ms);
            }
            let sim = &mut self.nodes[node];
            while let Some(entry) = sim.ledger.arrived(now_ms) {
                self.store.write(sim.life, entry);
            }
        }
        for (life, (ledger, _)) in &mut self.legacies {
            while let Some(entry) = ledger.arrived(now_ms) {
                self.store.write(*life, entry);
            }
        }
    }

    /// A process is known to be dead after a while; by then what it wrote last has arrived.
    fn recover(&mut self) {
        let now_ms = self.around.now_ms;
        let legacies = &self.legacies;
        self.store.recover(|life| {
            legacies
                .get(&life)
                .is_some_and(|(ledger, killed_ms)| now_ms - killed_ms > DEAD_AFTER_MS && ledger.is_empty())
        });
    }

    fn act(&mut self, node: usize, step: &Step) {
        let now_ms = self.local(node);
        match *step {
            Step::Hold { pool, amount, .. } => {
                let sim = &mut self.nodes[node];
                let standing = sim.node.standing();
                let holder = sim.shares[pool].holder();
                match sim.shares[pool].hold(now_ms, &standing, amount) {
                    Ok(held) => {
                        self.requests += 1;
                        let id = self.requests;
                        let kept = Kept::Leased(held);
                        sim.requests.push(Request { id, pool, holder, kept, stage: Stage::Held });
                    }
                    Err(_) => sim.needs[pool] = amount,
                }
                self.turn(node);
            }
            Step::Write { at, .. } => {
                let sim = &mut self.nodes[node];
                if let Some(request) = pick(&mut sim.requests, at, |it| it.stage == Stage::Held) {
                    request.stage = Stage::Writing;
                    let (pool, holder) = (request.pool, request.holder);
                    let amount = request.kept.amount();
                    sim.ledger.append(Entry::Hold { request: request.id, pool, holder, amount });
                }
            }
            Step::Send { at, .. } => {
                let ahead = self.writes_ahead(node);
                let (sim, store) = (&mut self.nodes[node], &self.store);
                let standing = sim.node.standing();
                let ready = |it: &Request| {
                    it.stage != Stage::Sent && (!ahead || (it.stage == Stage::Writing && store.has(it.id)))
                };
                let Some(request) = pick(&mut sim.requests, at, ready) else { return };
                let may_send = match &request.kept {
                    Kept::Leased(held) => sim.shares[request.pool].may_send(now_ms, &standing, held.tenure()),
                    Kept::LetIn(_) => true,
                };
                if may_send {
                    request.stage = Stage::Sent;
                    self.used[request.pool] += request.kept.amount();
                    self.told.sent += 1;
                    if let Kept::Leased(held) = &request.kept {
                        let used = self.used_by.entry((request.pool, request.holder)).or_default();
                        *used += held.amount();
                    }
                } else {
                    // Left as it is: settled later with nothing spent.
                    self.told.refused_late += 1;
                }
            }
            Step::Settle { at, percent, .. } => self.finish(node, at, percent),
            Step::Reap { pool, .. } => {
                let epoch = self.nodes[node].node.standing().epoch;
                // A pool that goes and comes again counts holds in full, of tenures that were to be credited.
                let idle_ms = if self.faults.forgets { 0 } else { i64::MAX / 2 };
                self.post(node, pool, Asked { epoch, op: Op::Reap(Reap { idle_ms }) });
            }
            Step::LetIn { pool, amount, .. } => {
                // It goes the way of the others, only that it is written and sent whatever its share says.
                self.requests += 1;
                let (sim, id) = (&mut self.nodes[node], self.requests);
                let holder = sim.shares[pool].holder();
                sim.requests.push(Request {
                    id,
                    pool,
                    holder,
                    kept: Kept::LetIn(amount),
                    stage: Stage::Held,
                });
                self.let_in[pool] += amount;
                self.told.let_in += 1;
            }
            Step::CreditTheDead { .. } => self.credit_the_dead(node),
            Step::Forget { .. } => {
                let sim = &mut self.nodes[node];
                let standing = sim.node.standing();
                let (id, limit) = (self.pools[0].clone(), self.limits[0]);
                // Requests of the old owner go on; the durable store hears of them, the new owner does not.
                let uncounted = sim.shares[0].uncounted();
                sim.shares[0] = Share::new(id, &standing, &sim.tenures, RULES, limit);
                let tenure = sim.shares[0].holder().tenure;
                sim.shares[0].charge(tenure, uncounted);
            }
            _ => {}
        }
    }

    fn finish(&mut self, node: usize, at: usize, percent: i64) {
        let sim = &mut self.nodes[node];
        if sim.requests.is_empty() {
            return;
        }
        let request = sim.requests.swap_remove(at % sim.requests.len());
        let amount = request.kept.amount();
        let spent = if request.stage == Stage::Sent { amount * percent / 100 } else { 0 };
        if request.stage == Stage::Sent && matches!(request.kept, Kept::Leased(_)) {
            *self.used_by.entry((request.pool, request.holder)).or_default() -= amount - spent;
        }
        match request.kept {
            Kept::Leased(held) => sim.shares[request.pool].settle(held, spent),
            Kept::LetIn(_) => sim.shares[request.pool].charge(request.holder.tenure, spent),
        }
        if request.stage != Stage::Held {
            let (pool, holder) = (request.pool, request.holder);
            sim.ledger.append(Entry::Settle { request: request.id, pool, holder, spent });
        }
        if request.stage == Stage::Sent {
            self.used[request.pool] -= amount - spent;
        }
    }

    /// What the living do for the dead, as the gateway does it: what is still held is left for later, and what was
    /// spent is read after that, because a hold that ends is spent.
    fn credit_the_dead(&mut self, node: usize) {
        let epoch = self.nodes[node].node.standing().epoch;
        for (pool, holder, read_ms, settled) in std::mem::take(&mut self.nodes[node].credits) {
            if settled {
                let (spent, foreign) = (self.store.spent(pool, holder), Some(read_ms));
                let credit = Credit { holder, seq: 0, spent, keep: 0, foreign };
                self.post(node, pool, Asked { epoch, op: Op::Credit(credit) });
            } else if self.store.held(pool, holder) == 0 {
                self.nodes[node].credits.push((pool, holder, read_ms, true));
            }
        }
        for pool in 0..self.pools.len() {
            self.post(node, pool, Asked { epoch, op: Op::Reap(Reap { idle_ms: i64::MAX / 2 }) });
        }
    }
}

fn pick(requests: &mut [Request], at: usize, fits: impl Fn(&Request) -> bool) -> Option<&mut Request> {
    let mut fitting: Vec<&mut Request> = requests.iter_mut().filter(|request| fits(request)).collect();
    if fitting.is_empty() {
        return None;
    }
    let at = at % fitting.len();
    Some(fitting.swap_remove(at))
}
