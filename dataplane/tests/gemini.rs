//! A chat client and Gemini's `generateContent`, through the whole gateway and over a socket. What each field becomes is
//! shown by the golden cases of the adapter; here is what the data plane adds: address, headers, status, the end of
//! streams.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const EVENTS: &str = "text/event-stream";

async fn gateway(replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!("type: Gemini, baseURL: \"http://{}/v1beta\"", provider.address);
    (scripted::gateway(&spec, "gemini-3.8-flash").await, provider)
}

async fn post(gateway: &Arc<Gateway>, body: Value, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::post("/v1/chat/completions")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string())).expect("a request");
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

async fn json_body(response: Response<Body>) -> Value {
    serde_json::from_str(&read(response).await.1).expect("JSON")
}

fn hello(stream: bool) -> Value {
    json!({"model": "model", "stream": stream, "user": "u", "messages": [{"role": "user", "content": "Hi"}]})
}

fn record(parts: &Value, finish_reason: Option<&str>) -> Value {
    let mut record = json!({
        "candidates": [{"content": {"role": "model", "parts": parts}}],
        "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 400, "thoughtsTokenCount": 100, "totalTokenCount": 1500},
        "modelVersion": "gemini-3.8-flash",
        "responseId": "resp-1",
    });
    if let Some(reason) = finish_reason {
        record["candidates"][0]["finishReason"] = reason.into();
    }
    record
}

fn answer(parts: &Value) -> Reply {
    Reply::json(200, record(parts, Some("STOP")).to_string())
}

fn event(record: &Value) -> String {
    format!("data: {record}\r\n\r\n")
}

fn beginning() -> String {
    event(&record(&json!([{"text": "Xin chào"}]), None))
}

fn end() -> String {
    event(&record(&json!([{"text": ""}]), Some("STOP")))
}

fn overloaded() -> Value {
    json!({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}})
}

