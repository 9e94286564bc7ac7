//! Azure OpenAI through the whole gateway and over a socket. What each field becomes is shown by the golden cases of the
//! adapter; here is what the data plane adds: where a deployment's calls go, what a stream begins with, status and words of
//! errors. Whose proof a call carries is shown in `clouds.rs`.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

async fn gateway(api_version: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!(
        "type: AzureOpenAI, baseURL: \"http://{}\", azure: {{apiVersion: {api_version}, deployments: [{{model: model, \
         deployment: ours}}]}}",
        provider.address
    );
    (scripted::gateway(&spec, "gpt-4.1").await, provider)
}

async fn post(gateway: &Arc<Gateway>, path: &str, body: Value) -> Response<Body> {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("an end").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn hello(stream: bool) -> Value {
    json!({"model": "model", "stream": stream, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]})
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason, "content_filter_results": {}});
    event(
        &json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1", "choices": [choice]}),
    )
}

/// What the filter found in the prompt, which stands before the answer.
fn found() -> String {
    let found =
        json!([{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}}]);
    event(&json!({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": found}))
}

fn used() -> String {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500});
    event(
        &json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1", "choices": [], "usage": usage}),
    )
}

#[tokio::test]
async fn each_endpoint_goes_to_the_deployment_of_its_model() {
    let dated = "/openai/deployments/ours";
    for (api_version, before, behind) in [
        ("2024-10-21", dated, "?api-version=2024-10-21"),
        ("v1", "/openai/v1", ""),
    ] {
        let (gateway, provider) = gateway(api_version, vec![Reply::json(200, "{}"); 4]).await;
        for (path, body) in [
            (CHAT, hello(false)),
            ("/v1/completions", json!({"model": "model", "prompt": "Once"})),
            ("/v1/embeddings", json!({"model": "model", "input": "Xin chào"})),
            ("/v1/images/generations", json!({"model": "model", "prompt": "a cat"})),
        ] {
            post(&gateway, path, body).await;
            let received = provider.received().pop().expect("a request");
            let tail = path.strip_prefix("/v1").expect("a path of ours");
            assert_eq!(received.line, format!("POST {before}{tail}{behind}"));
            assert_eq!(received.body["model"], "ours");
            assert_eq!(received.header("api-key"), Some("scripted-credential"));
            assert_eq!(received.header("authorization"), None);
        }
    }
}

#[tokio::test]
async fn a_stream_begins_with_what_the_filter_found_and_counts_what_it_used() {
    let answer = [
        found(),
        chunk(&json!({"role": "assistant", "content": "Xin chào"}), None),
        chunk(&json!({}), Some("stop")),
    ];
    let done = "data: [DONE]\n\n";
    let sent = [&answer.concat(), &used(), done].concat();
    let (gateway, provider) = gateway("2024-10-21", [Reply::stream("text/event-stream", sent)]).await;
    let response = post(&gateway, CHAT, hello(true)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, [&answer.concat(), done].concat());
    let received = &provider.received()[0].body;
    assert_eq!(received["stream_options"], json!({"include_usage": true}));
    assert_eq!(received["max_completion_tokens"], 9);
}

#[tokio::test]
async fn a_stream_that_says_only_what_the_filter_found_is_no_answer() {
    let (gateway, _provider) = gateway("v1", [Reply::cut("text/event-stream", found())]).await;
    let response = post(&gateway, CHAT, hello(true)).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn what_the_filter_refuses_is_the_clients_to_see() {
    let inner = json!({"code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"hate": {"filtered": true, "severity": "high"}}});
    let error = json!({"message": "The response was filtered.", "type": null, "param": "prompt", "code": "content_filter",
        "status": 400, "innererror": inner});
    let refused = || Reply::json(400, json!({ "error": error }).to_string());
    let (gateway, _provider) = gateway("2024-10-21", [refused(), refused()]).await;
    let response = post(&gateway, CHAT, hello(false)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body, json!({ "error": error }));

    let response = post(&gateway, "/v1/messages", hello(true)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body["error"]["type"], "invalid_request_error");
    assert_eq!(body["error"]["message"], "The response was filtered.");
}
