//! OpenAI's Responses through the whole gateway and over a socket: clients of it at OpenAI and at Anthropic, and chat clients
//! at a model that is asked by it. What each field becomes is shown by the golden cases; here is what the data plane adds:
//! address, headers, status, the beginning and the end of streams.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const EVENTS: &str = "text/event-stream; charset=utf-8";
const RESPONSES: &str = "/v1/responses";

async fn gateway(kind: &str, model: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!("type: {kind}, baseURL: \"http://{}/v1\"", provider.address);
    (scripted::gateway(&spec, model).await, provider)
}

async fn post(gateway: &Arc<Gateway>, path: &str, body: &Value) -> Response<Body> {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
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
    json!({"model": "model", "stream": stream, "input": "Xin chào", "invented_tomorrow": {"a": 1.5}})
}

fn response(status: &str, more: &Value) -> Value {
    let mut response = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-6.1-sol", "output": [],
        "error": null, "incomplete_details": null, "usage": null,
    });
    for (name, value) in more.as_object().expect("an object") {
        response[name] = value.clone();
    }
    response
}

fn used() -> Value {
    json!({"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500})
}

fn event(number: usize, kind: &str, more: &Value) -> String {
    let mut event = json!({"type": kind, "sequence_number": number});
    for (name, value) in more.as_object().expect("an object") {
        event[name] = value.clone();
    }
    format!("event: {kind}\ndata: {event}\n\n")
}

/// What stands before the first content; instructions are repeated in it.
fn prelude(instructions: &str) -> String {
    let begun = response("in_progress", &json!({ "instructions": instructions }));
    ["response.created", "response.in_progress"]
        .iter()
        .enumerate()
        .map(|(number, kind)| event(number, kind, &json!({ "response": begun })))
        .collect()
}

fn text(number: usize) -> String {
    let delta = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Chào", "logprobs": []});
    event(number, "response.output_text.delta", &delta)
}

fn last(number: usize, kind: &str, more: &Value) -> String {
    let status = kind.strip_prefix("response.").expect("an end");
    event(number, kind, &json!({ "response": response(status, more) }))
}

#[tokio::test]
async fn a_client_of_openais_own_dialect_gets_its_bytes_and_stores_nothing() {
    let answer = response("completed", &json!({"usage": used(), "invented": {"a": 1}})).to_string();
    let (gateway, provider) = gateway("OpenAI", "gpt-6.1-sol", [Reply::json(200, answer.as_str())]).await;
    let (headers, body, _) = read(post(&gateway, RESPONSES, &hello(false)).await).await;
    assert_eq!(body, answer);
    assert_eq!(headers["x-headgate-cost-usd"], "0.002");
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/responses");
    assert_eq!(received.header("authorization"), Some("Bearer scripted-credential"));
    let mut sent = hello(false);
    sent["model"] = "gpt-6.1-sol".into();
    sent["store"] = false.into();
    assert_eq!(received.body, sent);
}

#[tokio::test]
async fn stored_objects_are_forbidden_without_a_call() {
    let (gateway, provider) = gateway("OpenAI", "gpt-6.1-sol", []).await;
    let mut request = hello(false);
    request["previous_response_id"] = "resp_1".into();
    let response = post(&gateway, RESPONSES, &request).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let error = json_body(response).await["error"].clone();
    assert_eq!(
        (&error["code"], &error["type"], &error["param"]),
        (
            &json!("stored_objects_forbidden"),
            &json!("permission_error"),
            &json!("previous_response_id")
        )
    );
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn a_stream_is_relayed_however_long_the_instructions_are_that_it_repeats() {
    let instructions = "n".repeat(70_000);
    let stream = prelude(&instructions) + &text(2) + &last(3, "response.completed", &json!({"usage": used()}));
    let (gateway, _provider) = gateway("OpenAI", "gpt-6.1-sol", [Reply::stream(EVENTS, stream.clone())]).await;
    let mut request = hello(true);
    request["instructions"] = instructions.into();
    let (headers, events, ended_well) = read(post(&gateway, RESPONSES, &request).await).await;
    assert!(ended_well && events == stream);
    assert_eq!(headers["content-type"], EVENTS);
}

#[tokio::test]
async fn a_response_that_fails_before_any_content_is_a_status_and_afterwards_the_end_of_its_stream() {
    let failed = |number| {
        let error = json!({"code": "rate_limit_exceeded", "message": "Slow down."});
        last(number, "response.failed", &json!({ "error": error }))
    };
    let (gateway, _provider) = gateway(
        "OpenAI",
        "gpt-6.1-sol",
        [
            Reply::stream(EVENTS, prelude("") + &failed(2)),
            Reply::stream(EVENTS, prelude("") + &text(2) + &failed(3)),
        ],
    )
    .await;
    let response = post(&gateway, RESPONSES, &hello(true)).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(json_body(response).await["error"]["code"], "rate_limit_exceeded");
    let (_, events, ended_well) = read(post(&gateway, RESPONSES, &hello(true)).await).await;
    assert!(ended_well && events.ends_with(&failed(3)), "{events}");
}

#[tokio::test]
async fn what_breaks_off_ends_in_an_error_event_that_goes_on_counting() {
    let error = event(
        3,
        "error",
        &json!({"code": "server_error", "message": "No.", "param": null}),
    );
    let (gateway, _provider) = gateway(
        "OpenAI",
        "gpt-6.1-sol",
        [
            Reply::cut(EVENTS, prelude("") + &text(2)),
            Reply::stream(EVENTS, prelude("") + &text(2)),
            Reply::stream(EVENTS, prelude("") + &text(2) + &error),
        ],
    )
    .await;
    for code in ["upstream_cut", "upstream_cut", "server_error"] {
        let (_, events, ended_well) = read(post(&gateway, RESPONSES, &hello(true)).await).await;
        assert!(!ended_well && !events.contains("response.completed"), "{events}");
        let last = events.trim_end().rsplit("data: ").next().expect("an event");
        let last: Value = serde_json::from_str(last).expect("JSON");
        assert_eq!(
            (
                &last["type"],
                &last["sequence_number"],
                &last["code"],
                &last["error"]["code"]
            ),
            (&json!("error"), &json!(3), &json!(code), &json!(code)),
            "{last}"
        );
    }
}

fn claude(content: &Value, stop_reason: &str) -> Reply {
    let usage = json!({"input_tokens": 1000, "output_tokens": 500});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": content,
        "stop_reason": stop_reason, "usage": usage,
    });
    Reply::json(200, message.to_string())
}

#[tokio::test]
async fn a_tool_loop_at_anthropic_goes_round_with_ids_and_signatures_kept() {
    let content = json!([
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Huế"}},
    ]);
    let replies = [
        claude(&content, "tool_use"),
        claude(&json!([{"type": "text", "text": "31 °C"}]), "end_turn"),
    ];
    let (gateway, provider) = gateway("Anthropic", "claude-opus-5", replies).await;
    let mut request = json!({"model": "model", "input": [{"role": "user", "content": "Weather?"}]});
    request["tools"] = json!([{"type": "function", "name": "weather", "parameters": {"type": "object"}}]);
    let response = post(&gateway, RESPONSES, &request).await;
    assert_eq!(response.headers()["x-headgate-cost-usd"], "0.002");
    let first = json_body(response).await;
    assert_eq!((&first["object"], &first["store"]), (&json!("response"), &json!(false)));

    // As a client does that knows nothing of thoughts: the output back as it came, and the result.
    let input = request["input"].as_array_mut().expect("a list");
    let output = first["output"].as_array().expect("a list");
    input.extend(output.iter().cloned());
    let call = output.last().expect("a call");
    input.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": "31"}));
    let second = json_body(post(&gateway, RESPONSES, &request).await).await;
    assert_eq!(second["output"][0]["content"][0]["text"], "31 °C");
    let sent = &provider.received()[1].body["messages"];
    assert_eq!(sent[1]["content"], content);
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "31"}]});
    assert_eq!(sent[2], json!({"role": "user", "content": [result]}));
}

