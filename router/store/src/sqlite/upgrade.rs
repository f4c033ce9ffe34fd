//! Files of earlier versions.

use super::SqliteStore;
use crate::record::{KeyHash, LogFilter, LogRow, Origin, Unit};
use crate::store::{KeyFilter, Store, StoreError};
use crate::suite::key;
use crate::{ObjectKind, Period, Window};

#[test]
fn a_store_of_the_first_schema_keeps_its_keys_and_learns_configs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(include_str!("../../migrations/0001_start.sql")).unwrap();
    raw.pragma_update(None, "user_version", 1).unwrap();
    // As the first version wrote keys: without a word of overrides.
    let mut old = serde_json::to_value(key("k1", 7).1).unwrap();
    old.as_object_mut().unwrap().remove("allow_config_override").unwrap();
    let put = "INSERT INTO api_key (id, hash, name, record) VALUES ('k1', ?1, 'n', ?2)";
    raw.execute(put, rusqlite::params![[7_u8; 32], old.to_string()]).unwrap();
    drop(raw);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.key_by_id("k1").unwrap().unwrap().1, key("k1", 7).1);
    assert!(store.configs().unwrap().is_empty());
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

/// A file as version 2 of the schema was written, with its records' own words.
const SECOND: &str = r#"
INSERT INTO meta VALUES ('installation', 'abc');
INSERT INTO api_key VALUES ('k1', x'0707070707070707070707070707070707070707070707070707070707070707', 'mobile',
  '{"id":"k1","name":"mobile","mask":"tg-ab…yz","status":"active","origin":"settings","created_at":1790000000,"expires_at":null,"scopes":["completions.write"],"models":["@openai/*"],"limits":[{"kind":"requests","amount":5,"per":"minute"}],"budget":"b-day","config":"pc-a","allow_config_override":false,"metadata":{"team":"a"},"header_credentials":false,"unmeasured":"deny"}');
INSERT INTO budget VALUES ('b-day', 'per day',
  '{"id":"b-day","name":"per day","origin":"settings","limit_nano_usd":5000000000,"period":"daily"}');
INSERT INTO budget VALUES ('b-all', 'in all', '{"id":"b-all","name":"in all","origin":"store","limit_nano_usd":70,"period":{"days":7}}');
INSERT INTO budget_spend VALUES ('b-day', 0, 1200), ('b-day', 86400, 34), ('b-gone', 0, 5);
INSERT INTO provider VALUES ('openai',
  '{"slug":"openai","vendor":"openai","origin":"store","base_url":null,"trusted":false,"api_key":"sealed","options":{},"models":[],"prices":null,"limits":[],"budget":null,"breaker":null}');
INSERT INTO hold VALUES ('r9', 90, '[["b-day",86400,90],["b-all",0,40]]',
  '{"id":"r9","trace_id":"t9","started_at_ms":86400000,"key":"k1","key_name":"mobile","provider":"openai","model":"gpt","endpoint":"/v1/chat/completions","stream":true,"status":200,"outcome":"","error":null,"input_tokens":0,"cached_input_tokens":0,"output_tokens":0,"reasoning_tokens":0,"estimated":false,"cost_nano_usd":7,"attempts":2,"first_byte_us":null,"total_us":0,"gateway_us":0,"metadata":{},"budgets":["b-day","b-all"],"option_index":"config","cache":"","saved_nano_usd":0,"tried":[]}');
INSERT INTO request_log VALUES ('r1', 86400000, 't1', 'k1', 'mobile', 200, 34,
  '{"id":"r1","trace_id":"t1","started_at_ms":86400000,"key":"k1","key_name":"mobile","provider":"openai","model":"gpt","endpoint":"/v1/chat/completions","stream":false,"status":200,"outcome":"ok","error":null,"input_tokens":3,"cached_input_tokens":0,"output_tokens":4,"reasoning_tokens":0,"estimated":false,"cost_nano_usd":34,"attempts":1,"first_byte_us":9,"total_us":10,"gateway_us":1,"metadata":{},"budgets":["b-day"],"option_index":"","cache":"","saved_nano_usd":0,"tried":[]}');
