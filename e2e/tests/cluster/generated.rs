//! Keys that the operator mints: once, owned, rotated with an overlap, and never anybody else's Secret.

use headgate_e2e::installation::{Installation, PATIENCE, intents};
use kube::ResourceExt as _;
use serde_json::json;

use super::{condition, scene, wait_until_programmed};

fn generated(name: &str, rotation: &str) -> String {
    format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\n\
         spec:\n  owner: {{user: {name}}}\n  generate: {{secretName: {name}-minted}}\n{rotation}---\n"
    )
}

async fn token(installation: &Installation, entry: &str) -> Option<String> {
    let secret = installation.objects.get("secret/fresh-minted").await;
    let value: k8s_openapi::ByteString = serde_json::from_value(secret.data["data"].get(entry)?.clone()).ok()?;
    String::from_utf8(value.0).ok()
}

#[tokio::test]
async fn a_key_is_minted_once_and_rotated_with_an_overlap() {
    let (_provider, installation) = scene("minted").await;
    installation.apply(&generated("fresh", "")).await;
    wait_until_programmed(&installation, &["virtualkey/fresh"]).await;
    let first = token(&installation, "key").await.expect("a minted key");
    assert!(first.starts_with("vk-") && first.len() >= 43, "vk- and 32 random bytes");
    installation.assert_all_answer(&first, intents::MODEL, 200).await;
    let secret = installation.objects.get("secret/fresh-minted").await;
    let owner = &secret.owner_references()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.name.as_str(), owner.controller),
        ("VirtualKey", "fresh", Some(true))
    );
    assert_eq!(secret.labels()["app.kubernetes.io/managed-by"], "headgate");
    let status = installation.objects.get("virtualkey/fresh").await.data["status"].clone();
    assert_eq!(status["secretName"], "fresh-minted");
    assert!(
        status["fingerprint"].as_str().is_some_and(|it| it.len() == 8),
        "{status}"
    );

    // Nothing else ever changes it: not an edit, not a new operator.
    installation
        .objects
        .patch("virtualkey/fresh", json!({"spec": {"models": ["chat"]}}))
        .await;
    for operator in installation.operators() {
        operator.kill();
        operator.wait_until_ready_again(2).await;
    }
    wait_until_programmed(&installation, &["virtualkey/fresh"]).await;
    let untouched = installation.objects.get("secret/fresh-minted").await;
    assert_eq!(untouched.metadata.resource_version, secret.metadata.resource_version);

    installation
        .apply(&generated("fresh", "  rotation: {serial: 1, overlap: 1h}\n"))
        .await;
    wait_until_programmed(&installation, &["virtualkey/fresh"]).await;
    let second = token(&installation, "key").await.expect("a minted key");
    assert_ne!(first, second);
    assert_eq!(token(&installation, "previousKey").await.as_ref(), Some(&first));
    for works in [&first, &second] {
        installation.assert_all_answer(works, intents::MODEL, 200).await;
    }

    // A short overlap ends by itself.
    installation
        .apply(&generated("fresh", "  rotation: {serial: 2, overlap: 1s}\n"))
        .await;
    wait_until_programmed(&installation, &["virtualkey/fresh"]).await;
    let third = token(&installation, "key").await.expect("a minted key");
    installation.wait_until_all_answer(&second, intents::MODEL, 401).await;
    installation.assert_all_answer(&first, intents::MODEL, 401).await;
    installation.assert_all_answer(&third, intents::MODEL, 200).await;

    installation.objects.delete("virtualkey/fresh").await;
    installation
        .objects
        .wait_until_gone("secret/fresh-minted", PATIENCE)
        .await;
    installation.wait_until_all_answer(&third, intents::MODEL, 401).await;
}

#[tokio::test]
async fn a_secret_of_that_name_that_is_somebody_elses_is_neither_read_nor_written() {
    let (_provider, installation) = scene("squatted").await;
    let theirs = "vk-canary-cluster-theirs-4KxWb9QrTz2MnLp7VcYd";
    installation
        .apply(&intents::secret("fresh-minted", "key", theirs))
        .await;
    let before = installation
        .objects
        .get("secret/fresh-minted")
        .await
        .metadata
        .resource_version;
    installation.apply(&generated("fresh", "")).await;
    let conflicted = condition("Accepted", "False", "Conflicted");
    installation
        .objects
        .wait_for_condition("virtualkey/fresh", conflicted, PATIENCE)
        .await;
    assert_eq!(
        installation
            .objects
            .get("secret/fresh-minted")
            .await
            .metadata
            .resource_version,
        before
    );
    installation.assert_all_answer(theirs, intents::MODEL, 401).await;
    // It heals when the name is free.
    installation.objects.delete("secret/fresh-minted").await;
    wait_until_programmed(&installation, &["virtualkey/fresh"]).await;
    let minted = token(&installation, "key").await.expect("a minted key");
    installation.assert_all_answer(&minted, intents::MODEL, 200).await;
}

#[tokio::test]
async fn an_expired_key_is_refused_when_its_time_has_come() {
    let (_provider, installation) = scene("expiring").await;
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(4);
    let seconds = soon
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let moment = k8s_openapi::jiff::Timestamp::from_second(i64::try_from(seconds).expect("this century"));
    let moment = moment.expect("this century").to_string();
    installation
        .objects
        .patch("virtualkey/caller", json!({"spec": {"expiresAt": moment}}))
        .await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;
    installation
        .wait_until_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
    // Known to the status without anybody touching anything, and no reason to be un-ready.
    installation
        .objects
        .wait_for_condition("virtualkey/caller", condition("Expired", "True", ""), PATIENCE)
        .await;
    installation
        .objects
        .wait_for_condition("virtualkey/caller", condition("Ready", "True", ""), PATIENCE)
        .await;
}
