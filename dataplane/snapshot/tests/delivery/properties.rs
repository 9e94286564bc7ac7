//! What must hold for any snapshot and for any bytes: the journey changes nothing, and no decoder panics. Coverage-guided
//! fuzzing of the same decoders stands in `fuzz/`; this is what every `cargo test` can afford.

use std::collections::BTreeMap;

use headgate_snapshot::delivery::{
    Ack, Class, Digest, Generation, KeyRing, Layout, Pointer, Shard, ShardRef, Signed, assemble, shards_of,
};
use headgate_snapshot::record::{records_of, snapshot_of};
use headgate_snapshot::{Caller, KeyEntry, KeyedDigest, ModelTable, ObjectName, RecordKey, Snapshot, origin_of};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::world::{caller, key, ring, shard_of_text, snapshot};

/// As the API server lets objects be named.
const NAME: &str = "[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?";

fn names() -> impl Strategy<Value = ObjectName> {
    (NAME, NAME).prop_map(|(namespace, name)| ObjectName::new(namespace, name))
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(any::<String>(), any::<String>(), 0..4)
}

prop_compose! {
    fn any_caller()(
        keys in vec((any::<[u8; 32]>(), any::<Option<i64>>()), 0..3),
        user in any::<Option<String>>(),
        (metadata, labels) in (texts(), texts()),
        not_after in any::<Option<i64>>(),
        suspended in any::<bool>(),
        models in option::of(vec(any::<String>(), 0..3)),
        refused in any::<Option<String>>(),
    ) -> Caller {
        let keys = keys.into_iter().map(|(bytes, not_after)| KeyEntry { digest: KeyedDigest(bytes), not_after });
        Caller { keys: keys.collect(), user, metadata, labels, not_after, suspended, models, refused, ..caller("") }
    }
}

prop_compose! {
    fn any_table()(
        routes_exact in btree_map(any::<String>(), names(), 0..3),
        unavailable in texts(),
        shared in 0..3_usize,
    ) -> ModelTable {
        let own = ModelTable { routes_exact, unavailable, ..ModelTable::default() };
        ModelTable { shared: vec![own.clone(); shared], ..own }
    }
}

prop_compose! {
    /// Of the fixture's providers, credentials and routes any part, and any callers and tables.
    fn any_snapshot()(
        callers in btree_map(names(), any_caller(), 0..20),
        models in btree_map(NAME, any_table(), 0..4),
        (has_providers, has_credentials, has_routes) in any::<(bool, bool, bool)>(),
    ) -> Snapshot {
        let whole = snapshot();
        Snapshot {
            providers: if has_providers { whole.providers } else { BTreeMap::new() },
            credentials: if has_credentials { whole.credentials } else { BTreeMap::new() },
            routes: if has_routes { whole.routes } else { BTreeMap::new() },
            models,
            callers,
        }
    }
}

proptest! {
    // A snapshot takes a while to make up; a quarter of the usual cases meets every field.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_snapshot_survives_the_journey_in_any_layout_and_format(
        snapshot in any_snapshot(),
        public in 0..40_u32,
        secret in 0..40_u32,
        format in 1..=2_u32,
    ) {
        let records = records_of(&snapshot);
        prop_assert_eq!(&snapshot_of(records.clone()).unwrap(), &snapshot);
        let (layout, shards) = shards_of(&records, Layout { public, secret }).unwrap();
        let generation = Generation {
            sequence: 1,
            format,
            root: snapshot.version().parse().unwrap(),
            key_id: String::new(),
            layout,
            shards: shards.iter().map(|shard| shard.reference).collect(),
        };
        let read: Vec<_> = shards
            .iter()
            .map(|shard| Shard::decode(&shard.reference, &shard.encode(format), format).unwrap())
            .collect();
        prop_assert_eq!(&read, &shards);
        prop_assert_eq!(assemble(&generation, read).unwrap(), snapshot);
    }
}

proptest! {
    #[test]
    fn any_text_survives_any_format(text in any::<String>()) {
        let shard = shard_of_text(Class::Public, &text);
        for format in [1, 2] {
            prop_assert_eq!(Shard::decode(&shard.reference, &shard.encode(format), format).unwrap(), shard.clone());
        }
    }

    #[test]
    fn any_bytes_are_a_shard_or_refused(
        bytes in vec(any::<u8>(), 0..2_000),
        length in any::<u32>(),
        format in any::<u32>(),
    ) {
        let reference = ShardRef { class: Class::Secret, digest: Digest([0; 32]), bytes: length, records: u32::MAX };
        prop_assert!(Shard::decode(&reference, &bytes, format).is_err());
    }

    #[test]
    fn any_lines_are_records_or_refused(
        lines in vec(("(provider|credential|route|models|caller|)[/ ]?[a-z/ :]{0,12}", "[ -~\n]{0,40}"), 0..4),
    ) {
        let text: String = lines.iter().map(|(key, body)| [key, " ", body, "\n"].concat()).collect();
        for class in [Class::Public, Class::Secret] {
            let Ok(records) = shard_of_text(class, &text).records() else { continue };
            for record in &records {
                prop_assert_eq!(&record.key.to_string().parse::<RecordKey>().unwrap(), &record.key);
                prop_assert_eq!(Class::of(record), class);
            }
            let _ = snapshot_of(records);
        }
    }

    #[test]
    fn any_texts_are_a_pointer_an_acknowledgement_an_origin_or_refused(text in any::<String>(), other in any::<String>()) {
        let signature = format!("{}:{}", key().id(), Digest::of(&other));
        for signature in [other, signature] {
            let unsigned = Signed { text: text.clone(), signature };
            prop_assert!(Pointer::verify(&unsigned, &ring()).is_err());
        }
        prop_assert!(Ack::from_annotation(&text).is_err());
        if let Some(origin) = origin_of(&text) {
            prop_assert_eq!(origin_of(&origin), Some(origin));
        }
    }

    #[test]
    fn any_entries_are_a_ring_or_refused_without_showing_them(entries in vec((NAME, vec(any::<u8>(), 0..50)), 0..4)) {
        let owned = entries.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        match KeyRing::from_entries(owned) {
            Ok(ring) => prop_assert!(ring.ids().contains(&ring.newest().id().to_owned())),
            Err(error) => {
                let shown = format!("{error}{error:?}");
                for (_, value) in entries {
                    let text = String::from_utf8_lossy(&value).into_owned();
                    prop_assert!(value.len() < 8 || !shown.contains(&text));
                }
            }
        }
    }
}
