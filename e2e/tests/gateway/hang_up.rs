//! A caller who leaves: the provider must stop working for nobody, and the record must still be closed.

use std::time::Duration;

use headgate_e2e::manifests::VIRTUAL_KEY;
use headgate_e2e::raw_http::{Connection, chat_body, chat_request};

use super::scene;

/// Asks `model`, waits until `seen` came back (or until the provider has the request), hangs up.
async fn check(model: &str, stream: bool, seen: Option<&str>) {
    let (provider, gateway) = scene().await;
    let mut connection = Connection::open(gateway.address).await;
    let body = chat_body(model, stream);
    let request = chat_request(&[&format!("authorization: Bearer {VIRTUAL_KEY}")], body.as_bytes());
    connection.send(&request).await.expect("it is read");
    match seen {
        Some(text) => assert!(connection.wait_for(text).await, "the stream ended early"),
        None => {
            provider
                .wait_for(Duration::from_secs(10), |_| true)
                .await
                .expect("the request reaches the provider");
        }
    }
    drop(connection);
    let noticed = provider
        .wait_for(Duration::from_secs(1), |request| request.hung_up)
        .await;
    assert!(noticed.is_some(), "the provider was not told within a second");
    // The record closes although nobody waits for it.
    let closed = |text: &str| {
        text.lines()
            .any(|line| line.starts_with("llm_requests_total{") && line.contains(&format!("model=\"{model}\"")))
    };
    gateway
        .wait_for("/metrics", Duration::from_secs(5), |answer| closed(&answer.text()))
        .await;
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    check("slow", true, Some("xin chao")).await;
}

#[tokio::test]
async fn before_the_first_event_of_a_stream() {
    check("hang", true, None).await;
}

#[tokio::test]
async fn while_a_whole_answer_is_awaited() {
    check("hang", false, None).await;
}
