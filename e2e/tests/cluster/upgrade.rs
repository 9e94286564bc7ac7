//! An upgrade from the format before: data planes that read only the old one are never stranded, and no request fails.

use headgate_e2e::installation::{Installation, intents};
use headgate_snapshot::{FORMAT, OLDEST_READABLE_FORMAT};
use serde_json::{Value, json};

use super::{serve, wait_until_programmed};

fn format_max(format: u32) -> Value {
    json!([{"name": "HEADGATE_FORMAT_MAX", "value": format.to_string()}])
}

#[tokio::test]
async fn old_data_planes_get_the_old_format_until_the_last_of_them_is_gone() {
    let settings =
        Installation::of("upgrade").values(&json!({"gateway": {"extraEnv": format_max(OLDEST_READABLE_FORMAT)}}));
    let (_provider, mut installation) = serve(settings).await;
    let head = installation.published().await.pointer.head;
    assert_eq!(head.format, OLDEST_READABLE_FORMAT);

    let traffic = installation.start_traffic(2, intents::CALLER_KEY, intents::MODEL);
    installation
        .upgrade(|values| values["gateway"]["extraEnv"] = format_max(FORMAT))
        .await;
    installation.follow_rollout(&traffic).await;
    let raised = installation
        .published_when(|pointer| pointer.head.format == FORMAT)
        .await;
    assert_eq!(raised.pointer.head.root, head.root, "the same intent in other clothes");
    for pod in installation.gateways() {
        let sequence = raised.pointer.head.sequence;
        installation
            .ack_when(&pod.name, |ack| ack.serving.is_some_and(|it| it.sequence >= sequence))
            .await;
    }
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["routepolicy/front"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, "front-door", 200)
        .await;
    let (answered, failures) = traffic.stop().await;
    assert!(
        answered > 0 && failures.is_empty(),
        "{answered} answered, but {failures:?}"
    );
}

#[tokio::test]
async fn a_rolling_restart_under_load_fails_no_request() {
    let (_provider, mut installation) = super::scene("restart").await;
    let traffic = installation.start_traffic(4, intents::CALLER_KEY, intents::MODEL);
    for round in 0..2 {
        // What `kubectl rollout restart` does.
        installation
            .upgrade(|values| values["gateway"]["podAnnotations"] = json!({"e2e/restarted": round.to_string()}))
            .await;
        installation.follow_rollout(&traffic).await;
    }
    let (answered, failures) = traffic.stop().await;
    assert!(
        answered > 0 && failures.is_empty(),
        "{answered} answered, but {failures:?}"
    );
}
