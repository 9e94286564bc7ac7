//! A chat client and Anthropic's Messages API, through the whole gateway and over a socket. What each field becomes is
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

const EVENTS: &str = "text/event-stream; charset=utf-8";

async fn gateway(replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!("type: Anthropic, baseURL: \"http://{}/v1\"", provider.address);
    (scripted::gateway(&spec, "claude-opus-5").await, provider)
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
    json!({"model": "model", "stream": stream, "seed": 7, "messages": [{"role": "user", "content": "Hi"}]})
}

fn message(content: &Value, stop_reason: &str) -> Reply {
    let usage = json!({"input_tokens": 1000, "output_tokens": 500});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": content,
        "stop_reason": stop_reason, "usage": usage,
    });
    Reply::json(200, message.to_string())
}

fn event(data: &Value) -> String {
    let name = data["type"].as_str().expect("a type");
    format!("event: {name}\ndata: {data}\n\n")
}

fn beginning() -> String {
    let usage = json!({"input_tokens": 1000, "output_tokens": 1});
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-opus-5", "usage": usage}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Xin chào"}});
    [start, json!({"type": "ping"}), block, delta]
        .iter()
        .map(event)
        .collect()
}

fn end(stop_reason: &str) -> String {
    let delta =
        json!({"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 500}});
    [
        json!({"type": "content_block_stop", "index": 0}),
        delta,
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(event)
    .collect()
}

#[tokio::test]
async fn a_whole_answer_is_asked_for_and_given_in_each_sides_words() {
    let (gateway, provider) = gateway([message(&json!([{"type": "text", "text": "Xin chào"}]), "end_turn")]).await;
    let response = post(
        &gateway,
        hello(false),
        &[("anthropic-beta", "context-1m"), ("x-api-key", "dummy")],
    )
    .await;
    assert_eq!(response.status(), StatusCode::OK);
    let (headers, body, _) = read(response).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["choices"][0]["message"]["content"], "Xin chào");
    assert_eq!(
        (&body["id"], &body["object"]),
        (&json!("msg_1"), &json!("chat.completion"))
    );
    assert_eq!(headers["x-headgate-dropped"], "seed");
    assert_eq!(
        headers["x-headgate-cost-usd"], "0.002",
        "1000 tokens at 1 $ and 500 at 2 $ a million"
    );

    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/messages");
    assert_eq!(received.header("x-api-key"), Some("scripted-credential"));
    assert_eq!(received.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(received.header("anthropic-beta"), Some("context-1m"));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("authorization"), None, "the caller's key stays here");
    assert_eq!(
        (&received.body["model"], &received.body["max_tokens"]),
        (&json!("claude-opus-5"), &json!(4096))
    );
}

#[tokio::test]
async fn a_callers_version_of_the_dialect_is_believed() {
    let (gateway, provider) = gateway([message(&json!([]), "end_turn")]).await;
    post(&gateway, hello(false), &[("anthropic-version", "2099-01-01")]).await;
    assert_eq!(provider.received()[0].header("anthropic-version"), Some("2099-01-01"));
}

#[tokio::test]
async fn a_stream_ends_in_done_and_says_what_it_used() {
    let (gateway, provider) = gateway([Reply::stream(EVENTS, beginning() + &end("end_turn"))]).await;
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
    assert_eq!(provider.received()[0].body["stream"], true);
}

#[tokio::test]
async fn a_tool_loop_goes_round_with_ids_and_signatures_kept() {
    let content = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Huế"}},
    ]);
    let answer = message(&json!([{"type": "text", "text": "31 °C"}]), "end_turn");
    let (gateway, provider) = gateway([message(&content, "tool_use"), answer]).await;
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let mut request = hello(false);
    request["tools"] = tools;
    let first = json_body(post(&gateway, request.clone(), &[]).await).await;
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");

    // As a client does that knows nothing of thoughts: the message back as it came, and the result.
    let assistant = first["choices"][0]["message"].clone();
    let call_id = assistant["tool_calls"][0]["id"].clone();
    let messages = request["messages"].as_array_mut().expect("a list");
    messages.push(assistant);
    messages.push(json!({"role": "tool", "tool_call_id": call_id, "content": "31"}));
    let second = json_body(post(&gateway, request, &[]).await).await;
    assert_eq!(second["choices"][0]["message"]["content"], "31 °C");
    let sent = &provider.received()[1].body["messages"];
    assert_eq!(sent[1]["content"], content);
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "31"}]});
    assert_eq!(sent[2], json!({"role": "user", "content": [result]}));
}