#[tokio::test]
async fn a_stream_of_anthropics_is_one_of_responses() {
    let claudes = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().expect("a type"));
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-opus-5", "usage": {"input_tokens": 1000}}});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Chào"}});
    let stop = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 500}});
    let beginning: String = [start, block, delta].map(claudes).concat();
    let end: String = [stop, json!({"type": "message_stop"})].map(claudes).concat();
    let replies = [
        Reply::stream(EVENTS, beginning.clone() + &end),
        Reply::cut(EVENTS, beginning),
    ];
    let (gateway, _provider) = gateway("Anthropic", "claude-opus-5", replies).await;

    let (headers, events, ended_well) = read(post(&gateway, RESPONSES, &hello(true)).await).await;
    assert!(ended_well && !events.contains("[DONE]"), "{events}");
    assert_eq!(headers["x-headgate-dropped"], "invented_tomorrow");
    let names: Vec<_> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert!(events.contains("\"total_tokens\":1500"), "{events}");

    let (_, events, ended_well) = read(post(&gateway, RESPONSES, &hello(true)).await).await;
    assert!(!ended_well && !events.contains("response.completed"), "{events}");
    assert!(events.contains("\"sequence_number\":5,\"type\":\"error\""), "{events}");
}

#[tokio::test]
async fn a_chat_client_reaches_a_model_that_is_asked_by_responses() {
    let call =
        json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{}"});
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"});
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "31 °C"}]});
    let whole = |output: &Value| {
        let answer = response("completed", &json!({"output": output, "usage": used()}));
        Reply::json(200, answer.to_string())
    };
    let stream = prelude("") + &text(2) + &last(3, "response.completed", &json!({"usage": used()}));
    let replies = [
        whole(&json!([thought, call])),
        whole(&json!([message])),
        Reply::stream(EVENTS, stream),
    ];
    // The catalogue knows that this model needs it.
    let (gateway, provider) = gateway("OpenAI", "gpt-6.1-sol", replies).await;
    let mut request = json!({"model": "model", "messages": [{"role": "user", "content": "Weather?"}]});
    request["tools"] = json!([{"type": "function", "function": {"name": "weather"}}]);
    let first = json_body(post(&gateway, "/v1/chat/completions", &request).await).await;
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    let messages = request["messages"].as_array_mut().expect("a list");
    messages.push(first["choices"][0]["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": "call_1", "content": "31"}));
    let second = json_body(post(&gateway, "/v1/chat/completions", &request).await).await;
    assert_eq!(second["choices"][0]["message"]["content"], "31 °C");
    let received = provider.received();
    assert_eq!(received[1].line, "POST /v1/responses");
    assert_eq!(received[1].header("authorization"), Some("Bearer scripted-credential"));
    let sent = &received[1].body;
    assert_eq!((&sent["store"], &sent["input"][1]), (&json!(false), &thought));
    assert_eq!(sent["input"][3]["output"], "31");

    request["stream"] = true.into();
    let (_, events, ended_well) = read(post(&gateway, "/v1/chat/completions", &request).await).await;
    assert!(ended_well && events.contains("\"content\":\"Chào\""), "{events}");
    assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
}

#[tokio::test]
async fn what_is_said_of_a_model_goes_before_the_catalogue() {
    let chat = json!({"id": "c", "object": "chat.completion", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
    let asked_by_chat = gateway("OpenAI", "gpt-6.1-sol, api: Chat", [Reply::json(200, chat.to_string())]).await;
    let answer = response("completed", &json!({"usage": used()})).to_string();
    let asked_by_responses = gateway("OpenAICompatible", "llama, api: Responses", [Reply::json(200, answer)]).await;
    let request = json!({"model": "model", "messages": [{"role": "user", "content": "a"}]});
    for ((gateway, provider), line) in [
        (asked_by_chat, "POST /v1/chat/completions"),
        (asked_by_responses, "POST /v1/responses"),
    ] {
        assert_eq!(
            post(&gateway, "/v1/chat/completions", &request).await.status(),
            StatusCode::OK
        );
        assert_eq!(provider.received()[0].line, line);
    }
}
