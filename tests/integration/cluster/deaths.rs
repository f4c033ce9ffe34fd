//! Nodes that are killed: what they held is settled, what they had leased and not spent goes to others.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tidegate_tests::{gateway, wait};

use super::servers::Redis;
use super::{Cluster, DOLLAR, ends, only, paying, settled, stream, streams, trace, words};
use crate::support::OUTPUT_NANO;

/// What of a dollar may stay unused at the end: no request gets in that could not write 16 tokens.
const REST: i64 = 1_000_000;
/// Nodes are dead after three seconds, credited a grace time of six later.
const CREDITED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_node_that_is_killed_leaves_no_holds_and_no_overspend() {
    let mut cluster = Cluster::start(3, Redis::start(true), |settings| {
        paying(settings).toml("[ledger]\ndurability = \"each\"")
    })
    .await;
    cluster.warm().await;
    let running = streams(&cluster, 20);
    tokio::time::sleep(Duration::from_millis(600)).await;
    cluster.nodes[2].kill();
    let ends = ends(running).await;
    cluster.nodes.truncate(2);
    settled(&cluster).await;
    let given = words(&ends) * OUTPUT_NANO;
    assert!(given <= DOLLAR, "{given} given out");
    // What the dead node held is settled by the others once they are sure that it is dead.
    wait::until_async("the dead node's holds to be settled", || async {
        let spent = cluster.nodes[0].cli(&["budget", "list"]);
        let budget = gateway::rows(spent, &["budgets"]).remove(0);
        (budget["held"] == 0).then_some(())
    })
    .await;
    let logged = cluster.logged();
    assert!(logged <= DOLLAR, "{logged} logged");
    let asked = i64::try_from(cluster.mock.requests().len()).expect("requests");
    assert!(asked > 0);
    // Its lease: the others use it up.
    let deadline = Instant::now() + CREDITED_WITHIN;
    let mut number = 0;
    while cluster.logged() < DOLLAR - REST {
        assert!(Instant::now() < deadline, "{} of a dollar were logged", cluster.logged());
        let few = (0..4).map(|_| {
            number += 1;
            stream(cluster.client(number), format!("[[chunks=20&delay_ms=1]] stream {number}."))
        });
        let ends = futures_util::future::join_all(few).await;
        only(&ends, &[200, 412]);
    }
    settled(&cluster).await;
    let logged = cluster.logged();
    assert!(logged <= DOLLAR, "{logged} logged");
    trace::follow(&cluster.redis.trace());
}

#[tokio::test]
async fn what_a_node_leaves_that_wrote_late_stays_spent() {
    let number = Cell::new(0);
    let mut cluster = Cluster::start(3, Redis::start(true), |settings| {
        number.set(number.get() + 1);
        // The last one loses up to 20 ms of what it did: nobody can know what it spent.
        let durability = if number.get() == 3 { "batch" } else { "each" };
        paying(settings).toml(&format!("[ledger]\ndurability = \"{durability}\""))
    })
    .await;
    cluster.warm().await;
    let running = streams(&cluster, 20);
    tokio::time::sleep(Duration::from_millis(600)).await;
    cluster.nodes[1].kill();
    cluster.nodes[2].kill();
    let burnt = |ahead: bool| {
        let told = trace::follow(&cluster.redis.trace());
        told.burnt.get(&ahead).copied().unwrap_or_default()
    };
    wait::until("both leases to be burnt", || (burnt(true) > 0 && burnt(false) > 0).then_some(())).await;
    let left = burnt(false);
    wait::until("what the first one left to be credited", || (burnt(true) == 0).then_some(())).await;
    assert_eq!(burnt(false), left, "nobody credits what can't be proven");
    for stream in running {
        stream.abort();
    }
}
