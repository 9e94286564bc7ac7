//! Which tokens count as removed, and that those open nothing in any older snapshot.

use std::collections::{BTreeMap, BTreeSet};

use headgate_snapshot::delivery::{Removed, removed_between, without, working_digests, working_digests_at};
use headgate_snapshot::{Caller, KeyEntry, KeyedDigest, ObjectName, Snapshot};

use crate::world::{callers, digest};

/// After the deadline of every key in [`callers`].
const LATE: i64 = 2_000_000_000;
/// Before it.
const NOW: i64 = 1_700_000_000;

fn digests(tokens: &[&str]) -> BTreeSet<KeyedDigest> {
    tokens.iter().map(|token| digest(token)).collect()
}

/// `ann`, `bob` and `carl`, with one change.
fn changed(name: &str, change: impl FnOnce(&mut Caller)) -> Snapshot {
    let mut snapshot = callers(["ann", "bob", "carl"]);
    change(snapshot.callers.get_mut(&ObjectName::new("ml", name)).unwrap());
    snapshot
}

fn unchanged() -> Snapshot {
    changed("ann", |_| ())
}

#[test]
fn keys_of_callers_work() {
    assert_eq!(working_digests(&unchanged()), digests(&["ann", "bob", "carl"]));
    assert_eq!(working_digests(&Snapshot::default()), BTreeSet::new());
}

#[test]
fn suspended_refused_and_keyless_callers_have_no_working_key() {
    for change in [
        (|bob| bob.suspended = true) as fn(&mut Caller),
        |bob| bob.refused = Some("budget `x` cannot be enforced".to_owned()),
        |bob| bob.keys.clear(),
    ] {
        assert_eq!(working_digests(&changed("bob", change)), digests(&["ann", "carl"]));
    }
}

#[test]
fn every_key_of_an_overlap_works_until_it_is_gone() {
    let rotated = changed("bob", |bob| {
        bob.keys.push(KeyEntry {
            digest: digest("bob-2"),
            not_after: None,
        });
    });
    assert_eq!(working_digests(&rotated), digests(&["ann", "bob", "bob-2", "carl"]));
    assert_eq!(removed_between(&unchanged(), &rotated, NOW), digests(&[]));
    let over = changed("bob", |bob| bob.keys[0].digest = digest("bob-2"));
    assert_eq!(removed_between(&rotated, &over, NOW), digests(&["bob"]));
}

#[test]
fn what_was_deleted_suspended_refused_or_rotated_out_is_removed() {
    let mut deleted = unchanged();
    deleted.callers.remove(&ObjectName::new("ml", "bob"));
    for newer in [
        deleted,
        changed("bob", |bob| bob.suspended = true),
        changed("bob", |bob| bob.refused = Some(String::new())),
        changed("bob", |bob| bob.keys[0].digest = digest("bob-2")),
    ] {
        assert_eq!(removed_between(&unchanged(), &newer, NOW), digests(&["bob"]));
    }
}

#[test]
fn what_was_lifted_or_added_is_not_removed() {
    let suspended = changed("bob", |bob| bob.suspended = true);
    assert_eq!(removed_between(&suspended, &unchanged(), NOW), digests(&[]));
    assert_eq!(removed_between(&Snapshot::default(), &unchanged(), NOW), digests(&[]));
}

#[test]
fn a_key_that_moved_to_another_caller_is_not_removed() {
    let mut moved = unchanged();
    let bob = moved.callers.remove(&ObjectName::new("ml", "bob")).unwrap();
    moved.callers.insert(ObjectName::new("other", "bobby"), bob);
    assert_eq!(working_digests(&moved), working_digests(&unchanged()));
    assert_eq!(removed_between(&unchanged(), &moved, NOW), digests(&[]));
}

#[test]
fn a_key_that_moved_to_a_suspended_caller_is_removed() {
    let mut moved = unchanged();
    let mut bob = moved.callers.remove(&ObjectName::new("ml", "bob")).unwrap();
    bob.suspended = true;
    moved.callers.insert(ObjectName::new("other", "bobby"), bob);
    assert_eq!(removed_between(&unchanged(), &moved, NOW), digests(&["bob"]));
}

#[test]
fn a_deadline_brought_forward_removes_once_it_is_past() {
    for earlier in [
        changed("bob", |bob| bob.not_after = Some(NOW)),
        changed("bob", |bob| bob.keys[0].not_after = Some(NOW)),
    ] {
        assert_eq!(removed_between(&unchanged(), &earlier, NOW - 1), digests(&[]));
        assert_eq!(removed_between(&unchanged(), &earlier, NOW), digests(&["bob"]));
        assert_eq!(removed_between(&earlier, &unchanged(), NOW), digests(&[]), "put off");
    }
}

#[test]
fn a_key_works_until_the_earlier_of_its_deadlines() {
    let bounded = changed("bob", |bob| {
        bob.not_after = Some(NOW + 2);
        bob.keys[0].not_after = Some(NOW + 1);
    });
    assert_eq!(working_digests_at(&bounded, NOW), digests(&["ann", "bob", "carl"]));
    assert_eq!(working_digests_at(&bounded, NOW + 1), digests(&["ann", "carl"]));
    assert_eq!(working_digests_at(&bounded, LATE), digests(&[]));
    // Without a clock it counts as working, which is why a list of removed keys is not struck off by it.
    assert_eq!(working_digests(&bounded), digests(&["ann", "bob", "carl"]));
}

#[test]
fn what_the_older_snapshot_refuses_by_itself_need_not_be_listed() {
    assert_eq!(removed_between(&unchanged(), &Snapshot::default(), LATE), digests(&[]));
}

#[test]
fn removed_keys_open_nothing_in_an_older_snapshot_and_the_others_do() {
    let removed = Removed {
        since: 3,
        digests: BTreeMap::from([(digest("bob"), 4), (digest("stranger"), 5)]),
    };
    let older = changed("bob", |bob| {
        bob.keys.push(KeyEntry {
            digest: digest("bob-2"),
            not_after: None,
        });
    });
    let less = without(older.clone(), &removed);
    assert_eq!(working_digests(&less), digests(&["ann", "bob-2", "carl"]));
    assert_eq!(less.callers.len(), older.callers.len(), "callers stay");
    assert_ne!(less.version(), older.version(), "an acknowledgement tells them apart");
    assert_eq!(without(older.clone(), &Removed::default()), older);
}

#[test]
fn an_older_snapshot_less_what_was_removed_since_opens_nothing_that_the_newer_one_would_not() {
    let newer = changed("carl", |carl| carl.suspended = true);
    let older = callers(["ann", "bob", "carl", "dora"]);
    let removed = Removed {
        since: 1,
        digests: removed_between(&older, &newer, NOW)
            .into_iter()
            .map(|digest| (digest, 2))
            .collect(),
    };
    let fallback = working_digests(&without(older, &removed));
    assert!(fallback.is_subset(&working_digests(&newer)));
    assert_eq!(fallback, digests(&["ann", "bob"]));
}
