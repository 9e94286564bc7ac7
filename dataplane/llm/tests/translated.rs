//! What a chat client gets through the hub, shown with a wire that says what the test scripts: `OpenAI`'s shapes, order
//! and bounds, whatever provider stands behind.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::unnecessary_wraps, reason = "a script is a list of results")]

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use headgate_llm::dialect::openai_chat::OpenAIChat;
use headgate_llm::failure::{Failure, FailureKind};
use headgate_llm::hub::{Answer, Choice, Delta, Event, FinishReason, Output, Request};
use headgate_llm::provider::{AnswerContext, EncodeOptions, StreamDecoder};
use headgate_llm::request::BadRequest;
use headgate_llm::service::Service;
use headgate_llm::translate::{EventDecoder, Wire, WireFailure, WireRequest};
use headgate_llm::usage::Usage;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// Streams `events`, one for each byte that arrives; answers with `output`; fails with `failure`.
#[derive(Clone)]
struct Script {
    events: Vec<Result<Event, WireFailure>>,
    output: Vec<Output>,
    failure: WireFailure,
}

impl Script {
    fn stream(events: impl IntoIterator<Item = Result<Event, WireFailure>>) -> Self {
        Self {
            events: events.into_iter().collect(),
            output: Vec::new(),
            failure: WireFailure::protocol("not scripted"),
        }
    }

    fn answer(output: Vec<Output>) -> Self {
        Self {
            output,
            ..Self::stream([])
        }
    }
}

impl Wire for Script {
    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn credential_header(&self, _: &str) -> Option<(HeaderName, HeaderValue)> {
        None
    }

    fn encode(&self, _: &Request<'_>, _: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        unreachable!("no request is encoded")
    }

    fn decode(&self, _: &[u8]) -> Result<Answer, WireFailure> {
        let choice = Choice {
            index: 0,
            output: self.output.clone(),
            finish_reason: FinishReason::Stop,
            logprobs: None,
        };
        Ok(Answer {
            choices: vec![choice],
            usage: Some(used()),
            ..Answer::default()
        })
    }

    fn decode_failure(&self, _: u16, _: &HeaderMap, _: &[u8]) -> WireFailure {
        self.failure.clone()
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(Scripted(self.events.clone()))
    }
}

/// The script for chat clients. Services live as long as the process, as providers do.
fn service(script: Script) -> Service {
    Service::Translated {
        dialect: &OpenAIChat,
        wire: Box::leak(Box::new(script)),
    }
}

struct Scripted(Vec<Result<Event, WireFailure>>);

impl EventDecoder for Scripted {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        for _ in bytes.iter().take(self.0.len()) {
            events.push(self.0.remove(0)?);
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), WireFailure> {
        Ok(())
    }
}

fn used() -> Usage {
    Usage {
        input_tokens: 10,
        cached_input_tokens: 5,
        cache_write_tokens: 2,
        output_tokens: 3,
        reasoning_tokens: 4,
        ..Usage::default()
    }
}

const CONTEXT: AnswerContext<'static> = AnswerContext {
    request: None,
    id: "abc",
    now_unix_seconds: 1_700_000_000,
    requested_model: "asked",
    upstream_model: "upstream",
    include_usage: false,
    strip_usage: false,
};

fn text(text: &str) -> Result<Event, WireFailure> {
    delta(Delta::Text(text.into()))
}

fn delta(delta: Delta) -> Result<Event, WireFailure> {
    Ok(Event::Delta { choice: 0, delta })
}

fn finish() -> Result<Event, WireFailure> {
    Ok(Event::Finish {
        choice: 0,
        reason: FinishReason::Stop,
    })
}

fn start() -> Result<Event, WireFailure> {
    Ok(Event::Start {
        id: Some("up-1".into()),
        model: None,
    })
}

struct Streamed {
    chunks: Vec<Value>,
    is_done: bool,
    result: Result<(), Failure>,
    decoder: Box<dyn StreamDecoder>,
}

fn stream(include_usage: bool, events: impl IntoIterator<Item = Result<Event, WireFailure>>) -> Streamed {
    let script = Script::stream(events);
    let mut decoder = service(script).stream_decoder(&AnswerContext {
        include_usage,
        ..CONTEXT
    });
    let mut out = Vec::new();
    let result = decoder.push(Bytes::from(vec![0; 64]), &mut out);
    let result = result.and_then(|()| decoder.finish(&mut out));
    let written = String::from_utf8(out.concat()).unwrap();
    let mut chunks = Vec::new();
    let mut is_done = false;
    for event in written.split_terminator("\n\n") {
        let data = event.strip_prefix("data: ").unwrap();
        assert!(!is_done, "{data} follows [DONE]");
        is_done = data == "[DONE]";
        if !is_done {
            chunks.push(serde_json::from_str(data).unwrap());
        }
    }
    Streamed {
        chunks,
        is_done,
        result,
        decoder,
    }
}

