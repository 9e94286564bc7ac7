//! Which record stands in which shard, and how little a change rewrites.

use std::collections::BTreeSet;

use headgate_snapshot::delivery::shard::SHARD_TEXT_BYTES_MAX;
use headgate_snapshot::delivery::{Class, Digest, Layout, Shard, ShardRef, shards_of};
use headgate_snapshot::record::records_of;
use headgate_snapshot::{ObjectName, Record, RecordKey};

use crate::world::{callers, many_callers, snapshot};

const KIB: usize = 1024;

/// A record of `bytes` bytes in its shard. Only its size and its name matter here.
fn record_of_bytes(name: &str, bytes: usize) -> Record {
    let key = RecordKey::Caller(ObjectName::new("ml", name));
    let body = "x".repeat(bytes - key.to_string().len() - 2);
    Record { key, body }
}

fn secret(layout: Layout) -> u32 {
    layout.secret
}

fn digests(shards: &[Shard]) -> BTreeSet<Digest> {
    shards.iter().map(|shard| shard.reference.digest).collect()
}

/// All records of the shards, sorted by key.
fn gathered(shards: &[Shard]) -> Vec<Record> {
    let mut records: Vec<_> = shards.iter().flat_map(|shard| shard.records().unwrap()).collect();
    records.sort_by_cached_key(|record| record.key.to_string());
    records
}

#[test]
fn nothing_to_deliver_takes_no_shard() {
    let (layout, shards) = shards_of(&[], Layout::default()).unwrap();
    assert_eq!((layout, shards), (Layout::default(), Vec::new()));
}

#[test]
fn every_record_is_in_one_shard_of_its_class_and_none_is_lost() {
    let mut whole = many_callers(2_000);
    let small = snapshot();
    whole.providers = small.providers;
    whole.credentials = small.credentials;
    whole.routes = small.routes;
    whole.models = small.models;
    let records = records_of(&whole);
    let (layout, shards) = shards_of(&records, Layout::default()).unwrap();
    assert!(layout.secret > 1, "{layout:?}");
    assert_eq!(gathered(&shards), records);
    for Shard { reference, text } in &shards {
        let ShardRef {
            class: _,
            digest,
            bytes,
            records,
        } = *reference;
        assert_eq!(digest, Digest::of(text));
        assert_eq!(bytes as usize, text.len());
        assert_eq!(records as usize, text.lines().count());
        assert!(text.lines().is_sorted(), "records of a shard are sorted by key");
    }
}

#[test]
fn the_order_in_which_records_come_changes_nothing() {
    let records = records_of(&many_callers(500));
    let mut reversed = records.clone();
    reversed.reverse();
    assert_eq!(
        shards_of(&records, Layout::default()),
        shards_of(&reversed, Layout::default())
    );
}

#[test]
fn one_changed_one_added_or_one_removed_record_rewrites_one_shard() {
    let before = many_callers(3_000);
    let (layout, published) = shards_of(&records_of(&before), Layout::default()).unwrap();
    let name = ObjectName::new("tenant-0", "key-00000");

    let mut changed = before.clone();
    changed.callers.get_mut(&name).unwrap().suspended = true;
    let mut added = before.clone();
    let newcomer = added.callers[&name].clone();
    added.callers.insert(ObjectName::new("tenant-0", "newcomer"), newcomer);
    let mut removed = before.clone();
    removed.callers.remove(&name);

    for after in [changed, added, removed] {
        let (kept, shards) = shards_of(&records_of(&after), layout).unwrap();
        assert_eq!(kept, layout);
        let is_new = |digest: &&Digest| !digests(&published).contains(digest);
        assert_eq!(digests(&shards).iter().filter(is_new).count(), 1);
        assert_eq!(shards.len(), published.len());
    }
}

#[test]
fn a_secret_that_changes_touches_no_configmap_and_the_other_way_round() {
    let before = snapshot();
    let of_class = |snapshot, class| -> BTreeSet<Digest> {
        let (_, shards) = shards_of(&records_of(snapshot), Layout::default()).unwrap();
        let references = shards.iter().map(|shard| shard.reference);
        references.filter(|r| r.class == class).map(|r| r.digest).collect()
    };
    let mut suspended = before.clone();
    suspended
        .callers
        .values_mut()
        .for_each(|caller| caller.suspended = true);
    assert_eq!(of_class(&before, Class::Public), of_class(&suspended, Class::Public));
    assert_ne!(of_class(&before, Class::Secret), of_class(&suspended, Class::Secret));

    let mut rerouted = before.clone();
    rerouted.routes.clear();
    assert_eq!(of_class(&before, Class::Secret), of_class(&rerouted, Class::Secret));
    assert_ne!(of_class(&before, Class::Public), of_class(&rerouted, Class::Public));
}

