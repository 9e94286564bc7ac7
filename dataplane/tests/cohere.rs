//! A chat client and Cohere's `/v2/chat`, through the whole gateway and over a socket. What each field becomes is shown by
//! the golden cases of the adapter; here is what the data plane adds: address, headers, status, the end of streams.

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
    let spec = format!("type: Cohere, baseURL: \"http://{}/v2\"", provider.address);
    (scripted::gateway(&spec, "command-r-08-2024").await, provider)
}

async fn post(gateway: &Arc<Gateway>, body: Value) -> Response<Body> {
    post_to("/v1/chat/completions", gateway, body).await
}

async fn post_to(path: &str, gateway: &Arc<Gateway>, body: Value) -> Response<Body> {
    let request = Request::post(path)
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

async fn json_body(response: Response<Body>) -> Value {
    serde_json::from_str(&read(response).await.1).expect("JSON")
}

fn hello(stream: bool) -> Value {
    json!({"model": "model", "stream": stream, "user": "u", "messages": [{"role": "user", "content": "Hi"}]})
}

fn usage() -> Value {
    json!({
        "billed_units": {"input_tokens": 8, "output_tokens": 50},
        "tokens": {"input_tokens": 1000, "output_tokens": 500},
    })
}

fn answer(message: &Value, reason: &str) -> Reply {
    let answer = json!({"id": "co-1", "message": message, "finish_reason": reason, "usage": usage()});
    Reply::json(200, answer.to_string())
}

fn said(text: &str) -> Reply {
    answer(
        &json!({"role": "assistant", "content": [{"type": "text", "text": text}]}),
        "COMPLETE",
    )
}

fn event(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type"))
}

fn beginning() -> String {
    let content = json!({"message": {"content": {"text": "Xin chào"}}});
    event(&json!({"type": "message-start", "id": "co-1", "delta": {"message": {"role": "assistant", "content": []}}}))
        + &event(&json!({"type": "content-delta", "index": 0, "delta": content}))
}

fn end(reason: &str) -> String {
    event(&json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage()}}))
}

#[tokio::test]
async fn a_whole_answer_is_asked_for_and_given_in_each_sides_words() {
    let (gateway, provider) = gateway([said("Xin chào")]).await;
    let response = post(&gateway, hello(false)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (headers, body, _) = read(response).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["choices"][0]["message"]["content"], "Xin chào");
    assert_eq!((&body["id"], &body["model"]), (&json!("co-1"), &json!("model")));
    assert_eq!(body["usage"]["total_tokens"], 1500);
    assert_eq!(headers["x-headgate-dropped"], "user");
    assert_eq!(
        headers["x-headgate-cost-usd"], "0.002",
        "1000 tokens at 1 $ and 500 at 2 $ a million"
    );

    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v2/chat");
    assert_eq!(received.header("authorization"), Some("Bearer scripted-credential"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    let messages = json!([{"role": "user", "content": "Hi"}]);
    assert_eq!(
        received.body,
        json!({"model": "command-r-08-2024", "messages": messages, "stream": false})
    );
}

#[tokio::test]
async fn a_stream_ends_in_done_and_says_what_it_used() {
    let (gateway, provider) = gateway([Reply::stream(EVENTS, beginning() + &end("COMPLETE"))]).await;
    let mut request = hello(true);
    request["stream_options"] = json!({"include_usage": true});
    let (headers, events, ended_well) = read(post(&gateway, request).await).await;
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(ended_well && events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(
        events.contains("\"content\":\"Xin chào\"") && events.contains("\"finish_reason\":\"stop\""),
        "{events}"
    );
    assert_eq!(events.matches("\"total_tokens\":1500").count(), 1, "{events}");
    assert_eq!(provider.received()[0].body["stream"], true);
}

#[tokio::test]
async fn a_tool_loop_goes_round_with_its_plan_calls_and_results() {
    let function = json!({"name": "weather", "arguments": "{\"city\":\"Huế\"}"});
    let call = json!({"id": "weather_1", "type": "function", "function": function});
    let planned = json!({"role": "assistant", "tool_plan": "I will look.", "tool_calls": [call]});
    let (gateway, provider) = gateway([answer(&planned, "TOOL_CALL"), said("31 °C")]).await;
    let mut request = hello(false);
    request["tools"] = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let first = json_body(post(&gateway, request.clone()).await).await;
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");

    // As a client does that knows nothing of plans: the message back as it came, and the result.
    let assistant = first["choices"][0]["message"].clone();
    let call_id = assistant["tool_calls"][0]["id"].clone();
    let messages = request["messages"].as_array_mut().expect("a list");
    messages.push(assistant);
    messages.push(json!({"role": "tool", "tool_call_id": call_id, "content": "31"}));
    let second = json_body(post(&gateway, request).await).await;
    assert_eq!(second["choices"][0]["message"]["content"], "31 °C");
    let sent = &provider.received()[1].body["messages"];
    assert_eq!(sent[1], planned);
    assert_eq!(
        sent[2],
        json!({"role": "tool", "tool_call_id": "weather_1", "content": "31"})
    );
}

#[tokio::test]
async fn a_providers_error_keeps_its_status_words_and_wait() {
    let message = |message: &str| json!({"id": "1", "message": message}).to_string();
    let (gateway, _provider) = gateway([
        Reply::json(429, message("Trial keys are limited")).with_header("retry-after", "7"),
        Reply::json(401, message("invalid api token: scripted-credential")),
        Reply::json(498, message("blocked")),
        Reply::json(503, message("Overloaded")),
    ])
    .await;

    let response = post(&gateway, hello(false)).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().expect("text"))
    );
    assert_eq!(json_body(response).await["error"]["message"], "Trial keys are limited");

    for _ in 0..2 {
        let response = post(&gateway, hello(true)).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "the caller's key is fine");
        let body = json_body(response).await;
        assert_eq!(body["error"]["code"], "upstream_auth_failed");
        assert!(!body.to_string().contains("scripted-credential"), "{body}");
    }

    let response = post(&gateway, hello(true)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_body(response).await["error"]["message"], "Overloaded");
}