/// As a client has the message that keeps nothing it does not know.
fn bare(call_id: &Value) -> [Value; 2] {
    let function = json!({"name": "weather", "arguments": "{}"});
    let call = json!({"id": call_id, "type": "function", "function": function});
    [
        json!({"role": "assistant", "content": null, "tool_calls": [call]}),
        json!({"role": "tool", "tool_call_id": call_id, "content": "31"}),
    ]
}

#[tokio::test]
async fn thoughts_that_a_client_drops_go_back_to_the_model_that_had_them() {
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "weather", "input": {}});
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let stream: String = [
        json!({"type": "message_start", "message": {"id": "msg_1"}}),
        delta(json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(json!({"type": "signature_delta", "signature": "c2ln"})),
        json!({"type": "content_block_start", "index": 1, "content_block": call("toolu_2")}),
    ]
    .iter()
    .map(event)
    .chain([end("tool_use")])
    .collect();
    let done = || message(&json!([{"type": "text", "text": "31 °C"}]), "end_turn");
    let (gateway, provider) = gateway([
        message(&json!([thought, call("toolu_1")]), "tool_use"),
        done(),
        Reply::stream(EVENTS, stream),
        done(),
    ])
    .await;
    let mut request = hello(false);
    request["tools"] = json!([{"type": "function", "function": {"name": "weather"}}]);
    let reply = async |messages: &[Value], stream: bool| {
        let mut request = request.clone();
        request["stream"] = json!(stream);
        request["messages"]
            .as_array_mut()
            .expect("a list")
            .extend_from_slice(messages);
        read(post(&gateway, request, &[]).await).await.1
    };

    reply(&[], false).await;
    let first = bare(&json!("toolu_1"));
    reply(&first, false).await;
    reply(&first, true).await;
    let both = [first, bare(&json!("toolu_2"))].concat();
    reply(&both, false).await;

    let received = provider.received();
    for (request, turn, id) in [
        (1, 1, "toolu_1"),
        (2, 1, "toolu_1"),
        (3, 1, "toolu_1"),
        (3, 3, "toolu_2"),
    ] {
        let content = &received[request].body["messages"][turn]["content"];
        assert_eq!(*content, json!([thought, call(id)]), "request {request}");
    }
}

#[tokio::test]
async fn a_providers_error_keeps_its_status_words_and_wait() {
    let error = |r#type: &str, message: &str| {
        json!({"type": "error", "error": {"type": r#type, "message": message}}).to_string()
    };
    let overloaded = Reply::json(529, error("overloaded_error", "Overloaded")).with_header("retry-after", "7");
    let refused = Reply::json(
        401,
        error("authentication_error", "invalid x-api-key scripted-credential"),
    );
    let too_long = Reply::json(
        400,
        error("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
    );
    let (gateway, _provider) = gateway([overloaded, refused, too_long]).await;

    let response = post(&gateway, hello(false), &[]).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (529, &"7".parse().expect("text"))
    );
    let error = json!({"message": "Overloaded", "type": "overloaded_error", "param": null, "code": null});
    assert_eq!(json_body(response).await, json!({ "error": error }));

    let response = post(&gateway, hello(true), &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let body = json_body(response).await;
    assert_eq!(body["error"]["code"], "upstream_auth_failed");
    assert!(!body.to_string().contains("scripted-credential"), "{body}");

    let response = post(&gateway, hello(false), &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_body(response).await["error"]["code"], "context_length_exceeded");
}

#[tokio::test]
async fn what_breaks_off_is_never_a_success() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (gateway, _provider) = gateway([
        Reply::cut(EVENTS, beginning()),
        Reply::stream(EVENTS, beginning()),
        Reply::stream(EVENTS, beginning() + &event(&overloaded)),
    ])
    .await;
    for code in ["upstream_cut", "upstream_cut", "overloaded_error"] {
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
    let start = beginning().split_inclusive("\n\n").next().expect("an event").to_owned();
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (gateway, _provider) = gateway([
        Reply::stream(EVENTS, start.clone() + &event(&overloaded)),
        Reply::cut(EVENTS, start),
        Reply::json(200, "{}"),
    ])
    .await;
    for (status, code) in [
        (529, "null"),
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
async fn what_cannot_be_translated_is_refused_without_a_call() {
    let (gateway, provider) = gateway([]).await;
    let mut request = hello(false);
    request["n"] = json!(2);
    let response = post(&gateway, request, &[]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = json_body(response).await;
    assert_eq!(
        (&body["error"]["param"], &body["error"]["code"]),
        (&json!("n"), &json!("unsupported_parameter"))
    );
    assert!(provider.received().is_empty());
}
