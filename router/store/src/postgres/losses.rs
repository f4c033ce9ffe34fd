//! What happens when the server, or the way to it, fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::PostgresStore;
use super::proxy::{Proxy, Trouble};
use super::server::{PASSWORD, Server};
use crate::audit::{AuditFilter, AuditRecord};
use crate::record::{LedgerEntry, LogFilter, SettleRecord};
use crate::store::{Store, StoreError};
use crate::suite::{pays, row};

/// Short, for what fails; and what is to work on a busy machine.
const DEADLINE: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(10);

/// A store of an empty database behind a proxy, and the database's name.
fn behind_a_proxy(within: Duration) -> (Proxy, PostgresStore, String) {
    let server = Server::shared();
    let database = server.database();
    let proxy = Proxy::start(server.port);
    let url = format!(
        "postgres://tidegate:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable&connect_timeout=1",
        proxy.port
    );
    (proxy, PostgresStore::open_within(&url, "a", within).unwrap(), database)
}

fn batch(id: &str) -> [LedgerEntry; 1] {
    let budgets = vec![pays("b", 0, 5)];
    [LedgerEntry::Settle(Box::new(SettleRecord { budgets, held: false, row: row(id, Some(5)).into() }))]
}

fn spent(store: &dyn Store) -> i64 {
    store.spends("b").unwrap().first().map_or(0, |(.., amount)| *amount)
}

/// Asks until the pause after a failed connection is over.
fn once_back<T>(mut ask: impl FnMut() -> Result<T, StoreError>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_written_once() {
    let (proxy, mut store, _) = behind_a_proxy(LONG);
    store.commit(&batch("0")).unwrap();
    for (n, trouble) in [Trouble::AnswerLost, Trouble::CommitLost].into_iter().enumerate() {
        proxy.have(trouble);
        store.commit(&batch(&format!("{trouble:?}"))).unwrap();
        assert_eq!(proxy.trouble(), Trouble::None, "{trouble:?} did not happen");
        assert_eq!(spent(&store), 5 * (n as i64 + 2), "{trouble:?}");
    }
}

#[test]
fn an_action_whose_answer_is_lost_is_written_once() {
    let (proxy, mut store, _) = behind_a_proxy(LONG);
    for (n, trouble) in [Trouble::AnswerLost, Trouble::CommitLost].into_iter().enumerate() {
        proxy.have(trouble);
        store.write(&[], Some(&AuditRecord::default())).unwrap();
        assert_eq!(proxy.trouble(), Trouble::None, "{trouble:?} did not happen");
        assert_eq!(store.audit(&AuditFilter::default()).unwrap().1, n + 1, "{trouble:?}");
        proxy.have(trouble);
        assert!(
            store.tell_once(&format!("{trouble:?}"), 1, 0).unwrap(),
            "the answer is that of what was done"
        );
    }
}

#[test]
fn a_batch_tried_again_later_is_written_once() {
    for trouble in [Trouble::AnswerLostThenAway, Trouble::CommitLostThenAway] {
        let (proxy, mut store, _) = behind_a_proxy(DEADLINE);
        store.commit(&batch("0")).unwrap();
        proxy.have(trouble);
        let error = store.commit(&batch("1")).unwrap_err().to_string();
        assert!(error.contains("whether it was written is not known"), "{error}");
        // Still away.
        assert!(store.commit(&batch("1")).is_err());
        proxy.have(Trouble::None);
        // Other transactions come between.
        once_back(|| store.set_meta("a", "1"));
        once_back(|| store.set_meta("a", "2"));
        once_back(|| store.commit(&batch("1")));
        assert_eq!(spent(&store), 10, "{trouble:?}");
        // The same words again are another batch.
        store.commit(&batch("1")).unwrap();
        assert_eq!(spent(&store), 15, "{trouble:?}");
    }
}

#[test]
fn another_batch_after_one_of_unknown_fate_is_written() {
    let (proxy, mut store, _) = behind_a_proxy(DEADLINE);
    proxy.have(Trouble::AnswerLostThenAway);
    store.commit(&batch("1")).unwrap_err();
    proxy.have(Trouble::None);
    once_back(|| store.commit(&batch("2")));
    assert_eq!(spent(&store), 10);
}

#[test]
fn a_deleted_row_of_writers_is_made_again() {
    let (_proxy, mut store, database) = behind_a_proxy(LONG);
    store.commit(&batch("1")).unwrap();
    Server::shared().psql(&database, "DELETE FROM writer");
    store.commit(&batch("2")).unwrap();
    store.set_meta("a", "1").unwrap();
    assert_eq!(spent(&store), 10);
}

#[test]
fn a_connection_that_was_cut_is_made_again_by_the_same_call() {
    let (_proxy, mut store, database) = behind_a_proxy(LONG);
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'
         AND pid <> pg_backend_pid()"
    );
    store.set_meta("a", "1").unwrap();
    Server::shared().psql("postgres", &cut);
    assert_eq!(store.meta("a").unwrap().as_deref(), Some("1"));
    Server::shared().psql("postgres", &cut);
    store.set_meta("a", "2").unwrap();
    Server::shared().psql("postgres", &cut);
    store.commit(&batch("1")).unwrap();
    assert_eq!((store.meta("a").unwrap().as_deref(), spent(&store)), (Some("2"), 5));
}