#[test]
fn a_stream_has_one_id_one_time_one_role_and_one_end() {
    let events = [
        start(),
        text("Hel"),
        text(""),
        text("lo"),
        finish(),
        Ok(Event::Usage(used())),
        Ok(Event::End),
    ];
    let streamed = stream(false, events);
    assert_eq!(streamed.result, Ok(()));
    assert!(streamed.is_done && streamed.decoder.progress().is_complete);
    for chunk in &streamed.chunks {
        assert_eq!(
            (&chunk["id"], &chunk["created"]),
            (&json!("up-1"), &json!(1_700_000_000_u64))
        );
        assert_eq!(
            (&chunk["object"], &chunk["model"]),
            (&json!("chat.completion.chunk"), &json!("asked"))
        );
        assert!(chunk.get("usage").is_none(), "usage was not asked for");
        assert_eq!(chunk["choices"][0]["logprobs"], Value::Null);
    }
    let deltas: Vec<_> = streamed
        .chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"])
        .collect();
    let opening = json!({"role": "assistant", "content": "", "refusal": null});
    assert_eq!(
        deltas,
        [
            &opening,
            &json!({"content": "Hel"}),
            &json!({"content": "lo"}),
            &json!({})
        ]
    );
    assert_eq!(streamed.chunks[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(streamed.decoder.progress().usage, Some(used()));
    assert_eq!(streamed.decoder.progress().output_bytes, 5);
}

#[test]
fn usage_comes_once_and_behind_all_choices_where_it_was_asked_for() {
    let streamed = stream(true, [text("a"), Ok(Event::Usage(used())), finish(), Ok(Event::End)]);
    let (last, before) = streamed.chunks.split_last().unwrap();
    assert!(
        before
            .iter()
            .all(|chunk| chunk["usage"] == Value::Null && chunk.get("usage").is_some())
    );
    assert_eq!(last["choices"], json!([]));
    let usage = &last["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(17), &json!(7))
    );
    assert_eq!(usage["total_tokens"], 24);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 5);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 4);
    assert!(streamed.is_done);
}

#[test]
fn nothing_goes_out_before_there_is_content() {
    let streamed = stream(false, [start(), text(""), Ok(Event::Usage(used()))]);
    assert!(streamed.chunks.is_empty() && !streamed.decoder.progress().has_content);
    assert_eq!(streamed.result.unwrap_err().kind, FailureKind::Cut);
}

#[test]
fn a_stream_that_is_cut_or_ends_without_a_reason_is_never_a_success() {
    let streamed = stream(false, [text("a"), finish()]);
    assert_eq!(streamed.result.unwrap_err().kind, FailureKind::Cut);
    assert!(!streamed.is_done);
    for events in [vec![text("a"), Ok(Event::End)], vec![Ok(Event::End)]] {
        let streamed = stream(false, events);
        assert_eq!(streamed.result.unwrap_err().kind, FailureKind::Protocol);
        assert!(!streamed.is_done);
    }
}

#[test]
fn an_error_in_the_stream_keeps_what_came_before_and_speaks_the_clients_dialect() {
    let failure = WireFailure {
        message: Some("Overloaded, key sk-0123456789abc".into()),
        error_type: Some("overloaded_error".into()),
        ..WireFailure::new(FailureKind::Server, "an error event")
    };
    let mut streamed = stream(false, [text("a"), Err(failure), text("b"), finish(), Ok(Event::End)]);
    let failure = streamed.result.unwrap_err();
    let body: Value = serde_json::from_slice(failure.body.as_ref().unwrap()).unwrap();
    let error =
        json!({"message": "Overloaded, key [redacted]", "type": "overloaded_error", "param": null, "code": null});
    assert_eq!(body, json!({ "error": error }));
    assert_eq!(streamed.chunks.len(), 2);
    let mut out = Vec::new();
    streamed.decoder.push(Bytes::from_static(b"..."), &mut out).unwrap();
    assert!(
        streamed.decoder.finish(&mut out).is_err() && out.is_empty(),
        "nothing follows a failure"
    );
}

#[test]
fn tool_calls_open_without_text_and_calls_without_an_id_get_one() {
    let call = |index, id: &str| Delta::ToolCallStart {
        index,
        id: id.into(),
        name: "f".into(),
        signature: (index == 0).then(|| "sig".into()),
    };
    let arguments = Delta::ToolCallArguments {
        index: 1,
        text: "{}".into(),
    };
    let streamed = stream(
        false,
        [
            delta(call(0, "x")),
            delta(call(1, "")),
            delta(arguments),
            finish(),
            Ok(Event::End),
        ],
    );
    let delta = |index: usize| streamed.chunks[index]["choices"][0]["delta"].clone();
    assert_eq!(delta(0), json!({"role": "assistant", "content": null, "refusal": null}));
    let function = json!({"name": "f", "arguments": ""});
    let google = json!({"google": {"thought_signature": "sig"}});
    let first = json!({"index": 0, "id": "x", "type": "function", "function": function, "extra_content": google});
    assert_eq!(delta(1), json!({"tool_calls": [first]}));
    assert_eq!(delta(2)["tool_calls"][0]["id"], "call_abc_0_1");
    assert_eq!(
        delta(3),
        json!({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]})
    );
}

