//! A client of legacy completions, through the whole gateway and over a socket: passed on where the server has them, asked
//! as a chat where it has only that.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const EVENTS: &str = "text/event-stream";

async fn gateway(kind: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!("type: {kind}, baseURL: \"http://{}/v1\"", provider.address);
    (scripted::gateway(&spec, "upstream-model").await, provider)
}

async fn post(gateway: &Arc<Gateway>, body: &Value) -> Response<Body> {
    let request = Request::post("/v1/completions")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await
}

/// What arrived before the body ended, and whether it ended well.
async fn read(mut response: Response<Body>) -> (HeaderMap, String, bool) {
    let headers = response.headers().clone();
    let mut bytes = Vec::new();
    let ended_well = loop {
        match response.body_mut().frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    (headers, String::from_utf8(bytes).expect("text"), ended_well)
}

fn prompt(stream: bool) -> Value {
    json!({"model": "model", "prompt": "Xin", "max_tokens": 9, "seed": 7, "stream": stream})
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn usage() -> Value {
    json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500})
}

fn text_chunk(text: &str, reason: Option<&str>) -> String {
    let choice = json!({"text": text, "index": 0, "logprobs": null, "finish_reason": reason});
    event(&json!({"id": "cmpl-1", "object": "text_completion", "model": "upstream-model", "choices": [choice]}))
}

fn chat_chunk(delta: &Value, reason: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
    event(&json!({"id": "chat-1", "object": "chat.completion.chunk", "model": "upstream-model", "choices": [choice]}))
}

#[tokio::test]
async fn a_server_that_has_completions_gets_them_as_they_are() {
    let choice = json!({"text": "chào", "index": 0, "logprobs": null, "finish_reason": "stop"});
    let answer = json!({"id": "cmpl-1", "object": "text_completion", "choices": [choice], "usage": usage()});
    let (gateway, provider) = gateway("OpenAICompatible", [Reply::json(200, answer.to_string())]).await;
    let mut request = prompt(false);
    request["suffix"] = "!".into();
    request["prompt"] = json!([[1, 2], [3]]);
    let response = post(&gateway, &request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (headers, body, _) = read(response).await;
    assert_eq!(body, answer.to_string(), "byte for byte");
    assert_eq!(
        headers["x-headgate-cost-usd"], "0.002",
        "1000 tokens at 1 $ and 500 at 2 $ a million"
    );
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/completions");
    assert_eq!(received.header("authorization"), Some("Bearer scripted-credential"));
    request["model"] = "upstream-model".into();
    assert_eq!(received.body, request);
}

#[tokio::test]
async fn its_stream_passes_without_the_usage_that_nobody_asked_for() {
    let counted = event(&json!({"id": "cmpl-1", "object": "text_completion", "choices": [], "usage": usage()}));
    let said = text_chunk("", None) + &text_chunk("chào", None) + &text_chunk("", Some("stop"));
    let (gateway, provider) = gateway(
        "OpenAICompatible",
        [Reply::stream(EVENTS, said.clone() + &counted + "data: [DONE]\n\n")],
    )
    .await;
    let (_, events, ended_well) = read(post(&gateway, &prompt(true)).await).await;
    assert_eq!((events, ended_well), (said + "data: [DONE]\n\n", true));
    let asked = &provider.received()[0].body["stream_options"];
    assert_eq!(asked, &json!({"include_usage": true}));
}

#[tokio::test]
async fn a_server_that_has_only_chats_is_asked_as_one() {
    let message = json!({"role": "assistant", "content": "chào", "reasoning_content": "hm"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let answer =
        json!({"id": "chat-1", "model": "upstream-model", "created": 7, "choices": [choice], "usage": usage()});
    let (gateway, provider) = gateway("DeepSeek", [Reply::json(200, answer.to_string())]).await;
    let (headers, body, _) = read(post(&gateway, &prompt(false)).await).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let choice = json!({"text": "chào", "index": 0, "logprobs": null, "finish_reason": "stop"});
    assert_eq!(
        (&body["object"], &body["choices"]),
        (&json!("text_completion"), &json!([choice]))
    );
    assert_eq!(headers["x-headgate-cost-usd"], "0.002");
    assert_eq!(headers["x-headgate-dropped"], "seed");
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/chat/completions");
    let messages = json!([{"role": "user", "content": "Xin"}]);
    assert_eq!(
        received.body,
        json!({"model": "upstream-model", "messages": messages, "max_tokens": 9})
    );
}

#[tokio::test]
async fn its_stream_is_one_of_text_however_long_it_thinks() {
    let thoughts = chat_chunk(&json!({"reasoning_content": "hm ".repeat(1000)}), None).repeat(40);
    let said = chat_chunk(&json!({"content": "chào"}), None) + &chat_chunk(&json!({}), Some("stop"));
    let (gateway, _provider) = gateway(
        "DeepSeek",
        [Reply::stream(EVENTS, thoughts + &said + "data: [DONE]\n\n")],
    )
    .await;
    let (headers, events, ended_well) = read(post(&gateway, &prompt(true)).await).await;
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(ended_well && events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(
        events.contains("\"text\":\"chào\"") && !events.contains("hm"),
        "{events}"
    );
}

#[tokio::test]
async fn what_breaks_off_is_never_a_success() {
    let failed = chat_chunk(&json!({"content": "chào"}), None) + &event(&json!({"error": {"message": "worker lost"}}));
    let (passed, _provider) = gateway(
        "OpenAICompatible",
        [
            Reply::cut(EVENTS, text_chunk("chào", None)),
            Reply::stream(EVENTS, text_chunk("chào", None)),
        ],
    )
    .await;
    let (translated, _other) = gateway(
        "Mistral",
        [
            Reply::cut(EVENTS, chat_chunk(&json!({"content": "chào"}), None)),
            Reply::stream(EVENTS, failed),
        ],
    )
    .await;
    for (gateway, words) in [
        (&passed, "upstream_cut"),
        (&passed, "upstream_cut"),
        (&translated, "upstream_cut"),
        (&translated, "worker lost"),
    ] {
        let (_, events, ended_well) = read(post(gateway, &prompt(true)).await).await;
        assert!(!ended_well && !events.contains("[DONE]"), "{events}");
        assert!(events.contains("chào") && events.contains(words), "{words}: {events}");
    }
}

#[tokio::test]
async fn what_only_a_completion_can_be_asked_is_refused_before_a_chat_is() {
    let (gateway, provider) = gateway("Mistral", []).await;
    for (field, value) in [
        ("prompt", json!([1, 2])),
        ("prompt", json!(["a", "b"])),
        ("suffix", json!("!")),
        ("echo", json!(true)),
        ("best_of", json!(2)),
    ] {
        let mut request = prompt(false);
        request[field] = value;
        let response = post(&gateway, &request).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let (_, body, _) = read(response).await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["error"]["param"], field);
    }
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn an_error_of_a_chat_is_the_callers_to_know_in_openais_form() {
    let error = json!({"object": "error", "message": "no such model", "type": "invalid_model", "code": "1500"});
    let (gateway, _provider) = gateway("Mistral", [Reply::json(400, error.to_string())]).await;
    let response = post(&gateway, &prompt(false)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_str(&read(response).await.1).expect("JSON");
    let expected = json!({"message": "no such model", "type": "invalid_model", "param": null, "code": "1500"});
    assert_eq!(body["error"], expected);
}
