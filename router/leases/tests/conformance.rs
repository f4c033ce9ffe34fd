//! The script does what the model does: same operations, same answers, same state.

#![cfg(test)]

mod support;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use redis::{Connection, cmd};
use support::RedisServer;
use tidegate_leases::pool::{Member, Pool};
use tidegate_leases::protocol::{
    Answer, Asked, Beat, Credit, Declare, Done, Granted, Init, Limit, MAX, Op, Reap, Refusal, Sync,
};
use tidegate_leases::{Epoch, Holder, Model, NodeId, PoolId, Surroundings, wire};

const PREFIX: &str = "conformance";
const GRACE_MS: i64 = 200;
const TTL_MS: i64 = 100;

#[derive(Clone, Debug)]
enum Step {
    Ask {
        pool: usize,
        op: Op,
        stray: bool,
    },
    /// Time passes; these nodes are heard.
    Pass {
        ms: i64,
        heard: [bool; 3],
    },
    /// Everybody but this node is heard until it can be credited by others.
    Die {
        node: u128,
    },
    /// Another Redis process with the same memory, or none.
    Restart {
        forgets: bool,
    },
    /// The opening that was answered last is taken up.
    Open {
        pool: usize,
        node: NodeId,
        limit: Limit,
        base: i64,
        off: i64,
    },
}

/// The second of three does not write ahead.
fn id(n: u128) -> NodeId {
    NodeId::new(n << 90, n != 2)
}

fn node() -> impl Strategy<Value = NodeId> {
    (1_u128..4).prop_map(id)
}

fn holder() -> impl Strategy<Value = Holder> {
    (node(), 1_u64..4).prop_map(|(node, tenure)| Holder { node, tenure })
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![40 => 0..2_000_i64, 1 => Just(MAX), 1 => Just(i64::MAX), 1 => MAX - 3_000..MAX, 1 => Just(-5)]
}

fn limit() -> impl Strategy<Value = Limit> {
    (amount(), 0_u64..5).prop_map(|(amount, revision)| Limit { amount, revision })
}

fn sync() -> impl Strategy<Value = Op> {
    let amounts = (amount(), amount(), amount(), prop_oneof![Just(0), 0..200_i64, amount()]);
    (holder(), prop_oneof![3 => Just(1_u64), 5 => 1..6_u64], amounts, limit()).prop_map(
        |(holder, seq, (spent, give_back, want, need), limit)| {
            Op::Sync(Sync { holder, seq, spent, give_back, want, need, limit })
        },
    )
}

fn foreign() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![2 => Just(None), 1 => Just(Some(0)), 2 => Just(Some(i64::MAX))]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (node(), any::<bool>()).prop_map(|(node, first)| Op::Beat(Beat { node, first, ttl_ms: TTL_MS })),
        20 => sync(),
        3 => (holder(), 1_u64..4, amount(), amount())
            .prop_map(|(holder, seq, spent, lease)| Op::Declare(Declare { holder, seq, spent, lease })),
        3 => (holder(), 1_u64..6, amount(), prop_oneof![Just(0), amount()], foreign()).prop_map(
            |(holder, seq, spent, keep, foreign)| Op::Credit(Credit { holder, seq, spent, keep, foreign })
        ),
        2 => (0_i64..600).prop_map(|idle_ms| Op::Reap(Reap { idle_ms })),
    ]
}

fn heard() -> impl Strategy<Value = [bool; 3]> {
    prop_oneof![8 => Just([true; 3]), 2 => any::<[bool; 3]>()]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        100 => (0_usize..2, op(), prop::bool::weighted(0.01))
            .prop_map(|(pool, op, stray)| Step::Ask { pool, op, stray }),
        20 => (0_i64..30, heard()).prop_map(|(ms, heard)| Step::Pass { ms, heard }),
        2 => prop_oneof![4 => Just(-50_i64), 4 => Just(230), 4 => Just(350), 1 => Just(25 * 3_600_000)]
            .prop_map(|ms| Step::Pass { ms, heard: [false; 3] }),
        2 => (1_u128..4).prop_map(|node| Step::Die { node }),
        1 => any::<bool>().prop_map(|forgets| Step::Restart { forgets }),
        16 => (0_usize..2, node(), limit(), amount(), prop_oneof![6 => Just(0_i64), 1 => Just(1)])
            .prop_map(|(pool, node, limit, base, off)| Step::Open { pool, node, limit, base, off }),
    ]
}

struct Both {
    model: Model,
    redis: Connection,
    sha: String,
    around: Surroundings,
    epoch: Epoch,
    openings: HashMap<usize, (i64, i64)>,
    pools: [PoolId; 2],
    seen: BTreeMap<String, usize>,
}

