//! One suite, instantiated for every backend.

use crate::record::{
    BudgetRecord, ChangeKind, HoldRecord, KeyExtra, KeyHash, KeyKind, KeyRecord, KeyStatus, LedgerEntry,
    LogFilter, LogRow, Origin, Payment, SettleRecord, SpendRecord, Unit,
};
use crate::suite_configs;
use crate::{ChoiceRow, DecisionRow, GuardRow, Period, SqliteStore, Store, StoreError};

fn budget(id: &str) -> BudgetRecord {
    BudgetRecord {
        id: id.into(),
        name: id.into(),
        origin: Origin::Store,
        unit: Unit::Cost,
        limit: 1_000_000_000,
        period: Period::Daily,
        restarts_at: None,
        alerts: Vec::new(),
    }
}

fn pays(budget: &str, period_start: i64, amount: i64) -> Payment {
    Payment { budget: budget.into(), period_start, amount }
}

fn row(id: &str, cost: Option<i64>) -> LogRow {
    LogRow { id: id.into(), trace_id: format!("trace-{id}"), cost_nano_usd: cost, ..LogRow::default() }
}

fn key(id: &str, byte: u8) -> (KeyHash, KeyRecord) {
    let record = KeyRecord {
        id: id.into(),
        name: format!("name-{id}"),
        mask: "tg-ab…yz".into(),
        status: KeyStatus::Active,
        origin: Origin::Store,
        created_at: 1,
        expires_at: None,
        scopes: vec!["completions.write".into()],
        models: Vec::new(),
        limits: Vec::new(),
        budget: None,
        config: None,
        allow_config_override: true,
        metadata: Default::default(),
        header_credentials: false,
        unmeasured: None,
        kind: KeyKind::default(),
        workspace: None,
        user: None,
        extra: KeyExtra::default(),
    };
    (KeyHash([byte; 32]), record)
}

fn keys_are_found_by_hash(store: &mut dyn Store) {
    let entry = key("k1", 7);
    store.put_keys(std::slice::from_ref(&entry)).unwrap();
    assert_eq!(store.key_by_hash(&entry.0).unwrap().as_ref(), Some(&entry.1));
    assert_eq!(store.key_by_hash(&KeyHash([8; 32])).unwrap(), None);
    assert_eq!(store.key_by_id("k1").unwrap(), Some(entry));
    let changes = store.changes_since(0).unwrap();
    assert_eq!(
        changes.iter().map(|c| (c.kind, c.id.as_str())).collect::<Vec<_>>(),
        [(ChangeKind::Key, "k1")]
    );
}

fn a_settlement_spends_in_its_period_and_ends_the_hold(store: &mut dyn Store) {
    let now = 1_000_000;
    store.put_budget(&budget("b")).unwrap();
    let period = Period::Daily.start(now);
    let hold = HoldRecord { budgets: vec![pays("b", period, 50)], nano_usd: 50, row: row("r1", None) };
    store
        .commit(&[
            LedgerEntry::Hold(Box::new(hold)),
            LedgerEntry::Extend { request: "r1".into(), amounts: vec![25], nano_usd: 25 },
        ])
        .unwrap();
    assert_eq!(store.open_holds().unwrap().get("b"), Some(&75));
    let settle = SettleRecord { budgets: vec![pays("b", period, 30)], held: true, row: row("r1", Some(30)) };
    store.commit(&[LedgerEntry::Settle(Box::new(settle))]).unwrap();
    assert!(store.open_holds().unwrap().is_empty());
    assert_eq!(store.budget("b", now).unwrap().unwrap().1, 30);
    assert_eq!(store.budget("b", now + 86_400).unwrap().unwrap().1, 0);
    store.reset_budget("b", now).unwrap();
    assert_eq!(store.budgets(now).unwrap()[0].1, 0);
    assert_eq!(store.logs(&LogFilter::default()).unwrap(), [row("r1", Some(30))]);
}

