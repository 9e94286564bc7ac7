//! The API server away, frozen, and back with its history forgotten: requests go on, and what was missed is made up for.

use std::time::Duration;

use headgate_e2e::control_plane::ControlPlane;
use headgate_e2e::installation::{Installation, intents};
use kube::core::WatchEvent;
use serde_json::json;

use super::{serve, wait_until_programmed};

/// Beyond a renewal of every Lease, so that someone tries to write and cannot.
const AWAY: Duration = Duration::from_secs(12);

#[tokio::test]
async fn requests_are_served_while_the_api_server_is_away_and_edits_follow_when_it_is_back() {
    let control_plane = ControlPlane::own().await;
    let (_provider, installation) = serve(Installation::of("outage").on(&control_plane)).await;
    let old = installation
        .objects
        .get("virtualkey/caller")
        .await
        .metadata
        .resource_version;
    let traffic = installation.start_traffic(2, intents::CALLER_KEY, intents::MODEL);

    control_plane.stop_api_server();
    tokio::time::sleep(AWAY).await; // the outage itself is the condition
    // Nothing from before can be told any more: every watch that resumes gets 410 and starts over with a list.
    control_plane.compact_history().await;
    control_plane.start_api_server().await;
    assert!(
        is_gone(&installation, &old.expect("a stored object has one")).await,
        "a watch from before is told 410"
    );
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["routepolicy/front"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, "front-door", 200)
        .await;

    control_plane.freeze_api_server();
    tokio::time::sleep(AWAY).await;
    control_plane.thaw_api_server();
    installation
        .objects
        .patch("routepolicy/front", json!({"spec": {"models": ["back-door"]}}))
        .await;
    wait_until_programmed(&installation, &["routepolicy/front"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, "back-door", 200)
        .await;

    let (answered, failures) = traffic.stop().await;
    assert!(
        answered > 100 && failures.is_empty(),
        "{answered} answered, but {failures:?}"
    );
    assert!(
        installation.gateways().iter().all(|pod| pod.starts() == 1),
        "{}",
        installation.logs()
    );
}

/// A watch from that version on is refused as too old.
async fn is_gone(installation: &Installation, version: &str) -> bool {
    use futures_util::TryStreamExt as _;
    let api = installation.objects.api("virtualkey", &installation.watched[0]);
    let watch = api.watch(&kube::api::WatchParams::default().timeout(5), version).await;
    let mut events = match watch {
        Ok(events) => Box::pin(events),
        Err(kube::Error::Api(error)) => return error.code == 410,
        Err(error) => panic!("{error}"),
    };
    matches!(events.try_next().await, Ok(Some(WatchEvent::Error(error))) if error.code == 410)
}
