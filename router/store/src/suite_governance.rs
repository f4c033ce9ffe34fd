//! What every backend does with objects, keys, transactions of administrators and small values.

use serde_json::json;

use crate::audit::{AuditFilter, AuditRecord};
use crate::config::{ConfigRecord, ConfigVersion};
use crate::object::{ObjectKind, ObjectRecord};
use crate::record::{ChangeKind, KeyHash, KeyKind, KeyRecord, OldSecret, Origin, ProviderRecord};
use crate::store::{KeyFilter, Store, StoreError, Write};
use crate::suite::{Subject, budget, key};

fn object(id: &str, workspace: Option<&str>, slug: &str, version: u32) -> ObjectRecord {
    ObjectRecord {
        kind: ObjectKind::Guardrail,
        id: id.into(),
        workspace: workspace.map(str::to_owned),
        slug: slug.into(),
        version,
        body: json!({"version": version, "price": 0.1, "text": "\u{0}ü"}),
        created_at_ms: 1,
        created_by: "admin".into(),
        updated_at_ms: i64::from(version),
        updated_by: "admin".into(),
    }
}

fn put(object: &ObjectRecord) -> Write {
    Write::PutObject(Box::new(object.clone()))
}

fn put_key((hash, key): &(KeyHash, KeyRecord), old: Option<u8>) -> Write {
    Write::PutKey { hash: *hash, key: Box::new(key.clone()), old: old.map(|byte| KeyHash([byte; 32])) }
}

fn provider(slug: &str) -> ProviderRecord {
    ProviderRecord {
        origin: Origin::Store,
        api_key: Some("sealed".into()),
        prices: json!({"b": {"input": 0.25}, "a": {"input": 1}}),
        ..ProviderRecord::named(slug, "openai")
    }
}

fn changes(store: &dyn Store) -> Vec<(ChangeKind, String)> {
    store.changes_since(0).unwrap().into_iter().map(|change| (change.kind, change.id)).collect()
}

pub(crate) fn an_object_keeps_its_versions(subject: &mut dyn Subject) {
    let store = subject.store();
    let versions: Vec<_> = (1..=3).map(|version| object("g1", Some("w1"), "pii", version)).collect();
    for version in &versions {
        store.write(&[put(version)], None).unwrap();
    }
    let other = ObjectRecord { kind: ObjectKind::UsagePolicy, ..object("g1", Some("w1"), "pii", 1) };
    store.write(&[put(&other)], None).unwrap();
    let kind = ObjectKind::Guardrail;
    assert_eq!(store.object(kind, "g1").unwrap().as_ref(), Some(&versions[2]));
    assert_eq!(store.objects(kind).unwrap(), [versions[2].clone()]);
    let newest_first: Vec<_> = versions.iter().rev().cloned().collect();
    assert_eq!(store.object_versions(kind, "g1").unwrap(), newest_first);
    assert_eq!(changes(store)[0], (ChangeKind::Object, "guardrail/g1".to_owned()));
    store.write(&[Write::DeleteObject { kind, id: "g1".into() }], None).unwrap();
    assert_eq!(store.object(kind, "g1").unwrap(), None);
    assert_eq!(store.object_versions(kind, "g1").unwrap(), []);
    assert_eq!(store.object(ObjectKind::UsagePolicy, "g1").unwrap(), Some(other));
}

pub(crate) fn a_slug_is_taken_in_its_workspace_only(subject: &mut dyn Subject) {
    let store = subject.store();
    store.write(&[put(&object("1", Some("w1"), "pii", 1))], None).unwrap();
    let taken = store.write(&[put(&object("2", Some("w1"), "pii", 1))], None);
    assert!(matches!(&taken, Err(StoreError::Exists(slug)) if slug == "pii"), "{taken:?}");
    assert_eq!(store.object_versions(ObjectKind::Guardrail, "2").unwrap(), []);
    let elsewhere = [("3", Some("w2")), ("4", None)];
    for (id, workspace) in elsewhere {
        store.write(&[put(&object(id, workspace, "pii", 1))], None).unwrap();
    }
    let again = store.write(&[put(&object("5", None, "pii", 1))], None);
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
    // Free again after it was renamed or deleted, also within one transaction.
    let renamed = object("1", Some("w1"), "other", 2);
    store.write(&[put(&renamed), put(&object("2", Some("w1"), "pii", 1))], None).unwrap();
    let slugs: Vec<_> =
        store.objects(ObjectKind::Guardrail).unwrap().into_iter().map(|object| object.id).collect();
    assert_eq!(slugs, ["4", "1", "2", "3"], "by workspace and slug");
}

