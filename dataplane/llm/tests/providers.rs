//! What the adapters promise beside the bodies: headers, addresses, and bounds of the provider inside.

use bytes::Bytes;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::provider::echo::{self, EchoAnswer};
use headgate_llm::provider::{self, Kind};
use headgate_llm::request::ModelRequest;
use serde_json::Value;

#[test]
fn the_credential_goes_as_a_bearer_token_that_is_not_printed() {
    for kind in [Kind::OpenAI, Kind::OpenAICompatible, Kind::Ollama] {
        let (name, value) = provider::of(kind).credential_header("sk-canary").unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("authorization", "Bearer sk-canary")
        );
        assert!(value.is_sensitive() && !format!("{value:?}").contains("canary"));
    }
}

#[test]
fn a_credential_that_is_empty_or_breaks_the_header_is_not_sent() {
    for credential in ["", "a\nb", "a\0b"] {
        assert!(
            provider::of(Kind::OpenAI).credential_header(credential).is_none(),
            "{credential:?}"
        );
    }
}

#[test]
fn only_providers_with_a_known_address_have_a_default() {
    let default = |kind| provider::of(kind).default_base_url();
    assert_eq!(default(Kind::OpenAI), Some("https://api.openai.com/v1"));
    assert_eq!(default(Kind::Ollama), Some("http://localhost:11434"));
    assert_eq!((default(Kind::OpenAICompatible), default(Kind::Echo)), (None, None));
}

#[test]
fn headers_of_callers_go_to_providers_that_know_them_and_to_no_others() {
    let forwarded = |kind| {
        let names = provider::of(kind).forwarded_headers().iter();
        names.map(http::HeaderName::as_str).collect::<Vec<_>>()
    };
    assert_eq!(
        forwarded(Kind::Anthropic),
        ["anthropic-version", "anthropic-beta", "idempotency-key"]
    );
    for kind in [Kind::OpenAI, Kind::OpenAICompatible, Kind::Groq, Kind::Mistral] {
        assert_eq!(forwarded(kind), ["openai-beta", "idempotency-key"], "{kind:?}");
    }
    for kind in [Kind::Gemini, Kind::Bedrock, Kind::Cohere, Kind::Ollama] {
        assert!(forwarded(kind).is_empty(), "{kind:?}");
    }
}

fn echo(fields: &str, text: &str) -> EchoAnswer {
    let content = Value::from(text);
    let body =
        format!("{{\"model\":\"echo\",\"messages\":[{{\"role\":\"user\",\"content\":{content}}}],{fields}\"x\":0}}");
    echo::answer(
        &ModelRequest::parse(Endpoint::ChatCompletions, Bytes::from(body)).expect("a valid request"),
        "chatcmpl-1",
        0,
    )
}

fn whole(answer: EchoAnswer) -> Value {
    match answer {
        EchoAnswer::Whole(body) => serde_json::from_slice(&body).expect("JSON"),
        EchoAnswer::Stream(_) => panic!("a stream"),
    }
}

#[test]
fn an_echo_is_bounded_however_long_the_question() {
    let EchoAnswer::Stream(events) = echo("\"stream\":true,\"n\":128,", &"word ".repeat(1_000_000)) else {
        panic!("not a stream");
    };
    assert!(events.len() < 10_000, "{} events", events.len());
    let one_word = whole(echo("", &"ế".repeat(1_000_000)));
    assert_eq!(one_word["choices"][0]["finish_reason"], "length");
    assert!(one_word["choices"][0]["message"]["content"].as_str().unwrap().len() < 100_000);
}

#[test]
fn an_echo_never_exceeds_the_cap_that_was_asked_for() {
    for cap in [0_u64, 1, 5, 50] {
        let answer = whole(echo(
            &format!("\"max_completion_tokens\":{cap},"),
            &"Việt Nam quê hương tôi ".repeat(20),
        ));
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() <= cap);
    }
}

#[test]
fn a_stream_of_the_echo_says_the_same_as_the_whole_answer() {
    let text = "Một hai\n ba, \"bốn\" 😀 năm";
    let said = whole(echo("", text))["choices"][0]["message"]["content"].clone();
    let EchoAnswer::Stream(events) = echo("\"stream\":true,", text) else {
        panic!("not a stream")
    };
    let chunk = |event: &Bytes| serde_json::from_slice::<Value>(event.strip_prefix(b"data: ").unwrap()).ok();
    let deltas = events
        .iter()
        .filter_map(chunk)
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(ToOwned::to_owned));
    assert_eq!(deltas.collect::<String>(), text);
    assert_eq!(said, text);
}
