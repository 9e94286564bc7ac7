//! What holds towards every provider, whatever it speaks: headers that are always sent or never lost, bounds on what may
//! wait, life signs while nothing arrives.

mod scripted;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use headgate::gateway::Gateway;
use headgate::http_api::DataRoutes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const EVENTS: &str = "text/event-stream";
const ANSWER: &str =
    r#"{"id":"x","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
const CONTENT: &str = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const END: &str =
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

async fn gateway_to(address: &str, more: &str) -> Arc<Gateway> {
    let spec = format!("type: OpenAICompatible, baseURL: \"http://{address}/v1\"{more}");
    scripted::gateway(&spec, "upstream-model").await
}

async fn post(gateway: &Arc<Gateway>, body: Value, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::post("/v1/chat/completions")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string())).expect("a request");
    DataRoutes::new(Arc::clone(gateway)).answer(request).await
}

fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
}

#[tokio::test]
async fn a_call_asks_for_no_encoding_and_keeps_its_idempotency_key_over_its_tries() {
    let busy = Reply::json(503, "{}").with_header("retry-after", "0");
    let provider = Scripted::start([busy, Reply::json(200, ANSWER)]).await;
    let gateway = gateway_to(&provider.address.to_string(), ", forwardHeaders: [x-team]").await;
    let headers = [
        ("idempotency-key", "k-1"),
        ("x-team", "blue"),
        ("x-other", "red"),
        ("accept-encoding", "gzip"),
    ];
    // By `provider/model`, whose implicit route tries again.
    let response = post(&gateway, chat("p/model", false), &headers).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-headgate-attempts"], "2");
    let received = provider.received();
    assert_eq!(received.len(), 2);
    for request in received {
        assert_eq!(request.header("idempotency-key"), Some("k-1"));
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        assert_eq!(request.header("x-team"), Some("blue"));
        assert_eq!(request.header("x-other"), None);
    }
}

#[tokio::test]
async fn what_may_wait_for_the_first_content_is_bounded() {
    let role = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n";
    let within = role.repeat(60 * 1024 / role.len()) + CONTENT + END;
    let beyond = role.repeat(70 * 1024 / role.len()) + CONTENT + END;
    let provider = Scripted::start([Reply::stream(EVENTS, within), Reply::stream(EVENTS, beyond)]).await;
    let gateway = gateway_to(&provider.address.to_string(), "").await;
    let response = post(&gateway, chat("model", true), &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let bytes = response.into_body().collect().await.expect("it ends well").to_bytes();
    assert!(bytes.ends_with(b"data: [DONE]\n\n"));
    let response = post(&gateway, chat("model", true), &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(body["error"]["code"], "upstream_invalid_answer");
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_comments() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gateway = gateway_to(&listener.local_addr().expect("bound").to_string(), "").await;
    let (go_on, told) = tokio::sync::oneshot::channel::<()>();
    let provider = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the gateway connects");
        let mut request = vec![0; 64 * 1024];
        let _ = stream.read(&mut request).await.expect("the gateway sends its request");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {EVENTS}\r\nconnection: close\r\n\r\n{CONTENT}");
        stream.write_all(head.as_bytes()).await.expect("it is read");
        told.await.expect("the test goes on");
        stream.write_all(END.as_bytes()).await.expect("it is read");
    });
    let mut response = post(&gateway, chat("model", true), &[]).await;
    let mut received = String::new();
    let mut next = async |received: &mut String| {
        let frame = response.body_mut().frame().await?.expect("the stream goes on");
        let bytes = frame.into_data().expect("no trailers");
        received.push_str(std::str::from_utf8(&bytes).expect("text"));
        Some(())
    };
    while received.len() < CONTENT.len() {
        next(&mut received).await;
    }
    // Nothing moves any more, so the clock leaps to the next deadline, which is ours.
    tokio::time::pause();
    let paused = tokio::time::Instant::now();
    next(&mut received).await;
    let waited = paused.elapsed();
    let (least, most) = (Duration::from_secs(14), Duration::from_secs(16)); // timers tick in milliseconds
    assert!((least..most).contains(&waited), "{waited:?}");
    tokio::time::resume();
    go_on.send(()).expect("the provider waits");
    while next(&mut received).await.is_some() {}
    provider.await.expect("the provider ends well");
    assert_eq!(received, format!("{CONTENT}: keep-alive\n\n{END}"));
}