pub(crate) fn a_failing_write_leaves_nothing_of_its_transaction(subject: &mut dyn Subject) {
    let store = subject.store();
    store.write(&[put(&object("1", None, "taken", 1))], None).unwrap();
    let before = store.last_change().unwrap();
    let writes = [
        put_key(&key("k1", 1), Some(2)),
        Write::PutBudget(budget("b")),
        Write::SetMeta { name: "m".into(), value: "1".into() },
        put(&object("2", None, "free", 1)),
        put(&object("3", None, "taken", 1)),
    ];
    let failed = store.write(&writes, Some(&AuditRecord::default()));
    assert!(matches!(failed, Err(StoreError::Exists(_))), "{failed:?}");
    assert_eq!(store.key_by_id("k1").unwrap(), None);
    assert_eq!(store.key_by_hash(&KeyHash([2; 32])).unwrap(), None);
    assert_eq!(store.budget("b", 0).unwrap(), None);
    assert_eq!(store.meta("m").unwrap(), None);
    assert_eq!(store.object(ObjectKind::Guardrail, "2").unwrap(), None);
    assert_eq!(store.audit(&AuditFilter::default()).unwrap().1, 0);
    assert_eq!(store.last_change().unwrap(), before);
    // And what is right goes through afterwards.
    store.write(&writes[..4], Some(&AuditRecord::default())).unwrap();
    assert_eq!(store.audit(&AuditFilter::default()).unwrap().1, 1);
    assert!(store.last_change().unwrap() > before);
}

pub(crate) fn an_old_secret_finds_its_key_until_it_is_replaced_or_deleted(subject: &mut dyn Subject) {
    let store = subject.store();
    let found = |store: &dyn Store, byte| {
        store.key_by_hash(&KeyHash([byte; 32])).unwrap().map(|key| key.extra.old_secret.is_some())
    };
    store.write(&[put_key(&key("k1", 1), None), put_key(&key("k2", 9), None)], None).unwrap();
    let rotated = |byte| {
        let (hash, mut record) = key("k1", byte);
        record.extra.old_secret = Some(OldSecret { mask: "tg-…".into(), until: 99 });
        (hash, record)
    };
    store.write(&[put_key(&rotated(2), Some(1))], None).unwrap();
    assert_eq!((found(store, 1), found(store, 2), found(store, 9)), (Some(true), Some(true), Some(false)));
    assert_eq!(store.key_by_id("k1").unwrap().unwrap().0, KeyHash([2; 32]));
    store.write(&[put_key(&rotated(3), Some(2))], None).unwrap();
    assert_eq!((found(store, 1), found(store, 2), found(store, 3)), (None, Some(true), Some(true)));
    // A change that still tells of an old secret keeps it.
    store.write(&[put_key(&rotated(3), None)], None).unwrap();
    assert_eq!((found(store, 2), found(store, 3)), (Some(true), Some(true)));
    store.write(&[put_key(&key("k1", 3), None)], None).unwrap();
    assert_eq!((found(store, 2), found(store, 3)), (None, Some(false)));
    store.write(&[put_key(&rotated(4), Some(3)), Write::DeleteKey("k1".into())], None).unwrap();
    assert_eq!((found(store, 3), found(store, 4), found(store, 9)), (None, None, Some(false)));
}

pub(crate) fn keys_are_listed_in_pages(subject: &mut dyn Subject) {
    let store = subject.store();
    let keys: Vec<_> = (1..=5_u8)
        .map(|n| {
            let (hash, mut record) = key(&format!("k{n}"), n);
            record.workspace = (n > 2).then(|| "w1".to_owned());
            (hash, record)
        })
        .collect();
    store.put_keys(&keys).unwrap();
    let found = |filter: KeyFilter| {
        let (keys, total) = store.list_keys(&filter).unwrap();
        let ids: Vec<_> = keys.into_iter().map(|key| key.id).collect();
        format!("{} of {total}", ids.join(" "))
    };
    let all = KeyFilter::default;
    assert_eq!(found(all()), "k1 k2 k3 k4 k5 of 5");
    assert_eq!(found(KeyFilter { offset: 1, limit: 2, ..all() }), "k2 k3 of 5");
    assert_eq!(found(KeyFilter { offset: 9, limit: 2, ..all() }), " of 5");
    assert_eq!(found(KeyFilter { workspace: Some("w1".into()), limit: 1, ..all() }), "k3 of 3");
    assert_eq!(found(KeyFilter { workspace: Some(String::new()), ..all() }), "k1 k2 of 2");
    let ids = vec!["k5".to_owned(), "k2".to_owned(), "nobody".to_owned()];
    assert_eq!(found(KeyFilter { ids: ids.clone(), ..all() }), "k2 k5 of 2");
    assert_eq!(found(KeyFilter { ids, workspace: Some("w1".into()), ..all() }), "k5 of 1");
    assert_eq!(store.keys(2).unwrap().len(), 2);
}

