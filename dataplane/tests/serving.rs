//! A request through the router, in process: Echo answers, so nothing but the gateway is tested. What needs sockets, slow
//! peers or a failing provider is tested on the built binary.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use headgate::gateway::{Bounds, Gateway};
use headgate::source::Source;
use headgate::source::manifests::Folder;
use headgate::upstream::address::AddressPolicy;

const TOKEN: &str = "vk-serving-test-0123456789abcdef0123456789";
const SUSPENDED: &str = "vk-suspended-0123456789abcdef0123456789abcd";
const EXPIRED: &str = "vk-expired-0123456789abcdef0123456789abcdef";

/// A gateway over one folder with Echo, which has a price, and three keys.
async fn gateway() -> Arc<Gateway> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = |name: &str, token: &str, more: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{key: {token}}}\n---\n\
             apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\n\
             spec: {{secretRef: {{name: {name}, key: key}}{more}}}\n---\n"
        )
    };
    let manifests = [
        "apiVersion: headgate.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: echo}\nspec: {type: Echo, models: \
         [{name: hello, price: {input: \"1\", output: \"2\"}}]}\n---\n"
            .to_owned(),
        key("good", TOKEN, ""),
        key("suspended", SUSPENDED, ", suspended: true"),
        key("expired", EXPIRED, ", expiresAt: \"2020-01-01T00:00:00Z\""),
    ];
    std::fs::write(folder.path().join("gateway.yaml"), manifests.concat()).expect("the folder takes a file");
    let folder_source =
        Folder::new(folder.path().to_owned(), None, Arc::new(|_| None), Arc::new(|_| ())).expect("random");
    let source = Source::manifests(folder_source)
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", error.findings));
    let delivery = Arc::clone(&source.deliveries().borrow());
    assert!(delivery.findings.is_empty(), "{:?}", delivery.findings);
    let second = Duration::from_secs(1);
    let bounds = Bounds {
        connections_max: 1,
        head_timeout: second,
        body_idle_timeout: second,
        keep_alive: second,
    };
    let addresses = AddressPolicy {
        allow_loopback: true,
        allow_private: true,
    };
    let gateway = Gateway::new(bounds, addresses);
    let snapshot = headgate_snapshot::Snapshot::clone(&delivery.snapshot);
    let applied = gateway.live.replace(
        snapshot,
        delivery.version.clone(),
        &delivery.sealing_key,
        addresses,
        &gateway.metrics,
    );
    applied.expect("the snapshot can be served");
    Arc::new(gateway)
}

fn post(body: &Value) -> Request<Body> {
    Request::post("/v1/chat/completions")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request")
}

fn hello() -> Value {
    json!({"model": "hello", "messages": [{"role": "user", "content": "Good morning"}]})
}

async fn send(gateway: &Arc<Gateway>, request: Request<Body>) -> Response<Body> {
    headgate::http_api::DataRoutes::new(Arc::clone(gateway))
        .answer(request)
        .await
}

async fn text(response: Response<Body>) -> String {
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("the body ends well")
        .to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Sends `request` and asserts status and code, and that the answer has an id and all four keys of an error.
async fn refused(gateway: &Arc<Gateway>, request: Request<Body>, status: u16, code: &str) {
    let response = send(gateway, request).await;
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["x-request-id"].len(), 32);
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body["error"]["code"], code, "{body}");
    let error = body["error"].as_object().expect("an object");
    assert!(
        ["message", "type", "param", "code"]
            .iter()
            .all(|key| error.contains_key(*key)),
        "{body}"
    );
}

fn metric(gateway: &Gateway, line: &str) -> bool {
    let text = String::from_utf8(gateway.metrics.render()).expect("text");
    text.lines().any(|found| found == line)
}

#[tokio::test]
async fn a_whole_answer_says_what_happened_and_what_it_cost() {
    let gateway = gateway().await;
    let response = send(&gateway, post(&hello())).await;
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(
        ["provider", "model", "attempts", "fallback-index", "cache"].map(|name| header(&format!("x-headgate-{name}"))),
        ["echo", "hello", "1", "0", "off"]
    );
    assert_eq!(header("x-headgate-trace-id"), header("x-request-id"));
    let cost = header("x-headgate-cost-usd");
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body["choices"][0]["message"]["content"], "Good morning");
    let usage = |name: &str| body["usage"][name].as_u64().expect("a count");
    let nano_usd = usage("prompt_tokens") * 1_000 + usage("completion_tokens") * 2_000;
    assert_eq!(cost, headgate::account::price::NanoUsd(nano_usd).to_string());
    assert!(metric(
        &gateway,
        r#"llm_requests_total{model="hello",provider="echo",status="200"} 1"#
    ));
    let tokens = usage("prompt_tokens");
    assert!(metric(
        &gateway,
        &format!(r#"llm_tokens_total{{model="hello",provider="echo",type="input"}} {tokens}"#)
    ));
}

