//! Single rules of the protocol, one at a time, against the model.

#![cfg(test)]

use tidegate_leases::protocol::{
    Answer, Asked, Beat, Declare, Done, Granted, Init, Limit, Op, Opening, Refusal, Sync,
};
use tidegate_leases::{Epoch, Held, Holder, Model, Node, NodeId, Outcome, PoolId, Rules, Share, Short};
use tidegate_leases::{Surroundings, Tenures, Timing};

const EPOCH: Epoch = Epoch(1);
const GRACE_MS: i64 = 200;
const TIMING: Timing = Timing { ttl_ms: 10_000, beat_ms: 25, grace_ms: GRACE_MS };

struct Redis {
    model: Model,
    around: Surroundings,
    pool: PoolId,
}

impl Redis {
    /// After the grace time, with two living nodes.
    fn new() -> Self {
        let around = Surroundings { now_ms: 1_000, run: 1, proposal: EPOCH, grace_ms: GRACE_MS };
        let mut redis = Self { model: Model::default(), around, pool: PoolId::new("a", 1) };
        for node in [1, 2] {
            redis.ask(Op::Beat(Beat { node: NodeId(node), first: true, ttl_ms: 1_000_000 })).expect("alive");
        }
        redis.around.now_ms += GRACE_MS;
        redis
    }

    fn open(amount: i64) -> Self {
        let mut redis = Self::new();
        let opening = redis.opening(2);
        redis.init(&opening, amount, 0).expect("open");
        redis
    }

    fn ask(&mut self, op: Op) -> Result<Done, Refusal> {
        self.answer(&Asked { epoch: EPOCH, op }).result
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        self.model.handle(&self.around, &self.pool, asked)
    }

    fn sync(&mut self, node: u128, seq: u64, want: i64, need: i64) -> Result<Granted, Refusal> {
        let (holder, limit) = (holder(node), Limit { amount: 0, revision: 0 });
        match self.ask(Op::Sync(Sync { holder, seq, spent: 0, give_back: 0, want, need, limit }))? {
            Done::Synced(granted) => Ok(granted),
            other => panic!("{other:?}"),
        }
    }

    fn opening(&mut self, node: u128) -> Opening {
        match self.sync(node, 1, 1, 1) {
            Err(Refusal::Uninitialised(opening)) => opening,
            other => panic!("{other:?}"),
        }
    }

    fn init(&mut self, opening: &Opening, amount: i64, base: i64) -> Result<Done, Refusal> {
        let (version, opened_ms) = (opening.version, opening.opened_ms);
        let limit = Limit { amount, revision: 1 };
        self.ask(Op::Init(Init { node: NodeId(2), version, opened_ms, limit, base }))
    }
}

fn holder(node: u128) -> Holder {
    Holder { node: NodeId(node), tenure: 1 }
}

#[test]
fn who_declares_while_the_durable_store_is_asked_makes_the_opener_start_over() {
    let mut redis = Redis::new();
    let opening = redis.opening(2);
    assert_eq!(opening.members, []);
    redis.ask(Op::Declare(Declare { holder: holder(1), seq: 5, spent: 30, lease: 20 })).expect("declared");
    let Err(Refusal::Uninitialised(again)) = redis.init(&opening, 100, 30) else {
        panic!("opened with a base that counts a member");
    };
    assert_eq!(again.members, [holder(1)]);
    assert_eq!(redis.init(&again, 100, 0), Ok(Done::Opened));
    let granted = redis.sync(2, 1, 0, 50).expect("granted");
    assert_eq!((granted.spent_all, granted.leased_all, granted.granted), (30, 70, 50));
}

#[test]
fn who_took_longer_than_the_grace_time_to_open_a_pool_must_ask_again() {
    let mut redis = Redis::new();
    let opening = redis.opening(2);
    redis.around.now_ms += GRACE_MS + 1;
    let Err(Refusal::Uninitialised(again)) = redis.init(&opening, 100, 0) else {
        panic!("opened with an old base");
    };
    assert_eq!(redis.init(&again, 100, 0), Ok(Done::Opened));
}

#[test]
fn a_pool_that_is_open_stays_as_it_is() {
    let mut redis = Redis::open(1_000);
    redis.sync(1, 1, 0, 400).expect("granted");
    let opening = Opening { version: 0, opened_ms: redis.around.now_ms, members: Vec::new() };
    assert_eq!(redis.init(&opening, 9_000, 0), Ok(Done::Opened));
    assert_eq!(redis.sync(2, 1, 0, 601).expect("answered").granted, 0);
    assert_eq!(redis.sync(2, 2, 0, 600).expect("answered").granted, 600);
}

#[test]
fn a_grant_is_a_sixteenth_of_what_is_left_and_never_less_than_is_needed() {
    let mut redis = Redis::open(1_600);
    assert_eq!(redis.sync(1, 1, 5_000, 0).expect("answered").granted, 100);
    assert_eq!(redis.sync(1, 2, 40, 0).expect("answered").granted, 40);
    assert_eq!(redis.sync(1, 3, 5_000, 700).expect("answered").granted, 700);
    assert_eq!(redis.sync(2, 1, 5_000, 761).expect("answered").granted, 0);
    assert_eq!(redis.sync(2, 2, 5_000, 760).expect("answered").granted, 760);
}