fn decisions_are_kept_with_their_row(store: &mut dyn Store) {
    let choice = ChoiceRow {
        at: "config".into(),
        how: "fallback".into(),
        chose: Some("config.targets[1]".into()),
        why: "config.targets[0] came to 500".into(),
    };
    let guard = GuardRow { id: "g".into(), side: "input".into(), verdict: true, ..GuardRow::default() };
    let decision =
        DecisionRow { config: "key".into(), choices: vec![choice], cache: None, guards: vec![guard] };
    let decided = LogRow { decision: Some(Box::new(decision)), ..row("decided", None) };
    let settle = |row| LedgerEntry::Settle(Box::new(SettleRecord { budgets: Vec::new(), held: false, row }));
    store.commit(&[settle(decided.clone()), settle(row("plain", None))]).unwrap();
    assert_eq!(store.logs(&LogFilter::default()).unwrap(), [row("plain", None), decided]);
}

fn attempts_of_one_request_pay_from_their_own_budgets(store: &mut dyn Store) {
    for id in ["b", "c"] {
        store.put_budget(&budget(id)).unwrap();
    }
    let period = Period::Daily.start(0);
    let hold = |budget: &str, cost| HoldRecord {
        budgets: vec![pays(budget, period, 50)],
        nano_usd: 50,
        row: row("r1", cost),
    };
    let spend = SpendRecord { request: "r1".into(), budgets: vec![pays("b", period, 7)], held: true };
    store
        .commit(&[
            LedgerEntry::Hold(Box::new(hold("b", None))),
            LedgerEntry::Spend(Box::new(spend)),
            LedgerEntry::Hold(Box::new(hold("c", Some(7)))),
        ])
        .unwrap();
    assert_eq!(store.open_holds().unwrap().into_iter().collect::<Vec<_>>(), [("c".to_owned(), 50)]);
    assert_eq!(store.budget("b", 0).unwrap().unwrap().1, 7);
    // The process dies: the second hold is settled, the first attempt's cost is not spent again.
    assert_eq!(store.recover(&[]).unwrap(), 1);
    assert_eq!(store.budget("b", 0).unwrap().unwrap().1, 7);
    assert_eq!(store.budget("c", 0).unwrap().unwrap().1, 50);
    assert_eq!(store.logs(&LogFilter::default()).unwrap()[0].cost_nano_usd, Some(57));
}

fn old_log_rows_go_and_their_cost_stays(store: &mut dyn Store) {
    store.put_budget(&budget("b")).unwrap();
    let period = Period::Daily.start(0);
    for (id, started_at_ms) in [("a", 1_000), ("b", 2_000), ("c", 3_000)] {
        let row = LogRow { started_at_ms, ..row(id, Some(10)) };
        let settle = SettleRecord { budgets: vec![pays("b", period, 10)], held: false, row };
        store.commit(&[LedgerEntry::Settle(Box::new(settle))]).unwrap();
    }
    assert_eq!(store.prune_logs(3_000, 1).unwrap(), 1);
    assert_eq!(store.prune_logs(3_000, 9).unwrap(), 1);
    assert_eq!(store.logs(&LogFilter::default()).unwrap().len(), 1);
    assert_eq!(store.budget("b", 0).unwrap().unwrap().1, 30);
    store.delete_budget("b").unwrap();
    assert!(store.budgets(0).unwrap().is_empty());
}

fn keys_tell_which_config_they_begin_with(store: &mut dyn Store) {
    let with = |id: &str, byte, config: Option<&str>, status| {
        let (hash, record) = key(id, byte);
        (hash, KeyRecord { config: config.map(str::to_owned), status, ..record })
    };
    let keys = [
        with("k1", 1, Some("pc-a"), KeyStatus::Active),
        with("k2", 2, Some("pc-a"), KeyStatus::Revoked),
        with("k3", 3, Some("pc-b"), KeyStatus::Active),
        with("k4", 4, None, KeyStatus::Active),
    ];
    store.put_keys(&keys).unwrap();
    assert_eq!(store.keys_with_config("pc-a", 5).unwrap(), ["name-k1"]);
    assert!(store.keys_with_config("pc-c", 5).unwrap().is_empty());
}

