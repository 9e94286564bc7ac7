//! Secrets that are missing, appear, and change: the resource that names them is never touched.

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{Installation, PATIENCE, condition_of, intents};

use super::{condition, scene, wait_until_programmed};

#[tokio::test]
async fn a_missing_secret_is_a_condition_and_heals_without_touching_the_resource() {
    let provider = FakeProvider::start().await;
    let installation = Installation::of("missing").start().await;
    // A second provider, whole: what is missing elsewhere is not its business.
    installation.apply(&intents::served(&provider.base_url())).await;
    installation
        .apply(&intents::provider_with_models("other", &provider.base_url(), &["echo"]))
        .await;
    let missing = condition("ResolvedRefs", "False", "RefNotFound");
    let broken = installation
        .objects
        .wait_for_condition("llmprovider/other", missing, PATIENCE)
        .await;
    let said = condition_of(&broken, "ResolvedRefs").expect("just waited for")["message"].to_string();
    assert!(
        said.contains("other-credential"),
        "the message names the Secret: {said}"
    );
    installation
        .objects
        .wait_for_condition("llmprovider/other", condition("Ready", "False", ""), PATIENCE)
        .await;
    wait_until_programmed(&installation, &super::SERVED).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;
    for answer in installation.ask_all(intents::CALLER_KEY, "echo").await.into_values() {
        assert_ne!(answer.status, 200, "{}", answer.text());
    }

    installation
        .apply(&intents::credential("other", intents::CREDENTIAL))
        .await;
    wait_until_programmed(&installation, &["llmprovider/other"]).await;
    installation.assert_all_answer(intents::CALLER_KEY, "echo", 200).await;
    let healed = installation.objects.get("llmprovider/other").await;
    assert_eq!(healed.metadata.generation, broken.metadata.generation);
    let missing_entry = intents::secret("other-credential", "renamed", intents::CREDENTIAL);
    installation.objects.delete("secret/other-credential").await;
    installation.apply(&missing_entry).await;
    let entry = condition("ResolvedRefs", "False", "SecretKeyMissing");
    installation
        .objects
        .wait_for_condition("llmprovider/other", entry, PATIENCE)
        .await;
}

#[tokio::test]
async fn a_rotated_credential_reaches_the_provider_without_a_restart() {
    let (provider, installation) = scene("rotated").await;
    let rotated = "sk-canary-cluster-rotated-5MvGz1CxQe9LhRb";
    installation.apply(&intents::credential("fake", rotated)).await;
    installation
        .wait_until_all(intents::CALLER_KEY, intents::MODEL, |answer| {
            assert_eq!(answer.status, 200, "no request fails meanwhile: {}", answer.text());
            provider.last().header("authorization") == Some(format!("Bearer {rotated}").as_str())
        })
        .await;
    assert!(installation.gateways().iter().all(|pod| pod.starts() == 1));
    // What the status shows of it is a fingerprint, and it moved on.
    let old = installation.objects.get("llmprovider/fake").await.data["status"]["credentialFingerprint"].clone();
    assert!(old.as_str().is_none_or(|print| !rotated.contains(print)), "{old}");
}

#[tokio::test]
async fn a_callers_secret_may_be_replaced_and_the_old_text_stops_working() {
    let (_provider, installation) = scene("replaced").await;
    let next = "vk-canary-cluster-next-7YbTn4KzWd2PsJq9XvLm";
    installation.apply(&intents::key_secret("caller", next)).await;
    installation.wait_until_all_answer(next, intents::MODEL, 200).await;
    installation
        .wait_until_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
}
