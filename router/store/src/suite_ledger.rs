//! What every backend does with batches, logs and spend.

use crate::record::{HoldRecord, LedgerEntry, LogFilter, LogRow, Payment, SettleRecord, SpendRecord};
use crate::suite::{Subject, budget, pays, row};

fn hold(id: &str, budgets: Vec<Payment>) -> LedgerEntry {
    let nano_usd = budgets.iter().map(|payment| payment.amount).max().unwrap_or(0);
    LedgerEntry::Hold(Box::new(HoldRecord { budgets, nano_usd, row: row(id, None) }))
}

fn settle(row: LogRow, budgets: Vec<Payment>, held: bool) -> LedgerEntry {
    LedgerEntry::Settle(Box::new(SettleRecord { budgets, held, row: row.into() }))
}

fn ids(rows: &[LogRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

pub(crate) fn a_batch_means_what_its_entries_mean_one_after_the_other(subject: &mut dyn Subject) {
    let store = subject.store();
    let extend = |id: &str, amount| LedgerEntry::Extend {
        request: id.into(),
        amounts: vec![amount],
        nano_usd: amount,
    };
    let spend = SpendRecord { request: "a".into(), budgets: vec![pays("b", 0, 3)], held: true };
    store
        .commit(&[
            hold("a", vec![pays("b", 0, 10)]),
            extend("a", 5),
            extend("nobody", 5),
            LedgerEntry::Spend(Box::new(spend)),
            // The first hold is over: this one counts anew.
            hold("a", vec![pays("b", 0, 20), pays("c", 86_400, 7)]),
            extend("a", 1),
            hold("z", vec![pays("b", 0, 100)]),
            settle(row("z", Some(4)), vec![pays("b", 0, 4), pays("c", 0, 0)], true),
            extend("z", 50),
        ])
        .unwrap();
    let held: Vec<_> = store.open_holds().unwrap().into_iter().collect();
    assert_eq!(held, [("b".to_owned(), 21), ("c".to_owned(), 7)]);
    assert_eq!(store.spends("").unwrap(), [("b".to_owned(), 0, 7)], "zero is nothing");
    assert_eq!(ids(&store.logs(&LogFilter::default()).unwrap()), ["z"]);
}

pub(crate) fn a_hold_of_an_earlier_batch_grows(subject: &mut dyn Subject) {
    let store = subject.store();
    store.commit(&[hold("a", vec![pays("b", 0, 10), pays("c", 0, 2)])]).unwrap();
    let extend = LedgerEntry::Extend { request: "a".into(), amounts: vec![5, 1], nano_usd: 40 };
    store.commit(&[extend.clone(), extend]).unwrap();
    let held: Vec<_> = store.open_holds().unwrap().into_iter().collect();
    assert_eq!(held, [("b".to_owned(), 20), ("c".to_owned(), 4)]);
    let mut successor = subject.successor();
    assert_eq!(successor.recover(&[]).unwrap(), 1);
    assert_eq!(successor.logs(&LogFilter::default()).unwrap()[0].cost_nano_usd, Some(90));
}

pub(crate) fn a_row_that_is_written_again_replaces_the_first(subject: &mut dyn Subject) {
    let store = subject.store();
    let last = LogRow { status: 200, outcome: "ok".into(), ..row("a", Some(9)) };
    store.commit(&[settle(row("a", None), Vec::new(), false)]).unwrap();
    store
        .commit(&[settle(row("a", Some(1)), Vec::new(), false), settle(last.clone(), Vec::new(), false)])
        .unwrap();
    assert_eq!(store.logs(&LogFilter::default()).unwrap(), [last]);
}

pub(crate) fn logs_are_filtered_and_listed_newest_first(subject: &mut dyn Subject) {
    let store = subject.store();
    let entry = |id: &str, key: &str, status, workspace: &str| {
        let row = LogRow {
            key: key.into(),
            key_name: format!("name of {key}"),
            workspace: workspace.into(),
            status,
            ..row(id, None)
        };
        settle(row, Vec::new(), false)
    };
    store
        .commit(&[
            entry("3", "k1", 200, "w1"),
            entry("1", "k2", 500, "w1"),
            entry("4", "k2", 200, ""),
            entry("2", "k1", 429, "w2"),
        ])
        .unwrap();
    let found = |filter: LogFilter| {
        store.logs(&filter).unwrap().iter().map(|row| row.id.clone()).collect::<Vec<_>>().join(" ")
    };
    let all = LogFilter::default;
    assert_eq!(found(all()), "4 3 2 1");
    assert_eq!(found(LogFilter { limit: 2, ..all() }), "4 3");
    assert_eq!(found(LogFilter { key: Some("k1".into()), ..all() }), "3 2");
    assert_eq!(found(LogFilter { key: Some("name of k2".into()), limit: 1, ..all() }), "4");
    assert_eq!(found(LogFilter { trace_id: Some("trace-2".into()), ..all() }), "2");
    assert_eq!(found(LogFilter { trace_id: Some("1".into()), ..all() }), "1");
    assert_eq!(found(LogFilter { min_status: Some(429), ..all() }), "2 1");
    assert_eq!(found(LogFilter { workspace: Some("w1".into()), min_status: Some(300), ..all() }), "1");
    assert_eq!(found(LogFilter { workspace: Some(String::new()), ..all() }), "4");
}

pub(crate) fn null_characters_and_long_words_stop_nothing(subject: &mut dyn Subject) {
    let store = subject.store();
    let odd = LogRow {
        trace_id: format!("a\0b{}", "ü".repeat(5_000)),
        key_name: "n\0".into(),
        metadata: [("who\0".to_owned(), "\0\u{1f980}\\u0000".to_owned())].into(),
        error: Some("\0".repeat(10)),
        ..row("odd", Some(1))
    };
    let paid = vec![pays("policy/\0", 0, 5)];
    store.commit(&[settle(odd.clone(), paid, false), settle(row("plain", None), Vec::new(), false)]).unwrap();
    assert_eq!(store.logs(&LogFilter::default()).unwrap(), [row("plain", None), odd.clone()]);
    let filter = LogFilter { trace_id: Some(odd.trace_id.clone()), ..LogFilter::default() };
    assert_eq!(store.logs(&filter).unwrap(), [odd]);
    assert_eq!(store.spends("policy/").unwrap()[0].2, 5);
}

pub(crate) fn spend_is_listed_by_prefix_and_node_and_is_reset(subject: &mut dyn Subject) {
    let store = subject.store();
    store.put_budget(&budget("b")).unwrap();
    let paid = |id: &str, budgets| settle(row(id, None), budgets, false);
    store.commit(&[paid("1", vec![pays("b", 0, 5), pays("p/1", 0, 1), pays("p/2", 86_400, 2)])]).unwrap();
    store.commit(&[paid("2", vec![pays("p/2", 86_400, 3), pays("p/2", 0, 9), pays("q", 0, 1)])]).unwrap();
    let list = |found: Vec<(String, i64, i64)>| {
        found
            .iter()
            .map(|(id, start, amount)| format!("{id} {start} {amount}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(list(store.spends("p/").unwrap()), "p/1 0 1, p/2 0 9, p/2 86400 5");
    assert_eq!(store.spends("p/3").unwrap(), []);
    let by = store.spent_by("p/2", 86_400).unwrap();
    assert_eq!(by.iter().map(|(_, amount)| *amount).collect::<Vec<_>>(), [5], "{by:?}");
    assert_eq!(store.spent_by("p/2", 1).unwrap(), []);
    assert_eq!(store.budget("b", 10).unwrap().unwrap().1, 5);
    // Another process spends from the same budget.
    let mut other = subject.successor();
    other.commit(&[paid("3", vec![pays("b", 0, 20)])]).unwrap();
    assert_eq!(other.budgets(10).unwrap()[0].1, 25);
    assert_eq!(other.spent_by("b", 0).unwrap().iter().map(|(_, amount)| amount).sum::<i64>(), 25);
    other.reset_budget("b", 10).unwrap();
    assert_eq!(subject.store().budget("b", 10).unwrap().unwrap().1, 0);
    assert!(subject.store().reset_budget("nobody", 10).is_err());
}
