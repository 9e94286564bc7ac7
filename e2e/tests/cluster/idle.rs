//! Nothing changes, so nothing is written but Leases: not by a resync, not because others write.

use std::collections::BTreeMap;
use std::time::Duration;

use headgate_e2e::installation::{Installation, intents};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::scene;

/// `HEADGATE_E2E_IDLE_SECONDS`, else what a CI run can spare: two intervals of every timer that could write.
const IDLE_SECONDS: u64 = 60;
/// Longer than a reporter may wait for a straggler.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

#[tokio::test]
async fn idle_means_no_write_but_leases_also_while_others_write() {
    let (provider, installation) = scene("idle").await;
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    super::wait_until_programmed(&installation, &["routepolicy/front"]).await;
    let _ = provider;
    let mut before = versions(&installation).await;
    loop {
        tokio::time::sleep(SETTLED_AFTER).await; // silence is the condition, so time is what is waited for
        let now = versions(&installation).await;
        if std::mem::replace(&mut before, now.clone()) == now {
            break;
        }
    }
    let seconds = std::env::var("HEADGATE_E2E_IDLE_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(IDLE_SECONDS);
    let writes_before = installation.writes_but_leases().len();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(versions(&installation).await, before, "after {seconds} s");
    assert_eq!(
        installation.writes_but_leases()[writes_before..],
        [],
        "after {seconds} s"
    );

    // A storm of somebody else's status, and of labels on what is watched for its name only.
    let keys = installation.objects.api("virtualkey", &installation.watched[0]);
    for round in 0..20 {
        let foreign = json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "VirtualKey", "metadata": {"name": "caller"},
            "status": {"conditions": [{
                "type": "example.com/Storm", "status": "True", "reason": "Storm", "message": format!("round {round}"),
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }]},
        });
        keys.patch_status("caller", &PatchParams::apply("example.com"), &Patch::Apply(&foreign))
            .await
            .expect("anybody may add a condition of their own");
    }
    tokio::time::sleep(SETTLED_AFTER).await;
    assert_eq!(
        installation.writes_but_leases()[writes_before..],
        [],
        "a storm of others wakes nothing"
    );
}

#[tokio::test]
async fn applying_the_same_again_gives_no_diff_and_no_write() {
    let (provider, installation) = scene("again").await;
    let manifests = intents::served(&provider.base_url());
    // The harness writes `stringData`, which the API server turns into `data` on every apply alike.
    let first = installation.apply(&manifests).await;
    let writes = installation.writes_but_leases().len();
    let sequence = installation.published().await.pointer.head.sequence;
    let second = installation.apply(&manifests).await;
    for (one, two) in first.iter().zip(&second) {
        assert_eq!(
            one.metadata.resource_version, two.metadata.resource_version,
            "{:?}",
            one.metadata.name
        );
    }
    tokio::time::sleep(SETTLED_AFTER).await;
    assert_eq!(installation.published().await.pointer.head.sequence, sequence);
    assert_eq!(installation.writes_but_leases()[writes..], []);
}

/// Everything that the installation could write, Leases and pods left out.
async fn versions(installation: &Installation) -> BTreeMap<String, String> {
    let kinds = [
        "llmprovider",
        "routepolicy",
        "virtualkey",
        "budget",
        "guardrailpolicy",
        "secret",
        "configmap",
        "event",
    ];
    let mut versions = installation.objects.versions(&kinds, &installation.namespace).await;
    let published = installation
        .objects
        .versions(&["secret", "configmap", "event"], &installation.snapshot_namespace)
        .await;
    versions.extend(published);
    versions
}