#[test]
fn a_server_that_is_away_is_an_error_until_it_is_back() {
    let (proxy, mut store, _) = behind_a_proxy(DEADLINE);
    proxy.have(Trouble::Away);
    let began = Instant::now();
    for _ in 0..50 {
        let error = store.meta("a").unwrap_err().to_string();
        assert!(error.starts_with("database: PostgreSQL: "), "{error}");
        let error = store.commit(&batch("1")).unwrap_err().to_string();
        assert!(!error.contains("not known"), "it was certainly not written: {error}");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    proxy.have(Trouble::None);
    once_back(|| store.commit(&batch("1")));
    assert_eq!(spent(&store), 5);
}

#[test]
fn a_server_that_hangs_is_an_error_in_time() {
    let (proxy, mut store, _) = behind_a_proxy(DEADLINE);
    store.commit(&batch("1")).unwrap();
    proxy.have(Trouble::Frozen);
    let began = Instant::now();
    let error = store.meta("a").unwrap_err().to_string();
    assert_eq!(error, "database: PostgreSQL did not answer within 2 s");
    store.commit(&batch("2")).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    proxy.have(Trouble::None);
    once_back(|| store.commit(&batch("2")));
    assert_eq!(spent(&store), 10);
}

#[test]
fn a_lock_that_nobody_lets_go_is_an_error_in_time() {
    let (_proxy, mut store, database) = behind_a_proxy(DEADLINE);
    let server = Server::shared();
    store.commit(&batch("1")).unwrap();
    let mut holder = std::process::Command::new("psql")
        .args([
            "-X",
            "-q",
            "-c",
            "BEGIN; LOCK TABLE budget_spend; SELECT pg_sleep(30)",
            &server.url(&database),
        ])
        // It says that its connection was cut.
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let waits = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted
         AND relation = 'budget_spend'::regclass";
    once_back(|| match server.psql(&database, waits).as_str() {
        "1" => Ok(()),
        said => Err(StoreError::Database(said.to_owned())),
    });
    let began = Instant::now();
    store.commit(&batch("2")).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'
         AND datname = current_database() AND pid <> pg_backend_pid()";
    server.psql(&database, end);
    holder.wait().unwrap();
    once_back(|| store.commit(&batch("2")));
    assert_eq!(spent(&store), 10);
}

#[test]
fn a_server_that_crashes_loses_no_batch_and_writes_none_twice() {
    let server = Server::start();
    let mut store = PostgresStore::open_within(&server.url("postgres"), "a", DEADLINE).unwrap();
    let (told, written) = std::sync::mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let crashed = over.clone();
    let ledger = std::thread::spawn(move || {
        let (mut batches, mut failed) = (0_i64, 0);
        // It writes while the server crashes, however fast it is.
        while !crashed.load(Ordering::SeqCst) {
            while store.commit(&batch(&format!("{batches:06}"))).is_err() {
                failed += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            batches += 1;
            told.send(()).unwrap();
        }
        (store, batches, failed)
    });
    for _ in 0..2 {
        // What was written meanwhile does not count: a hundred more.
        written.try_iter().for_each(drop);
        assert_eq!(written.iter().take(100).count(), 100);
        server.crash();
    }
    written.try_iter().for_each(drop);
    assert_eq!(written.iter().take(100).count(), 100);
    over.store(true, Ordering::SeqCst);
    let (store, batches, failed) = ledger.join().unwrap();
    assert!(failed > 0, "nobody noticed");
    assert_eq!(spent(&store), 5 * batches);
    assert_eq!(store.logs(&LogFilter::default()).unwrap().len() as i64, batches);
}

#[test]
fn it_works_inside_and_outside_of_a_runtime() {
    let (_proxy, mut store, _) = behind_a_proxy(LONG);
    store.set_meta("a", "0").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seen = runtime.block_on(async {
        store.set_meta("a", "1").unwrap();
        let elsewhere = runtime.spawn_blocking(move || {
            store.set_meta("b", "2").unwrap();
            (store.meta("a").unwrap(), store.meta("b").unwrap())
        });
        elsewhere.await.unwrap()
    });
    assert_eq!(seen, (Some("1".to_owned()), Some("2".to_owned())));
}
