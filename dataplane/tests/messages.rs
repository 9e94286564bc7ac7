//! A client of Anthropic's Messages through the whole gateway and over a socket, towards Anthropic and towards others. What
//! each field becomes is shown by the golden cases; here is what the data plane adds: address, headers, status, the form of
//! errors, the end of streams.

mod scripted;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use headgate::gateway::Gateway;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const EVENTS: &str = "text/event-stream; charset=utf-8";
const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";

async fn gateway(kind: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    (gateway_to(kind, &provider.address.to_string()).await, provider)
}

async fn gateway_to(kind: &str, address: &str) -> Arc<Gateway> {
    let (path, model) = match kind {
        "Anthropic" => ("/v1", "claude-opus-5"),
        "Gemini" => ("/v1beta", "gemini-3.8-flash"),
        _ => ("", "qwen3"),
    };
    scripted::gateway(&format!("type: {kind}, baseURL: \"http://{address}{path}\""), model).await
}

/// As the released SDK sends it: the key in `x-api-key`, the version beside it.
fn request(path: &str, body: &Value) -> http::request::Builder {
    let length = body.to_string().len();
    Request::post(path)
        .header("x-api-key", TOKEN)
        .header("anthropic-version", "2023-06-01")
        .header("content-type", "application/json")
        .header("content-length", length)
}

async fn answer(gateway: &Arc<Gateway>, request: Request<Body>) -> Response<Body> {
    headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await
}

async fn post(gateway: &Arc<Gateway>, path: &str, body: Value) -> Response<Body> {
    let request = request(path, &body).body(Body::from(body.to_string()));
    answer(gateway, request.expect("a request")).await
}

async fn get(gateway: &Arc<Gateway>, path: &str) -> Response<Body> {
    let request = Request::get(path)
        .header("x-api-key", TOKEN)
        .header("anthropic-version", "2023-06-01");
    answer(gateway, request.body(Body::empty()).expect("a request")).await
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
    json!({"model": "model", "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
}

fn message(content: &Value, stop_reason: &str) -> Reply {
    let usage = json!({"input_tokens": 1000, "output_tokens": 500});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": usage,
    });
    Reply::json(200, message.to_string())
}

fn event(data: &Value) -> String {
    let name = data["type"].as_str().expect("a type");
    format!("event: {name}\ndata: {data}\n\n")
}

fn beginning() -> String {
    let usage = json!({"input_tokens": 1000, "output_tokens": 1});
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "usage": usage}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Xin chào"}});
    [start, json!({"type": "ping"}), block, delta]
        .iter()
        .map(event)
        .collect()
}

fn end() -> String {
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 500}});
    [
        json!({"type": "content_block_stop", "index": 0}),
        delta,
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(event)
    .collect()
}

