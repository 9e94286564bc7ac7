//! Vertex AI through the whole gateway and over a socket. What each field becomes is shown by the golden cases of the
//! adapter; here is what the data plane adds: whose address a call goes to, what comes back of errors, counts that nobody
//! has, thoughts that a client drops. Whose proof a call carries is shown in `clouds.rs`.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use headgate::identity::clouds::Clouds;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const KEY_FILE: &str = include_str!("../snapshot/tests/service-account.json");
const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const COUNT: &str = "/v1/messages/count_tokens";
const PLACE: &str = "/projects/my-project/locations/europe-west4";
const CLAUDE: &str = "\"claude-sonnet-4-5@20250929\"";
const GEMINI: &str = "gemini-3.6-flash";

/// A gateway over one model, and the provider that it asks.
async fn gateway(upstream_model: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let token = json!({"access_token": "ya29.token", "expires_in": 3599}).to_string();
    let google = Scripted::start([Reply::json(200, token)]).await;
    let provider = Scripted::start(replies).await;
    let spec = format!(
        "type: VertexAI, vertex: {{project: my-project, location: europe-west4}}, baseURL: \"http://{}/v1\"",
        provider.address
    );
    let mut clouds = Clouds::default();
    clouds.google.token_endpoint = Some(format!("http://{}/token", google.address));
    let gateway = scripted::gateway_with(&spec, upstream_model, KEY_FILE, clouds).await;
    (gateway, provider)
}

async fn post(gateway: &Arc<Gateway>, path: &str, body: &str) -> Response<Body> {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .header("anthropic-version", "2023-06-01")
        .header("anthropic-beta", "context-management-2025-06-27")
        .body(Body::from(body.to_owned()))
        .expect("a request");
    headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("an end").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

async fn json_body(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

fn hello() -> String {
    json!({"model": "model", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}).to_string()
}

fn of_gemini(parts: &Value) -> Reply {
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP"});
    Reply::json(
        200,
        json!({"candidates": [candidate], "responseId": "r1", "modelVersion": GEMINI}).to_string(),
    )
}

#[tokio::test]
async fn a_client_of_claude_reaches_it_byte_for_byte_with_the_model_in_the_path() {
    let answer = r#"{"id":"msg_vrtx_1", "type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"Xin chào"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":4}}"#;
    let (gateway, provider) = gateway(CLAUDE, [Reply::json(200, answer)]).await;
    let request =
        |model: &str| format!("{{{model}\"max_tokens\" : 9,\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}]}}");
    let response = post(&gateway, MESSAGES, &request("\"model\":\"model\",")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, answer);
    let received = &provider.received()[0];
    let model = "publishers/anthropic/models/claude-sonnet-4-5@20250929";
    assert_eq!(received.line, format!("POST /v1{PLACE}/{model}:rawPredict"));
    let body = String::from_utf8(received.bytes.clone()).expect("text");
    assert_eq!(body, request("\"anthropic_version\":\"vertex-2023-10-16\","));
    assert_eq!(received.header("authorization"), Some("Bearer ya29.token"));
    assert_eq!(received.header("anthropic-beta"), Some("context-management-2025-06-27"));
    assert_eq!(received.header("anthropic-version"), None, "the body names it");
}

#[tokio::test]
async fn tokens_are_estimated_where_the_place_has_no_counter_of_claudes() {
    let none = json!({"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "not servable in region"}});
    let counted = Reply::json(200, r#"{"input_tokens": 8}"#);
    let (gateway, provider) = gateway(CLAUDE, [counted, Reply::json(400, none.to_string())]).await;
    let response = post(&gateway, COUNT, &hello()).await;
    assert!(!response.headers().contains_key("x-headgate-token-count"));
    assert_eq!(text(response).await, r#"{"input_tokens": 8}"#);
    let response = post(&gateway, COUNT, &hello()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-headgate-token-count"], "estimated");
    assert!(json_body(response).await["input_tokens"].as_u64().is_some());
    for received in provider.received() {
        assert_eq!(
            received.line,
            format!("POST /v1{PLACE}/publishers/anthropic/models/count-tokens:rawPredict")
        );
        assert_eq!(received.body["model"], "claude-sonnet-4-5@20250929");
    }
}

#[tokio::test]
async fn an_error_in_a_list_is_read_and_each_client_gets_it_in_its_own_words() {
    let error = json!({"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"});
    let exhausted = || Reply::json(429, json!([{ "error": error }]).to_string()).with_header("retry-after", "7");
    for model in [GEMINI, CLAUDE, "meta/llama-4-maverick-17b-128e-instruct-maas"] {
        let (gateway, _provider) = gateway(model, [exhausted(), exhausted()]).await;
        let response = post(&gateway, CHAT, &hello()).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{model}");
        assert_eq!(response.headers()["retry-after"], "7", "{model}");
        assert_eq!(
            json_body(response).await["error"]["message"],
            "Resource exhausted.",
            "{model}"
        );
        let response = post(&gateway, MESSAGES, &hello()).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS, "{model}");
        assert_eq!(
            json_body(response).await["error"]["type"],
            "rate_limit_error",
            "{model}"
        );
    }
}

#[tokio::test]
async fn signatures_that_a_client_drops_go_back_to_the_model_that_made_them() {
    let call = json!({"functionCall": {"name": "weather", "args": {}, "id": "a1"}, "thoughtSignature": "Y2FsbA=="});
    let replies = [of_gemini(&json!([call])), of_gemini(&json!([{"text": "31 °C"}]))];
    let (gateway, provider) = gateway(GEMINI, replies).await;
    let mut request = json!({"model": "model", "tools": [{"type": "function", "function": {"name": "weather"}}],
        "messages": [{"role": "user", "content": "Hi"}]});
    let answer = json_body(post(&gateway, CHAT, &request.to_string()).await).await;
    let mut called = answer["choices"][0]["message"]["tool_calls"][0].clone();
    let signature = called["extra_content"]["google"]["thought_signature"].take();
    assert_eq!(signature, "vertex:Y2FsbA==");
    called.as_object_mut().expect("a call").remove("extra_content");
    let messages = request["messages"].as_array_mut().expect("a list");
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": [called]}));
    messages.push(json!({"role": "tool", "tool_call_id": "a1", "content": "wet"}));
    let response = post(&gateway, CHAT, &request.to_string()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let sent = &provider.received()[1].body["contents"][1]["parts"][0];
    assert_eq!(*sent, call);
}
