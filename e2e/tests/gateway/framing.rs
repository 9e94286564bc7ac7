//! Requests that are wrong below HTTP's surface: lengths that lie, bodies too large, clients too slow.

use std::time::Duration;

use headgate_e2e::manifests::VIRTUAL_KEY;
use headgate_e2e::raw_http::{Connection, chat, chat_body, send};

use super::{assert_refused, scene};

const BODY_BYTES: usize = 100_000_000;

fn head(more: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {VIRTUAL_KEY}\r\n\
         content-type: application/json\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn a_declared_body_of_100_mb_is_refused_before_it_is_sent() {
    let (provider, gateway) = scene().await;
    let answer = send(
        gateway.address,
        head(&format!("content-length: {BODY_BYTES}\r\n")).as_bytes(),
    )
    .await;
    assert_refused(&answer.expect("an answer to the head alone"), 413, "body_too_large");
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn a_chunked_body_of_100_mb_is_refused_once_it_is_too_long() {
    let (provider, gateway) = scene().await;
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(head("transfer-encoding: chunked\r\n").as_bytes())
        .await
        .expect("the head is read");
    let piece = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let mut sent = 0;
    // The gateway may close at any point beyond its bound, so a broken pipe is an end like any other.
    while sent < BODY_BYTES && connection.send(piece.as_bytes()).await.is_ok() {
        sent += piece.len();
    }
    assert_refused(&connection.answer().await.expect("an answer"), 413, "body_too_large");
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn two_lengths_that_differ() {
    let (provider, gateway) = scene().await;
    let body = chat_body("chat", false);
    let more = format!("content-length: {}\r\ncontent-length: 0\r\n", body.len());
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(format!("{}{body}", head(&more)).as_bytes())
        .await
        .expect("it is read");
    // The framing is unknown, so the HTTP layer answers, and nothing may follow on this connection.
    assert_eq!(connection.answer().await.expect("an answer").status, 400);
    assert!(connection.is_closed(Duration::from_secs(5)).await);
    assert_eq!(provider.count(), 0);
}

/// Of a length and chunks together, chunks win (RFC 9112, 6.3); what a length would have hidden must not become a second
/// request.
#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let (provider, gateway) = scene().await;
    let smuggled = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {VIRTUAL_KEY}\r\ncontent-length: 0\r\n\r\n"
    );
    let body = chat_body("chat", false);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let length = chunked.len() + smuggled.len();
    let more = format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n");
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(format!("{}{chunked}{smuggled}", head(&more)).as_bytes())
        .await
        .expect("it is read");
    let first = connection.answer().await.expect("an answer");
    assert!([200, 400].contains(&first.status), "{}", first.text());
    if let Ok(second) = connection.answer().await {
        assert!(
            second.status >= 400,
            "the smuggled request was answered: {}",
            second.text()
        );
    }
    assert!(provider.count() <= 1);
}

#[tokio::test]
async fn a_head_far_beyond_64_kib() {
    let (provider, gateway) = scene().await;
    let request = head(&format!("x-long: {}\r\n", "x".repeat(300 * 1024)));
    let answer = send(gateway.address, request.as_bytes()).await.expect("an answer");
    assert_eq!(answer.status, 431);
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn no_http_at_all() {
    let (provider, gateway) = scene().await;
    let answer = send(
        gateway.address,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS on a plain port\r\n\r\n",
    )
    .await;
    assert!(answer.is_err_and(|what| what.contains("closed")) || provider.count() == 0);
    let good = chat(gateway.address, VIRTUAL_KEY, "chat", false)
        .await
        .expect("an answer");
    assert_eq!(good.status, 200, "the next caller is served");
}

#[tokio::test]
async fn a_head_that_never_ends_is_answered_408_and_closed() {
    let (provider, gateway) = scene().await;
    let mut connection = Connection::open(gateway.address).await;
    connection
        .send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: gate")
        .await
        .expect("it is read");
    let answer = connection.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.error_code().as_str()), (408, "head_timeout"));
    assert!(connection.is_closed(Duration::from_secs(5)).await);
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_answered_408() {
    let (provider, gateway) = scene().await;
    let mut connection = Connection::open(gateway.address).await;
    let half = format!("{}{}", head("content-length: 500\r\n"), r#"{"model":"chat","#);
    connection.send(half.as_bytes()).await.expect("it is read");
    assert_refused(&connection.answer().await.expect("an answer"), 408, "body_timeout");
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn a_connection_serves_a_good_request_after_a_refused_one() {
    let (_provider, gateway) = scene().await;
    let mut connection = Connection::open(gateway.address).await;
    for (model, status) in [
        ("no-such-model", 404),
        ("chat", 200),
        ("status-400", 400),
        ("chat", 200),
    ] {
        let body = chat_body(model, false);
        let request = format!("{}{body}", head(&format!("content-length: {}\r\n", body.len())));
        connection.send(request.as_bytes()).await.expect("it is read");
        let answer = connection.answer().await.expect("an answer");
        assert_eq!(answer.status, status, "{model}: {}", answer.text());
    }
}