#[test]
fn thoughts_keep_their_signatures_apart() {
    let events = [
        delta(Delta::Reasoning("a".into())),
        delta(Delta::Reasoning("b".into())),
        delta(Delta::ReasoningSignature("s".into())),
        delta(Delta::RedactedReasoning("x".into())),
        delta(Delta::Reasoning("c".into())),
        finish(),
        Ok(Event::End),
    ];
    let streamed = stream(false, events);
    let details: Vec<_> = streamed.chunks[1..6]
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["reasoning_details"][0])
        .collect();
    let text = |text: &str, index: u32| json!({"type": "reasoning.text", "text": text, "index": index});
    let sealed = json!({"type": "reasoning.encrypted", "data": "x", "index": 1});
    let signed = json!({"type": "reasoning.text", "signature": "s", "index": 0});
    assert_eq!(details, [&text("a", 0), &text("b", 0), &signed, &sealed, &text("c", 2)]);
    assert_eq!(streamed.chunks[1]["choices"][0]["delta"]["reasoning_content"], "a");
}

#[test]
fn each_choice_has_its_role_and_its_reason_and_made_up_ones_are_refused() {
    let of = |choice, text: &str| {
        Ok(Event::Delta {
            choice,
            delta: Delta::Text(text.into()),
        })
    };
    let end = |choice| {
        Ok(Event::Finish {
            choice,
            reason: FinishReason::Length,
        })
    };
    let streamed = stream(false, [of(1, "b"), of(0, "a"), end(1), end(0), Ok(Event::End)]);
    assert!(streamed.is_done);
    let roles = streamed
        .chunks
        .iter()
        .filter(|chunk| chunk["choices"][0]["delta"]["role"] == "assistant");
    assert_eq!(roles.count(), 2);
    for events in [vec![of(128, "a")], vec![of(0, "a"), end(0), of(0, "b")]] {
        assert_eq!(stream(false, events).result.unwrap_err().kind, FailureKind::Protocol);
    }
}

fn whole(output: Vec<Output>) -> Value {
    let answer = service(Script::answer(output))
        .decode_whole(Bytes::new(), &CONTEXT)
        .unwrap();
    assert_eq!(answer.usage, Some(used()));
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_whole_answer_has_every_key_that_the_schema_requires() {
    let body = whole(vec![Output::Text("a".into()), Output::Text("b".into())]);
    assert_eq!(
        (&body["id"], &body["object"]),
        (&json!("chatcmpl-abc"), &json!("chat.completion"))
    );
    assert_eq!(
        (&body["created"], &body["model"]),
        (&json!(1_700_000_000_u64), &json!("asked"))
    );
    let message = json!({"role": "assistant", "content": "ab", "refusal": null});
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
    assert_eq!(body["choices"], json!([choice]));
    assert_eq!(body["usage"]["total_tokens"], 24);
    assert_eq!(whole(vec![])["choices"][0]["message"]["content"], "");
}

#[test]
fn a_whole_answer_of_calls_has_no_text_and_media_have_a_place() {
    let call = Output::ToolCall {
        id: String::new(),
        name: "f".into(),
        arguments: "{}".into(),
        signature: None,
    };
    let thought = Output::Reasoning {
        text: "hm".into(),
        signature: Some("s".into()),
    };
    let picture = Output::Media {
        mime_type: "image/png".into(),
        base64: "AAAA".into(),
    };
    let message = &whole(vec![thought, call, picture])["choices"][0]["message"];
    assert_eq!(
        (&message["content"], &message["reasoning_content"]),
        (&Value::Null, &json!("hm"))
    );
    let details = json!([{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}]);
    assert_eq!(message["reasoning_details"], details);
    let function = json!({"name": "f", "arguments": "{}"});
    assert_eq!(
        message["tool_calls"],
        json!([{"id": "call_abc_0_0", "type": "function", "function": function}])
    );
    let url = json!({"url": "data:image/png;base64,AAAA"});
    assert_eq!(
        message["images"],
        json!([{"type": "image_url", "index": 0, "image_url": url}])
    );
}

#[test]
fn a_failure_is_rendered_scrubbed_and_kept_from_the_client_where_it_would_accuse_it() {
    let failed = |kind, status, headers: &[(&'static str, &'static str)]| {
        let script = Script {
            failure: WireFailure {
                message: Some("prompt is too long; secret-key".into()),
                ..WireFailure::new(kind, "secret-key was used")
            },
            ..Script::stream([])
        };
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        service(script).decode_failure(status, &headers.collect(), b"", "secret-key", SystemTime::UNIX_EPOCH)
    };
    let failure = failed(FailureKind::ContextLength, 400, &[("retry-after", "7")]);
    assert_eq!(
        (failure.status, failure.retry_after),
        (Some(400), Some(Duration::from_secs(7)))
    );
    assert_eq!(failure.detail, "[redacted] was used");
    let body: Value = serde_json::from_slice(&failure.body.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "context_length_exceeded");
    assert_eq!(body["error"]["message"], "prompt is too long; [redacted]");
    assert_eq!(failed(FailureKind::Auth, 401, &[]).body, None);
}