#[test]
fn the_number_of_shards_doubles_above_64_kib_each_and_halves_below_16() {
    let of = |count: usize, kib: usize, previous: u32| {
        let records: Vec<_> = (0..count)
            .map(|n| record_of_bytes(&format!("key-{n}"), kib * KIB))
            .collect();
        let previous = Layout {
            public: 1,
            secret: previous,
        };
        secret(shards_of(&records, previous).unwrap().0)
    };
    for (records, previous, expected) in [
        (64, 1, 1),   // 64 KiB in one
        (65, 1, 2),   // more than that
        (256, 1, 4),  // as often as it takes
        (257, 1, 8),  //
        (257, 8, 8),  // 32 KiB each
        (128, 8, 8),  // 16 KiB each: still
        (127, 8, 4),  // less
        (15, 8, 1),   // as often as it takes
        (129, 4, 4),  // in the band between growing and shrinking everything stays
        (65, 2, 2),   //
        (64, 2, 2),   // what made it grow going away does not make it shrink
        (1, 4096, 1), //
    ] {
        assert_eq!(
            of(records, 1, previous),
            expected,
            "{records} KiB after {previous} shards"
        );
    }
}

#[test]
fn a_layout_that_no_operator_made_is_put_right() {
    let records = records_of(&callers(["ann"]));
    for (previous, expected) in [(0, 1), (3, 1), (u32::MAX, 1)] {
        let previous = Layout {
            public: previous,
            secret: previous,
        };
        let (layout, shards) = shards_of(&records, previous).unwrap();
        assert_eq!(layout.secret, expected);
        assert_eq!(gathered(&shards), records);
    }
}

#[test]
fn ten_thousand_callers_give_shards_of_about_64_kib() {
    let (layout, shards) = shards_of(&records_of(&many_callers(10_000)), Layout::default()).unwrap();
    assert_eq!(shards.len(), layout.secret as usize, "every place is filled");
    let bytes: Vec<usize> = shards.iter().map(|shard| shard.text.len()).collect();
    let mean = bytes.iter().sum::<usize>() / bytes.len();
    assert!((32 * KIB..=64 * KIB).contains(&mean), "{mean} bytes on average");
    // Chance spreads them; none is far from the others.
    assert!(
        bytes.iter().all(|&bytes| bytes > mean / 2 && bytes < mean * 2),
        "{bytes:?}"
    );
}

#[test]
fn a_record_that_fits_no_shard_is_named_and_one_that_just_fits_is_taken() {
    let fits = record_of_bytes("large", SHARD_TEXT_BYTES_MAX);
    let (_, shards) = shards_of(std::slice::from_ref(&fits), Layout::default()).unwrap();
    let [shard] = &*shards else { panic!("one shard") };
    assert_eq!(shard.text.len(), SHARD_TEXT_BYTES_MAX);
    assert!(Shard::decode(&shard.reference, &shard.encode(1), 1).is_ok());

    let too_large = record_of_bytes("larger", SHARD_TEXT_BYTES_MAX + 1);
    let error = shards_of(&[fits, too_large], Layout::default()).unwrap_err();
    assert_eq!(error.key, "caller/ml/larger");
    assert_eq!(error.bytes, SHARD_TEXT_BYTES_MAX + 1);
    let said = error.to_string();
    assert!(said.contains("caller/ml/larger") && said.contains("smaller"), "{said}");
}

/// Whoever may name objects can find names that fall together in any layout. Their shards are cut, not everybody's.
#[test]
fn large_records_that_fall_together_are_cut_into_several_shards_that_can_be_read() {
    let place = |name: &str| {
        use sha2::{Digest as _, Sha256};
        let hash = Sha256::digest(format!("caller/ml/{name}"));
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % 4_096
    };
    let together: Vec<_> = (0..)
        .map(|n| format!("key-{n}"))
        .filter(|name| place(name) == 0)
        .take(5)
        .collect();
    let records: Vec<_> = together.iter().map(|name| record_of_bytes(name, 200 * KIB)).collect();
    let (layout, shards) = shards_of(&records, Layout::default()).unwrap();
    assert_eq!(
        layout.secret, 16,
        "1,000 KiB at 64 KiB each, and no more for those that collide"
    );
    let sizes: Vec<_> = shards.iter().map(|shard| shard.reference.records).collect();
    assert_eq!(sizes, [2, 2, 1]);
    for shard in &shards {
        let stored = shard.encode(2);
        assert_eq!(Shard::decode(&shard.reference, &stored, 2).as_ref(), Ok(shard));
    }
    let mut expected = records;
    expected.sort_by_cached_key(|record| record.key.to_string());
    assert_eq!(gathered(&shards), expected);
}
