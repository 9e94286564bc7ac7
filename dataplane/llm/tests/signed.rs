//! Signed turns: gathered from answers, and put into the requests of clients that did not keep them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;

use bytes::Bytes;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::hub::signed::{SIGNED_TURN_BYTES_MAX, SignedCall, SignedThought};
use headgate_llm::hub::{SignedTurn, SignedTurns};
use headgate_llm::provider::{self, AnswerContext, EncodeOptions, Kind};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::Service;
use serde_json::{Value, json};

/// What a caller was given before.
#[derive(Debug)]
struct Given(Vec<SignedTurn>);

impl SignedTurns for Given {
    fn find(&self, call_id: &str) -> Option<Arc<SignedTurn>> {
        self.0.iter().find(|turn| turn.id() == call_id).cloned().map(Arc::new)
    }
}

fn chat(kind: Kind) -> Service {
    provider::of(kind)
        .serve(Endpoint::ChatCompletions, &EncodeOptions::default())
        .unwrap()
}

fn context() -> AnswerContext<'static> {
    AnswerContext {
        id: "chatcmpl-r1",
        ..AnswerContext::default()
    }
}

fn of_answer(kind: Kind, answer: &Value) -> Vec<SignedTurn> {
    let body = Bytes::from(answer.to_string());
    chat(kind).decode_signed(body, &context()).unwrap().1
}

fn of_stream(kind: Kind, events: &[Value]) -> Vec<SignedTurn> {
    let mut decoder = chat(kind).stream_decoder(&context());
    for event in events {
        let bytes = Bytes::from(format!("data: {event}\n\n"));
        decoder.push(bytes, &mut Vec::new()).unwrap();
    }
    decoder.finish(&mut Vec::new()).unwrap();
    let signed = decoder.take_signed();
    assert_eq!(decoder.take_signed(), [], "each is taken once");
    signed
}

/// What the provider gets of a conversation in which `message` is the assistant's.
fn upstream(kind: Kind, model: &str, message: &Value, given: Vec<SignedTurn>) -> Value {
    let id = &message["tool_calls"][0]["id"];
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "Hi"},
        message,
        {"role": "tool", "tool_call_id": id, "content": "wet"},
    ]});
    let request = ModelRequest::parse(Endpoint::ChatCompletions, Bytes::from(body.to_string())).unwrap();
    let options = EncodeOptions {
        upstream_model: model,
        signed: Some(&Given(given)),
        ..EncodeOptions::default()
    };
    let encoded = chat(kind).encode(&request, &options).unwrap();
    serde_json::from_slice(&encoded.body).unwrap()
}

/// A message as a client has it that keeps nothing it does not know.
fn bare(ids: &[&str]) -> Value {
    let call = |id| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let calls: Vec<Value> = ids.iter().map(call).collect();
    json!({"role": "assistant", "content": null, "tool_calls": calls})
}

fn claudes() -> SignedTurn {
    SignedTurn {
        thoughts: vec![
            SignedThought::Told {
                text: "Hm, weather.".into(),
                signature: "c2ln".into(),
            },
            SignedThought::Sealed {
                data: "c2VhbGVk".into(),
            },
        ],
        calls: vec![SignedCall {
            id: "toolu_1".into(),
            signature: None,
        }],
    }
}

