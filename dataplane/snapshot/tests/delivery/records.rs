//! Records: one per object, canonical, named by their key; the version of a snapshot follows from them alone.

use headgate_snapshot::record::{RecordError, records_of, root_digest, snapshot_of};
use headgate_snapshot::{ObjectName, RecordKey};

use crate::world::snapshot;

#[test]
fn records_are_sorted_by_the_text_of_their_key_and_know_their_class() {
    let records = records_of(&snapshot());
    let keys: Vec<_> = records
        .iter()
        .map(|record| (record.key.to_string(), record.is_secret()))
        .collect();
    let expected = [
        ("caller/ml-b/ann", true),
        ("caller/ml/ann", true),
        ("credential/ml/openai/credential", true),
        ("credential/ml/openai/header:x-gateway-key", true),
        ("models/ml", false),
        ("provider/ml/openai", false),
        ("route/ml-b/gone", false),
        ("route/ml/smart", false),
    ];
    assert_eq!(keys, expected.map(|(key, secret)| (key.to_owned(), secret)));
    for record in records {
        assert_eq!(record.key.to_string().parse::<RecordKey>().unwrap(), record.key);
    }
}

#[test]
fn records_put_together_in_any_order_give_the_snapshot_and_twice_is_refused() {
    let mut records = records_of(&snapshot());
    records.reverse();
    assert_eq!(snapshot_of(records.clone()).unwrap(), snapshot());
    records.push(records[0].clone());
    assert!(matches!(
        snapshot_of(records).unwrap_err(),
        RecordError::Duplicate { .. }
    ));
}

#[test]
fn the_version_follows_the_content() {
    let mut changed = snapshot();
    changed
        .callers
        .get_mut(&ObjectName::new("ml", "ann"))
        .unwrap()
        .suspended = true;
    assert_ne!(changed.version(), snapshot().version());
    assert_eq!(snapshot().version(), snapshot().version());
}

#[test]
fn a_root_digest_depends_on_where_one_key_ends_and_on_every_pair() {
    let a = [1; 32];
    let roots = [
        root_digest([]),
        root_digest([("ab", a)]),
        root_digest([("a", a)]),
        root_digest([("ab", [2; 32])]),
        root_digest([("ab", a), ("ab", a)]),
        root_digest([("a", a), ("b", a)]),
        root_digest([("b", a), ("a", a)]),
    ];
    for (index, root) in roots.iter().enumerate() {
        assert!(!roots[..index].contains(root), "{index}");
    }
}