#[tokio::test]
async fn embeddings_come_from_inside_as_well_and_cost_their_input() {
    let gateway = gateway().await;
    let ask = |input: &Value| {
        let body = json!({"model": "hello", "input": input, "dimensions": 16});
        let mut request = post(&body);
        *request.uri_mut() = "/v1/embeddings".parse().expect("a path");
        request
    };
    let response = send(&gateway, ask(&json!(["the weather", "the weather", "rain"]))).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cost = response.headers()["x-headgate-cost-usd"]
        .to_str()
        .expect("text")
        .to_owned();
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    let vector = |index: usize| &body["data"][index]["embedding"];
    assert_eq!(vector(0).as_array().map(Vec::len), Some(16));
    assert!(vector(0) == vector(1) && vector(0) != vector(2), "{body}");
    let nano_usd = body["usage"]["prompt_tokens"].as_u64().expect("a count") * 1_000;
    assert_eq!(cost, headgate::account::price::NanoUsd(nano_usd).to_string());

    let response = send(&gateway, ask(&json!([{"a": 1}]))).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body["error"]["param"], "input");
}

#[tokio::test]
async fn a_completion_comes_from_inside_as_well_whole_and_streamed() {
    let gateway = gateway().await;
    let complete = async |stream: bool| {
        let body = json!({"model": "hello", "prompt": "Good morning", "stream": stream});
        let mut request = post(&body);
        *request.uri_mut() = http::Uri::from_static("/v1/completions");
        let response = send(&gateway, request).await;
        assert_eq!(response.status(), StatusCode::OK);
        text(response).await
    };
    let body: Value = serde_json::from_str(&complete(false).await).expect("JSON");
    assert_eq!(
        (&body["object"], &body["choices"][0]["text"]),
        (&json!("text_completion"), &json!("Good morning"))
    );
    let events = complete(true).await;
    assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(events.contains("\"text\":\" morning\""), "{events}");
}