#[test]
fn the_same_operation_twice_is_done_once_and_an_older_one_never() {
    let mut redis = Redis::open(1_600);
    let first = redis.sync(1, 1, 0, 50);
    assert_eq!(redis.sync(1, 1, 0, 50), first);
    assert_eq!(redis.sync(1, 2, 0, 7).expect("answered").leased_all, 57);
    assert_eq!(redis.sync(1, 1, 0, 50), Err(Refusal::Stale));
}

/// A node with one share, in front of the model; time is the same for both.
struct Gateway {
    redis: Redis,
    node: Node,
    share: Share,
}

impl Gateway {
    fn new(amount: i64) -> Self {
        let redis = Redis::open(amount);
        let node = Node::new(NodeId(7), TIMING);
        let rules = Rules { slice: 10, idle_ms: 100, report_ms: 50 };
        let limit = Limit { amount, revision: 1 };
        let share = Share::new(redis.pool.clone(), &node.standing(), &Tenures::default(), rules, limit);
        Self { redis, node, share }
    }

    fn now_ms(&self) -> i64 {
        self.redis.around.now_ms
    }

    fn hold(&mut self, amount: i64) -> Result<Held, Short> {
        let (now_ms, standing) = (self.now_ms(), self.node.standing());
        self.share.hold(now_ms, &standing, amount)
    }

    /// Says everything there is to say.
    fn talk(&mut self, need: i64) -> Vec<Outcome> {
        let (now_ms, mut outcomes) = (self.now_ms(), Vec::new());
        while let Some(asked) = self.node.beat(now_ms) {
            let answer = self.redis.answer(&asked);
            self.node.hear(&asked, now_ms, &answer, NodeId(8));
        }
        let standing = self.node.standing();
        while let Some(asked) = self.share.next(now_ms, &standing, if outcomes.is_empty() { need } else { 0 })
        {
            let answer = self.redis.answer(&asked);
            outcomes.push(self.share.hear(now_ms, &standing, &asked, &answer));
            assert!(outcomes.len() < 20, "{outcomes:?}: {:?}", self.share);
        }
        outcomes
    }
}

#[test]
fn nothing_is_held_before_anything_is_leased() {
    let mut one = Gateway::new(1_000);
    assert_eq!(one.hold(1), Err(Short::Suspended));
    one.talk(0);
    assert_eq!(one.hold(1), Err(Short::Empty));
    assert_eq!(one.talk(5), [Outcome::Done]);
    assert!(one.hold(5).is_ok());
}

#[test]
fn what_nobody_used_for_a_while_goes_back() {
    let mut one = Gateway::new(1_000);
    one.talk(5);
    let lease = one.share.lease();
    assert!(lease >= 5, "{lease}");
    one.redis.around.now_ms += 99;
    one.talk(0);
    assert_eq!(one.share.lease(), lease);
    for _ in 0..3 {
        one.redis.around.now_ms += 100;
        one.talk(0);
    }
    assert_eq!(one.share.lease(), 0);
    assert_eq!(one.share.last().expect("an answer").leased_all, 0);
}

#[test]
fn a_pool_that_is_used_up_says_so() {
    let mut one = Gateway::new(100);
    one.talk(60);
    let _held = one.hold(60).expect("leased");
    assert!(matches!(one.talk(50)[..], [Outcome::Exhausted(Granted { granted: 0, limit: 100, .. }), ..]));
}

#[test]
fn a_lowered_limit_takes_back_what_is_free() {
    let mut one = Gateway::new(1_000);
    one.talk(300);
    let held = one.hold(100).expect("leased");
    one.share.set_limit(Limit { amount: 50, revision: 2 });
    one.talk(0);
    assert_eq!(one.share.lease(), 100, "what is held stays");
    one.share.settle(held, 30);
    one.talk(0);
    one.redis.around.now_ms += 100;
    one.talk(0);
    let last = one.share.last().expect("an answer");
    assert_eq!((last.limit, last.spent_all, last.leased_all), (50, 30, 0));
}

#[test]
fn places_are_a_pool_in_which_nothing_is_spent() {
    let mut one = Gateway::new(3);
    let mut held = Vec::new();
    for _ in 0..3 {
        one.talk(1);
        held.push(one.hold(1).expect("a place"));
    }
    assert!(matches!(one.talk(1)[..], [Outcome::Exhausted(_), ..]));
    one.share.settle(held.remove(0), 0);
    assert!(one.hold(1).is_ok());
}

#[test]
fn spending_more_than_was_held_counts_and_stops_the_pool() {
    let mut one = Gateway::new(100);
    one.talk(60);
    let held = one.hold(60).expect("leased");
    one.share.settle(held, 130);
    one.redis.around.now_ms += 100;
    one.talk(0);
    assert_eq!(one.share.last().expect("an answer").spent_all, 130);
    assert!(matches!(one.talk(1)[..], [Outcome::Exhausted(_), ..]));
    assert_eq!(one.hold(1), Err(Short::Empty));
}