impl Both {
    fn ask(&mut self, pool: usize, mut op: Op, stray: bool) {
        // Random numbers would mostly be stale or a repeat; what comes next in a tenure is what matters.
        if let Op::Sync(Sync { holder, seq, .. }) | Op::Credit(Credit { holder, seq, .. }) = &mut op {
            let known = self.model.pool(&self.pools[pool]).and_then(|pool| pool.members.get(holder));
            *seq = match (known, *seq) {
                (Some(member), 3..) => member.seq + 1,
                (Some(member), 2) => member.seq,
                (_, seq) => seq,
            };
        }
        if let Op::Credit(Credit { foreign: Some(read_ms @ i64::MAX), .. }) = &mut op {
            *read_ms = self.around.now_ms;
        }
        let epoch = if stray { Epoch(self.epoch.0 ^ 1) } else { self.epoch };
        let (asked, id) = (Asked { epoch, op }, self.pools[pool].clone());
        self.around.proposal = Epoch(self.around.proposal.0 + 2);
        let expected = self.model.handle(&self.around, &id, &asked);
        let parts: Vec<String> = cmd("EVALSHA")
            .arg(&self.sha)
            .arg(4)
            .arg(&wire::keys(PREFIX, &id))
            .arg(wire::arguments(&id, &asked, &self.around, true))
            .query(&mut self.redis)
            .unwrap_or_else(|error| panic!("{asked:?}: {error}"));
        let answer = wire::answer(parts).expect("an answer of the script");
        assert_eq!(answer, expected, "to {asked:?} at {:?}", self.around);
        for id in self.pools.clone() {
            assert_eq!(self.kept(&id).as_ref(), self.model.pool(&id), "{id} after {asked:?}");
        }
        assert_eq!(self.lives(), self.model.lives().collect::<BTreeMap<_, _>>(), "lives after {asked:?}");
        if let Err(Refusal::Uninitialised(opening)) = &answer.result {
            self.openings.insert(pool, (opening.version, opening.opened_ms));
        }
        self.epoch = answer.epoch;
        self.note(&answer);
    }

    fn pass(&mut self, ms: i64, heard: [bool; 3]) {
        self.around.now_ms += ms;
        for (node, heard) in (1..4).zip(heard) {
            if heard {
                let beat = Beat { node: id(node), first: false, ttl_ms: TTL_MS };
                self.ask(0, Op::Beat(beat), false);
            }
        }
    }

    fn die(&mut self, node: NodeId) {
        let heard = [1, 2, 3].map(|other| id(other) != node);
        (0..2).for_each(|_| self.pass(60, heard));
        (0..2).for_each(|pool| self.ask(pool, Op::Reap(Reap { idle_ms: 1_000 }), false));
        (0..3).for_each(|_| self.pass(70, heard));
        for pool in 0..2 {
            self.ask(pool, Op::Reap(Reap { idle_ms: 1_000 }), false);
            for tenure in 1..4 {
                for read_ms in [0, i64::MAX] {
                    let holder = Holder { node, tenure };
                    let (spent, foreign) = (700, Some(read_ms));
                    self.ask(pool, Op::Credit(Credit { holder, seq: 1, spent, keep: 0, foreign }), false);
                }
            }
        }
    }

    /// Counts kinds of answers, so that the test can tell that it has seen all.
    fn note(&mut self, answer: &Answer) {
        let text = format!("{:?}", answer.result);
        let kind = text.splitn(3, |c: char| !c.is_alphabetic()).take(2).collect::<Vec<_>>().join(" ");
        *self.seen.entry(kind).or_default() += 1;
        if matches!(&answer.result, Ok(Done::Reaped { dead, .. }) if !dead.is_empty()) {
            *self.seen.entry("dead to credit".to_owned()).or_default() += 1;
        }
    }

