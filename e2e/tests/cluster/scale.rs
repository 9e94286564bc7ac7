//! Ten thousand keys, and one of them changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use headgate_e2e::installation::{Installation, condition_of, intents};
use headgate_snapshot::delivery::{Generation, ShardRef};
use kube::ResourceExt as _;
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
    let since_when = RefCell::new(BTreeMap::new());
    let is_programmed = |key: &DynamicObject| {
        let programmed = condition_of(key, "Programmed").filter(|found| found["status"] == "True");
        if let Some(found) = &programmed {
            let time = found["lastTransitionTime"].to_string();
            since_when.borrow_mut().entry(key.name_any()).or_insert(time);
        }
        programmed.is_some()
    };
    let namespace = &installation.watched[0];
    let all = installation
        .objects
        .wait_for_many("virtualkey", namespace, keys + 1, PROGRAMMED_WITHIN, is_programmed)
        .await;
    all.unwrap_or_else(|programmed| panic!("{programmed} are programmed\n{}", installation.logs()));
    println!("… and programmed after {:.1} s", since.elapsed().as_secs_f64());

    let before = installation.published().await.pointer.head;
    let objects_before = calm(&installation).await;
    // Ten thousand writes take their time, and the watch that shows them lags: none is a reason to write again.
    for key in installation.objects.list("virtualkey", namespace).await {
        let found = condition_of(&key, "Programmed").expect("it was programmed");
        let (name, time) = (key.name_any(), found["lastTransitionTime"].to_string());
        assert_eq!(since_when.borrow()[&name], time, "{name} was Programmed all the time");
    }
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
    // By resourceVersion, since an apply that changes nothing is a request and no write.
    let objects = written_objects(&installation).await;
    let written: Vec<_> = objects
        .iter()
        .filter(|(name, version)| objects_before.get(*name) != Some(version))
        .collect();
    let written: Vec<_> = written.into_iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        written.len(),
        3,
        "a shard, the pointer, and the status of the one key: {written:?}"
    );
    println!(
        "for one change of {keys} keys: {} shards of {} bytes of text in all, one of them written with {} bytes of text; \
         a pointer of {} bytes; {written:?}",
        after.shards.len(),
        text_bytes(&after),
        new[0].bytes,
        published.signed.text.len(),
    );
    for pod in installation.pods() {
        println!("{} {}: {} KiB resident", pod.component, pod.name, pod.resident_kib());
    }
}

/// The same, once nothing is written any more.
async fn calm(installation: &Installation) -> BTreeMap<String, String> {
    let mut before = written_objects(installation).await;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = written_objects(installation).await;
        if std::mem::replace(&mut before, now.clone()) == now {
            return now;
        }
    }
}

/// Every object that one change may touch, with its version.
async fn written_objects(installation: &Installation) -> BTreeMap<String, String> {
    let (watched, snapshots) = (&installation.watched[0], &installation.snapshot_namespace);
    let mut versions = installation.objects.versions(&["virtualkey", "event"], watched).await;
    let published = installation
        .objects
        .versions(&["configmap", "secret", "event"], snapshots)
        .await;
    versions.extend(published);
    versions
}

fn text_bytes(generation: &Generation) -> u64 {
    let bytes = |shard: &ShardRef| u64::from(shard.bytes);
    generation.shards.iter().map(bytes).sum()
}