pub(crate) fn keys_are_listed_by_kind_and_user(subject: &mut dyn Subject) {
    let store = subject.store();
    let of = |id: &str, byte: u8, kind: KeyKind, workspace: Option<&str>| {
        let (hash, record) = key(id, byte);
        let user = (kind == KeyKind::WorkspaceUser).then(|| "u1".to_owned());
        (hash, KeyRecord { kind, workspace: workspace.map(str::to_owned), user, ..record })
    };
    let (org, service, user) =
        (KeyKind::OrganisationService, KeyKind::WorkspaceService, KeyKind::WorkspaceUser);
    let mut root = of("k4", 4, service, None);
    root.1.scopes = vec!["admin".into()];
    let keys = [
        of("k1", 1, org, None),
        of("k2", 2, service, None),
        of("k3", 3, service, Some("w1")),
        root,
        of("k5", 5, user, Some("w1")),
    ];
    store.put_keys(&keys).unwrap();
    let found = |filter: KeyFilter| {
        let (keys, total) = store.list_keys(&filter).unwrap();
        assert_eq!(keys.len(), total);
        keys.into_iter().map(|key| key.id).collect::<Vec<_>>().join(" ")
    };
    let (all, w1) = (KeyFilter::default, || Some("w1".to_owned()));
    assert_eq!(found(KeyFilter { workspace: w1(), ..all() }), "k3 k5");
    // Those of no workspace are of the default one, but for the organisation's.
    assert_eq!(found(KeyFilter { workspace: w1(), or_of_none: true, ..all() }), "k2 k3 k5");
    assert_eq!(found(KeyFilter { kinds: vec![org, user], ..all() }), "k1 k5");
    assert_eq!(found(KeyFilter { kinds: vec![service], workspace: w1(), ..all() }), "k3");
    assert_eq!(found(KeyFilter { user: Some("u1".into()), ..all() }), "k5");
    assert_eq!(found(KeyFilter { user: Some("u2".into()), ..all() }), "");
}

pub(crate) fn keys_are_found_by_the_beginning_of_their_id(subject: &mut dyn Subject) {
    let store = subject.store();
    let ids = ["ab", "abc", "ab\u{10ffff}", "aB", "ac", "b"];
    let keys: Vec<_> = ids.iter().zip(1..).map(|(id, n)| key(id, n)).collect();
    store.put_keys(&keys).unwrap();
    let found: Vec<_> = store.keys_starting_with("ab").unwrap().into_iter().map(|(_, key)| key.id).collect();
    assert_eq!(found[..2], ["ab", "abc"]);
    assert!(!found.contains(&"aB".to_owned()) && !found.contains(&"ac".to_owned()), "{found:?}");
    assert_eq!(store.keys_starting_with("").unwrap().len(), 6);
}

pub(crate) fn names_sort_by_their_bytes(subject: &mut dyn Subject) {
    let store = subject.store();
    let names = ["b", "a", "B", "ä", "-a", "A"];
    let keys: Vec<_> = names
        .iter()
        .zip(1..)
        .map(|(name, n)| {
            let (hash, record) = key(&format!("k{n}"), n);
            (hash, KeyRecord { name: (*name).into(), ..record })
        })
        .collect();
    store.put_keys(&keys).unwrap();
    let found: Vec<_> = store.keys(9).unwrap().into_iter().map(|key| key.name).collect();
    assert_eq!(found, ["-a", "A", "B", "a", "b", "ä"]);
}

