//! Records, from the text of a shard to a snapshot. What is accepted is canonical: written again it is the same records,
//! with the same root, in any layout.

#![no_main]

use headgate_snapshot::delivery::{Class, Digest, Generation, Layout, Shard, ShardRef, assemble, shards_of};
use headgate_snapshot::record::{Record, records_of, root_digest, snapshot_of};
use headgate_snapshot::{RecordKey, Snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u8, &str)| {
    let (is_secret, layout, text) = input;
    let class = if is_secret { Class::Secret } else { Class::Public };
    let reference = ShardRef {
        class,
        digest: Digest::of(text),
        bytes: u32::try_from(text.len()).expect("a fuzzer's inputs are small"),
        records: u32::MAX,
    };
    let shard = Shard {
        reference,
        text: text.to_owned(),
    };
    let Ok(mut records) = shard.records() else { return };
    for record in &records {
        let name = record.key.to_string();
        assert_eq!(name.parse::<RecordKey>().as_ref(), Ok(&record.key));
        assert_eq!(Class::of(record), class);
    }
    let Ok(snapshot) = snapshot_of(records.clone()) else {
        return;
    };
    records.sort_by_cached_key(|record| record.key.to_string());
    assert_eq!(records_of(&snapshot), records, "what is read is written the same");
    deliver_again(&snapshot, &records, u32::from(layout));
});

fn deliver_again(snapshot: &Snapshot, records: &[Record], layout: u32) {
    let layout = Layout {
        public: layout,
        secret: layout,
    };
    let (layout, shards) = shards_of(records, layout).expect("a fuzzer's inputs are small");
    let keyed: Vec<_> = records.iter().map(|r| (r.key.to_string(), r.digest())).collect();
    let root = Digest(root_digest(keyed.iter().map(|(key, digest)| (key.as_str(), *digest))));
    assert_eq!(root.to_string(), snapshot.version());
    let generation = Generation {
        sequence: 1,
        format: 1,
        root,
        key_id: String::new(),
        layout,
        shards: shards.iter().map(|shard| shard.reference).collect(),
    };
    assert_eq!(&assemble(&generation, shards).expect("as published"), snapshot);
}
