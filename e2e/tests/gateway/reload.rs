//! Saving the folder while it is served: no request notices, a bad save changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use headgate_e2e::gateway::Gateway;
use headgate_e2e::manifests::{self, VIRTUAL_KEY};
use headgate_e2e::raw_http::{Answer, chat};
use tokio::task::JoinSet;

use super::scene;

const RELOADS: u32 = 10;
const LIVE_WITHIN: Duration = Duration::from_secs(10);

/// One more model than the manifests have, so that each save is a change.
fn with_model(base_url: &str, name: &str) -> String {
    manifests::fake_provider(base_url).replacen(
        "  - {name: chat",
        &format!("  - {{name: {name}, upstreamModel: chat}}\n  - {{name: chat"),
        1,
    )
}

async fn version(gateway: &Gateway) -> String {
    gateway.admin("/snapshot").await.json()["version"]
        .as_str()
        .expect("a version is live")
        .to_owned()
}

#[tokio::test]
async fn ten_reloads_under_load_fail_no_request() {
    let (provider, gateway) = scene().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let mut load = JoinSet::new();
    for (model, stream) in [
        ("chat", false),
        ("chat", false),
        ("chat", true),
        ("events-20-every-10ms", true),
    ] {
        let (stop, answered, address) = (Arc::clone(&stop), Arc::clone(&answered), gateway.address);
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let answer = chat(address, VIRTUAL_KEY, model, stream)
                    .await
                    .unwrap_or_else(|error| panic!("{model}: {error}"));
                assert!(
                    answer.status == 200 && answer.complete,
                    "{model}: {} {:.300}",
                    answer.status,
                    answer.text()
                );
                assert!(
                    !stream || answer.events().last().is_some_and(|event| event == "[DONE]"),
                    "{:.300}",
                    answer.text()
                );
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for n in 1..=RELOADS {
        let before = version(&gateway).await;
        gateway.save("gateway.yaml", &with_model(&provider.base_url(), &format!("new-{n}")));
        let is_new = |answer: &Answer| {
            answer.json()["version"]
                .as_str()
                .is_some_and(|version| version != before)
        };
        gateway.wait_for("/snapshot", LIVE_WITHIN, is_new).await;
        let answer = chat(gateway.address, VIRTUAL_KEY, &format!("new-{n}"), false)
            .await
            .expect("an answer");
        assert_eq!(answer.status, 200, "what was saved is served: {}", answer.text());
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(worker) = load.join_next().await {
        worker.expect("no request failed");
    }
    assert!(answered.load(Ordering::Relaxed) > u64::from(RELOADS), "there was load");
}

#[tokio::test]
async fn a_bad_save_keeps_the_last_good_and_is_reported() {
    let (_provider, gateway) = scene().await;
    let before = version(&gateway).await;
    gateway.save(
        "gateway.yaml",
        "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: fake\n",
    );
    let reported = |answer: &Answer| {
        answer.json()["findings"]
            .as_array()
            .is_some_and(|findings| !findings.is_empty())
    };
    gateway.wait_for("/snapshot", LIVE_WITHIN, reported).await;
    assert_eq!(version(&gateway).await, before);
    assert_eq!(
        chat(gateway.address, VIRTUAL_KEY, "chat", false)
            .await
            .expect("an answer")
            .status,
        200
    );
    assert_eq!(
        gateway.admin("/readyz").await.status,
        200,
        "a bad save does not un-ready what serves"
    );
}

#[tokio::test]
async fn a_key_that_is_suspended_in_a_save_is_refused_at_once() {
    let (provider, gateway) = scene().await;
    assert_eq!(
        chat(gateway.address, VIRTUAL_KEY, "chat", false)
            .await
            .expect("an answer")
            .status,
        200
    );
    let before = version(&gateway).await;
    let yaml = manifests::fake_provider(&provider.base_url());
    let caller = manifests::virtual_key("caller", "");
    assert!(yaml.contains(&caller));
    gateway.save(
        "gateway.yaml",
        &yaml.replace(&caller, &manifests::virtual_key("caller", "  suspended: true\n")),
    );
    let is_new = |answer: &Answer| {
        answer.json()["version"]
            .as_str()
            .is_some_and(|version| version != before)
    };
    gateway.wait_for("/snapshot", LIVE_WITHIN, is_new).await;
    let refused = chat(gateway.address, VIRTUAL_KEY, "chat", false)
        .await
        .expect("an answer");
    super::assert_refused(&refused, 401, "invalid_api_key");
}