INSERT INTO change (kind, id) VALUES ('key', 'k1'), ('config', 'pc-a');
INSERT INTO config VALUES ('pc-a',
  '{"slug":"pc-a","id":"c1","name":"a","active":2,"is_default":false,"workspace":null,"created_by":"k0","created_at_ms":1,"updated_by":"k0","updated_at_ms":2}');
INSERT INTO config_version VALUES
  ('pc-a', 1, '{"number":1,"id":"v1","json":"sealed 1","created_by":"k0","created_at_ms":1}'),
  ('pc-a', 2, '{"number":2,"id":"v2","json":"sealed 2","created_by":"k0","created_at_ms":2}');
"#;

#[test]
fn a_store_of_the_second_schema_keeps_what_it_knew_and_its_holds_are_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "journal_mode", "wal").unwrap();
    raw.execute_batch(include_str!("../../migrations/0001_start.sql")).unwrap();
    raw.execute_batch(include_str!("../../migrations/0002_configs.sql")).unwrap();
    raw.pragma_update(None, "user_version", 2).unwrap();
    raw.execute_batch(SECOND).unwrap();
    drop(raw);

    let mut store = SqliteStore::open(&path).unwrap();
    let found = store.key_by_hash(&KeyHash([7; 32])).unwrap().unwrap();
    assert_eq!(
        (found.id.as_str(), found.origin, found.allow_config_override),
        ("k1", Origin::Settings, false)
    );
    assert_eq!((found.limits.len(), found.workspace.as_deref()), (1, None));
    assert!(format!("{:?}", found.limits).contains(&format!("{:?}", Window::Minute)));
    let everyone = KeyFilter { workspace: Some(String::new()), ..KeyFilter::default() };
    assert_eq!(store.list_keys(&everyone).unwrap().1, 1);
    assert_eq!(store.keys_with_config("pc-a", 9).unwrap(), ["mobile"]);

    let (daily, spent) = store.budget("b-day", 86_400).unwrap().unwrap();
    assert_eq!(
        (daily.limit, daily.unit, daily.period, spent),
        (5_000_000_000, Unit::Cost, Period::Daily, 34)
    );
    assert_eq!(store.budget("b-day", 0).unwrap().unwrap().1, 1_200);
    assert_eq!(store.spent_by("b-gone", 0).unwrap(), [(String::new(), 5)]);
    assert_eq!(
        store.open_holds().unwrap().into_iter().collect::<Vec<_>>(),
        [("b-all".to_owned(), 40), ("b-day".to_owned(), 90)]
    );
    assert_eq!(store.recover(&[]).unwrap(), 1);
    assert_eq!(store.budget("b-day", 86_400).unwrap().unwrap().1, 34 + 90);
    assert_eq!(store.budget("b-all", 86_400).unwrap().unwrap().1, 40);
    let logs = store.logs(&LogFilter::default()).unwrap();
    let said = |row: &LogRow| (row.id.clone(), row.outcome.clone(), row.cost_nano_usd);
    assert_eq!(
        logs.iter().map(said).collect::<Vec<_>>(),
        [("r9".into(), "recovered".into(), Some(97)), ("r1".into(), "ok".into(), Some(34))]
    );

    assert_eq!(store.providers().unwrap()[0].api_key.as_deref(), Some("sealed"));
    assert_eq!(store.config("pc-a").unwrap().unwrap().1.json, "sealed 2");
    assert_eq!(store.config_versions("pc-a").unwrap().len(), 2);
    assert_eq!(
        (store.meta("installation").unwrap().as_deref(), store.last_change().unwrap()),
        (Some("abc"), 2)
    );
    // And it has what is new.
    assert_eq!(store.objects(ObjectKind::Workspace).unwrap(), []);
    assert_eq!(store.check_audit().unwrap().rows, 0);
}
