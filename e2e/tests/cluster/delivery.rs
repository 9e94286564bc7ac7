//! The way from the operator to the data planes, disturbed: half-open watches, a lost pointer, a rotated key ring.

use std::time::{Duration, Instant};

use headgate_e2e::installation::{Installation, intents};
use serde_json::json;

use super::{scene, serve, wait_until_programmed};

/// A watch lives for 30 s, and a GET goes out as often, jittered; then the new connection has to be made.
const HALF_OPEN_NOTICED_WITHIN: Duration = Duration::from_secs(75);

#[tokio::test]
async fn a_half_open_watch_is_noticed() {
    let (provider, installation) = serve(Installation::of("half-open").with_relay()).await;
    let relay = installation.relay.as_ref().expect("asked for");
    relay.silence_open_connections();
    let since = Instant::now();
    installation
        .apply(&intents::provider_with_models(
            "fake",
            &provider.base_url(),
            &["chat", "echo"],
        ))
        .await;
    let is_followed = async || {
        let answers = installation.ask_all(intents::CALLER_KEY, "echo").await;
        answers.values().all(|answer| answer.status == 200)
    };
    while !is_followed().await {
        assert!(since.elapsed() < HALF_OPEN_NOTICED_WITHIN, "{}", installation.logs());
        // Meanwhile nobody who asks for what was there notices anything.
        installation
            .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
            .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "half-open watches were noticed after {:.1} s",
        since.elapsed().as_secs_f64()
    );
    wait_until_programmed(&installation, &["llmprovider/fake"]).await;
}

#[tokio::test]
async fn a_lost_pointer_comes_back_above_what_anybody_acknowledged() {
    let (_provider, installation) = scene("lost-pointer").await;
    let lost = installation.published().await.pointer.head;
    installation.objects.delete(&installation.pointer_name()).await;
    let found = installation
        .published_when(|pointer| pointer.head.sequence > lost.sequence)
        .await;
    assert_eq!(found.pointer.head.root, lost.root, "the same intent");
    for pod in installation.gateways() {
        let sequence = found.pointer.head.sequence;
        installation
            .ack_when(&pod.name, |ack| {
                ack.serving.is_some_and(|it| it.sequence >= sequence) && ack.refused.is_none()
            })
            .await;
        assert_eq!(pod.starts(), 1);
    }
    installation
        .objects
        .patch("virtualkey/caller", json!({"spec": {"suspended": true}}))
        .await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
}

#[tokio::test]
async fn a_key_ring_is_rotated_under_traffic() {
    let (_provider, installation) = scene("ring").await;
    let traffic = installation.start_traffic(2, intents::CALLER_KEY, intents::MODEL);
    let first = installation.ring().await.newest().id().to_owned();
    let ring = installation.ring_name();
    installation
        .objects
        .patch(
            &ring,
            json!({"stringData": {"key-0002": "dGhpcnR5LXR3byBieXRlcyBmb3IgYSBuZXcgcmluZyE="}}),
        )
        .await;
    let second = installation.ring().await.newest().id().to_owned();
    assert_ne!(first, second);
    // Sealed with the new key once every reader has it, and not before.
    installation
        .published_when(|pointer| pointer.head.key_id == second)
        .await;
    for pod in installation.gateways() {
        let ack = installation.ack(&pod.name).await.expect("it acknowledged the key");
        assert_eq!(ack.key_ids, [first.clone(), second.clone()]);
    }
    let sequence = installation.published().await.pointer.head.sequence;
    for pod in installation.gateways() {
        installation
            .ack_when(&pod.name, |ack| ack.serving.is_some_and(|it| it.sequence >= sequence))
            .await;
    }

    // The old one is taken away; a pod that knows only the new one serves.
    installation
        .objects
        .patch(&ring, json!({"data": {"key-0001": null}}))
        .await;
    for pod in installation.gateways() {
        installation
            .ack_when(&pod.name, |ack| ack.key_ids == [second.clone()])
            .await;
    }
    let old = installation.gateways()[0].name.clone();
    installation
        .objects
        .delete(&format!("{}/pod/{old}", installation.namespace))
        .await;
    let others: Vec<_> = installation.gateways().iter().map(|pod| pod.name.clone()).collect();
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    let fresh = installation.gateway_other_than(&others).await;
    fresh.wait_until_ready_again(1).await;
    let answer = installation.ask(&fresh, intents::CALLER_KEY, intents::MODEL).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (answered, failures) = traffic.stop().await;
    assert!(
        answered > 0 && failures.is_empty(),
        "{answered} answered, but {failures:?}"
    );
    wait_until_programmed(&installation, &super::SERVED).await;
}
