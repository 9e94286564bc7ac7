//! Good requests: what reaches the provider, what comes back, and what is recorded.

use headgate_e2e::manifests::{CREDENTIAL, VIRTUAL_KEY};
use headgate_e2e::raw_http::{self, chat, chat_body, chat_request, get};

use super::scene;

#[tokio::test]
async fn a_body_reaches_the_provider_as_it_was_sent() {
    let (provider, gateway) = scene().await;
    // Odd spacing, an unknown field, an escape, a number that no float holds: all of it must survive.
    let body = "{ \"model\" : \"chat\",\"brand_new\":{\"a\":[1, null]},\n \"seed\":12345678901234567890123,\
        \"messages\":[{\"role\":\"user\",\"content\":\"Xin ch\\u00e0o\"}] }";
    let request = chat_request(&[&format!("authorization: Bearer {VIRTUAL_KEY}")], body.as_bytes());
    let answer = raw_http::send(gateway.address, &request).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(provider.last().body, body);
    assert_eq!(provider.last().path, "/v1/chat/completions");
}

#[tokio::test]
async fn the_provider_sees_its_own_credential_and_nothing_of_the_callers() {
    let (provider, gateway) = scene().await;
    let headers = [
        &format!("authorization: Bearer {VIRTUAL_KEY}")[..],
        "x-api-key: dummy-of-an-sdk",
        "api-key: dummy-of-an-sdk",
        "x-goog-api-key: dummy-of-an-sdk",
        "cookie: session=private",
        "x-forwarded-for: 203.0.113.7",
        "x-headgate-metadata: false",
    ];
    let request = chat_request(&headers, chat_body("chat", false).as_bytes());
    let answer = raw_http::send(gateway.address, &request).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = provider.last();
    assert_eq!(
        received.header("authorization"),
        Some(&format!("Bearer {CREDENTIAL}")[..])
    );
    let all = format!("{:?}", received.headers);
    for private in [
        VIRTUAL_KEY,
        "dummy-of-an-sdk",
        "session=private",
        "203.0.113.7",
        "x-headgate",
    ] {
        assert!(!all.contains(private), "{private} went upstream: {all}");
    }
}

#[tokio::test]
async fn an_answer_says_what_happened() {
    let (_provider, gateway) = scene().await;
    let answer = chat(gateway.address, VIRTUAL_KEY, "chat", false)
        .await
        .expect("an answer");
    assert_eq!(answer.json()["usage"]["total_tokens"], 18);
    assert_eq!(answer.header("x-headgate-model"), Some("chat"));
    assert_eq!(answer.header("x-headgate-attempts"), Some("1"));
    assert_eq!(answer.header("x-headgate-fallback-index"), Some("0"));
    // 11 input tokens at $2.5 and 7 output tokens at $10 a million.
    assert_eq!(answer.header("x-headgate-cost-usd"), Some("0.0000975"));
    assert!(
        answer
            .header("x-headgate-provider")
            .is_some_and(|name| name.ends_with("fake"))
    );
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_stream_comes_whole_and_without_the_usage_nobody_asked_for() {
    let (_provider, gateway) = scene().await;
    let answer = chat(gateway.address, VIRTUAL_KEY, "chat", true)
        .await
        .expect("an answer");
    assert!(answer.complete);
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"))
    );
    let events = answer.events();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    assert_eq!(
        events.iter().filter(|event| event.contains("xin chao")).count(),
        5,
        "{events:?}"
    );
    assert!(!answer.text().contains("\"usage\":{"), "{}", answer.text());
}

#[tokio::test]
async fn tokens_of_whole_and_streamed_answers_are_counted_alike() {
    let (_provider, gateway) = scene().await;
    for stream in [false, true] {
        let answer = chat(gateway.address, VIRTUAL_KEY, "chat", stream)
            .await
            .expect("an answer");
        assert_eq!(answer.status, 200);
    }
    let counted = |metrics: &str, kind: &str| {
        let line = metrics.lines().find(|line| {
            line.starts_with("llm_tokens_total{")
                && line.contains("model=\"chat\"")
                && line.contains(&format!("\"{kind}\""))
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    // A record closes a moment after its answer was sent.
    let both = |metrics: &str| counted(metrics, "input") == Some(22.0) && counted(metrics, "output") == Some(14.0);
    gateway
        .wait_for("/metrics", std::time::Duration::from_secs(5), |answer| {
            both(&answer.text())
        })
        .await;
}

#[tokio::test]
async fn a_compressed_answer_arrives_readable() {
    let (_provider, gateway) = scene().await;
    let answer = chat(gateway.address, VIRTUAL_KEY, "gzip", false)
        .await
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "compressed");
}

#[tokio::test]
async fn a_key_sees_the_models_it_may_use_and_no_others() {
    let (_provider, gateway) = scene().await;
    let models = async |key: &str| -> Vec<String> {
        let answer = get(
            gateway.address,
            "/v1/models",
            &[&format!("authorization: Bearer {key}")],
        )
        .await
        .expect("a list");
        let list = answer.json()["data"].as_array().cloned().unwrap_or_default();
        list.iter()
            .filter_map(|model| model["id"].as_str().map(str::to_owned))
            .collect()
    };
    assert!(models(VIRTUAL_KEY).await.contains(&"slow".to_owned()));
    assert_eq!(models(headgate_e2e::manifests::NARROW_KEY).await, ["chat"]);
}

#[tokio::test]
async fn probes_answer_on_both_listeners_and_metrics_on_the_admin_listener_only() {
    let (_provider, gateway) = scene().await;
    for address in [gateway.address, gateway.admin_address] {
        for path in ["/health", "/livez", "/readyz"] {
            assert_eq!(get(address, path, &[]).await.expect("an answer").status, 200, "{path}");
        }
    }
    let health = get(gateway.address, "/health", &[]).await.expect("an answer").json();
    assert_eq!(health["status"], "healthy");
    assert!(health["version"].as_str().is_some_and(|version| !version.is_empty()));
    assert_eq!(gateway.admin("/metrics").await.status, 200);
    for path in ["/metrics", "/snapshot"] {
        assert_eq!(
            get(gateway.address, path, &[]).await.expect("an answer").status,
            404,
            "{path}"
        );
    }
}
