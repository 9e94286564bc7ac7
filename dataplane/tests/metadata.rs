//! What happened, in the body of an answer whose caller asks for it, and nowhere else.

mod scripted;

use axum::body::Body;
use headgate::http_api::DataRoutes;
use http::Request;
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

const EVENTS: &str = "text/event-stream";

async fn ask(path: &str, provider_kind: &str, reply: Reply, body: Value, wanted: Option<&str>) -> String {
    let provider = Scripted::start([reply]).await;
    let spec = format!("type: {provider_kind}, baseURL: \"http://{}/v1\"", provider.address);
    let gateway = scripted::gateway(&spec, "upstream-model").await;
    let mut request = Request::post(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json");
    if let Some(wanted) = wanted {
        request = request.header("x-headgate-metadata", wanted);
    }
    let request = request.body(Body::from(body.to_string())).expect("a request");
    let response = DataRoutes::new(gateway).answer(request).await;
    assert_eq!(response.status(), 200);
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("the answer ends well")
        .to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn chat(stream: bool) -> Value {
    json!({"model": "model", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
}

const WHOLE: &str =
    r#"{"id":"x","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":500}} "#;
const STREAM: &str = concat!(
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":500}}\n\n",
    "data: [DONE]\n\n"
);

fn expected() -> Value {
    json!({
        "cache_hit": false, "cache_type": null, "similarity_score": null, "provider": "p", "cost_usd": 0.002,
        "fallback_used": false, "fallback_index": 0,
    })
}

#[tokio::test]
async fn a_whole_answer_says_it_as_its_last_member() {
    let body = ask(
        "/v1/chat/completions",
        "OpenAICompatible",
        Reply::json(200, WHOLE),
        chat(false),
        Some("true"),
    )
    .await;
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["metadata"], expected());
    assert!(
        body.starts_with(&WHOLE[..WHOLE.len() - 2]),
        "the rest is as it came: {body}"
    );
}

#[tokio::test]
async fn a_stream_says_it_once_before_its_end() {
    let body = ask(
        "/v1/chat/completions",
        "OpenAICompatible",
        Reply::stream(EVENTS, STREAM),
        chat(true),
        Some("true"),
    )
    .await;
    let events: Vec<&str> = body.split("\n\n").collect();
    let [.., told, done, ""] = &events[..] else {
        panic!("{body}")
    };
    assert_eq!(*done, "data: [DONE]");
    let told: Value = serde_json::from_str(told.strip_prefix("data: ").expect("an event")).expect("JSON");
    assert_eq!((&told["choices"], &told["metadata"]), (&json!([]), &expected()));
    assert_eq!(told["object"], "chat.completion.chunk");
    assert_eq!(body.matches("metadata").count(), 1);
    assert_eq!(
        body.matches("usage").count(),
        0,
        "the client did not ask for usage: {body}"
    );
}

#[tokio::test]
async fn nobody_gets_it_who_does_not_ask() {
    for wanted in [None, Some("false"), Some("1")] {
        let body = ask(
            "/v1/chat/completions",
            "OpenAICompatible",
            Reply::json(200, WHOLE),
            chat(false),
            wanted,
        )
        .await;
        assert_eq!(body, WHOLE);
        let body = ask(
            "/v1/chat/completions",
            "OpenAICompatible",
            Reply::stream(EVENTS, STREAM),
            chat(true),
            wanted,
        )
        .await;
        assert!(!body.contains("metadata"), "{body}");
    }
}
