//! A client of OpenAI's embeddings, through the whole gateway and over a socket, towards a server of the same dialect and
//! one of another. What each field becomes is shown by the golden cases of the adapters.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

async fn gateway(kind: &str, path: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!("type: {kind}, baseURL: \"http://{}{path}\"", provider.address);
    (scripted::gateway(&spec, "embed").await, provider)
}

async fn post(gateway: &Arc<Gateway>, body: Value) -> Response<Body> {
    let request = Request::post("/v1/embeddings")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await
}

async fn read(response: Response<Body>) -> (StatusCode, HeaderMap, Value) {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    (head.status, head.headers, serde_json::from_slice(&bytes).expect("JSON"))
}

fn texts() -> Value {
    json!({"model": "model", "input": ["Xin chào", "tạm biệt"], "encoding_format": "base64", "user": "u"})
}

#[tokio::test]
async fn a_server_of_the_same_dialect_gets_the_body_and_its_numbers_become_what_the_client_reads() {
    let answer = json!({
        "object": "list", "model": "embed-v9", "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0, -2.0]},
                 {"object": "embedding", "index": 1, "embedding": [0.5, 0.0]}],
    });
    let (gateway, provider) = gateway("OpenAICompatible", "/v1", [Reply::json(200, answer.to_string())]).await;
    let (status, headers, body) = read(post(&gateway, texts()).await).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["data"][0]["embedding"], "AACAPwAAAMA=");
    assert_eq!(body["model"], "embed-v9");
    assert_eq!(headers["x-headgate-cost-usd"], "0.001", "1000 tokens at 1 $ a million");

    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/embeddings");
    assert_eq!(received.header("authorization"), Some("Bearer scripted-credential"));
    let mut sent = texts();
    sent["model"] = json!("embed");
    assert_eq!(received.body, sent);
}

#[tokio::test]
async fn a_server_of_another_dialect_is_asked_in_its_words() {
    let answer = json!({
        "id": "1", "embeddings": {"float": [[1.0, -2.0], [0.5, 0.0]]}, "response_type": "embeddings_by_type",
        "meta": {"billed_units": {"input_tokens": 1000}},
    });
    let (gateway, provider) = gateway("Cohere", "/v2", [Reply::json(200, answer.to_string())]).await;
    let (_, headers, body) = read(post(&gateway, texts()).await).await;
    let entry = |index: u32, embedding| json!({"object": "embedding", "index": index, "embedding": embedding});
    let usage = json!({"prompt_tokens": 1000, "total_tokens": 1000});
    let data = [entry(0, "AACAPwAAAMA="), entry(1, "AAAAPwAAAAA=")];
    assert_eq!(
        body,
        json!({"object": "list", "data": data, "model": "model", "usage": usage})
    );
    assert_eq!(
        (&headers["x-headgate-dropped"], &headers["x-headgate-cost-usd"]),
        (&"user".parse().expect("text"), &"0.001".parse().expect("text"))
    );
    let received = &provider.received()[0];
    assert_eq!(received.line, "POST /v2/embed");
    assert_eq!(received.body["texts"], texts()["input"]);
}

#[tokio::test]
async fn an_answer_without_usage_costs_its_input_and_not_its_numbers() {
    let vector: Vec<f64> = (0..3000).map(f64::from).collect();
    let answer = json!({"model": "embed", "embeddings": [vector]});
    let (gateway, _provider) = gateway("Ollama", "", [Reply::json(200, answer.to_string())]).await;
    let request = json!({"model": "model", "input": "a".repeat(4000)});
    let (_, headers, body) = read(post(&gateway, request).await).await;
    assert_eq!(body["usage"], json!({"prompt_tokens": 1001, "total_tokens": 1001}));
    assert_eq!(headers["x-headgate-cost-usd"], "0.001001");
}

#[tokio::test]
async fn an_error_and_a_vector_too_few_are_no_answers() {
    let few = json!({"embeddings": {"float": [[1.0]]}});
    let (gateway, _provider) = gateway(
        "Cohere",
        "/v2",
        [
            Reply::json(429, json!({"message": "slow down"}).to_string()).with_header("retry-after", "7"),
            Reply::json(200, few.to_string()),
        ],
    )
    .await;
    let (status, headers, body) = read(post(&gateway, texts()).await).await;
    assert_eq!(
        (status.as_u16(), &headers["retry-after"]),
        (429, &"7".parse().expect("text"))
    );
    assert_eq!(body["error"]["message"], "slow down");
    let (status, _, body) = read(post(&gateway, texts()).await).await;
    assert_eq!(
        (status.as_u16(), &body["error"]["code"]),
        (502, &json!("upstream_invalid_answer"))
    );
}

#[tokio::test]
async fn what_cannot_be_embedded_is_refused_without_a_call() {
    let (cohere, cohere_calls) = gateway("Cohere", "/v2", []).await;
    let (groq, groq_calls) = gateway("Groq", "/v1", []).await;
    let tokens = json!({"model": "model", "input": [1, 2, 3]});
    let (status, _, body) = read(post(&cohere, tokens).await).await;
    assert_eq!((status.as_u16(), &body["error"]["param"]), (400, &json!("input")));
    let (status, _, body) = read(post(&groq, texts()).await).await;
    assert_eq!(
        (status.as_u16(), &body["error"]["code"]),
        (400, &json!("unsupported_endpoint"))
    );
    assert!(cohere_calls.received().is_empty() && groq_calls.received().is_empty());
}
