//! Endpoints whose bodies pass unread, through the whole gateway and over a socket: only the model's name and the
//! credential change on the way there, nothing on the way back.

mod scripted;

use std::sync::Arc;

use axum::body::Body;
use headgate::gateway::Gateway;
use headgate::http_api::DataRoutes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use scripted::{Reply, Scripted, TOKEN};
use serde_json::{Value, json};

async fn gateway(replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    gateway_of("OpenAICompatible", replies).await
}

async fn gateway_of(kind: &str, replies: impl IntoIterator<Item = Reply>) -> (Arc<Gateway>, Scripted) {
    let provider = Scripted::start(replies).await;
    let spec = format!("type: {kind}, baseURL: \"http://{}/v1\"", provider.address);
    (scripted::gateway(&spec, "upstream-model").await, provider)
}

async fn post(gateway: &Arc<Gateway>, path: &str, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", content_type)
        .body(body.into())
        .expect("a request");
    DataRoutes::new(Arc::clone(gateway)).answer(request).await
}

async fn post_json(gateway: &Arc<Gateway>, path: &str, body: &Value) -> Response<Body> {
    post(gateway, path, "application/json", body.to_string()).await
}

async fn bytes_of(response: Response<Body>) -> Vec<u8> {
    let collected = response.into_body().collect().await.expect("the answer ends well");
    collected.to_bytes().to_vec()
}

async fn json_of(response: Response<Body>) -> Value {
    serde_json::from_slice(&bytes_of(response).await).expect("JSON")
}

#[tokio::test]
async fn json_goes_there_with_the_upstream_name_and_comes_back_byte_for_byte() {
    let answer = r#"{ "created":1, "data":[ {"b64_json":"AAAA"} ], "usage":{"input_tokens":1000,"output_tokens":500,"total_tokens":1500} }"#;
    let (gateway, provider) = gateway([Reply::json(200, answer).with_header("set-cookie", "a=b")]).await;
    let request = json!({"model": "model", "prompt": "a cat", "n": 1, "new_field": {"x": 1.50}});
    let response = post_json(&gateway, "/v1/images/generations", &request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-headgate-provider"], "p");
    assert!(!response.headers().contains_key("set-cookie"));
    assert_eq!(bytes_of(response).await, answer.as_bytes());

    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.line, "POST /v1/images/generations");
    assert_eq!(received.header("authorization"), Some("Bearer scripted-credential"));
    let sent = String::from_utf8(received.bytes.clone()).expect("text");
    assert_eq!(
        sent,
        request
            .to_string()
            .replace("\"model\":\"model\"", "\"model\":\"upstream-model\"")
    );
    let metrics = String::from_utf8(gateway.metrics.render()).expect("text");
    let counted = "llm_tokens_total{model=\"model\",provider=\"p\",type=\"input\"} 1000";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn sound_comes_back_as_it_is_and_its_cost_is_not_called_zero() {
    let sound: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let (gateway, _provider) = gateway([Reply::stream("audio/mpeg", sound.clone())]).await;
    let request = json!({"model": "model", "input": "Xin chào", "voice": "alloy"});
    let response = post_json(&gateway, "/v1/audio/speech", &request).await;
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    assert!(!response.headers().contains_key("x-headgate-cost-usd"));
    assert_eq!(bytes_of(response).await, sound);
}

#[tokio::test]
async fn a_form_is_passed_with_its_model_rewritten_in_place() {
    let (gateway, provider) = gateway([Reply::json(200, r#"{"text":"Xin chào"}"#)]).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
                RIFF\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nmodel\r\n--b--\r\n";
    let request = Request::post("/v1/audio/transcriptions")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "multipart/form-data; boundary=b")
        .header("content-length", form.len().to_string())
        .body(Body::from(form))
        .expect("a request");
    let response = DataRoutes::new(Arc::clone(&gateway)).answer(request).await;
    assert_eq!(json_of(response).await, json!({"text": "Xin chào"}));
    let [received] = &provider.received()[..] else {
        panic!("one request")
    };
    assert_eq!(received.header("content-type"), Some("multipart/form-data; boundary=b"));
    let sent = String::from_utf8(received.bytes.clone()).expect("text");
    assert_eq!(sent, form.replace("\r\n\r\nmodel\r\n", "\r\n\r\nupstream-model\r\n"));
}

#[tokio::test]
async fn what_the_provider_refuses_is_said_in_its_words_and_its_status() {
    let error =
        json!({"error": {"message": "bad voice scripted-credential", "type": "invalid_request_error", "code": "x"}});
    let (gateway, _provider) = gateway([Reply::json(400, error.to_string()), Reply::json(401, "{}")]).await;
    let request = json!({"model": "model", "input": "a"});
    let response = post_json(&gateway, "/v1/audio/speech", &request).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(response).await["error"]["message"], "bad voice [redacted]");
    let response = post_json(&gateway, "/v1/audio/speech", &request).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(json_of(response).await["error"]["code"], "upstream_auth_failed");
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    let (gateway, _provider) = gateway([Reply::cut("audio/mpeg", vec![7; 1_000])]).await;
    let request = json!({"model": "model", "input": "a"});
    let response = post_json(&gateway, "/v1/audio/speech", &request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_provider_without_the_endpoint_is_not_asked() {
    let (gateway, provider) = gateway_of("Groq", []).await;
    let response = post_json(
        &gateway,
        "/v1/images/generations",
        &json!({"model": "model", "prompt": "a"}),
    )
    .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = json_of(response).await;
    assert_eq!(body["error"]["code"], "unsupported_endpoint");
    assert!(
        body["error"]["message"]
            .as_str()
            .expect("words")
            .contains("/v1/images/generations")
    );
    assert!(provider.received().is_empty());
}

#[tokio::test]
async fn a_request_without_a_model_needs_to_say_whose_it_is() {
    let (gateway, provider) = gateway([Reply::json(200, r#"{"results":[]}"#)]).await;
    let ask = async |provider: Option<&str>| {
        let mut request = Request::post("/v1/moderations")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json");
        if let Some(provider) = provider {
            request = request.header("x-headgate-provider", provider);
        }
        let request = request.body(Body::from(r#"{"input":"a"}"#)).expect("a request");
        DataRoutes::new(Arc::clone(&gateway)).answer(request).await
    };
    for provider in [None, Some("other")] {
        let response = ask(provider).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(json_of(response).await["error"]["code"], "provider_not_named");
    }
    assert_eq!(json_of(ask(Some("p")).await).await, json!({"results": []}));
    assert_eq!(provider.received()[0].bytes, br#"{"input":"a"}"#);
}

#[tokio::test]
async fn no_key_no_form_and_a_foreign_type_are_refused() {
    let (gateway, provider) = gateway([]).await;
    let request = Request::post("/v1/rerank").body(Body::from("{}")).expect("a request");
    let response = DataRoutes::new(Arc::clone(&gateway)).answer(request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let response = post(&gateway, "/v1/images/edits", "text/plain", "x").await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let response = post(&gateway, "/v1/images/edits", "multipart/form-data", "x").await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let response = post(&gateway, "/v1/images/edits", "multipart/form-data; boundary=b", "--b--").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(response).await["error"]["code"], "missing_field");
    assert!(provider.received().is_empty());
}
