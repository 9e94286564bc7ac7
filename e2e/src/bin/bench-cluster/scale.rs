//! Many keys: what the operator takes of memory and processor, and what one change writes.

use std::time::{Duration, Instant};

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{Installation, condition_of, intents};
use kube::api::DynamicObject;
use serde_json::json;

use super::{Figure, wait_until_programmed};

const PROGRAMMED_WITHIN: Duration = Duration::from_secs(600);

pub(super) async fn of_keys(provider: &FakeProvider, keys: usize) -> Vec<Figure> {
    let installation = Installation::of("bench-keys").start().await;
    installation.apply(&intents::served(&provider.base_url())).await;
    wait_until_programmed(&installation, "virtualkey/caller").await;
    let since = Instant::now();
    let digests = (0..keys).map(|number| intents::digest_key(&format!("key-{number}"), &format!("{number:064x}")));
    installation.create_many(digests).await;
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
    let created = since.elapsed();
    tokio::time::sleep(Duration::from_secs(10)).await; // the last of ten thousand writes is no part of one change

    let operator = installation.leader().await;
    let gateway = installation.gateways().remove(0);
    let before = installation.published().await.pointer.head;
    let writes = installation.writes_but_leases().len();
    let cpu = operator.cpu_time();
    let edited = Instant::now();
    let edit = json!({"spec": {"suspended": true}});
    installation.objects.patch("virtualkey/caller", edit).await;
    wait_until_programmed(&installation, "virtualkey/caller").await;
    let (programmed, cpu) = (edited.elapsed(), operator.cpu_time().saturating_sub(cpu));
    let published = installation.published().await;
    let written = installation.writes_but_leases().split_off(writes);
    let head = published.pointer.head;
    let new: Vec<_> = head
        .shards
        .iter()
        .filter(|shard| !before.shards.contains(shard))
        .collect();
    let text: u64 = new.iter().map(|shard| u64::from(shard.bytes)).sum();
    let mut stored = 0;
    for shard in &new {
        for (kind, field) in [("configmap", "binaryData"), ("secret", "data")] {
            let name = format!("{}/{kind}/{}", installation.snapshot_namespace, shard.object_name());
            let object = installation.objects.find(&name).await;
            let bytes = object.and_then(|it| Some(it.data[field]["records"].as_str()?.len()));
            stored += bytes.unwrap_or_default();
        }
    }
    let figure = |what: &str, value: String, goal| Figure::new(format!("{what} at {keys} keys"), value, goal);
    vec![
        figure("created and Programmed", format!("{:.1} s", created.as_secs_f64()), ""),
        figure(
            "operator resident",
            format!("{} MiB", operator.resident_kib() / 1024),
            "",
        ),
        figure(
            "data plane resident",
            format!("{} MiB", gateway.resident_kib() / 1024),
            "",
        ),
        figure(
            "one key changed, apply to Programmed",
            format!("{} ms", programmed.as_millis()),
            "",
        ),
        figure("… operator CPU", format!("{} ms", cpu.as_millis()), ""),
        figure(
            "… shards written",
            format!("{} of {}", new.len(), head.shards.len()),
            "1",
        ),
        figure("… shard text", format!("{text} B"), ""),
        figure("… shard as stored, base64", format!("{stored} B"), ""),
        figure("… pointer", format!("{} B", published.signed.text.len()), ""),
        figure("… objects written, status included", written.len().to_string(), "3"),
    ]
}
