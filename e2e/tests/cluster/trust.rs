//! What somebody can do who got hold of one part: a pod's token, the right to write to the cluster, an old pointer. Every case
//! ends with the gateways serving what the operator meant.

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{PATIENCE, intents};
use headgate_snapshot::delivery::{RECORDS_KEY, Shard, Signed};
use serde_json::json;

use super::{scene, wait_until_programmed};

#[tokio::test]
async fn a_data_plane_writes_its_own_lease_and_nothing_else_and_reads_no_secret_but_shards() {
    let (_provider, installation) = scene("own-lease").await;
    let gateways = installation.gateways();
    let (own, other) = (&gateways[0], &gateways[1]);
    let as_pod = installation.objects.with(own.client().await);
    let lease = |pod: &str| format!("{}/lease/{pod}", installation.snapshot_namespace);
    let forged = json!({"metadata": {"annotations": {"headgate.dev/ack": "{}"}}});

    let harmless = json!({"metadata": {"labels": {"e2e": "mine"}}});
    as_pod.patch(&lease(&own.name), harmless).await;
    // A policy takes effect a moment after it was written.
    let refused = installation
        .refused(async || as_pod.try_patch(&lease(&other.name), forged.clone()).await)
        .await;
    assert!(refused.contains("only the Lease named after its own pod"), "{refused}");

    let secrets = [
        format!("{}/secret/caller-key", installation.watched[0]),
        format!("{}/secret/fake-credential", installation.watched[0]),
        installation.ring_name(),
    ];
    for secret in secrets {
        let refused = installation
            .refused(async || as_pod.try_patch(&secret, json!({})).await)
            .await;
        assert!(refused.contains("forbidden"), "{refused}");
        let read = as_pod.try_get(&secret).await.expect_err("a gateway may not read it");
        assert!(read.to_string().contains("forbidden"), "{read}");
    }
    let pointer = installation.pointer_name();
    let refused = installation
        .refused(async || as_pod.try_patch(&pointer, json!({"data": {"status": "[]"}})).await)
        .await;
    assert!(refused.contains("forbidden"), "{refused}");
}

#[tokio::test]
async fn an_operators_token_cannot_take_over_a_secret_of_the_people() {
    let (_provider, installation) = scene("operator-token").await;
    let operator = installation.objects.with(installation.leader().await.client().await);
    let stolen = json!({"data": {"key": "c3RvbGVu"}});
    let refused = installation
        .refused(async || operator.try_patch("secret/caller-key", stolen.clone()).await)
        .await;
    assert!(
        refused.contains("only Opaque Secrets that a VirtualKey") || refused.contains("forbidden"),
        "{refused}"
    );
    // Owning it first is the same write.
    let key = installation.objects.get("virtualkey/caller").await;
    let owned = json!({"metadata": {"ownerReferences": [{
        "apiVersion": "headgate.dev/v1alpha1", "kind": "VirtualKey", "name": "caller", "uid": key.metadata.uid, "controller": true,
    }]}});
    let refused = installation
        .refused(async || operator.try_patch("secret/caller-key", owned.clone()).await)
        .await;
    assert!(!refused.is_empty());
}

#[tokio::test]
async fn a_forged_pointer_is_refused_named_and_repaired() {
    let (_provider, installation) = scene("forged").await;
    let published = installation.published().await;
    for operator in installation.operators() {
        operator.kill_and_hold();
    }
    let forged = Signed {
        text: published.signed.text.replacen(
            &format!("\"sequence\":{}", published.pointer.head.sequence),
            &format!("\"sequence\":{}", published.pointer.head.sequence + 7),
            1,
        ),
        signature: published.signed.signature.clone(),
    };
    assert_ne!(forged.text, published.signed.text);
    installation.overwrite_pointer(&forged).await;
    for pod in installation.gateways() {
        let ack = installation.ack_when(&pod.name, |ack| ack.refused.is_some()).await;
        let refused = ack.refused.expect("just waited for");
        assert!(refused.reason.contains("signature"), "{refused:?}");
        let serving = ack.serving.expect("it goes on serving");
        assert_eq!(serving.sequence, published.pointer.head.sequence);
        assert!(pod.is_ready(), "a bad pointer does not un-ready what serves");
    }
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;

    for operator in installation.operators() {
        operator.let_start();
    }
    for pod in installation.gateways() {
        installation
            .ack_when(&pod.name, |ack| ack.refused.is_none() && ack.serving.is_some())
            .await;
    }
    installation.published().await; // which checks its signature
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;
}