#[test]
fn claudes_thoughts_are_gathered_alike_from_a_message_and_from_a_stream() {
    let content = json!([
        {"type": "thinking", "thinking": "Hm, weather.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
    ]);
    let message = json!({"type": "message", "content": content, "stop_reason": "tool_use"});
    assert_eq!(of_answer(Kind::Anthropic, &message), [claudes()]);

    let delta = |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let start =
        |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let stream = [
        start(0, json!({"type": "thinking", "thinking": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm, "})),
        delta(0, json!({"type": "thinking_delta", "thinking": "weather."})),
        delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        start(1, json!({"type": "redacted_thinking", "data": "c2VhbGVk"})),
        start(2, json!({"type": "text", "text": "Let me see."})),
        start(
            3,
            json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}),
        ),
        json!({"type": "content_block_stop", "index": 3}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(of_stream(Kind::Anthropic, &stream), [claudes()]);
}

#[test]
fn geminis_signatures_are_gathered_under_the_ids_that_clients_get() {
    let parts = json!([
        {"text": "Hm.", "thought": true},
        {"functionCall": {"name": "weather", "args": {}}, "thoughtSignature": "Y2FsbA=="},
        {"functionCall": {"name": "weather", "args": {}}},
    ]);
    let record = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
    let call = |id: &str, signature: Option<&str>| SignedCall {
        id: id.into(),
        signature: signature.map(Into::into),
    };
    for (kind, signature) in [(Kind::Gemini, "Y2FsbA=="), (Kind::VertexAI, "vertex:Y2FsbA==")] {
        let expected = SignedTurn {
            thoughts: vec![],
            calls: vec![call("call_r1_0_0", Some(signature)), call("call_r1_0_1", None)],
        };
        let expected = std::slice::from_ref(&expected);
        assert_eq!(of_answer(kind, &record), expected, "{kind:?}");
        assert_eq!(of_stream(kind, std::slice::from_ref(&record)), expected, "{kind:?}");
    }
}

#[test]
fn what_calls_nothing_or_proves_nothing_is_not_kept() {
    let answer = |content: Value| json!({"type": "message", "content": content, "stop_reason": "end_turn"});
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"});
    let unsigned = json!({"type": "thinking", "thinking": "Hm.", "signature": ""});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}});
    assert_eq!(of_answer(Kind::Anthropic, &answer(json!([thought]))), []);
    assert_eq!(of_answer(Kind::Anthropic, &answer(json!([unsigned, call]))), []);
}

#[test]
fn a_thought_without_a_proof_lends_no_words_to_the_next() {
    let part = |part: Value| json!({"candidates": [{"content": {"parts": [part]}}]});
    let signed = of_stream(
        Kind::Gemini,
        &[
            part(json!({"text": "Unsigned.", "thought": true})),
            part(json!({"text": "So."})),
            part(json!({"text": "Signed.", "thought": true, "thoughtSignature": "c2ln"})),
            part(json!({"functionCall": {"id": "c1", "name": "weather"}})),
            json!({"candidates": [{"finishReason": "STOP"}]}),
        ],
    );
    let told = SignedThought::Told {
        text: "Signed.".into(),
        signature: "google:c2ln".into(),
    };
    assert_eq!(signed[0].thoughts, [told]);
}

#[test]
fn a_turn_above_the_bound_is_not_kept() {
    let turn = |length: usize| {
        let thought = json!({"type": "thinking", "thinking": "a".repeat(length), "signature": "c2ln"});
        let call = json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}});
        let whole = json!({"type": "message", "content": [thought, call], "stop_reason": "tool_use"});
        let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
        let half = "a".repeat(length / 2);
        let stream = [
            delta(json!({"type": "thinking_delta", "thinking": half})),
            delta(json!({"type": "thinking_delta", "thinking": half})),
            delta(json!({"type": "signature_delta", "signature": "c2ln"})),
            json!({"type": "content_block_start", "index": 1, "content_block": call}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
            json!({"type": "message_stop"}),
        ];
        (
            of_answer(Kind::Anthropic, &whole).len(),
            of_stream(Kind::Anthropic, &stream).len(),
        )
    };
    assert_eq!(turn(SIGNED_TURN_BYTES_MAX - 100), (1, 1));
    assert_eq!(turn(SIGNED_TURN_BYTES_MAX), (0, 0));
}

#[test]
fn thoughts_that_a_client_dropped_stand_before_its_calls_again() {
    let sent = upstream(Kind::Anthropic, "claude-opus-5", &bare(&["toolu_1"]), vec![claudes()]);
    let content = json!([
        {"type": "thinking", "thinking": "Hm, weather.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
    ]);
    assert_eq!(sent["messages"][1]["content"], content);

    // Words without their proof are no reason to say them twice.
    let mut message = bare(&["toolu_1"]);
    message["reasoning_content"] = json!("Hm, weather.");
    let sent = upstream(Kind::Anthropic, "claude-opus-5", &message, vec![claudes()]);
    assert_eq!(sent["messages"][1]["content"], content);
}

#[test]
fn signatures_that_a_client_dropped_stand_on_their_calls_again() {
    let turn = SignedTurn {
        thoughts: vec![],
        calls: vec![
            SignedCall {
                id: "c1".into(),
                signature: Some("Y2FsbA==".into()),
            },
            SignedCall {
                id: "c2".into(),
                signature: None,
            },
        ],
    };
    let sent = upstream(Kind::Gemini, "gemini-3.5-flash", &bare(&["c1", "c2"]), vec![turn]);
    let parts = &sent["contents"][1]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "Y2FsbA==");
    assert_eq!(parts[1].get("thoughtSignature"), None);
}

#[test]
fn a_turn_that_kept_any_proof_is_left_as_it_is() {
    let mut message = bare(&["toolu_1"]);
    message["reasoning_details"] =
        json!([{"type": "reasoning.text", "text": "Mine.", "signature": "bWluZQ==", "index": 0}]);
    let sent = upstream(Kind::Anthropic, "claude-opus-5", &message, vec![claudes()]);
    let thinking = json!({"type": "thinking", "thinking": "Mine.", "signature": "bWluZQ=="});
    assert_eq!(sent["messages"][1]["content"][0], thinking);
}

#[test]
fn calls_that_nobody_gave_stay_bare() {
    let sent = upstream(Kind::Anthropic, "claude-opus-5", &bare(&["toolu_2"]), vec![claudes()]);
    let content = json!([{"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}}]);
    assert_eq!(sent["messages"][1]["content"], content);
}
