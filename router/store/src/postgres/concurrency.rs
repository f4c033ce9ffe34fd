//! What several nodes do at the same time.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::PostgresStore;
use super::server::Server;
use crate::audit::AuditRecord;
use crate::object::{ObjectKind, ObjectRecord};
use crate::record::{ChangeKind, HoldRecord, LedgerEntry, LogFilter, SettleRecord};
use crate::store::{Store, Write};
use crate::suite::{pays, row};

fn open(database: &str, node: &str) -> PostgresStore {
    PostgresStore::open(&Server::shared().url(database), node).unwrap()
}

fn object(id: String) -> ObjectRecord {
    ObjectRecord {
        kind: ObjectKind::UsagePolicy,
        slug: id.clone(),
        id,
        workspace: None,
        version: 1,
        body: json!({}),
        created_at_ms: 0,
        created_by: String::new(),
        updated_at_ms: 0,
        updated_by: String::new(),
    }
}

fn hold(id: &str, amount: i64) -> LedgerEntry {
    let budgets = vec![pays("b", 0, amount)];
    LedgerEntry::Hold(Box::new(HoldRecord { budgets, nano_usd: amount, row: row(id, None) }))
}

#[test]
fn a_reader_of_the_feed_misses_nothing_and_the_audit_chain_never_forks() {
    const NODES: usize = 4;
    const WRITES: usize = 60;
    let database = Server::shared().database();
    let reader = open(&database, "reader");
    let nodes: Vec<_> = (0..NODES)
        .map(|node| {
            let mut store = open(&database, &format!("node-{node}"));
            thread::spawn(move || {
                for n in 0..WRITES {
                    // Long transactions and short ones.
                    let writes: Vec<_> = (0..=n % 3)
                        .map(|part| Write::PutObject(Box::new(object(format!("{node}-{n}-{part}")))))
                        .collect();
                    store.write(&writes, Some(&AuditRecord::default())).unwrap();
                    store.note_change(ChangeKind::Prices, "all").unwrap();
                }
            })
        })
        .collect();
    let (mut seen, mut last) = (Vec::new(), 0);
    loop {
        let ended = nodes.iter().all(|node| node.is_finished());
        let new = reader.changes_since(last).unwrap();
        last = new.last().map_or(last, |change| change.seq);
        seen.extend(new);
        if ended {
            break;
        }
    }
    for node in nodes {
        node.join().unwrap();
    }
    assert_eq!(seen, reader.changes_since(0).unwrap());
    assert_eq!(seen.len(), NODES * (WRITES * 3));
    let check = reader.check_audit().unwrap();
    assert_eq!((check.rows, check.broken), ((NODES * WRITES) as u64, None));
}

#[test]
fn a_change_waits_for_one_that_has_a_smaller_number() {
    let server = Server::shared();
    let database = server.database();
    let reader = open(&database, "reader");
    let mut first = open(&database, "first");
    let mut second = open(&database, "second");
    // The first one's transaction has its number and stands still before it commits.
    first.set_meta("held", "").unwrap();
    let blocker = "BEGIN; UPDATE meta SET value = 'x' WHERE name = 'held'; SELECT pg_sleep(30)";
    let mut holder = std::process::Command::new("psql")
        .args(["-X", "-q", "-c", blocker, &server.url(&database)])
        // It says that its connection was cut.
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = |sql: &str| {
        let began = Instant::now();
        while server.psql(&database, sql) != "t" {
            assert!(began.elapsed() < Duration::from_secs(20), "this never came: {sql}");
        }
    };
    until(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')",
    );
    let slow = thread::spawn(move || {
        let writes = [
            Write::PutObject(Box::new(object("slow".into()))),
            Write::SetMeta { name: "held".into(), value: "y".into() },
        ];
        first.write(&writes, None).unwrap();
    });
    let waiting = |n: u32| {
        format!(
            "SELECT count(*) = {n} FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'tidegate' AND wait_event_type = 'Lock'"
        )
    };
    until(&waiting(1));
    let fast = thread::spawn(move || second.note_change(ChangeKind::Prices, "all").unwrap());
    until(&waiting(2));
    assert_eq!(reader.last_change().unwrap(), 0);
    server.psql(
        &database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event = 'PgSleep'",
    );
    holder.wait().unwrap();
    slow.join().unwrap();
    fast.join().unwrap();
    let kinds: Vec<_> = reader.changes_since(0).unwrap().into_iter().map(|change| change.kind).collect();
    assert_eq!(kinds, [ChangeKind::Object, ChangeKind::Prices]);
}

#[test]
fn holds_of_living_nodes_and_ones_own_stay() {
    let database = Server::shared().database();
    for (node, amount) in [("dead", 1), ("alive", 10), ("dead too", 100)] {
        open(&database, node).commit(&[hold(node, amount)]).unwrap();
    }
    let mut own = open(&database, "own");
    own.commit(&[hold("own", 1_000)]).unwrap();
    assert_eq!(own.recover(&["alive".to_owned()]).unwrap(), 2);
    assert_eq!(own.open_holds().unwrap()["b"], 1_010);
    // Who spent it keeps it.
    assert_eq!(own.spent_by("b", 0).unwrap(), [("dead".to_owned(), 1), ("dead too".to_owned(), 100)]);
    assert_eq!(own.logs(&LogFilter::default()).unwrap().len(), 2);
}