#[tokio::test]
async fn a_replayed_pointer_does_not_bring_a_revoked_key_back() {
    let (_provider, installation) = scene("replayed").await;
    let before = installation.published().await;
    installation
        .objects
        .patch("virtualkey/caller", json!({"spec": {"suspended": true}}))
        .await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    let revoked = installation.published().await.pointer.head.sequence;
    for operator in installation.operators() {
        operator.kill_and_hold();
    }
    // Properly signed, and older: whoever may write ConfigMaps can have kept a copy.
    installation.overwrite_pointer(&before.signed).await;
    for pod in installation.gateways() {
        let ack = installation.ack_when(&pod.name, |ack| ack.refused.is_some()).await;
        assert_eq!(
            ack.serving.expect("it goes on serving").sequence,
            revoked,
            "{:?}",
            ack.refused
        );
    }
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
    // Also not for a container that starts afresh and meets the old pointer first.
    for pod in installation.gateways() {
        pod.kill();
        pod.wait_until_ready_again(2).await;
    }
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;

    for operator in installation.operators() {
        operator.let_start();
    }
    installation
        .published_when(|pointer| pointer.head.sequence > revoked)
        .await;
    for pod in installation.gateways() {
        installation.ack_when(&pod.name, |ack| ack.refused.is_none()).await;
    }
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
}

#[tokio::test]
async fn a_provider_address_edited_in_a_shard_is_never_followed() {
    let (provider, installation) = scene("edited-shard").await;
    let evil = FakeProvider::start().await;
    for operator in installation.operators() {
        operator.kill_and_hold();
    }
    let head = installation.published().await.pointer.head;
    let mut edited = None;
    for reference in &head.shards {
        let name = format!(
            "{}/configmap/{}",
            installation.snapshot_namespace,
            reference.object_name()
        );
        let Some(object) = installation.objects.find(&name).await else {
            continue;
        };
        let stored: k8s_openapi::ByteString =
            serde_json::from_value(object.data["binaryData"][RECORDS_KEY].clone()).expect("format 2 stores bytes");
        let mut shard = Shard::decode(reference, &stored.0, head.format).expect("the operator wrote it");
        if !shard.text.contains(&provider.base_url()) {
            continue;
        }
        shard.text = shard.text.replace(&provider.base_url(), &evil.base_url());
        // Immutable objects cannot be edited; nothing keeps them from being replaced.
        let mut replacement = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "immutable": true,
            "metadata": {"name": reference.object_name(), "labels": object.metadata.labels},
        });
        let bytes = k8s_openapi::ByteString(shard.encode(head.format));
        replacement["binaryData"] = json!({RECORDS_KEY: bytes});
        installation.objects.delete(&name).await;
        installation
            .objects
            .create(&installation.snapshot_namespace, "configmap", replacement)
            .await;
        edited = Some(name);
    }
    let edited = edited.expect("a public shard holds the provider's address");

    // A container that starts again, and a pod that never served: neither takes it.
    let gateways = installation.gateways();
    gateways[0].kill();
    gateways[0].wait_until_ready_again(2).await;
    let gone = format!("{}/pod/{}", installation.namespace, gateways[1].name);
    installation.objects.delete(&gone).await;
    installation.objects.wait_until_gone(&gone, PATIENCE).await;
    let fresh = installation
        .gateway_other_than(&[&gateways[0].name, &gateways[1].name])
        .await;
    let ack = installation.ack_when(&fresh.name, |ack| ack.refused.is_some()).await;
    let reason = ack.refused.expect("just waited for").reason;
    assert!(reason.contains("shard"), "the reason names the shard: {reason}");
    let answer = installation
        .ask(&gateways[0], intents::CALLER_KEY, intents::MODEL)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(evil.count(), 0, "nothing was sent to the forged address");

    // Taken away, it is written again, and everybody serves.
    installation.objects.delete(&edited).await;
    for operator in installation.operators() {
        operator.let_start();
    }
    installation.wait_until_rolled_out().await;
    installation
        .wait_until_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;
    assert_eq!(evil.count(), 0);
}