pub(crate) fn many_keys_are_one_change(subject: &mut dyn Subject) {
    let store = subject.store();
    let keys: Vec<_> = (0..2_500_u32)
        .map(|n| {
            let (_, record) = key(&format!("k{n:05}"), 0);
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            (KeyHash(hash), record)
        })
        .collect();
    store.put_keys(&keys).unwrap();
    assert_eq!(changes(store), [(ChangeKind::Key, "*".to_owned())]);
    assert_eq!(store.list_keys(&KeyFilter { limit: 1, ..KeyFilter::default() }).unwrap().1, 2_500);
    assert_eq!(store.key_by_id("k02345").unwrap().as_ref(), Some(&keys[2_345]));
    // The last of an id counts, and few are told one by one.
    let twice = [key("k00001", 1), key("k00001", 2), key("k00000", 3)];
    store.put_keys(&twice).unwrap();
    assert_eq!(store.key_by_id("k00001").unwrap().unwrap().0, KeyHash([2; 32]));
    let told: Vec<_> = changes(store).into_iter().map(|(_, id)| id).collect();
    assert_eq!(told, ["*", "k00001", "k00001", "k00000"]);
}

pub(crate) fn every_kind_of_write_is_kept(subject: &mut dyn Subject) {
    let store = subject.store();
    let config = ConfigRecord {
        slug: "pc-a".into(),
        id: "c".into(),
        name: "n".into(),
        active: 1,
        is_default: false,
        workspace: None,
        created_by: "admin".into(),
        created_at_ms: 1,
        updated_by: "admin".into(),
        updated_at_ms: 1,
    };
    let version = ConfigVersion {
        number: 1,
        id: "v".into(),
        json: "{}".into(),
        created_by: "a".into(),
        created_at_ms: 1,
    };
    let put_config =
        Write::PutConfig { config: Box::new(config.clone()), version: Some(Box::new(version.clone())) };
    let writes = [
        Write::PutProvider(Box::new(provider("p"))),
        Write::PutBudget(budget("b")),
        Write::ResetBudget { id: "b".into(), period_start: 0 },
        put_config,
        Write::SetMeta { name: "m".into(), value: "v".into() },
    ];
    store.write(&writes, None).unwrap();
    assert_eq!(store.providers().unwrap(), [provider("p")]);
    assert_eq!(store.budgets(0).unwrap(), [(budget("b"), 0)]);
    assert_eq!(store.config("pc-a").unwrap(), Some((config, version)));
    use ChangeKind::{Budget, Config, Provider, Reset};
    let told = changes(store);
    let kinds: Vec<_> = told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Provider, Budget, Reset, Config]);
    store.write(&[Write::DeleteBudget("b".into()), Write::DeleteConfig("pc-a".into())], None).unwrap();
    assert_eq!((store.budget("b", 0).unwrap(), store.config("pc-a").unwrap()), (None, None));
    let audit = AuditRecord { resource: "provider".into(), ..AuditRecord::default() };
    let writes = [Write::PutProvider(Box::new(provider("q"))), Write::DeleteProvider("q".into())];
    store.write(&writes, Some(&audit)).unwrap();
    assert_eq!(store.providers().unwrap(), [provider("p")]);
    assert_eq!(store.check_audit().unwrap().rows, 1);
    assert!(store.delete_provider("p").unwrap());
    assert!(!store.delete_provider("p").unwrap());
    store.note_change(ChangeKind::Prices, "all").unwrap();
    let last = store.last_change().unwrap();
    assert_eq!(store.changes_since(last - 1).unwrap()[0].kind, ChangeKind::Prices);
    assert_eq!(store.changes_since(last).unwrap(), []);
}

pub(crate) fn small_values_are_kept(subject: &mut dyn Subject) {
    let store = subject.store();
    assert_eq!(store.meta("a").unwrap(), None);
    store.set_meta("a", "1").unwrap();
    store.set_meta("a", "2").unwrap();
    store.set_meta("b", "").unwrap();
    assert_eq!(store.meta("a").unwrap().as_deref(), Some("2"));
    assert_eq!(subject.successor().meta("b").unwrap().as_deref(), Some(""));
}

pub(crate) fn nobody_is_told_twice_before_its_time(subject: &mut dyn Subject) {
    let mut other = subject.successor();
    let store = subject.store();
    assert!(store.tell_once("budget b at 80%", 1_000, 0).unwrap());
    assert!(!store.tell_once("budget b at 80%", 5_000, 999).unwrap());
    assert!(!other.tell_once("budget b at 80%", 5_000, 999).unwrap());
    assert!(other.tell_once("another", 1_000, 999).unwrap());
    assert!(other.tell_once("budget b at 80%", 5_000, 1_000).unwrap());
    assert!(!store.tell_once("budget b at 80%", 9_000, 4_999).unwrap());
}
