//! One suite, instantiated for every backend.

use crate::record::{
    BudgetRecord, ChangeKind, HoldRecord, KeyExtra, KeyHash, KeyKind, KeyRecord, KeyStatus, LedgerEntry,
    LogFilter, LogRow, Origin, Payment, SettleRecord, SpendRecord,
};
use crate::{ChoiceRow, DecisionRow, GuardRow, Period, Store};

/// A backend under test.
pub(crate) trait Subject {
    /// Returns the store of the first process.
    fn store(&mut self) -> &mut dyn Store;

    /// Opens what another process has, after the first one or beside it.
    fn successor(&self) -> Box<dyn Store>;

    /// Does what no store would do.
    fn tamper(&self, sql: &str);
}

pub(crate) fn budget(id: &str) -> BudgetRecord {
    BudgetRecord { period: Period::Daily, ..BudgetRecord::named(id, id, 1_000_000_000) }
}

pub(crate) fn pays(budget: &str, period_start: i64, amount: i64) -> Payment {
    Payment { budget: budget.into(), period_start, amount, by: String::new() }
}

pub(crate) fn row(id: &str, cost: Option<i64>) -> LogRow {
    LogRow { id: id.into(), trace_id: format!("trace-{id}"), cost_nano_usd: cost, ..LogRow::default() }
}

pub(crate) fn key(id: &str, byte: u8) -> (KeyHash, KeyRecord) {
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

pub(crate) fn keys_are_found_by_hash(subject: &mut dyn Subject) {
    let store = subject.store();
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

pub(crate) fn a_settlement_spends_in_its_period_and_ends_the_hold(subject: &mut dyn Subject) {
    let store = subject.store();
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
    let settle =
        SettleRecord { budgets: vec![pays("b", period, 30)], held: true, row: row("r1", Some(30)).into() };
    store.commit(&[LedgerEntry::Settle(Box::new(settle))]).unwrap();
    assert!(store.open_holds().unwrap().is_empty());
    assert_eq!(store.budget("b", now).unwrap().unwrap().1, 30);
    assert_eq!(store.budget("b", now + 86_400).unwrap().unwrap().1, 0);
    store.reset_budget("b", now).unwrap();
    assert_eq!(store.budgets(now).unwrap()[0].1, 0);
    assert_eq!(store.logs(&LogFilter::default()).unwrap(), [row("r1", Some(30))]);
}

pub(crate) fn decisions_are_kept_with_their_row(subject: &mut dyn Subject) {
    let store = subject.store();
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
    let settle = |row: crate::record::LogRow| {
        LedgerEntry::Settle(Box::new(SettleRecord { budgets: Vec::new(), held: false, row: row.into() }))
    };
    store.commit(&[settle(decided.clone()), settle(row("plain", None))]).unwrap();
    assert_eq!(store.logs(&LogFilter::default()).unwrap(), [row("plain", None), decided]);
}

pub(crate) fn attempts_of_one_request_pay_from_their_own_budgets(subject: &mut dyn Subject) {
    let store = subject.store();
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
    let mut store = subject.successor();
    assert_eq!(store.recover(&[]).unwrap(), 1);
    assert_eq!(store.budget("b", 0).unwrap().unwrap().1, 7);
    assert_eq!(store.budget("c", 0).unwrap().unwrap().1, 50);
    assert_eq!(store.logs(&LogFilter::default()).unwrap()[0].cost_nano_usd, Some(57));
}

pub(crate) fn old_log_rows_go_and_their_cost_stays(subject: &mut dyn Subject) {
    let store = subject.store();
    store.put_budget(&budget("b")).unwrap();
    let period = Period::Daily.start(0);
    for (id, started_at_ms) in [("a", 1_000), ("b", 2_000), ("c", 3_000)] {
        let row = LogRow { started_at_ms, ..row(id, Some(10)) };
        let settle = SettleRecord { budgets: vec![pays("b", period, 10)], held: false, row: row.into() };
        store.commit(&[LedgerEntry::Settle(Box::new(settle))]).unwrap();
    }
    assert_eq!(store.prune_logs(3_000, 1).unwrap(), 1);
    assert_eq!(store.prune_logs(3_000, 9).unwrap(), 1);
    assert_eq!(store.logs(&LogFilter::default()).unwrap().len(), 1);
    assert_eq!(store.budget("b", 0).unwrap().unwrap().1, 30);
    store.delete_budget("b").unwrap();
    assert!(store.budgets(0).unwrap().is_empty());
}

pub(crate) fn keys_tell_which_config_they_begin_with(subject: &mut dyn Subject) {
    let store = subject.store();
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

pub(crate) fn open_holds_are_settled_at_their_amount(subject: &mut dyn Subject) {
    let store = subject.store();
    store.put_budget(&budget("b")).unwrap();
    let period = Period::Daily.start(0);
    let hold = HoldRecord {
        budgets: vec![pays("b", period, 40), pays("c", period, 90)],
        nano_usd: 90,
        row: row("r9", None),
    };
    store.commit(&[LedgerEntry::Hold(Box::new(hold))]).unwrap();
    let mut store = subject.successor();
    assert_eq!(store.recover(&[]).unwrap(), 1);
    assert_eq!(store.recover(&[]).unwrap(), 0);
    assert_eq!(store.budget("b", 0).unwrap().unwrap().1, 40);
    let rows = store.logs(&LogFilter { trace_id: Some("trace-r9".into()), ..LogFilter::default() }).unwrap();
    assert_eq!((rows[0].outcome.as_ref(), rows[0].cost_nano_usd), ("recovered", Some(90)));
}