#[test]
fn what_is_held_is_found_whatever_words_a_client_put_into_the_budgets_name() {
    let database = Server::shared().database();
    let mut store = open(&database, "node");
    for (at, name) in ["b", "usage:p:user:\"a\\b\"", "usage:p:user:ü %_", "[\"b\",0"].iter().enumerate() {
        let request = format!("r{at}");
        let budgets = vec![pays(name, 0, 7)];
        let held = HoldRecord { budgets, nano_usd: 7, row: row(&request, None) };
        store.commit(&[LedgerEntry::Hold(Box::new(held))]).unwrap();
        let held = store.held_by(name, 0).unwrap();
        assert_eq!(held.iter().map(|(_, amount)| amount).sum::<i64>(), 7, "of {name}");
    }
}

#[test]
fn nodes_that_recover_at_once_settle_a_hold_once() {
    let database = Server::shared().database();
    let holds: Vec<_> = (0..200).map(|n| hold(&format!("r{n:03}"), 1)).collect();
    open(&database, "dead").commit(&holds).unwrap();
    let nodes: Vec<_> = (0..4)
        .map(|n| {
            let mut store = open(&database, &format!("node-{n}"));
            thread::spawn(move || store.recover(&[]).unwrap())
        })
        .collect();
    let settled: usize = nodes.into_iter().map(|node| node.join().unwrap()).sum();
    let store = open(&database, "reader");
    assert_eq!((settled, store.spends("b").unwrap()[0].2), (200, 200));
}

#[test]
fn what_several_connections_spend_adds_up() {
    let database = Server::shared().database();
    let spenders: Vec<_> = ["a", "a", "b", "c"]
        .into_iter()
        .enumerate()
        .map(|(spender, node)| {
            let mut store = open(&database, node);
            thread::spawn(move || {
                for n in 0..50 {
                    // In another order each: rows are locked in one order all the same.
                    let mut budgets: Vec<_> = (0..6).map(|n| pays(&format!("b{n}"), 0, 1)).collect();
                    budgets.rotate_left((spender + n) % 6);
                    let row = row(&format!("{spender}-{n}"), Some(6));
                    let settle = SettleRecord { budgets, held: false, row: row.into() };
                    store.commit(&[LedgerEntry::Settle(Box::new(settle))]).unwrap();
                }
            })
        })
        .collect();
    for spender in spenders {
        spender.join().unwrap();
    }
    let store = open(&database, "reader");
    assert!(store.spends("b").unwrap().iter().all(|(.., amount)| *amount == 200));
    let by: Vec<_> = store.spent_by("b0", 0).unwrap();
    assert_eq!(by, [("a".to_owned(), 100), ("b".to_owned(), 50), ("c".to_owned(), 50)]);
}

#[test]
fn lists_of_a_full_database_come_from_indexes() {
    let server = Server::shared();
    let database = server.database();
    drop(open(&database, "a"));
    server.psql(
        &database,
        "INSERT INTO api_key SELECT 'k' || n, sha256(n::text::bytea), 'name ' || n, 'w' || n % 100, NULL, true, false, 'workspace-service', NULL, false, '{}'
           FROM generate_series(1, 100000) n;
         INSERT INTO request_log SELECT to_char(n, 'FM00000000'), n, 't' || n, 'k' || n % 500, 'n' || n % 500,
           'w' || n % 500, 200, 1, '{}' FROM generate_series(1, 50000) n;
         ANALYZE",
    );
    for (sql, index) in [
        ("SELECT record FROM api_key ORDER BY name, id LIMIT 20", "api_key_name"),
        ("SELECT record FROM api_key WHERE workspace = 'w7' ORDER BY name, id LIMIT 20", "api_key_workspace"),
        (
            "SELECT record FROM api_key WHERE config = 'pc-a' AND active ORDER BY name LIMIT 20",
            "api_key_config",
        ),
        ("SELECT id FROM api_key WHERE id >= 'k77' AND id < 'k78' ORDER BY id", "api_key_pkey"),
        ("SELECT row FROM request_log WHERE true ORDER BY id DESC LIMIT 50", "request_log_pkey"),
        (
            "SELECT row FROM request_log WHERE true AND (key = 'k7' OR key_name = 'k7') ORDER BY id DESC LIMIT 50",
            "request_log_key",
        ),
        (
            "SELECT row FROM request_log WHERE true AND workspace = 'w7' ORDER BY id DESC LIMIT 50",
            "request_log_workspace",
        ),
        (
            "SELECT row FROM request_log WHERE true AND (trace_id = 't7' OR id = 't7') ORDER BY id DESC LIMIT 50",
            "request_log_trace",
        ),
        (
            "SELECT id FROM request_log WHERE started_at_ms < 9 ORDER BY started_at_ms LIMIT 9",
            "request_log_started",
        ),
    ] {
        let plan = server.psql(&database, &format!("EXPLAIN {sql}"));
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{sql}\n{plan}");
    }
}