#[tokio::test]
async fn what_breaks_off_is_never_a_success() {
    let (gateway, _provider) = gateway([
        Reply::cut(EVENTS, beginning()),
        Reply::stream(EVENTS, beginning()),
        Reply::stream(EVENTS, beginning() + &end("ERROR")),
        Reply::stream(EVENTS, beginning() + &end("TIMEOUT")),
    ])
    .await;
    for code in ["upstream_cut", "upstream_cut", "upstream_error", "upstream_timeout"] {
        let (_, events, ended_well) = read(post(&gateway, hello(true)).await).await;
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
async fn an_answer_that_ended_in_an_error_is_a_status_and_not_a_stream() {
    let failed = json!({"role": "assistant", "content": []});
    let (gateway, _provider) = gateway([
        Reply::stream(EVENTS, end("ERROR")),
        answer(&failed, "ERROR"),
        answer(&failed, "TIMEOUT"),
        Reply::json(200, "{}"),
    ])
    .await;
    for (stream, status) in [(true, 500), (false, 500), (false, 504), (false, 502)] {
        let response = post(&gateway, hello(stream)).await;
        assert_eq!(response.status().as_u16(), status);
        assert!(json_body(response).await["error"].is_object());
    }
}

#[tokio::test]
async fn reranking_passes_with_its_model_renamed() {
    let ranked = json!({"id": "1", "results": [{"index": 1, "relevance_score": 0.9}]});
    let (gateway, provider) = gateway([Reply::json(200, ranked.to_string())]).await;
    let request = json!({"model": "model", "query": "weather", "documents": ["a", "b"], "top_n": 1});
    assert_eq!(json_body(post_to("/v1/rerank", &gateway, request).await).await, ranked);
    let received = &provider.received()[0];
    assert_eq!(
        (received.line.as_str(), &received.body["model"]),
        ("POST /v2/rerank", &json!("command-r-08-2024"))
    );
}

#[tokio::test]
async fn what_cannot_be_translated_is_refused_without_a_call() {
    let (gateway, provider) = gateway([]).await;
    let mut request = hello(false);
    request["n"] = json!(2);
    let response = post(&gateway, request).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = json_body(response).await;
    assert_eq!(
        (&body["error"]["param"], &body["error"]["code"]),
        (&json!("n"), &json!("unsupported_parameter"))
    );
    assert!(provider.received().is_empty());
}
