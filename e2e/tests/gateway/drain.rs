//! SIGTERM: first not ready, then no new work, then what runs is finished, then gone.

use std::time::Duration;

use headgate_e2e::manifests::VIRTUAL_KEY;
use headgate_e2e::raw_http::{Connection, chat_body, chat_request};

use super::scene;

#[tokio::test]
async fn a_stream_that_runs_at_sigterm_is_finished_after_readiness_has_flipped() {
    let (_provider, mut gateway) = scene().await;
    let mut stream = Connection::open(gateway.address).await;
    let body = chat_body("events-60-every-50ms", true); // 3 s
    let request = chat_request(&[&format!("authorization: Bearer {VIRTUAL_KEY}")], body.as_bytes());
    stream.send(&request).await.expect("it is read");
    assert!(stream.wait_for("xin chao").await, "the stream began");

    gateway.terminate();
    gateway
        .wait_for("/readyz", Duration::from_secs(2), |answer| answer.status == 503)
        .await;
    assert_eq!(gateway.admin("/livez").await.status, 200, "a draining process is alive");

    let answer = stream.answer().await.expect("the stream goes on");
    let events = answer.events();
    assert!(
        answer.complete && events.last().is_some_and(|event| event == "[DONE]"),
        "{events:?}"
    );
    assert_eq!(events.iter().filter(|event| event.contains("xin chao")).count(), 60);
    assert!(gateway.stopped().await.success(), "it printed:\n{}", gateway.output());
}

#[tokio::test]
async fn an_idle_gateway_stops_promptly() {
    let (_provider, mut gateway) = scene().await;
    let _idle = Connection::open(gateway.address).await; // a connection without a request must not hold it up
    gateway.terminate();
    let stopped = tokio::time::timeout(Duration::from_secs(10), gateway.stopped()).await;
    assert!(stopped.expect("it stops within ten seconds").success());
}
