//! What metrics tell about a publication and about those who read it.

use super::build::Plan;
use super::guard::Hold;
use super::report::fold::Readers;
use crate::metrics::Metrics;

/// What was published, and what is held.
pub(crate) fn publication(metrics: &Metrics, plan: &Plan, hold: Option<&Hold>) {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let bytes: u64 = plan.head.shards.iter().map(|shard| u64::from(shard.bytes)).sum();
    metrics
        .snapshot_sequence
        .set(i64::try_from(plan.head.sequence).unwrap_or(i64::MAX));
    metrics.snapshot_shards.set(count(plan.head.shards.len()));
    metrics.snapshot_records.set(count(plan.records.len()));
    metrics.snapshot_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    metrics
        .removals_held
        .set(count(hold.map_or(0, |hold| hold.removals.len())));
}

/// Who of the ready data planes serves the head.
pub(crate) fn readers(metrics: &Metrics, readers: &Readers, head_sequence: u64) {
    let mut counts = [("serving", 0), ("lagging", 0), ("refused", 0), ("silent", 0)];
    for reader in &readers.ready {
        let state = match (reader.serves, &reader.refuses) {
            (Some(serves), _) if serves >= head_sequence => 0,
            (_, Some(_)) => 2,
            (Some(_), None) => 1,
            (None, None) => 3,
        };
        counts[state].1 += 1;
    }
    for (state, count) in counts {
        metrics.data_planes.with_label_values(&[state]).set(count);
    }
}
