//! The built gateway between a raw client and a scripted provider: what callers see on a good day and on every bad one.
//!
//! One test binary on purpose: linking is most of what a further one costs.

mod canary;
mod chat;
mod clients;
mod drain;
mod framing;
mod hang_up;
mod refusals;
mod reload;
mod upstream;

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::gateway::Gateway;
use headgate_e2e::manifests;
use headgate_e2e::raw_http::Answer;

/// A provider and a gateway in front of it, with every key and model of [`manifests`].
async fn scene() -> (FakeProvider, Gateway) {
    let provider = FakeProvider::start().await;
    let gateway = Gateway::serving(&manifests::fake_provider(&provider.base_url())).await;
    (provider, gateway)
}

/// A refusal is a status, a code, and everything that lets a person find out more.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text:.500}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{text:.500}");
    assert!(
        answer.header("x-request-id").is_some_and(|id| !id.is_empty()),
        "no x-request-id: {:?}",
        answer.headers
    );
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    assert!(
        error["message"].as_str().is_some_and(|message| !message.is_empty()),
        "{error}"
    );
    assert!(error["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{error}");
    assert!(
        error.get("param").is_some(),
        "OpenAI's errors carry all four keys: {error}"
    );
}
