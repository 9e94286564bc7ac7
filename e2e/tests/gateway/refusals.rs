//! Requests that are refused for what they say: the key, the model, the body.

use headgate_e2e::manifests::{EXPIRED_KEY, NARROW_KEY, SUSPENDED_KEY, VIRTUAL_KEY};
use headgate_e2e::raw_http::{chat, chat_body, chat_request, get, send};

use super::{assert_refused, scene};

const STRANGER: &str = "vk-nobody-has-this-key-0000000000000";

/// Sends `body` with a good key and expects the refusal, with nothing sent upstream.
async fn check_body(body: &[u8], status: u16, code: &str) {
    let (provider, gateway) = scene().await;
    let request = chat_request(&[&format!("authorization: Bearer {VIRTUAL_KEY}")], body);
    let answer = send(gateway.address, &request).await.expect("an answer");
    assert_refused(&answer, status, code);
    assert_eq!(provider.count(), 0, "it went upstream");
}

/// Sends a good body with `headers` and expects 401, with nothing sent upstream.
async fn check_key(headers: &[&str]) {
    let (provider, gateway) = scene().await;
    let request = chat_request(headers, chat_body("chat", false).as_bytes());
    let answer = send(gateway.address, &request).await.expect("an answer");
    assert_refused(&answer, 401, "invalid_api_key");
    assert_eq!(provider.count(), 0, "it went upstream");
}

#[tokio::test]
async fn no_key() {
    check_key(&[]).await;
}

#[tokio::test]
async fn a_wrong_key() {
    check_key(&[&format!("authorization: Bearer {STRANGER}")]).await;
}

#[tokio::test]
async fn a_key_of_another_scheme() {
    check_key(&["authorization: Basic dXNlcjpwYXNz"]).await;
}

#[tokio::test]
async fn a_good_key_behind_a_wrong_one_of_a_stronger_header() {
    check_key(&[
        &format!("x-portkey-api-key: {STRANGER}"),
        &format!("authorization: Bearer {VIRTUAL_KEY}"),
    ])
    .await;
}

#[tokio::test]
async fn the_same_credential_header_twice() {
    let header = format!("authorization: Bearer {VIRTUAL_KEY}");
    check_key(&[&header, &header]).await;
}

#[tokio::test]
async fn a_suspended_key() {
    check_key(&[&format!("authorization: Bearer {SUSPENDED_KEY}")]).await;
}

#[tokio::test]
async fn an_expired_key() {
    check_key(&[&format!("authorization: Bearer {EXPIRED_KEY}")]).await;
}

#[tokio::test]
async fn every_header_that_sdks_send_keys_in_is_read() {
    let (_provider, gateway) = scene().await;
    for header in ["x-portkey-api-key", "x-api-key", "api-key", "x-goog-api-key"] {
        let request = chat_request(
            &[&format!("{header}: {VIRTUAL_KEY}")],
            chat_body("chat", false).as_bytes(),
        );
        let answer = send(gateway.address, &request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{header}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_unknown_model() {
    check_body(chat_body("no-such-model", false).as_bytes(), 404, "model_not_found").await;
}

#[tokio::test]
async fn a_model_that_the_key_may_not_use() {
    let (provider, gateway) = scene().await;
    let answer = chat(gateway.address, NARROW_KEY, "slow", false)
        .await
        .expect("an answer");
    assert_refused(&answer, 403, "model_not_allowed");
    assert_eq!(
        chat(gateway.address, NARROW_KEY, "chat", false)
            .await
            .expect("an answer")
            .status,
        200
    );
    assert_eq!(provider.count(), 1);
}

#[tokio::test]
async fn malformed_json() {
    check_body(br#"{"model":"chat","messages":[}"#, 400, "invalid_json").await;
}

#[tokio::test]
async fn json_that_breaks_off() {
    check_body(br#"{"model":"chat","messages":[{"role":"us"#, 400, "invalid_json").await;
}

#[tokio::test]
async fn an_empty_body() {
    check_body(b"", 400, "invalid_json").await;
}

#[tokio::test]
async fn json_that_is_no_object() {
    check_body(br#"["model"]"#, 400, "invalid_type").await;
}

#[tokio::test]
async fn something_behind_the_json() {
    check_body(
        br#"{"model":"chat","messages":[]} {"model":"slow"}"#,
        400,
        "invalid_json",
    )
    .await;
}

#[tokio::test]
async fn invalid_utf8() {
    check_body(
        b"{\"model\":\"chat\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\"}]}",
        400,
        "invalid_utf8",
    )
    .await;
}

#[tokio::test]
async fn invalid_utf8_where_nothing_is_read() {
    check_body(
        b"{\"model\":\"chat\",\"messages\":[],\"ignored\":\"\xc3\x28\"}",
        400,
        "invalid_utf8",
    )
    .await;
}

#[tokio::test]
async fn json_ten_thousand_deep() {
    let body = format!(
        r#"{{"model":"chat","messages":[],"x":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    check_body(body.as_bytes(), 400, "json_too_deep").await;
}

#[tokio::test]
async fn json_a_hundred_thousand_deep_that_never_closes() {
    let body = format!(r#"{{"model":"chat","x":{}"#, "{\"a\":".repeat(100_000));
    check_body(body.as_bytes(), 400, "json_too_deep").await;
}

#[tokio::test]
async fn a_field_we_read_given_twice() {
    check_body(
        br#"{"model":"chat","messages":[],"model":"slow"}"#,
        400,
        "duplicate_field",
    )
    .await;
}

#[tokio::test]
async fn a_field_we_read_in_two_spellings() {
    check_body(
        br#"{"model":"chat","messages":[],"Model":"slow"}"#,
        400,
        "duplicate_field",
    )
    .await;
}

#[tokio::test]
async fn a_field_we_read_spelt_with_an_escape() {
    check_body(
        br#"{"model":"chat","messages":[],"m\u006fdel":"slow"}"#,
        400,
        "duplicate_field",
    )
    .await;
}

#[tokio::test]
async fn no_model() {
    check_body(br#"{"messages":[]}"#, 400, "missing_field").await;
}

#[tokio::test]
async fn a_model_that_is_no_text() {
    check_body(br#"{"model":7,"messages":[]}"#, 400, "invalid_type").await;
}

#[tokio::test]
async fn another_content_type() {
    let (provider, gateway) = scene().await;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {VIRTUAL_KEY}\r\n\
         content-type: text/plain\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let answer = send(gateway.address, request.as_bytes()).await.expect("an answer");
    assert_refused(&answer, 415, "unsupported_media_type");
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn a_compressed_request() {
    let (provider, gateway) = scene().await;
    let headers = [
        &format!("authorization: Bearer {VIRTUAL_KEY}")[..],
        "content-encoding: gzip",
    ];
    let answer = send(gateway.address, &chat_request(&headers, b"\x1f\x8b"))
        .await
        .expect("an answer");
    assert_refused(&answer, 415, "unsupported_encoding");
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods() {
    let (provider, gateway) = scene().await;
    let key = format!("authorization: Bearer {VIRTUAL_KEY}");
    for path in [
        "/",
        "/v1/",
        "/v1/nothing",
        "/admin",
        "/v1/chat/completions/",
        "/v1/../metrics",
    ] {
        assert_refused(
            &get(gateway.address, path, &[&key]).await.expect("an answer"),
            404,
            "unknown_url",
        );
    }
    let answer = get(gateway.address, "/v1/chat/completions", &[&key])
        .await
        .expect("an answer");
    assert_refused(&answer, 405, "method_not_allowed");
    assert_eq!(provider.count(), 0);
}