fn error(r#type: &str, message: &str) -> String {
    json!({"type": "error", "error": {"type": r#type, "message": message}, "request_id": "req_theirs"}).to_string()
}

fn record(parts: &Value, finish_reason: Option<&str>) -> Value {
    let usage = json!({"promptTokenCount": 1000, "candidatesTokenCount": 500, "totalTokenCount": 1500});
    let content = json!({"role": "model", "parts": parts});
    let candidate = json!({"content": content, "finishReason": finish_reason});
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3.8-flash", "responseId": "resp-1"})
}

/// The id under which this request is found again, in the header where the SDK looks for it.
fn request_id(response: &Response<Body>) -> String {
    let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("request-id"), header("x-request-id"));
    header("request-id")
}

/// Asserts an error in Anthropic's form, under our id.
async fn refused(response: Response<Body>, status: u16, r#type: &str, code: Option<&str>) -> Value {
    assert_eq!(response.status().as_u16(), status);
    let id = request_id(&response);
    let body = json_body(response).await;
    assert_eq!(
        (&body["type"], &body["error"]["type"]),
        (&json!("error"), &json!(r#type)),
        "{body}"
    );
    assert_eq!(body["request_id"], id, "{body}");
    assert_eq!(body["error"]["details"]["error_code"].as_str(), code, "{body}");
    assert!(!body.to_string().contains("scripted-credential"), "{body}");
    body["error"]["message"].clone()
}

#[tokio::test]
async fn a_request_passes_to_anthropic_as_it_is_and_so_does_the_answer() {
    let content = json!([{"type": "text", "text": "Xin chào"}, {"type": "tomorrows_block", "x": 1}]);
    let (gateway, provider) = gateway("Anthropic", [message(&content, "end_turn")]).await;
    let mut body = hello(false);
    body["tomorrow"] = json!({"a": [1.5]});
    let request = request(MESSAGES, &body).header("anthropic-beta", "context-1m");
    let response = answer(&gateway, request.body(Body::from(body.to_string())).expect("a request")).await;
    assert_eq!(response.status(), StatusCode::OK);
    request_id(&response);
    assert_eq!(
        response.headers()["x-headgate-cost-usd"],
        "0.002",
        "1000 tokens at 1 $ and 500 at 2 $ a million"
    );
    let answered = json_body(response).await;
    assert_eq!((&answered["content"], &answered["id"]), (&content, &json!("msg_1")));

    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/messages");
    assert_eq!(received.header("x-api-key"), Some("scripted-credential"));
    assert_eq!(received.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(received.header("anthropic-beta"), Some("context-1m"));
    body["model"] = "claude-opus-5".into();
    assert_eq!(received.body, body);
}

#[tokio::test]
async fn a_client_that_names_no_version_gets_the_one_that_is_spoken_here() {
    let (gateway, provider) = gateway("Anthropic", [message(&json!([]), "end_turn")]).await;
    let request = Request::post(MESSAGES)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    let request = request.body(Body::from(hello(false).to_string())).expect("a request");
    assert_eq!(answer(&gateway, request).await.status(), StatusCode::OK);
    assert_eq!(provider.received()[0].header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(provider.received()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_stream_of_anthropic_passes_event_by_event() {
    let events = beginning() + &end();
    let (gateway, _provider) = gateway("Anthropic", [Reply::stream(EVENTS, events.clone())]).await;
    let response = post(&gateway, MESSAGES, hello(true)).await;
    request_id(&response);
    let (headers, received, ended_well) = read(response).await;
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(ended_well);
    assert_eq!(received, events);
}

#[tokio::test]
async fn signed_thoughts_survive_a_tool_loop() {
    let content = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
        {"type": "redacted_thinking", "data": "EvAF"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Huế"}},
    ]);
    let replies = [message(&content, "tool_use"), message(&json!([]), "end_turn")];
    let (gateway, provider) = gateway("Anthropic", replies).await;
    let second = tool_loop(&gateway).await;
    assert_eq!(second["stop_reason"], "end_turn");
    assert_eq!(provider.received()[1].body["messages"][1]["content"], content);
}

#[tokio::test]
async fn proofs_of_geminis_calls_survive_a_tool_loop() {
    let calls = json!([
        {"text": "Hm.", "thought": true},
        {"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Huế"}}, "thoughtSignature": "c2ln"},
    ]);
    let said = record(&json!([{"text": "31 °C"}]), Some("STOP"));
    let replies = [record(&calls, Some("STOP")), said].map(|record| Reply::json(200, record.to_string()));
    let (gateway, provider) = gateway("Gemini", replies).await;
    let second = tool_loop(&gateway).await;
    assert_eq!(second["content"], json!([{"type": "text", "text": "31 °C"}]));
    assert_eq!(second["usage"]["input_tokens"], 1000);
    let sent = &provider.received()[1].body["contents"];
    assert_eq!(sent[1]["parts"][0]["thoughtSignature"], "c2ln", "{sent}");
    assert_eq!(sent[2]["parts"][0]["functionResponse"]["name"], "weather");
}

/// As a client goes on that knows nothing of proofs: the content back as it came, and the result of its last block.
async fn tool_loop(gateway: &Arc<Gateway>) -> Value {
    let mut body = hello(false);
    body["tools"] = json!([{"name": "weather", "input_schema": {"type": "object"}}]);
    let first = json_body(post(gateway, MESSAGES, body.clone()).await).await;
    assert_eq!(first["stop_reason"], "tool_use", "{first}");
    let content = first["content"].as_array().expect("a list");
    let id = content.last().expect("a block")["id"].clone();
    let result = json!([{"type": "tool_result", "tool_use_id": id, "content": "31"}]);
    let messages = body["messages"].as_array_mut().expect("a list");
    messages.push(json!({"role": "assistant", "content": content}));
    messages.push(json!({"role": "user", "content": result}));
    json_body(post(gateway, MESSAGES, body).await).await
}

#[tokio::test]
async fn a_stream_of_another_provider_has_the_dialects_events() {
    let record = |text: &str, reason| format!("data: {}\n\n", record(&json!([{"text": text}]), reason));
    let events = record("Xin ", None) + &record("chào", Some("STOP"));
    let (gateway, provider) = gateway("Gemini", [Reply::stream(EVENTS, events)]).await;
    let (_, events, ended_well) = read(post(&gateway, MESSAGES, hello(true)).await).await;
    let names: Vec<_> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert!(ended_well && !events.contains("[DONE]"), "{events}");
    assert_eq!(
        provider.received()[0].line,
        "POST /v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    );
}

#[tokio::test]
async fn our_own_noes_have_the_dialects_form() {
    let (gateway, provider) = gateway("Gemini", []).await;
    for path in [MESSAGES, COUNT] {
        let body = Body::from(hello(false).to_string());
        let without_key = Request::post(path)
            .header("content-type", "application/json")
            .body(body);
        let response = answer(&gateway, without_key.expect("a request")).await;
        refused(response, 401, "authentication_error", Some("invalid_api_key")).await;
    }
    let mut unknown = hello(false);
    unknown["model"] = "none".into();
    refused(
        post(&gateway, MESSAGES, unknown).await,
        404,
        "not_found_error",
        Some("model_not_found"),
    )
    .await;
    let mut wrong = hello(false);
    wrong["messages"][0]["content"] = json!([{"type": "text", "text": 7}]);
    let words = refused(
        post(&gateway, MESSAGES, wrong).await,
        400,
        "invalid_request_error",
        Some("invalid_type"),
    )
    .await;
    assert_eq!(words, "`messages[0].content[0].text` must be a string");
    let response = get(&gateway, "/v1/nothing").await;
    refused(response, 404, "not_found_error", Some("unknown_url")).await;
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn a_providers_error_keeps_its_status_words_and_wait() {
    let (gateway, _provider) = gateway(
        "Anthropic",
        [
            Reply::json(529, error("overloaded_error", "Overloaded")).with_header("retry-after", "7"),
            Reply::json(429, error("rate_limit_error", "Too many")).with_header("retry-after", "3"),
            Reply::json(404, error("not_found_error", "model: claude-9")),
            Reply::json(
                401,
                error("authentication_error", "invalid x-api-key scripted-credential"),
            ),
            Reply::json(400, error("invalid_request_error", "No scripted-credential here")),
        ],
    )
    .await;
    for (status, kind, wait) in [(529, "overloaded_error", "7"), (429, "rate_limit_error", "3")] {
        let response = post(&gateway, MESSAGES, hello(status == 429)).await;
        assert_eq!(response.headers()["retry-after"], wait);
        refused(response, status, kind, None).await;
    }
    let words = refused(
        post(&gateway, MESSAGES, hello(false)).await,
        404,
        "not_found_error",
        None,
    )
    .await;
    assert_eq!(words, "model: claude-9");
    let code = Some("upstream_auth_failed");
    refused(post(&gateway, MESSAGES, hello(false)).await, 502, "api_error", code).await;
    refused(
        post(&gateway, MESSAGES, hello(false)).await,
        400,
        "invalid_request_error",
        None,
    )
    .await;
}

#[tokio::test]
async fn what_breaks_off_is_never_a_success() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (gateway, _provider) = gateway(
        "Anthropic",
        [
            Reply::cut(EVENTS, beginning()),
            Reply::stream(EVENTS, beginning()),
            Reply::stream(EVENTS, beginning() + &event(&overloaded)),
        ],
    )
    .await;
    for kind in ["api_error", "api_error", "overloaded_error"] {
        let response = post(&gateway, MESSAGES, hello(true)).await;
        let id = request_id(&response);
        let (_, events, ended_well) = read(response).await;
        assert!(!ended_well && !events.contains("message_stop"), "{events}");
        let (before, last) = events.rsplit_once("event: error\ndata: ").expect("an error event");
        assert_eq!(before, beginning());
        let last: Value = serde_json::from_str(last).expect("JSON");
        assert_eq!(
            (&last["error"]["type"], &last["request_id"]),
            (&json!(kind), &json!(id))
        );
    }
}

#[tokio::test]
async fn a_failure_before_any_content_is_a_status_and_not_a_stream() {
    let before_content: String = beginning().split_inclusive("\n\n").take(3).collect();
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (gateway, _provider) = gateway(
        "Anthropic",
        [
            Reply::stream(EVENTS, before_content.clone() + &event(&overloaded)),
            Reply::cut(EVENTS, before_content),
        ],
    )
    .await;
    refused(
        post(&gateway, MESSAGES, hello(true)).await,
        529,
        "overloaded_error",
        None,
    )
    .await;
    let code = Some("upstream_cut");
    refused(post(&gateway, MESSAGES, hello(true)).await, 502, "api_error", code).await;
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_pings() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gateway = gateway_to("Anthropic", &listener.local_addr().expect("bound").to_string()).await;
    let (go_on, told) = tokio::sync::oneshot::channel::<()>();
    let provider = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the gateway connects");
        let mut request = vec![0; 64 * 1024];
        let _ = stream.read(&mut request).await.expect("the gateway sends its request");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {EVENTS}\r\nconnection: close\r\n\r\n");
        stream
            .write_all((head + &beginning()).as_bytes())
            .await
            .expect("it is read");
        told.await.expect("the test goes on");
        stream.write_all(end().as_bytes()).await.expect("it is read");
    });
    let mut response = post(&gateway, MESSAGES, hello(true)).await;
    let mut received = String::new();
    let mut next = async |received: &mut String| {
        let frame = response.body_mut().frame().await?.expect("the stream goes on");
        let bytes = frame.into_data().expect("no trailers");
        received.push_str(std::str::from_utf8(&bytes).expect("text"));
        Some(())
    };
    while received.len() < beginning().len() {
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
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    assert_eq!(received, beginning() + ping + &end());
}

#[tokio::test]
async fn tokens_are_counted_by_the_providers_own_counter() {
    let counted = Reply::json(200, "{\"input_tokens\": 14}");
    let (anthropic, provider) = gateway("Anthropic", [counted]).await;
    let response = post(&anthropic, COUNT, json!({"model": "model", "messages": []})).await;
    assert_eq!(response.headers().get("x-headgate-token-count"), None);
    assert_eq!(response.headers()["x-headgate-cost-usd"], "0", "counting is free");
    request_id(&response);
    assert_eq!(json_body(response).await, json!({"input_tokens": 14}));
    assert_eq!(provider.received()[0].line, "POST /v1/messages/count_tokens");

    let counted = Reply::json(200, "{\"totalTokens\": 31}");
    let (gateway, provider) = gateway("Gemini", [counted]).await;
    let response = post(&gateway, COUNT, hello(false)).await;
    assert_eq!(response.headers().get("x-headgate-token-count"), None);
    assert_eq!(json_body(response).await, json!({"input_tokens": 31}));
    assert_eq!(
        provider.received()[0].line,
        "POST /v1beta/models/gemini-3.8-flash:countTokens"
    );
}

#[tokio::test]
async fn where_there_is_no_counter_tokens_are_estimated_without_a_call_and_flagged() {
    let (gateway, provider) = gateway("Ollama", []).await;
    let response = post(&gateway, COUNT, hello(true)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-headgate-token-count"], "estimated");
    assert_eq!(response.headers()["x-headgate-attempts"], "0");
    assert_eq!(response.headers()["x-headgate-cost-usd"], "0");
    let counted = json_body(response).await;
    assert!(
        counted["input_tokens"].as_u64().is_some_and(|tokens| tokens > 5),
        "{counted}"
    );
    let response = post(
        &gateway,
        COUNT,
        json!({"model": "model", "messages": [{"role": "user"}]}),
    )
    .await;
    refused(response, 400, "invalid_request_error", Some("missing_field")).await;
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn where_bedrocks_counter_refuses_a_model_its_tokens_are_estimated() {
    let refusal = json!({"message": "The provided model doesn't support counting tokens."}).to_string();
    let provider = Scripted::start([
        Reply::json(400, refusal).with_header("x-amzn-errortype", "ValidationException"),
        Reply::json(200, "{\"inputTokens\": 31}"),
    ])
    .await;
    let spec = format!(
        "type: Bedrock, bedrock: {{region: eu-central-1}}, baseURL: \"http://{}\"",
        provider.address
    );
    let gateway = scripted::gateway(&spec, "eu.anthropic.claude-opus-5").await;
    let response = post(&gateway, COUNT, hello(false)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-headgate-token-count"], "estimated");
    let response = post(&gateway, COUNT, hello(false)).await;
    assert_eq!(response.headers().get("x-headgate-token-count"), None);
    assert_eq!(json_body(response).await, json!({"input_tokens": 31}));
    assert_eq!(
        provider.received()[0].line,
        "POST /model/anthropic.claude-opus-5/count-tokens"
    );
}

#[tokio::test]
async fn models_are_listed_in_the_shape_that_the_client_reads() {
    let (gateway, _provider) = gateway("Anthropic", []).await;
    let response = get(&gateway, "/v1/models").await;
    request_id(&response);
    let list = json_body(response).await;
    let created_at = list["data"][0]["created_at"].clone();
    assert!(created_at.as_str().is_some_and(|time| time.ends_with('Z')), "{list}");
    let model = json!({
        "id": "model", "type": "model", "display_name": "model", "created_at": created_at, "lifecycle": "active",
    });
    assert_eq!(
        list,
        json!({"data": [model], "has_more": false, "first_id": "model", "last_id": "model"})
    );
    assert_eq!(json_body(get(&gateway, "/v1/models/model").await).await, model);
    let behind = json_body(get(&gateway, "/v1/models?limit=1000&after_id=mod%65l").await).await;
    assert_eq!((&behind["data"], &behind["last_id"]), (&json!([]), &json!(null)));
    let response = get(&gateway, "/v1/models?limit=0").await;
    refused(response, 400, "invalid_request_error", Some("invalid_value")).await;
    refused(
        get(&gateway, "/v1/models/none").await,
        404,
        "not_found_error",
        Some("model_not_found"),
    )
    .await;
}
