//! How long the whole world takes to compile: 10,000 keys, 500 routes, 50 providers. The goal is 200 ms.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use headgate_compile::{Options, compile};
use headgate_snapshot::SealingKey;

#[path = "../tests/large_world/mod.rs"]
mod large_world;

fn bench(criterion: &mut Criterion) {
    let resources = large_world::large_world(50, 500, 10_000);
    let key = SealingKey::new([7; 32]);
    let options = Options::default();
    let compiled = compile(&resources, &options, &key);
    assert_eq!(
        (compiled.snapshot.callers.len(), compiled.findings.len()),
        (10_000, 0),
        "the bench compiles what it says"
    );
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(20);
    group.bench_function("10,000 keys", |bencher| {
        bencher.iter(|| compile(black_box(&resources), &options, &key));
    });
    group.bench_function("version of 10,000 keys", |bencher| {
        bencher.iter(|| black_box(&compiled.snapshot).version());
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
