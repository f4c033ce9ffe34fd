//! The client with a real Redis, that is killed, emptied, and comes back.

#![cfg(test)]

mod support;

use std::time::{Duration, Instant};

use support::RedisServer;
use tidegate_leases::protocol::{Asked, Limit, Op, Refusal, Sync};
use tidegate_leases::rate::{RateLimit, RateOp, RateRefusal};
use tidegate_leases::{
    Client, ClientError, Epoch, Held, Holder, Node, NodeId, Outcome, PoolId, Rules, Share, Tenures, Timing,
};

const TIMING: Timing = Timing { ttl_ms: 400, beat_ms: 50, grace_ms: 800 };
const RULES: Rules = Rules { slice: 100, idle_ms: 60_000, report_ms: 20 };
const LIMIT: Limit = Limit { amount: 10_000, revision: 1 };
const PATIENCE: Duration = Duration::from_secs(20);

struct Gateway {
    client: Client,
    node: Node,
    share: Share,
    started: Instant,
    random: u64,
    /// What the durable store says others spent and hold.
    base: i64,
    openings: usize,
}

impl Gateway {
    fn new(server: &RedisServer, id: u128) -> Self {
        let node = Node::new(NodeId(id), TIMING);
        let pool = PoolId::new("key/1", 3);
        let share = Share::new(pool, &node.standing(), &Tenures::default(), RULES, LIMIT);
        let client = Client::new(&server.url(), "t", &TIMING).expect("an address");
        Self { client, node, share, started: Instant::now(), random: id as u64 * 1_000, base: 0, openings: 0 }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).expect("not so long")
    }

    fn fresh(&mut self) -> Epoch {
        self.random += 1;
        Epoch(self.random)
    }

    async fn beat(&mut self) {
        let sent_ms = self.now_ms();
        let Some(asked) = self.node.beat(sent_ms) else { return };
        let fresh = self.fresh();
        if let Ok(answer) = self.client.heartbeat(&asked, fresh).await {
            self.node.hear(&asked, sent_ms, &answer, NodeId(u128::from(fresh.0)));
        }
    }

    async fn talk(&mut self, need: i64) -> Option<Outcome> {
        self.beat().await;
        let (now_ms, standing, fresh) = (self.now_ms(), self.node.standing(), self.fresh());
        let asked = self.share.next(now_ms, &standing, need)?;
        let pool = self.share.pool().clone();
        let outcome = match self.client.ask(&pool, &asked, fresh).await {
            Ok(answer) => self.share.hear(self.now_ms(), &standing, &asked, &answer),
            Err(_) => {
                self.share.lost(&asked);
                return None;
            }
        };
        if let Outcome::Open(opening) = &outcome {
            self.openings += 1;
            let asked = self.share.open(&standing, opening, self.base);
            self.client.ask(&pool, &asked, fresh).await.expect("an answer");
        }
        if outcome == Outcome::Hurry {
            self.node.hurry();
        }
        Some(outcome)
    }

    async fn hold(&mut self, amount: i64) -> Held {
        let patience = Instant::now() + PATIENCE;
        loop {
            let (now_ms, standing) = (self.now_ms(), self.node.standing());
            match self.share.hold(now_ms, &standing, amount) {
                Ok(held) => return held,
                Err(short) => assert!(Instant::now() < patience, "{short}: {:?}", self.share),
            }
            self.talk(amount).await;
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn two_nodes_share_a_pool_and_the_sums_agree() {
    let server = RedisServer::start();
    let (mut one, mut two) = (Gateway::new(&server, 1), Gateway::new(&server, 2));
    one.base = 500;
    let held = one.hold(200).await;
    let _two_hold = two.hold(300).await;
    two.share.leave(true);
    one.share.settle(held, 150);
    one.share.leave(true);
    let patience = Instant::now() + PATIENCE;
    while !one.share.is_at_rest() {
        assert!(Instant::now() < patience, "{:?}", one.share);
        one.talk(0).await;
        two.beat().await;
    }
    let last = *one.share.last().expect("an answer");
    assert_eq!((last.spent_all, last.limit), (650, 10_000));
    assert!(last.leased_all >= 300, "{last:?}");
    assert_eq!(one.openings + two.openings, 1, "the durable store is asked once");
}

#[tokio::test]
async fn a_redis_that_was_killed_hears_what_is_leased_before_it_leases_again() {
    let mut server = RedisServer::start();
    let mut one = Gateway::new(&server, 1);
    let held = one.hold(400).await;
    let epoch = one.node.standing().epoch;
    server.kill();
    let asked = Asked { epoch, op: Op::Sync(sync(one.share.holder())) };
    let begun = Instant::now();
    let failed = one.client.sync(one.share.pool(), &asked, Epoch(7)).await.expect_err("nobody is there");
    assert!(matches!(failed, ClientError::Timeout | ClientError::Unreachable(_)), "{failed}");
    let failed = one.client.sync(one.share.pool(), &asked, Epoch(7)).await.expect_err("nobody is there");
    assert!(matches!(failed, ClientError::Unreachable(_)), "{failed}");
    assert!(begun.elapsed() < Duration::from_millis(1_800), "{:?}", begun.elapsed());
    server.restart();
    let patience = Instant::now() + PATIENCE;
    while one.node.standing().epoch == epoch
        || !one.share.may_send(one.now_ms(), &one.node.standing(), held.tenure())
    {
        assert!(Instant::now() < patience, "{:?}", one.share);
        one.talk(0).await;
    }
    // What was held before is declared, and goes on; the pool is open to others only after the grace time.
    one.share.settle(held, 400);
    let _next = one.hold(2_000).await;
    assert_eq!(one.share.last().expect("an answer").spent_all, 400);
    assert_eq!(one.openings, 2);
}

#[tokio::test]
async fn scripts_that_redis_has_thrown_away_are_sent_again() {
    let server = RedisServer::start();
    let mut one = Gateway::new(&server, 1);
    let _first = one.hold(10).await;
    redis::cmd("SCRIPT").arg("FLUSH").exec(&mut server.connect()).expect("no scripts");
    let _next = one.hold(3_000).await;
}

#[tokio::test]
async fn a_refusal_is_told_from_a_failure() {
    let server = RedisServer::start();
    let client = Client::new(&server.url(), "t", &TIMING).expect("an address");
    let holder = Holder { node: NodeId(9), tenure: 1 };
    let (pool, op) = (PoolId::new("a", 1), Op::Sync(sync(holder)));
    let refused = client.sync(&pool, &Asked { epoch: Epoch::UNKNOWN, op }, Epoch(5)).await;
    let Err(ClientError::Protocol(Refusal::NewEpoch { epoch, wait_ms })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((epoch, wait_ms), (Epoch(5), 800));
    let refused = client.sync(&pool, &Asked { epoch, op }, Epoch(6)).await;
    assert!(matches!(refused, Err(ClientError::Protocol(Refusal::Fenced))), "{refused:?}");
    assert!(!client.may_evict().await.expect("an answer"));
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"])
        .exec(&mut server.connect())
        .expect("set");
    assert!(client.may_evict().await.expect("an answer"));
}

#[tokio::test]
async fn a_rate_limit_is_one_for_all_who_ask() {
    let server = RedisServer::start();
    let clients = [1, 2].map(|_| Client::new(&server.url(), "t", &TIMING).expect("an address"));
    let limit = RateLimit::new(10, 3_600_000, 10).expect("a good limit");
    let take = RateOp::Take { want: 2, need: 1 };
    let mut taken = 0;
    for client in clients.iter().cycle().take(5) {
        taken += client.take("b", &limit, &take).await.expect("some").count;
    }
    assert_eq!(taken, 10);
    let refused = clients[1].take("b", &limit, &take).await.expect_err("used up");
    assert!(matches!(refused, ClientError::Rate(RateRefusal::Wait(350_000..=360_000))), "{refused}");
}

#[tokio::test]
async fn an_idle_pool_goes_and_one_in_use_stays() {
    let server = RedisServer::start();
    let mut one = Gateway::new(&server, 1);
    let held = one.hold(10).await;
    let mut redis = server.connect();
    let mut pools =
        || -> Vec<String> { redis::cmd("SMEMBERS").arg("{t}:pools").query(&mut redis).expect("names") };
    one.client.reap(0, 0, Epoch(1)).await.expect("an answer");
    assert_eq!(pools(), ["3:key/1"]);
    one.share.settle(held, 10);
    one.share.leave(true);
    let patience = Instant::now() + PATIENCE;
    while !pools().is_empty() {
        assert!(Instant::now() < patience, "{:?}", one.share);
        one.talk(0).await;
        one.client.reap(0, 0, Epoch(1)).await.expect("an answer");
    }
}

fn sync(holder: Holder) -> Sync {
    Sync { holder, seq: 1, spent: 0, give_back: 0, want: 1, need: 1, limit: LIMIT }
}
