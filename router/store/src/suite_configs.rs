//! What every backend does with saved configs.

use crate::config::{ConfigRecord, ConfigVersion};
use crate::record::ChangeKind;
use crate::suite::Subject;

fn config(slug: &str, active: u32) -> ConfigRecord {
    ConfigRecord {
        slug: slug.into(),
        id: format!("id-of-{slug}"),
        name: "support".into(),
        active,
        is_default: false,
        workspace: None,
        created_by: "admin".into(),
        created_at_ms: 1,
        updated_by: "admin".into(),
        updated_at_ms: i64::from(active),
    }
}

fn version(number: u32) -> ConfigVersion {
    ConfigVersion {
        number,
        id: format!("v{number}"),
        json: format!("{{\"n\":{number}}}"),
        created_by: "admin".into(),
        created_at_ms: 1,
    }
}

pub(crate) fn a_config_has_every_version_it_ever_had(subject: &mut dyn Subject) {
    let store = subject.store();
    for number in 1..=3 {
        store.put_config(&config("pc-a", number), Some(&version(number))).unwrap();
    }
    store.put_config(&config("pc-b", 1), Some(&version(1))).unwrap();
    assert_eq!(store.config("pc-a").unwrap(), Some((config("pc-a", 3), version(3))));
    assert_eq!(store.config_versions("pc-a").unwrap(), [version(3), version(2), version(1)]);
    store.put_config(&config("pc-a", 2), None).unwrap();
    let all = store.configs().unwrap();
    assert_eq!(all, [(config("pc-a", 2), version(2)), (config("pc-b", 1), version(1))]);
    let changes = store.changes_since(0).unwrap();
    assert_eq!(changes.len(), 5);
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Config));
    assert!(store.delete_config("pc-a").unwrap());
    assert!(!store.delete_config("pc-a").unwrap());
    assert_eq!(store.config("pc-a").unwrap(), None);
    assert!(store.config_versions("pc-a").unwrap().is_empty());
    assert_eq!(store.configs().unwrap().len(), 1);
}

pub(crate) fn a_version_is_never_written_over_and_one_that_is_missing_never_in_force(
    subject: &mut dyn Subject,
) {
    let store = subject.store();
    store.put_config(&config("pc-a", 1), Some(&version(1))).unwrap();
    let other = ConfigVersion { json: "{}".into(), ..version(1) };
    assert!(store.put_config(&config("pc-a", 1), Some(&other)).is_err());
    assert!(store.put_config(&config("pc-a", 2), None).is_err());
    assert_eq!(store.config("pc-a").unwrap(), Some((config("pc-a", 1), version(1))));
}
