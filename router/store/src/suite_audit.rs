//! What every backend does with the audit log.

use serde_json::json;

use crate::audit::{AuditFilter, AuditRecord, AuditRow};
use crate::suite::Subject;

/// The n-th action.
fn action(n: i64) -> AuditRecord {
    AuditRecord {
        at_ms: n * 1_000,
        method: if n % 2 == 0 { "PUT" } else { "POST" }.into(),
        uri: format!("/v1/things/{n}?a=\"ü\0\""),
        actor: format!("actor-{}", n % 3),
        workspace: if n > 3 { "w1" } else { "" }.into(),
        resource: "thing".into(),
        resource_id: n.to_string(),
        action: if n % 2 == 0 { "update" } else { "create" }.into(),
        before: json!(null),
        after: json!({"z": 1.50, "a": [n, "\u{0}", "\u{1f980}"]}),
        status: if n == 4 { 403 } else { 200 },
        ..AuditRecord::default()
    }
}

fn fill(subject: &mut dyn Subject, count: i64) {
    for n in 1..=count {
        subject.store().write(&[], Some(&action(n))).unwrap();
    }
}

fn seqs(rows: &[AuditRow]) -> Vec<i64> {
    rows.iter().map(|row| row.seq).collect()
}

pub(crate) fn audit_rows_are_filtered_and_paged_newest_first(subject: &mut dyn Subject) {
    fill(subject, 6);
    let store = subject.store();
    let all = AuditFilter::default;
    let (rows, total) = store.audit(&all()).unwrap();
    assert_eq!((seqs(&rows), total), (vec![6, 5, 4, 3, 2, 1], 6));
    assert_eq!(rows[5].record, action(1));
    let (rows, total) = store.audit(&AuditFilter { offset: 1, limit: 2, ..all() }).unwrap();
    assert_eq!((seqs(&rows), total), (vec![5, 4], 6));
    let found = |filter: AuditFilter| seqs(&store.audit(&filter).unwrap().0);
    assert_eq!(found(AuditFilter { from_ms: Some(3_000), to_ms: Some(4_000), ..all() }), [4, 3]);
    assert_eq!(found(AuditFilter { workspace: Some("w1".into()), ..all() }), [6, 5, 4]);
    assert_eq!(found(AuditFilter { workspace: Some(String::new()), ..all() }), [3, 2, 1]);
    assert_eq!(found(AuditFilter { actor: Some("actor-1".into()), ..all() }), [4, 1]);
    assert_eq!(found(AuditFilter { resource: Some("thing".into()), limit: 1, ..all() }), [6]);
    assert!(found(AuditFilter { resource: Some("other".into()), ..all() }).is_empty());
    assert_eq!(found(AuditFilter { resource_id: Some("2".into()), ..all() }), [2]);
    assert_eq!(found(AuditFilter { action: Some("update".into()), ..all() }), [6, 4, 2]);
    assert_eq!(found(AuditFilter { method: Some("POST".into()), ..all() }), [5, 3, 1]);
    assert_eq!(found(AuditFilter { status: Some(403), ..all() }), [4]);
    let (rows, total) =
        store.audit(&AuditFilter { method: Some("POST".into()), offset: 1, limit: 1, ..all() }).unwrap();
    assert_eq!((seqs(&rows), total), (vec![3], 3));
}

pub(crate) fn a_whole_chain_is_whole(subject: &mut dyn Subject) {
    let check = subject.store().check_audit().unwrap();
    assert_eq!((check.rows, check.broken, check.head.as_str()), (0, None, ""));
    fill(subject, 5);
    // Another process goes on with the same chain.
    let mut other = subject.successor();
    other.write(&[], Some(&action(6))).unwrap();
    let (rows, _) = other.audit(&AuditFilter { limit: 1, ..AuditFilter::default() }).unwrap();
    let head: String = rows[0].hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let check = subject.store().check_audit().unwrap();
    assert_eq!((check.rows, check.broken, check.head), (6, None, head));
}

pub(crate) fn a_changed_text_breaks_the_chain(subject: &mut dyn Subject) {
    fill(subject, 5);
    subject.tamper("UPDATE audit SET record = replace(record, 'actor-0', 'actor-1') WHERE seq = 3");
    let check = subject.store().check_audit().unwrap();
    let (seq, reason) = check.broken.expect("it is broken");
    assert_eq!((check.rows, seq), (5, 3));
    assert!(reason.contains("changed"), "{reason}");
}

pub(crate) fn a_missing_row_breaks_the_chain(subject: &mut dyn Subject) {
    fill(subject, 5);
    subject.tamper("DELETE FROM audit WHERE seq = 2");
    let check = subject.store().check_audit().unwrap();
    assert_eq!((check.rows, check.broken), (4, Some((3, "row 2 is missing".to_owned()))));
}

pub(crate) fn an_inserted_row_breaks_the_chain(subject: &mut dyn Subject) {
    fill(subject, 4);
    // Room is made, and a row put there that is as good as a copy can be.
    subject.tamper(
        "UPDATE audit SET seq = 5 WHERE seq = 4;
         UPDATE audit SET seq = 4 WHERE seq = 3;
         CREATE TABLE copy AS SELECT * FROM audit WHERE seq = 2;
         UPDATE copy SET seq = 3;
         INSERT INTO audit SELECT * FROM copy",
    );
    let check = subject.store().check_audit().unwrap();
    assert_eq!((check.rows, check.broken.expect("it is broken").0), (5, 3));
}
