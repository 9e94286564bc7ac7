//! Requests that fail while configuration changes and pods are replaced. The answer is meant to be none.

use headgate_e2e::installation::{Installation, intents};
use serde_json::json;

use super::{Figure, wait_until_programmed};

const CLIENTS: usize = 8;

pub(super) async fn reloads_and_restart(installation: &mut Installation, reloads: usize) -> Vec<Figure> {
    installation
        .apply(&intents::route("load", "load-0", "fake", "chat"))
        .await;
    let traffic = installation.start_traffic(CLIENTS, intents::CALLER_KEY, intents::MODEL);
    for number in 1..=reloads {
        let edit = json!({"spec": {"models": [format!("load-{number}")]}});
        installation.objects.patch("routepolicy/load", edit).await;
        wait_until_programmed(installation, "routepolicy/load").await;
    }
    let (answered, failures) = traffic.stop().await;
    let what = format!("failed of {answered} requests over {reloads} reloads");
    let over_reloads = failed(what, &failures);

    let traffic = installation.start_traffic(CLIENTS, intents::CALLER_KEY, intents::MODEL);
    installation
        .upgrade(|values| values["gateway"]["podAnnotations"] = json!({"e2e/restarted": "once"}))
        .await;
    installation.follow_rollout(&traffic).await;
    let (answered, failures) = traffic.stop().await;
    let what = format!("failed of {answered} requests over a rolling restart");
    vec![over_reloads, failed(what, &failures)]
}

fn failed(what: String, failures: &[String]) -> Figure {
    for failure in failures.iter().take(10) {
        eprintln!("failed: {failure}");
    }
    Figure::new(what, failures.len().to_string(), "0")
}