#[tokio::test]
async fn a_whole_answer_is_asked_for_and_given_in_each_sides_words() {
    let (gateway, provider) = gateway([answer(&json!([{"text": "Xin chào"}]))]).await;
    let response = post(&gateway, hello(false), &[("x-goog-api-key", "dummy")]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (headers, body, _) = read(response).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["choices"][0]["message"]["content"], "Xin chào");
    assert_eq!(
        (&body["id"], &body["model"]),
        (&json!("resp-1"), &json!("gemini-3.8-flash"))
    );
    assert_eq!(body["usage"]["total_tokens"], 1500);
    assert_eq!(headers["x-headgate-dropped"], "user");
    assert_eq!(
        headers["x-headgate-cost-usd"], "0.002",
        "1000 tokens at 1 $ and 500 at 2 $ a million"
    );

    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1beta/models/gemini-3.8-flash:generateContent");
    assert_eq!(received.header("x-goog-api-key"), Some("scripted-credential"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("authorization"), None, "the caller's key stays here");
    let contents = json!([{"role": "user", "parts": [{"text": "Hi"}]}]);
    assert_eq!(received.body, json!({ "contents": contents }));
}

#[tokio::test]
async fn a_stream_ends_in_done_and_says_what_it_used() {
    let (gateway, provider) = gateway([Reply::stream(EVENTS, beginning() + &end())]).await;
    let mut request = hello(true);
    request["stream_options"] = json!({"include_usage": true});
    let (headers, events, ended_well) = read(post(&gateway, request, &[]).await).await;
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(ended_well && events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(
        events.contains("\"content\":\"Xin chào\"") && events.contains("\"finish_reason\":\"stop\""),
        "{events}"
    );
    assert_eq!(events.matches("\"total_tokens\":1500").count(), 1, "{events}");
    let line = &provider.received()[0].line;
    assert_eq!(
        line,
        "POST /v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    );
}

#[tokio::test]
async fn a_tool_loop_goes_round_with_ids_and_signatures_kept() {
    let call =
        json!({"functionCall": {"id": "fc1", "name": "weather", "args": {"city": "Huế"}}, "thoughtSignature": "c2ln"});
    let parts = json!([{"text": "Let me look."}, call]);
    let (gateway, provider) = gateway([answer(&parts), answer(&json!([{"text": "31 °C"}]))]).await;
    let mut request = hello(false);
    request["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let first = json_body(post(&gateway, request.clone(), &[]).await).await;
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");

    // As a client does that knows nothing of signatures: the message back as it came, and the result.
    let assistant = first["choices"][0]["message"].clone();
    let call_id = assistant["tool_calls"][0]["id"].clone();
    let messages = request["messages"].as_array_mut().expect("a list");
    messages.push(assistant);
    messages.push(json!({"role": "tool", "tool_call_id": call_id, "content": "31"}));
    let second = json_body(post(&gateway, request, &[]).await).await;
    assert_eq!(second["choices"][0]["message"]["content"], "31 °C");
    let sent = &provider.received()[1].body["contents"];
    assert_eq!(sent[1], json!({"role": "model", "parts": parts}));
    let result = json!({"functionResponse": {"id": "fc1", "name": "weather", "response": {"output": "31"}}});
    assert_eq!(sent[2], json!({"role": "user", "parts": [result]}));
}

#[tokio::test]
async fn a_providers_error_keeps_its_status_words_and_wait() {
    let retry = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"});
    let quota = json!({"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": [retry]}});
    let reason = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"});
    let message = "API key scripted-credential not valid";
    let wrong_key =
        json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT", "details": [reason]}});
    let (gateway, _provider) = gateway([
        Reply::json(429, quota.to_string()),
        Reply::json(400, wrong_key.to_string()),
        Reply::json(503, json!([overloaded()]).to_string()),
    ])
    .await;

    let response = post(&gateway, hello(false), &[]).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().expect("text"))
    );
    let error = json!({"message": "Quota", "type": "RESOURCE_EXHAUSTED", "param": null, "code": "429"});
    assert_eq!(json_body(response).await, json!({ "error": error }));

    let response = post(&gateway, hello(true), &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "the caller's key is fine");
    let body = json_body(response).await;
    assert_eq!(body["error"]["code"], "upstream_auth_failed");
    assert!(!body.to_string().contains("scripted-credential"), "{body}");

    let response = post(&gateway, hello(true), &[]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_body(response).await["error"]["message"], "Overloaded");
}

#[tokio::test]
async fn what_breaks_off_is_never_a_success() {
    let (gateway, _provider) = gateway([
        Reply::cut(EVENTS, beginning()),
        Reply::cut(EVENTS, beginning() + &end()),
        Reply::stream(EVENTS, beginning()),
        Reply::stream(EVENTS, beginning() + &event(&overloaded())),
        Reply::stream(EVENTS, format!("{}{:#}\n", beginning(), json!([overloaded()]))),
    ])
    .await;
    for code in [
        "upstream_cut",
        "upstream_cut",
        "upstream_cut",
        "UNAVAILABLE",
        "UNAVAILABLE",
    ] {
        let (_, events, ended_well) = read(post(&gateway, hello(true), &[]).await).await;
        assert!(!ended_well && !events.contains("[DONE]"), "{events}");
        assert!(events.contains("Xin chào") && events.contains(code), "{code}: {events}");
        let last = events.trim_end().rsplit("data: ").next().expect("an event");
        assert!(
            serde_json::from_str::<Value>(last).expect("JSON")["error"].is_object(),
            "{last}"
        );
    }
}

#[tokio::test]
async fn a_failure_before_any_content_is_a_status_and_not_a_stream() {
    let (gateway, _provider) = gateway([
        Reply::stream(EVENTS, event(&overloaded())),
        Reply::cut(EVENTS, ""),
        Reply::json(200, "{}"),
    ])
    .await;
    for (status, code) in [
        (503, "\"503\""),
        (502, "\"upstream_cut\""),
        (502, "\"upstream_invalid_answer\""),
    ] {
        let response = post(&gateway, hello(true), &[]).await;
        assert_eq!(response.status().as_u16(), status);
        let body = json_body(response).await;
        assert_eq!(body["error"]["code"].to_string(), code, "{body}");
    }
}

#[tokio::test]
async fn a_blocked_prompt_is_an_answer_and_what_cannot_be_translated_is_refused_without_a_call() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}});
    let (gateway, provider) = gateway([Reply::json(200, blocked.to_string())]).await;
    let body = json_body(post(&gateway, hello(false), &[]).await).await;
    assert_eq!(body["choices"][0]["finish_reason"], "content_filter");

    let mut request = hello(false);
    request["modalities"] = json!(["text", "audio"]);
    let response = post(&gateway, request, &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = json_body(response).await;
    assert_eq!(
        (&body["error"]["param"], &body["error"]["code"]),
        (&json!("modalities"), &json!("unsupported_parameter"))
    );
    assert_eq!(provider.received().len(), 1);
}