#[tokio::test]
async fn a_stream_ends_in_done_and_is_counted_when_it_has_ended() {
    let gateway = gateway().await;
    let mut body = hello();
    body["stream"] = json!(true);
    let response = send(&gateway, post(&body)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(gateway.metrics.in_flight.get(), 1);
    let events = text(response).await;
    assert!(events.ends_with("data: [DONE]\n\n"), "{events}");
    assert!(!events.contains("prompt_tokens"), "usage was not asked for:\n{events}");
    assert_eq!(gateway.metrics.in_flight.get(), 0);
    assert!(metric(
        &gateway,
        r#"llm_requests_total{model="hello",provider="echo",status="200"} 1"#
    ));
}

#[tokio::test]
async fn a_client_that_hangs_up_is_counted_as_such() {
    let gateway = gateway().await;
    let mut body = hello();
    body["stream"] = json!(true);
    drop(send(&gateway, post(&body)).await);
    assert_eq!(gateway.metrics.in_flight.get(), 0);
    assert!(metric(
        &gateway,
        r#"llm_requests_total{model="hello",provider="echo",status="499"} 1"#
    ));
    assert!(metric(&gateway, r#"headgate_refusals_total{code="client_closed"} 1"#));
}

#[tokio::test]
async fn every_wrong_key_is_refused_before_the_body_is_read() {
    let gateway = gateway().await;
    let with = |name: &'static str, value: &str| {
        Request::post("/v1/chat/completions")
            .header(name, value)
            .body(Body::from("not even JSON"))
            .expect("a request")
    };
    let nothing = Request::post("/v1/chat/completions")
        .body(Body::from("not even JSON"))
        .expect("a request");
    refused(&gateway, nothing, 401, "invalid_api_key").await;
    for token in ["vk-unknown", "", SUSPENDED, EXPIRED, "' OR 1=1 --", &"x".repeat(6_000)] {
        refused(
            &gateway,
            with("authorization", &format!("Bearer {token}")),
            401,
            "invalid_api_key",
        )
        .await;
    }
    refused(&gateway, with("authorization", TOKEN), 401, "invalid_api_key").await;
    let twice = Request::post("/v1/chat/completions")
        .header("x-api-key", TOKEN)
        .header("x-api-key", TOKEN);
    refused(
        &gateway,
        twice.body(Body::empty()).expect("a request"),
        401,
        "invalid_api_key",
    )
    .await;
}

#[tokio::test]
async fn a_refusal_says_whether_the_connection_can_be_used_again() {
    let gateway = gateway().await;
    let unknown_key = |length: usize| {
        let request = Request::post("/v1/chat/completions").header("content-length", length);
        request.body(Body::from(vec![b' '; length])).expect("a request")
    };
    let small = send(&gateway, unknown_key(64 * 1024)).await;
    assert_eq!(
        (small.status().as_u16(), small.headers().get("connection")),
        (401, None)
    );
    let large = send(&gateway, unknown_key(64 * 1024 + 1)).await;
    assert_eq!(
        (large.status().as_u16(), &large.headers()["connection"]),
        (401, &"close".parse().expect("a value"))
    );
}

#[tokio::test]
async fn bad_requests_are_refused_in_openais_shape() {
    let gateway = gateway().await;
    let raw = |body: &str| {
        let mut request = post(&hello());
        *request.body_mut() = Body::from(body.to_owned());
        request
    };
    refused(&gateway, raw("{"), 400, "invalid_json").await;
    refused(&gateway, raw(r#"{"messages":[]}"#), 400, "missing_field").await;
    refused(
        &gateway,
        raw(r#"{"model":"hello","Model":"other","messages":[]}"#),
        400,
        "duplicate_field",
    )
    .await;
    refused(
        &gateway,
        raw(&format!("{{\"model\":\"hello\",\"messages\":{}", "[".repeat(10_000))),
        400,
        "json_too_deep",
    )
    .await;
    refused(
        &gateway,
        post(&json!({"model": "unknown", "messages": []})),
        404,
        "model_not_found",
    )
    .await;
    let mut plain = post(&hello());
    plain
        .headers_mut()
        .insert("content-type", "text/plain".parse().expect("a value"));
    refused(&gateway, plain, 415, "unsupported_media_type").await;
    let mut configured = post(&hello());
    configured
        .headers_mut()
        .insert("x-portkey-config", "{}".parse().expect("a value"));
    refused(&gateway, configured, 403, "request_config_forbidden").await;
}

#[tokio::test]
async fn the_data_listener_serves_its_own_urls_and_nothing_else() {
    let gateway = gateway().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).expect("a request");
    for path in [
        "/",
        "/metrics",
        "/snapshot",
        "/v1",
        "/v1/chat/completions/",
        "/v1/../snapshot",
    ] {
        refused(&gateway, get(path), 404, "unknown_url").await;
    }
    refused(&gateway, get("/v1/chat/completions"), 405, "method_not_allowed").await;
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(send(&gateway, get(path)).await.status(), StatusCode::OK, "{path}");
    }
    gateway.draining.cancel();
    assert_eq!(
        send(&gateway, get("/readyz")).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(send(&gateway, get("/livez")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn models_are_listed_and_shown_to_whoever_holds_a_key() {
    let gateway = gateway().await;
    let get = |path: &str, token: &str| {
        Request::get(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .expect("a request")
    };
    refused(&gateway, get("/v1/models", "vk-unknown"), 401, "invalid_api_key").await;
    let list: Value = serde_json::from_str(&text(send(&gateway, get("/v1/models", TOKEN)).await).await).expect("JSON");
    assert_eq!(
        (list["data"][0]["id"].as_str(), list["data"].as_array().map(Vec::len)),
        (Some("hello"), Some(1))
    );
    let one: Value =
        serde_json::from_str(&text(send(&gateway, get("/v1/models/echo/hello", TOKEN)).await).await).expect("JSON");
    assert_eq!(
        (one["id"].as_str(), one["owned_by"].as_str()),
        (Some("echo/hello"), Some("echo"))
    );
    refused(&gateway, get("/v1/models/none", TOKEN), 404, "model_not_found").await;
    refused(&gateway, get("/v1/models/unknown%00%ff", TOKEN), 404, "unknown_url").await;
    assert_eq!(
        send(&gateway, get("/v1/models", TOKEN)).await.headers()["x-request-id"].len(),
        32
    );
}
