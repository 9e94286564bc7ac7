//! A chat client and an Ollama server, through the whole gateway and over a socket: where its calls arrive, and how streams
//! of lines end.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const LINES: &str = "application/x-ndjson";

async fn post(gateway: &Arc<Gateway>, body: &Value) -> Response<Body> {
    let request = Request::post("/v1/chat/completions")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await
}

/// What arrived before the body ended, and whether it ended well.
async fn read(mut response: Response<Body>) -> (String, bool) {
    let mut bytes = Vec::new();
    let ended_well = loop {
        match response.body_mut().frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    (String::from_utf8(bytes).expect("text"), ended_well)
}

async fn native(replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!("type: Ollama, baseURL: \"http://{}\"", provider.address);
    (scripted::gateway(&spec, "qwen3").await, provider)
}

fn line(message: &Value) -> String {
    json!({"model": "qwen3", "message": message, "done": false}).to_string() + "\n"
}

fn last() -> String {
    let message = json!({"role": "assistant", "content": ""});
    json!({"model": "qwen3", "message": message, "done": true, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 4})
        .to_string()
        + "\n"
}

fn hello(stream: bool) -> Value {
    json!({"model": "model", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
}

#[tokio::test]
async fn a_stream_of_lines_is_one_of_events_and_ends_in_done() {
    let said = line(&json!({"content": "Xin "})) + &line(&json!({"content": "chào"})) + &last();
    let (gateway, provider) = native([Reply::stream(LINES, said)]).await;
    let response = post(&gateway, &hello(true)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let (events, ended_well) = read(response).await;
    assert!(ended_well && events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(events.contains("\"content\":\"chào\""), "{events}");
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /api/chat");
    assert_eq!(
        (&received.body["model"], &received.body["stream"]),
        (&json!("qwen3"), &json!(true))
    );
}

#[tokio::test]
async fn a_tool_loop_goes_round_by_the_functions_name() {
    let call = json!({"content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Huế"}}}]});
    let whole = |message: Value| {
        let body = json!({"model": "qwen3", "message": message, "done": true, "done_reason": "stop"});
        Reply::json(200, body.to_string())
    };
    let (gateway, provider) = native([whole(call), whole(json!({"content": "31 °C"}))]).await;
    let mut request = hello(false);
    let (first, _) = read(post(&gateway, &request).await).await;
    let first: Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    let assistant = first["choices"][0]["message"].clone();
    let id = assistant["tool_calls"][0]["id"].clone();
    let messages = request["messages"].as_array_mut().expect("a list");
    messages.extend([assistant, json!({"role": "tool", "tool_call_id": id, "content": "31"})]);
    let (second, _) = read(post(&gateway, &request).await).await;
    assert!(second.contains("31 °C"), "{second}");
    let sent = &provider.received()[1].body["messages"];
    assert_eq!(
        sent[1]["tool_calls"][0]["function"]["arguments"],
        json!({"city": "Huế"})
    );
    assert_eq!(
        sent[2],
        json!({"role": "tool", "content": "31", "tool_name": "weather"})
    );
}

#[tokio::test]
async fn what_breaks_off_is_never_a_success() {
    let said = line(&json!({"content": "Xin chào"}));
    let failed = said.clone() + "{\"error\":\"model runner has stopped\"}\n";
    let (gateway, _provider) = native([
        Reply::cut(LINES, said.clone()),
        Reply::stream(LINES, said),
        Reply::stream(LINES, failed),
    ])
    .await;
    for words in ["upstream_cut", "upstream_cut", "model runner has stopped"] {
        let (events, ended_well) = read(post(&gateway, &hello(true)).await).await;
        assert!(!ended_well && !events.contains("[DONE]"), "{events}");
        assert!(
            events.contains("Xin chào") && events.contains(words),
            "{words}: {events}"
        );
    }
}

#[tokio::test]
async fn a_model_that_is_missing_is_the_callers_to_know() {
    let (gateway, _provider) = native([Reply::json(404, "{\"error\":\"model 'qwen3' not found\"}")]).await;
    let response = post(&gateway, &hello(true)).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(read(response).await.0.contains("model 'qwen3' not found"));
}

#[tokio::test]
async fn its_openai_layer_is_called_where_it_stands_however_the_server_is_named() {
    let answer = json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).to_string();
    for suffix in ["", "/", "/v1", "/v1/"] {
        let provider = Scripted::start([Reply::json(200, answer.clone())]).await;
        let spec = format!(
            "type: Ollama, baseURL: \"http://{}{suffix}\", ollama: {{api: OpenAI}}",
            provider.address
        );
        let gateway = scripted::gateway(&spec, "qwen3").await;
        let response = post(&gateway, &json!({"model": "model", "messages": []})).await;
        assert_eq!(response.status(), StatusCode::OK);
        let [received] = &provider.received()[..] else {
            panic!("one request")
        };
        assert_eq!(received.line, "POST /v1/chat/completions", "{suffix:?}");
        assert_eq!(received.body["model"], Value::from("qwen3"));
    }
}
