//! A key that was taken away is refused: on every data plane once the status says so, and by a container that starts
//! while nobody can tell it anything.

use headgate_e2e::control_plane::ControlPlane;
use headgate_e2e::installation::{Installation, PATIENCE, intents};
use serde_json::json;

use super::{condition, scene, serve, wait_until_programmed};

#[tokio::test]
async fn a_suspended_key_is_refused_on_every_data_plane_once_programmed_says_so() {
    let (_provider, installation) = scene("suspended").await;
    for (suspended, status) in [(true, 401), (false, 200), (true, 401)] {
        installation
            .objects
            .patch("virtualkey/caller", json!({"spec": {"suspended": suspended}}))
            .await;
        wait_until_programmed(&installation, &["virtualkey/caller"]).await;
        // Not waited for: the condition is a fact when it is read.
        installation
            .assert_all_answer(intents::CALLER_KEY, intents::MODEL, status)
            .await;
    }
    installation
        .objects
        .wait_for_condition("virtualkey/caller", condition("Suspended", "True", ""), PATIENCE)
        .await;
}

#[tokio::test]
async fn a_revoked_key_stays_refused_by_a_container_that_starts_while_the_api_server_is_away() {
    const DELETED: &str = "vk-canary-cluster-deleted-3NcHs8VtBq6ZkWy1JrFx";
    const KEPT: &str = "vk-canary-cluster-kept-9GdRm2TzXp5LvQw7YbKs";
    let control_plane = ControlPlane::own().await;
    let (_provider, installation) = serve(Installation::of("revoked").on(&control_plane)).await;
    for (name, token) in [("deleted", DELETED), ("kept", KEPT)] {
        let key = [intents::key_secret(name, token), intents::virtual_key(name, "")].concat();
        installation.apply(&key).await;
        wait_until_programmed(&installation, &[&format!("virtualkey/{name}")]).await;
        installation.assert_all_answer(token, intents::MODEL, 200).await;
    }
    installation
        .objects
        .patch("virtualkey/caller", json!({"spec": {"suspended": true}}))
        .await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    installation.objects.delete("virtualkey/deleted").await;
    installation.wait_until_all_answer(DELETED, intents::MODEL, 401).await;

    control_plane.stop_api_server();
    for pod in installation.gateways() {
        pod.kill();
    }
    for pod in installation.gateways() {
        pod.wait_until_ready_again(2).await;
    }
    installation.assert_all_answer(KEPT, intents::MODEL, 200).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
    installation.assert_all_answer(DELETED, intents::MODEL, 401).await;

    control_plane.start_api_server().await;
    installation
        .objects
        .patch("virtualkey/caller", json!({"spec": {"suspended": false}}))
        .await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;
}