    fn kept(&mut self, id: &PoolId) -> Option<Pool> {
        let [_, _, _, key] = wire::keys(PREFIX, id);
        let fields: HashMap<String, String> = cmd("HGETALL").arg(key).query(&mut self.redis).expect("a hash");
        let number = |name: &str| fields.get(name).map(|text| text.parse::<i64>().expect("a number"));
        let epoch = Epoch(u64::from_str_radix(fields.get("epoch")?, 16).expect("an epoch"));
        if epoch != self.model_epoch() {
            return None;
        }
        let mut members = BTreeMap::new();
        for (name, value) in &fields {
            let Some(holder) = name.strip_prefix("m:") else { continue };
            let n: Vec<i64> = value.split(' ').map(|text| text.parse().expect("a number")).collect();
            let last = Granted { granted: n[4], lease: n[5], limit: n[6], spent_all: n[7], leased_all: n[8] };
            let seq = u64::try_from(n[0]).expect("a sequence number");
            let member = Member { seq, authority: n[1], spent: n[2], ended: n[3] == 1, last };
            members.insert(holder.parse().expect("a holder"), member);
        }
        let limit = number("limit").map(|amount| Limit {
            amount,
            revision: u64::try_from(number("revision").expect("a revision")).expect("positive"),
        });
        let field = |name: &str| number(name).expect("a field of a pool");
        let (base, version, touched_ms) = (field("base"), field("version"), field("touched"));
        Some(Pool { epoch, limit, base, version, touched_ms, members })
    }

    fn model_epoch(&mut self) -> Epoch {
        let [key, ..] = wire::keys(PREFIX, &self.pools[0]);
        let text: String = cmd("HGET").arg(key).arg("epoch").query(&mut self.redis).expect("an epoch");
        Epoch(u64::from_str_radix(&text, 16).expect("an epoch"))
    }

    fn lives(&mut self) -> BTreeMap<NodeId, i64> {
        let [_, key, ..] = wire::keys(PREFIX, &self.pools[0]);
        let list: Vec<(String, f64)> =
            cmd("ZRANGE").arg(key).arg(0).arg(-1).arg("WITHSCORES").query(&mut self.redis).expect("a set");
        let score = |value: f64| format!("{value:.0}").parse().expect("a score");
        list.into_iter()
            .map(|(node, value)| (NodeId(u128::from_str_radix(&node, 16).expect("a node")), score(value)))
            .collect()
    }
}

#[test]
fn the_script_answers_and_remembers_like_the_model() {
    let server = RedisServer::start();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut runner = TestRunner::new_with_rng(
        Config { failure_persistence: None, ..Config::with_cases(400) },
        // The same every time: what is counted at the end must not be luck.
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let connection = std::cell::RefCell::new(&mut seen);
    let outcome = runner.run(&prop::collection::vec(step(), 20..160), |steps| {
        let mut redis = server.connect();
        cmd("FLUSHALL").exec(&mut redis).expect("an empty redis");
        let sha = cmd("SCRIPT").arg("LOAD").arg(wire::POOL_SCRIPT).query(&mut redis).expect("a script");
        let around = Surroundings {
            now_ms: 1_790_000_000_000,
            run: 1,
            proposal: Epoch(0x9000_0000_0000_0000),
            grace_ms: GRACE_MS,
        };
        let mut both = Both {
            model: Model::default(),
            redis,
            sha,
            around,
            epoch: Epoch::UNKNOWN,
            openings: HashMap::new(),
            pools: [PoolId::new("key/a b:ü", 20_260), PoolId::new("policy", -1)],
            seen: BTreeMap::new(),
        };
        for node in 1..4 {
            let beat = Beat { node: id(node), first: true, ttl_ms: TTL_MS };
            both.ask(0, Op::Beat(beat), false);
            both.ask(0, Op::Beat(beat), false);
        }
        for step in steps {
            match step {
                Step::Ask { pool, op, stray } => both.ask(pool, op, stray),
                Step::Pass { ms, heard } => both.pass(ms, heard),
                Step::Die { node } => both.die(id(node)),
                Step::Restart { forgets } => {
                    both.around.run += 1;
                    if forgets {
                        both.model.flush();
                        cmd("FLUSHALL").exec(&mut both.redis).expect("an empty redis");
                    }
                }
                Step::Open { pool, node, limit, base, off } => {
                    let (version, opened_ms) = both.openings.get(&pool).copied().unwrap_or_default();
                    let version = version + off;
                    both.ask(pool, Op::Init(Init { node, version, opened_ms, limit, base }), false);
                }
            }
        }
        for (kind, count) in both.seen {
            *connection.borrow_mut().entry(kind).or_default() += count;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("{seen:#?}");
    for kind in [
        "Ok Alive",
        "Ok Synced",
        "Ok Declared",
        "Ok Opened",
        "Ok Credited",
        "Ok Reaped",
        "Err NewEpoch",
        "Err Wait",
        "Err Uninitialised",
        "Err Fenced",
        "Err Forgotten",
        "Err Stale",
        "Err Closed",
        "Err Read",
        "Err StillAlive",
        "Err Unproven",
        "dead to credit",
    ] {
        let count = seen.get(kind).copied().unwrap_or_default();
        assert!(count > 9, "few answers were {kind}: {seen:#?}");
    }
}
