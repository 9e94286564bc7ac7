//! What delivery costs at the size that the requirements name: ten thousand callers, both ways and in both formats.
//! Prints the bytes, too, since those are what an API server stores.

// What `criterion_group!` makes has no documentation.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use headgate_snapshot::delivery::{Generation, Layout, Shard, assemble, shards_of};
use headgate_snapshot::record::records_of;
use headgate_snapshot::{Caller, KeyEntry, ObjectName, SealingKey, Snapshot};

/// The largest installation that is promised.
const CALLERS: usize = 10_000;

fn snapshot() -> Snapshot {
    let digester = SealingKey::new([7; 32]).digester();
    let caller = |index: usize| Caller {
        keys: vec![KeyEntry {
            digest: digester.of_token(format!("vk-{index}").as_bytes()),
            not_after: None,
        }],
        fingerprint: format!("{index:08x}"),
        user: Some(format!("user-{index}@example.com")),
        team: Some(format!("team-{}", index % 97)),
        metadata: BTreeMap::from([("cost-centre".to_owned(), format!("cc-{}", index % 31))]),
        labels: BTreeMap::from([("app.kubernetes.io/part-of".to_owned(), format!("app-{}", index % 53))]),
        not_after: Some(1_800_000_000),
        suspended: false,
        models: Some(vec!["gpt-*".to_owned()]),
        providers: None,
        routes: None,
        default_provider: None,
        refused: None,
    };
    let name = |index| ObjectName::new(format!("tenant-{}", index % 41), format!("key-{index:05}"));
    Snapshot {
        callers: (0..CALLERS).map(|index| (name(index), caller(index))).collect(),
        ..Snapshot::default()
    }
}

fn delivery(criterion: &mut Criterion) {
    let snapshot = snapshot();
    let records = records_of(&snapshot);
    let (layout, shards) = shards_of(&records, Layout::default()).expect("no record is large");
    let mut group = criterion.benchmark_group("10,000 callers");
    group.sample_size(10);
    group.bench_function("records_of + shards_of", |bencher| {
        bencher.iter(|| shards_of(&records_of(black_box(&snapshot)), layout));
    });
    for format in [1, 2] {
        let stored: Vec<Vec<u8>> = shards.iter().map(|shard| shard.encode(format)).collect();
        let bytes: usize = stored.iter().map(Vec::len).sum();
        println!("format {format}: {} shards, {bytes} bytes", shards.len());
        let generation = Generation {
            sequence: 1,
            format,
            root: snapshot.version().parse().expect("a version is a digest"),
            key_id: String::new(),
            layout,
            shards: shards.iter().map(|shard| shard.reference).collect(),
        };
        group.bench_function(format!("encode, format {format}"), |bencher| {
            bencher.iter(|| shards.iter().map(|shard| shard.encode(format)).collect::<Vec<_>>());
        });
        group.bench_function(format!("decode + assemble, format {format}"), |bencher| {
            bencher.iter_batched(
                || (),
                |()| {
                    let read = generation
                        .shards
                        .iter()
                        .zip(&stored)
                        .map(|(reference, bytes)| Shard::decode(reference, bytes, format));
                    let read = read.collect::<Result<_, _>>().expect("as encoded");
                    assemble(&generation, read).expect("as published")
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, delivery);
criterion_main!(benches);
