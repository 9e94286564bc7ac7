//! A provider that fails, lies or falls silent: what the caller is told, and that the gateway survives it.

use std::time::{Duration, Instant};

use headgate_e2e::fake_provider::{Behaviour, FakeProvider};
use headgate_e2e::gateway::Gateway;
use headgate_e2e::manifests::{self, CREDENTIAL, VIRTUAL_KEY};
use headgate_e2e::raw_http::{Answer, chat};

use super::{assert_refused, scene};

/// Peak memory after a provider sent far more than the gateway may hold (64 MiB of answer, decoded, and its own).
const PEAK_KIB_MAX: u64 = 250 * 1024;

async fn ask(model: &str, stream: bool) -> (Answer, FakeProvider, Gateway) {
    let (provider, gateway) = scene().await;
    let answer = chat(gateway.address, VIRTUAL_KEY, model, stream)
        .await
        .unwrap_or_else(|error| panic!("{model}: {error}"));
    (answer, provider, gateway)
}

/// Whatever the provider did, the next caller is served.
async fn check_alive(gateway: &Gateway) {
    let answer = chat(gateway.address, VIRTUAL_KEY, "chat", false)
        .await
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn check(model: &str, stream: bool, status: u16, code: &str) {
    let (answer, _provider, gateway) = ask(model, stream).await;
    assert_refused(&answer, status, code);
    check_alive(&gateway).await;
}

/// The stream began and broke: some content, then an error event of that code, and no `[DONE]` that would call it whole.
async fn check_broken_stream(model: &str, code: &str) {
    let (answer, _provider, gateway) = ask(model, true).await;
    assert_eq!(answer.status, 200);
    let events = answer.events();
    assert!(events[0].contains("xin chao"), "{events:?}");
    let error: serde_json::Value = serde_json::from_str(events.last().expect("an error event")).expect("JSON");
    assert_eq!(error["error"]["code"], code, "{events:?}");
    assert!(!events.iter().any(|event| event == "[DONE]"), "{events:?}");
    check_alive(&gateway).await;
}

fn peak_kib(gateway: &Gateway) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("Linux has /proc");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("a peak is recorded");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number of KiB")
}

#[tokio::test]
async fn a_rejected_credential_is_not_the_callers_fault() {
    check("status-401", false, 502, "upstream_auth_failed").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (answer, provider, _gateway) = ask("redirect", false).await;
    assert_refused(&answer, 502, "upstream_invalid_answer");
    assert!(
        provider
            .received()
            .iter()
            .all(|request| request.path == "/v1/chat/completions")
    );
}

#[tokio::test]
async fn the_providers_own_errors_pass_with_status_and_code() {
    for (model, status, code) in [
        ("status-400", 400, "invalid_value"),
        ("status-403", 403, "unsupported_country_region_territory"),
        ("status-404", 404, "model_not_found"),
        ("status-500", 500, "fake_server_error"),
        ("status-503", 503, "fake_server_error"),
        ("status-529", 529, "fake_server_error"),
    ] {
        check(model, false, status, code).await;
    }
}

#[tokio::test]
async fn a_streamed_request_that_fails_at_once_is_an_error_and_no_stream() {
    check("status-500", true, 500, "fake_server_error").await;
}

#[tokio::test]
async fn a_rate_limit_passes_with_its_waiting_time() {
    let (answer, ..) = ask("status-429-after-7", false).await;
    assert_refused(&answer, 429, "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_and_the_answer_says_so() {
    let (provider, gateway) = scene().await;
    provider.then(Behaviour::Status {
        status: 503,
        retry_after_s: None,
        repeats_credential: false,
    });
    provider.then(Behaviour::Reset);
    let answer = chat(gateway.address, VIRTUAL_KEY, "chat", false)
        .await
        .expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-headgate-attempts"), Some("3"));
    assert_eq!(provider.count(), 3);
}

#[tokio::test]
async fn what_the_caller_did_wrong_is_not_tried_again() {
    let (provider, gateway) = scene().await;
    provider.then(Behaviour::Status {
        status: 400,
        retry_after_s: None,
        repeats_credential: false,
    });
    let answer = chat(gateway.address, VIRTUAL_KEY, "chat", false)
        .await
        .expect("an answer");
    assert_refused(&answer, 400, "invalid_value");
    assert_eq!(provider.count(), 1);
}

#[tokio::test]
async fn an_error_that_repeats_the_credential_is_scrubbed() {
    let (answer, ..) = ask("leaky", false).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.text().contains(CREDENTIAL), "{}", answer.text());
    assert!(
        answer.text().contains("Incorrect API key provided"),
        "the rest of the message stays: {}",
        answer.text()
    );
}

