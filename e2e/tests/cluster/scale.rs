//! Ten thousand keys, and one of them changes.

use std::time::{Duration, Instant};

use headgate_e2e::installation::{Installation, condition_of, intents};
use headgate_snapshot::delivery::{Generation, ShardRef};
use kube::api::DynamicObject;
use serde_json::json;

use super::{serve, wait_until_programmed};

/// `HEADGATE_E2E_KEYS`, else what is promised.
const KEYS: usize = 10_000;
/// Ten thousand status writes, each a server-side apply that the API server checks against the schema.
const PROGRAMMED_WITHIN: Duration = Duration::from_secs(400);

#[tokio::test]
async fn of_10_000_keys_one_changes_and_one_shard_and_the_pointer_are_written() {
    let keys = std::env::var("HEADGATE_E2E_KEYS")
        .ok()
        .and_then(|text| text.parse().ok());
    let keys: usize = keys.unwrap_or(KEYS);
    let (_provider, installation) = serve(Installation::of("ten-thousand").gateways(1)).await;
    // Written while nobody looks: what is measured here is ten thousand at once, not ten thousand times one more.
    for operator in installation.operators() {
        operator.kill_and_hold();
    }
    let since = Instant::now();
    let digests = (0..keys).map(|number| intents::digest_key(&format!("key-{number}"), &format!("{number:064x}")));
    installation.create_many(digests).await;
    println!("{keys} keys were created after {:.1} s", since.elapsed().as_secs_f64());
    for operator in installation.operators() {
        operator.let_start();
    }
    let is_programmed = |key: &DynamicObject| condition_of(key, "Programmed").is_some_and(|it| it["status"] == "True");
    let all = installation
        .objects
        .wait_for_many(
            "virtualkey",
            &installation.watched[0],
            keys + 1,
            PROGRAMMED_WITHIN,
            is_programmed,
        )
        .await;
    all.unwrap_or_else(|programmed| panic!("{programmed} are programmed\n{}", installation.logs()));
    println!("… and programmed after {:.1} s", since.elapsed().as_secs_f64());

    let before = installation.published().await.pointer.head;
    let writes = installation.writes_but_leases().len();
    let edited = Instant::now();
    let patch = json!({"spec": {"suspended": true}});
    installation.objects.patch("virtualkey/caller", patch).await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    println!(
        "a change of one key was served after {:.2} s",
        edited.elapsed().as_secs_f64()
    );
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
    let published = installation.published().await;
    let after = published.pointer.head;

    let new: Vec<_> = after
        .shards
        .iter()
        .filter(|shard| !before.shards.contains(shard))
        .collect();
    assert_eq!(new.len(), 1, "one changed key rewrites one shard: {new:?}");
    assert_eq!(after.sequence, before.sequence + 1);
    let written = installation.writes_but_leases().split_off(writes);
    let objects: Vec<_> = written
        .iter()
        .map(|it| format!("{} {}/{}", it.verb, it.resource, it.name))
        .collect();
    // The status is written once if the data planes answer within a second, which a busy machine may not grant.
    let (status, published_objects): (Vec<_>, Vec<_>) = written.iter().partition(|it| it.resource.ends_with("/status"));
    assert_eq!(published_objects.len(), 2, "a shard and the pointer: {objects:?}");
    assert!(
        (1..=2).contains(&status.len()),
        "the status of the one key: {objects:?}"
    );
    println!(
        "for one change of {keys} keys: {} shards of {} bytes of text in all, one of them written with {} bytes of text; \
         a pointer of {} bytes; {objects:?}",
        after.shards.len(),
        text_bytes(&after),
        new[0].bytes,
        published.signed.text.len(),
    );
    for pod in installation.pods() {
        println!("{} {}: {} KiB resident", pod.component, pod.name, pod.resident_kib());
    }
}

fn text_bytes(generation: &Generation) -> u64 {
    let bytes = |shard: &ShardRef| u64::from(shard.bytes);
    generation.shards.iter().map(bytes).sum()
}