fn open_holds_are_settled_at_their_amount(store: &mut dyn Store) {
    store.put_budget(&budget("b")).unwrap();
    let period = Period::Daily.start(0);
    let hold = HoldRecord {
        budgets: vec![pays("b", period, 40), pays("c", period, 90)],
        nano_usd: 90,
        row: row("r9", None),
    };
    store.commit(&[LedgerEntry::Hold(Box::new(hold))]).unwrap();
    assert_eq!(store.recover(&[]).unwrap(), 1);
    assert_eq!(store.recover(&[]).unwrap(), 0);
    assert_eq!(store.budget("b", 0).unwrap().unwrap().1, 40);
    let rows = store.logs(&LogFilter { trace_id: Some("trace-r9".into()), ..LogFilter::default() }).unwrap();
    assert_eq!((rows[0].outcome.as_str(), rows[0].cost_nano_usd), ("recovered", Some(90)));
}

macro_rules! store_suite {
    ($name:ident, $open:expr) => {
        mod $name {
            #[test]
            fn keys_are_found_by_hash() {
                super::keys_are_found_by_hash(&mut $open);
            }
            #[test]
            fn a_settlement_spends_in_its_period_and_ends_the_hold() {
                super::a_settlement_spends_in_its_period_and_ends_the_hold(&mut $open);
            }
            #[test]
            fn attempts_of_one_request_pay_from_their_own_budgets() {
                super::attempts_of_one_request_pay_from_their_own_budgets(&mut $open);
            }
            #[test]
            fn decisions_are_kept_with_their_row() {
                super::decisions_are_kept_with_their_row(&mut $open);
            }
            #[test]
            fn old_log_rows_go_and_their_cost_stays() {
                super::old_log_rows_go_and_their_cost_stays(&mut $open);
            }
            #[test]
            fn keys_tell_which_config_they_begin_with() {
                super::keys_tell_which_config_they_begin_with(&mut $open);
            }
            #[test]
            fn a_config_has_every_version_it_ever_had() {
                super::suite_configs::a_config_has_every_version_it_ever_had(&mut $open);
            }
            #[test]
            fn a_version_is_never_written_over_and_one_that_is_missing_never_in_force() {
                super::suite_configs::a_version_is_never_written_over_and_one_that_is_missing_never_in_force(
                    &mut $open,
                );
            }
            #[test]
            fn open_holds_are_settled_at_their_amount() {
                super::open_holds_are_settled_at_their_amount(&mut $open);
            }
        }
    };
}

store_suite!(sqlite, crate::SqliteStore::open(&tempfile::tempdir().unwrap().keep().join("t.db")).unwrap());

#[test]
fn a_store_of_the_first_schema_keeps_its_keys_and_learns_configs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(include_str!("../migrations/0001_start.sql")).unwrap();
    raw.pragma_update(None, "user_version", 1).unwrap();
    // As the first version wrote keys: without a word of overrides.
    let mut old = serde_json::to_value(key("k1", 7).1).unwrap();
    old.as_object_mut().unwrap().remove("allow_config_override").unwrap();
    let put = "INSERT INTO api_key (id, hash, name, record) VALUES ('k1', ?1, 'n', ?2)";
    raw.execute(put, rusqlite::params![[7_u8; 32], old.to_string()]).unwrap();
    drop(raw);
    let mut store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.key_by_id("k1").unwrap().unwrap().1, key("k1", 7).1);
    suite_configs::a_version_is_never_written_over_and_one_that_is_missing_never_in_force(&mut store);
}

#[test]
fn a_store_from_the_future_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    drop(SqliteStore::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Future { found: 99, .. })));
}