#[tokio::test]
async fn a_provider_that_never_answers() {
    let asked = Instant::now();
    check("hang", false, 504, "upstream_timeout").await;
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "firstToken is 2 s: {:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn a_provider_that_never_answers_a_stream() {
    check("hang", true, 504, "upstream_timeout").await;
}

#[tokio::test]
async fn an_answer_that_stops_halfway() {
    check("hang-mid-body", false, 504, "upstream_timeout").await;
}

#[tokio::test]
async fn an_answer_that_is_shorter_than_it_said() {
    check("cut-mid-body", false, 502, "upstream_cut").await;
}

#[tokio::test]
async fn a_reset_instead_of_an_answer() {
    check("reset", false, 502, "upstream_unreachable").await;
}

#[tokio::test]
async fn garbage_instead_of_http() {
    check("garbage", false, 502, "upstream_invalid_answer").await;
}

#[tokio::test]
async fn html_instead_of_json() {
    check("not-json", false, 502, "upstream_invalid_answer").await;
}

#[tokio::test]
async fn a_provider_that_is_not_there() {
    let yaml = manifests::fake_provider("http://127.0.0.1:9/v1");
    let gateway = Gateway::serving(&yaml).await;
    let answer = chat(gateway.address, VIRTUAL_KEY, "chat", false)
        .await
        .expect("an answer");
    assert_refused(&answer, 502, "upstream_unreachable");
}

#[tokio::test]
async fn a_stream_that_falls_silent() {
    check_broken_stream("hang-mid-stream", "upstream_timeout").await;
}

#[tokio::test]
async fn a_stream_that_is_reset() {
    check_broken_stream("reset-mid-stream", "upstream_cut").await;
}

#[tokio::test]
async fn a_stream_that_ends_without_done() {
    check_broken_stream("cut-before-done", "upstream_cut").await;
}

#[tokio::test]
async fn an_error_event_of_the_provider_passes() {
    check_broken_stream("error-event", "fake_mid_stream").await;
}

#[tokio::test]
async fn a_line_of_100_mb_is_cut_off_and_not_held() {
    let (answer, _provider, gateway) = ask("line-100mb", true).await;
    assert_refused(&answer, 502, "upstream_invalid_answer");
    assert!(peak_kib(&gateway) < PEAK_KIB_MAX, "{} KiB", peak_kib(&gateway));
    check_alive(&gateway).await;
}

#[tokio::test]
async fn an_answer_beyond_64_mib_is_refused_and_not_held() {
    let (answer, _provider, gateway) = ask("answer-70mb", false).await;
    assert_refused(&answer, 502, "upstream_invalid_answer");
    assert!(peak_kib(&gateway) < PEAK_KIB_MAX, "{} KiB", peak_kib(&gateway));
    check_alive(&gateway).await;
}

#[tokio::test]
async fn an_answer_that_decodes_to_more_than_64_mib_is_refused_and_not_held() {
    let (answer, _provider, gateway) = ask("bomb-200mb", false).await;
    assert_refused(&answer, 502, "upstream_invalid_answer");
    assert!(peak_kib(&gateway) < PEAK_KIB_MAX, "{} KiB", peak_kib(&gateway));
    check_alive(&gateway).await;
}

#[tokio::test]
async fn a_large_answer_within_the_bound_passes() {
    let (answer, ..) = ask("answer-2mb", false).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() > 2 << 20 && answer.complete);
}
