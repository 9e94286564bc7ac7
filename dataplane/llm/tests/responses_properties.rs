//! What holds for every client of Responses, whatever provider answers it: the grammar of its events, that a stream ends
//! in the answer which would have come whole, and that what a client hands back is what was said.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use bytes::Bytes;
use headgate_llm::dialect::openai_responses::OpenAIResponses;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::failure::Failure;
use headgate_llm::hub::{Answer, Choice, Delta, Event, FinishReason, Output, Part, Role, Turn};
use headgate_llm::provider::{self, AnswerContext, EncodeOptions, Kind, ModelApi, Progress, UnsupportedParameters};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::Service;
use headgate_llm::translate::Dialect;
use headgate_llm::usage::Usage;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn context(request: Option<&ModelRequest>) -> AnswerContext<'_> {
    AnswerContext {
        request,
        id: "abc",
        now_unix_seconds: 1_700_000_000,
        requested_model: "asked",
        ..AnswerContext::default()
    }
}

fn request(body: &Value) -> ModelRequest {
    ModelRequest::parse(Endpoint::Responses, Bytes::from(body.to_string())).unwrap()
}

/// A request that asks for log probabilities, or one that does not.
fn any_request() -> impl Strategy<Value = ModelRequest> {
    any::<bool>().prop_map(|logprobs| {
        let include = if logprobs {
            json!(["message.output_text.logprobs"])
        } else {
            json!([])
        };
        request(&json!({"model": "m", "input": "a", "include": include, "tools": [{"type": "function", "name": "f"}]}))
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "việt 😀", " \n\"", "{}", "google:x", "3:"]).prop_map(str::to_owned)
}

fn any_reason() -> impl Strategy<Value = FinishReason> {
    prop::sample::select(vec![
        FinishReason::Stop,
        FinishReason::Length,
        FinishReason::ToolCalls,
        FinishReason::ContentFilter,
    ])
}

fn logprobs(text: &str) -> Box<RawValue> {
    let json = json!({"content": [{"token": text, "logprob": -0.5, "bytes": [], "top_logprobs": []}]});
    RawValue::from_string(format!("{json:#}")).unwrap()
}

/// Events in any order, also in those that no decoder may send.
fn any_event() -> impl Strategy<Value = Event> {
    let delta = prop_oneof![
        any_text().prop_map(Delta::Text),
        any_text().prop_map(Delta::Refusal),
        any_text().prop_map(Delta::Reasoning),
        any_text().prop_map(Delta::ReasoningSignature),
        any_text().prop_map(Delta::RedactedReasoning),
        (0_u32..3, any_text(), prop::option::of(any_text())).prop_map(|(index, id, signature)| Delta::ToolCallStart {
            index,
            id,
            name: "f".into(),
            signature,
        }),
        (0_u32..3, any_text()).prop_map(|(index, text)| Delta::ToolCallArguments { index, text }),
        any_text().prop_map(|base64| Delta::Media {
            mime_type: "image/png".into(),
            base64,
        }),
        any_text().prop_map(|text| Delta::Logprobs(logprobs(&text))),
    ];
    prop_oneof![
        1 => any_text().prop_map(|model| Event::Start { id: None, model: Some(model) }),
        12 => (0_u32..2, delta).prop_map(|(choice, delta)| Event::Delta { choice: choice / 2, delta }),
        1 => any_reason().prop_map(|reason| Event::Finish { choice: 0, reason }),
        1 => Just(Event::Usage(Usage::estimated(1, 2))),
        1 => Just(Event::End),
    ]
}

/// Events as a decoder owes them: arguments behind their call, an end behind a reason.
fn orderly(events: Vec<Event>, reason: FinishReason) -> Vec<Event> {
    let mut begun = Vec::new();
    let mut kept: Vec<Event> = Vec::new();
    for event in events {
        let stays = match &event {
            Event::Delta {
                delta: Delta::ToolCallStart { index, .. },
                ..
            } => {
                let is_new = !begun.contains(index);
                begun.push(*index);
                is_new
            }
            Event::Delta {
                delta: Delta::ToolCallArguments { index, .. },
                ..
            } => begun.contains(index),
            Event::Finish { .. } | Event::End => false,
            Event::Start { .. } | Event::Delta { .. } | Event::Usage(_) => true,
        };
        if stays {
            kept.push(event);
        }
    }
    kept.extend([Event::Finish { choice: 0, reason }, Event::End]);
    kept
}

/// The events as written, and whether all were taken.
fn write(request: &ModelRequest, events: Vec<Event>, pieces: usize) -> (String, Progress, bool) {
    let mut writer = OpenAIResponses.writer(&context(Some(request)));
    let mut out = Vec::new();
    let mut rest = events;
    let mut is_taken = true;
    while !rest.is_empty() && is_taken {
        let behind = rest.split_off(rest.len().min(pieces));
        is_taken = writer.write(&mut rest, &mut out).is_ok();
        rest = behind;
    }
    let progress = writer.progress().clone();
    (String::from_utf8(out.concat()).unwrap(), progress, is_taken)
}

fn parsed(written: &str) -> Vec<Value> {
    let events = written.split_terminator("\n\n");
    events
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect()
}

/// What is known of an item while its events are read.
#[derive(Default)]
struct Seen {
    id: String,
    parts: Vec<(String, bool)>,
    arguments: String,
    is_done: bool,
}

/// Reads events as a client does, and fails where one comes that may not.
#[derive(Default)]
struct Client {
    items: Vec<Seen>,
    done: BTreeMap<usize, Value>,
    ended: Option<Value>,
}

impl Client {
    fn read(&mut self, number: usize, event: &Value) {
        assert_eq!(event["sequence_number"], number, "{event}");
        assert!(self.ended.is_none(), "{event} follows the end");
        let kind = event["type"].as_str().unwrap();
        match (number, kind) {
            (0, "response.created") | (1, "response.in_progress") => {
                assert_eq!(
                    (&event["response"]["status"], &event["response"]["output"]),
                    (&json!("in_progress"), &json!([]))
                );
            }
            (0 | 1, _) | (_, "response.created" | "response.in_progress") => panic!("{event} at {number}"),
            (_, "response.completed" | "response.incomplete") => {
                assert!(self.items.iter().all(|item| item.is_done), "an item is open at the end");
                let output: Vec<&Value> = self.done.values().collect();
                assert_eq!(json!(output), event["response"]["output"]);
                assert_eq!(kind.strip_prefix("response."), event["response"]["status"].as_str());
                self.ended = Some(event["response"].clone());
            }
            _ => self.item_event(kind, event),
        }
    }

    fn item_event(&mut self, kind: &str, event: &Value) {
        let place = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        if kind == "response.output_item.added" {
            assert_eq!(place, self.items.len());
            let id = event["item"]["id"].as_str().unwrap().to_owned();
            assert!(self.items.iter().all(|item| item.id != id));
            self.items.push(Seen { id, ..Seen::default() });
            return;
        }
        let item = &mut self.items[place];
        assert!(!item.is_done, "{event} follows the end of its item");
        if kind == "response.output_item.done" {
            assert_eq!(event["item"]["id"], item.id);
            assert!(item.parts.iter().all(|(_, is_done)| *is_done), "a part is open");
            assert_eq!(event["item"]["arguments"].as_str().unwrap_or_default(), item.arguments);
            item.is_done = true;
            self.done.insert(place, event["item"].clone());
            return;
        }
        assert_eq!(event["item_id"], item.id, "{event}");
        let part = event
            .get("content_index")
            .or(event.get("summary_index"))
            .and_then(Value::as_u64);
        let part = part.map(|index| usize::try_from(index).unwrap());
        match (kind, part) {
            ("response.content_part.added" | "response.reasoning_summary_part.added", Some(part)) => {
                assert_eq!(part, item.parts.len());
                assert!(item.parts.iter().all(|(_, is_done)| *is_done), "two parts are open");
                item.parts.push((String::new(), false));
            }
            ("response.content_part.done" | "response.reasoning_summary_part.done", Some(part)) => {
                let (text, is_done) = &mut item.parts[part];
                let said = event["part"].get("text").or(event["part"].get("refusal")).unwrap();
                assert_eq!(said, text);
                assert!(!std::mem::replace(is_done, true));
            }
            ("response.function_call_arguments.delta", None) => {
                item.arguments.push_str(event["delta"].as_str().unwrap());
            }
            ("response.function_call_arguments.done", None) => assert_eq!(event["arguments"], item.arguments),
            ("response.image_generation_call.in_progress" | "response.image_generation_call.completed", None) => {}
            (kind, Some(part)) if kind.ends_with("delta") => {
                let (text, is_done) = &mut item.parts[part];
                assert!(!*is_done);
                text.push_str(event["delta"].as_str().unwrap());
            }
            (kind, Some(part)) if kind.ends_with("done") => {
                assert_eq!(event.get("text").or(event.get("refusal")).unwrap(), &item.parts[part].0);
            }
            _ => panic!("{event} is no event of the dialect"),
        }
    }
}

/// Outputs that say something; calls with ids that clients can tell apart.
fn any_output() -> impl Strategy<Value = Output> {
    let text = "[a-zế]{1,4}";
    let arguments = prop::sample::select(vec!["{}", "{\"a\":[1.50]}"]).prop_map(str::to_owned);
    prop_oneof![
        text.prop_map(Output::Text),
        text.prop_map(Output::Refusal),
        (any_text(), prop::option::of("[a-z:3]{1,6}"))
            .prop_filter("says something", |(text, signature)| !text.is_empty()
                || signature.is_some())
            .prop_map(|(text, signature)| Output::Reasoning { text, signature }),
        "[a-z:]{1,6}".prop_map(|data| Output::RedactedReasoning { data }),
        ("[a-z0-9:]{12}", arguments, prop::option::of("[a-z0-9:]{1,6}")).prop_map(|(id, arguments, signature)| {
            Output::ToolCall {
                id,
                name: "f".into(),
                arguments,
                signature,
            }
        }),
    ]
}

fn answer(output: Vec<Output>, finish_reason: FinishReason) -> Answer {
    let choice = Choice {
        index: 0,
        output,
        finish_reason,
        logprobs: None,
    };
    Answer {
        choices: vec![choice],
        usage: Some(Usage::estimated(1, 2)),
        ..Answer::default()
    }
}

/// What a decoder would have streamed of an answer.
fn streamed(output: &[Output], reason: FinishReason) -> Vec<Event> {
    let mut deltas = Vec::new();
    for (index, output) in (0..).zip(output.iter().cloned()) {
        match output {
            Output::Text(text) => deltas.push(Delta::Text(text)),
            Output::Refusal(text) => deltas.push(Delta::Refusal(text)),
            Output::Reasoning { text, signature } => {
                deltas.extend(text.chars().map(|letter| Delta::Reasoning(letter.into())));
                deltas.extend(signature.map(Delta::ReasoningSignature));
            }
            Output::RedactedReasoning { data } => deltas.push(Delta::RedactedReasoning(data)),
            Output::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                deltas.push(Delta::ToolCallStart {
                    index,
                    id,
                    name,
                    signature,
                });
                deltas.extend(arguments.chars().map(|letter| Delta::ToolCallArguments {
                    index,
                    text: letter.into(),
                }));
            }
            Output::Media { mime_type, base64 } => deltas.push(Delta::Media { mime_type, base64 }),
        }
    }
    let mut events: Vec<_> = deltas
        .into_iter()
        .map(|delta| Event::Delta { choice: 0, delta })
        .collect();
    let usage = Event::Usage(Usage::estimated(1, 2));
    events.extend([usage, Event::Finish { choice: 0, reason }, Event::End]);
    events
}

/// A part of a turn in the words of an answer.
fn said(part: &Part<'_>) -> Output {
    match part {
        Part::Text { text, .. } => Output::Text(text.to_string()),
        Part::Refusal { text } => Output::Refusal(text.to_string()),
        Part::Reasoning { text, signature } => Output::Reasoning {
            text: text.to_string(),
            signature: signature.as_ref().map(ToString::to_string),
        },
        Part::RedactedReasoning { data } => Output::RedactedReasoning { data: data.to_string() },
        Part::ToolCall {
            id,
            name,
            arguments,
            signature,
            ..
        } => Output::ToolCall {
            id: id.to_string(),
            name: name.to_string(),
            arguments: arguments.to_string(),
            signature: signature.as_ref().map(ToString::to_string),
        },
        other => panic!("{other:?}"),
    }
}

/// Neighbours that are one: texts, and thoughts up to their proof.
fn joined(output: impl IntoIterator<Item = Output>) -> Vec<Output> {
    let mut joined: Vec<Output> = Vec::new();
    for output in output {
        match (joined.last_mut(), output) {
            (Some(Output::Text(text)), Output::Text(more)) | (Some(Output::Refusal(text)), Output::Refusal(more)) => {
                text.push_str(&more);
            }
            (
                Some(Output::Reasoning {
                    text,
                    signature: proof @ None,
                }),
                Output::Reasoning { text: more, signature },
            ) => {
                text.push_str(&more);
                *proof = signature;
            }
            (_, output) => joined.push(output),
        }
    }
    joined
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_grammar_holds_for_any_events(request in any_request(), events in vec(any_event(), 0..30)) {
        let (written, progress, _) = write(&request, events, usize::MAX);
        let mut client = Client::default();
        let events = parsed(&written);
        for (number, event) in events.iter().enumerate() {
            client.read(number, event);
        }
        prop_assert_eq!(progress.events, events.len() as u64);
        prop_assert_eq!(progress.is_complete, client.ended.is_some());
        prop_assert_eq!(progress.has_content, !events.is_empty());
    }

    #[test]
    fn orderly_events_end_well_however_they_arrive(
        request in any_request(),
        events in vec(any_event(), 0..30),
        reason in any_reason(),
    ) {
        let events = orderly(events, reason);
        let (written, progress, is_taken) = write(&request, events.clone(), usize::MAX);
        prop_assert!(is_taken && progress.is_complete);
        for pieces in [1, 2, 5] {
            prop_assert_eq!(&write(&request, events.clone(), pieces).0, &written);
        }
    }

    #[test]
    fn a_stream_ends_in_the_answer_that_would_have_come_whole(
        request in any_request(),
        output in vec(any_output(), 0..8),
        reason in any_reason(),
    ) {
        let (written, ..) = write(&request, streamed(&output, reason), 3);
        let last = parsed(&written).pop().unwrap();
        let whole = OpenAIResponses.answer(&answer(output, reason), &context(Some(&request)));
        prop_assert_eq!(&last["response"], &serde_json::from_slice::<Value>(&whole).unwrap());
    }

    #[test]
    fn what_a_client_hands_back_is_what_was_said(output in vec(any_output(), 1..8)) {
        let said_in_it = |output: &Output| !matches!(output, Output::Reasoning { .. } | Output::RedactedReasoning { .. });
        prop_assume!(output.iter().any(said_in_it));
        let body = OpenAIResponses.answer(&answer(output.clone(), FinishReason::Stop), &context(None));
        let response: Value = serde_json::from_slice(&body).unwrap();
        let again = request(&json!({"model": "m", "input": response["output"]}));
        let read = OpenAIResponses.read(&again).unwrap();
        prop_assert!(read.turns.iter().all(|turn| turn.role == Role::Assistant));
        let parts = read.turns.iter().flat_map(|Turn { parts, .. }| parts);
        prop_assert_eq!(joined(parts.map(said)), joined(output));
    }
}

/// Values of the right and of the wrong type, and those that only look right.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![
            json!(null), json!(true), json!(0), json!(1.5), json!(-3), json!(u64::MAX), json!(""), json!(" "), json!("auto"),
            json!("required"), json!("none"), json!("high"), json!("text"), json!("{}"), json!("[1]"), json!("{\"a\": 1e999}"),
            json!("data:image/png;base64,AAAA"), json!("data:,"), json!("https://a/b.pdf"), json!("AAAA"), json!("ế😀"),
            json!("message"), json!("reasoning"), json!("function"), json!("function_call"), json!("function_call_output"),
            json!("image_generation_call"), json!("input_text"), json!("input_file"), json!("allowed_tools"),
            json!("headgate:call:3:abc"), json!("headgate:thought:google:x"), json!("user"), json!("assistant"),
            json!("json_schema"),
        ]),
        1 => any::<String>().prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "type",
        "text",
        "role",
        "content",
        "image_url",
        "detail",
        "file_id",
        "file_data",
        "file_url",
        "filename",
        "input_audio",
        "data",
        "format",
        "name",
        "arguments",
        "parameters",
        "id",
        "call_id",
        "output",
        "summary",
        "encrypted_content",
        "result",
        "output_format",
        "schema",
        "strict",
        "refusal",
        "mode",
        "tools",
        "effort",
        "verbosity",
        "prompt_cache_breakpoint",
        "ttl",
        "async",
    ]);
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let members = vec((names.clone(), inner.clone()), 0..5);
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

fn any_item() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        any_value(),
        Just(json!({"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}})),
        Just(json!({"type": "output_text", "text": " "})),
        Just(json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"})),
        Just(json!({"type": "input_file", "file_data": "data:text/plain;base64,/w=="})),
    ];
    let role = prop::sample::select(vec!["user", "assistant", "system", "developer", "x"]);
    prop_oneof![
        any_value(),
        (role, vec(part.clone(), 0..3)).prop_map(|(role, content)| json!({"role": role, "content": content})),
        vec(part, 0..3).prop_map(|output| json!({"type": "function_call_output", "call_id": "c.1", "output": output})),
        Just(json!({"type": "function_call", "call_id": "c.1", "name": "f", "arguments": "{\"a\":[1.50]}"})),
        any_value()
            .prop_map(|sealed| json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": sealed})),
    ]
}

fn any_field() -> impl Strategy<Value = (&'static str, Value)> {
    let name = prop::sample::select(vec![
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "temperature",
        "top_p",
        "top_logprobs",
        "include",
        "truncation",
        "metadata",
        "max_tool_calls",
        "stream_options",
        "store",
        "background",
        "previous_response_id",
        "conversation",
        "prompt",
        "context_management",
        "service_tier",
        "safety_identifier",
        "verbosity",
        "modalities",
        "invented_tomorrow",
    ]);
    let tool = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    (name, prop_oneof![any_value(), Just(tool)])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_encoded_as_json_or_refused_by_name(
        kind in prop::sample::select(vec![Kind::Anthropic, Kind::Ollama, Kind::Gemini, Kind::OpenAI]),
        items in vec(any_item(), 0..5),
        fields in vec(any_field(), 0..5),
        unsupported in prop::sample::select(vec![
            UnsupportedParameters::Drop, UnsupportedParameters::Pass, UnsupportedParameters::Reject,
        ]),
    ) {
        let mut body = json!({ "model": "m", "input": items });
        for (name, value) in fields {
            body[name] = value;
        }
        let request = request(&body);
        let options = EncodeOptions { upstream_model: "x", unsupported, ..EncodeOptions::default() };
        let service = provider::of(kind).serve(Endpoint::Responses, &options).unwrap();
        match service.encode(&request, &options) {
            Ok(encoded) => {
                let upstream: Value = serde_json::from_slice(&encoded.body).unwrap();
                // A name that stood twice would be gone from the value and not from the text.
                let names = upstream.as_object().unwrap().len();
                let mut written = 0;
                let walked = headgate_llm::json::walk(&encoded.body, |_| {
                    written += 1;
                    std::ops::ControlFlow::Continue(())
                });
                prop_assert!(walked.is_ok());
                prop_assert_eq!(names, written, "{}", upstream);
                if kind == Kind::OpenAI {
                    prop_assert_eq!(&upstream["store"], false, "nothing is stored");
                }
            }
            Err(refusal) => prop_assert!(refusal.param.is_some(), "{}", refusal),
        }
    }
}

/// Pieces that the events of a provider are made of.
const PIECES: [&str; 34] = [
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"status\":\"in_progress\",\"output\":[]}}\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}}\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"\"}}\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{\"type\":\"web_search_call\",\"arguments\":{}}}\n\n",
    "data: {\"type\":\"response.output_item.added\",\"output_index\":3,\"item\":7}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\",\"encrypted_content\":\"g\"}}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}}\n\n",
    "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"việt 😀\",\"logprobs\":[{\"token\":\"a\"}]}\n\n",
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\"}\n\n",
    "data: {\"type\":\"response.output_text.delta\",\"delta\":7}\n\n",
    "data: {\"delta\":\"a\\\"b\",\"type\":\"response.refusal.delta\"}\n\n",
    "data: {\"type\":\"response.reasoning_summary_part.added\",\"output_index\":0,\"summary_index\":1}\n\n",
    "data: {\"type\":\"response.reasoning_summary_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n\n",
    "data: {\"type\":\"response.reasoning_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n\n",
    "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":1,\"delta\":\"{\"}\n\n",
    "data: {\"type\":\"response.function_call_arguments.done\",\"output_index\":1,\"arguments\":\"\"}\n\n",
    "data: {\"type\":\"response.invented.tomorrow\"}\n\n",
    "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":18446744073709551615}}}\n\n",
    "data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"output\":[],\"incomplete_details\":{\"reason\":\"content_filter\"}}}\n\n",
    "data: {\"type\":\"response.completed\"}\n\n",
    "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_error\",\"message\":\"no\"}}}\n\n",
    "data: {\"type\":\"error\",\"code\":null,\"message\":\"no\"}\n\n",
    "data: {\"error\":{\"message\":\"no\"}}\n\n",
    "data: [DONE]\n\n",
    "event: response.completed\n",
    "data: ",
    "\n\n",
    "\r\n\r\n",
    ": keep-alive\n\n",
    "{\"type\":\"response.",
    "}",
    "null",
    "\"",
    "é",
];

/// The bytes that left, what was learnt, and how it ended.
type Decoded = (Vec<u8>, Progress, Result<(), Failure>);

fn decode(service: Service, stream: &Bytes, chunk_lengths: &[usize]) -> Decoded {
    let mut decoder = service.stream_decoder(&AnswerContext::default());
    let (mut out, mut result) = (Vec::new(), Ok(()));
    let (mut rest, mut lengths) = (stream.clone(), chunk_lengths.iter().cycle());
    while !rest.is_empty() && result.is_ok() {
        let length = rest.len().min(*lengths.next().unwrap());
        result = decoder.push(rest.split_to(length), &mut out);
    }
    let result = result.and_then(|()| decoder.finish(&mut out));
    (out.concat(), decoder.progress().clone(), result)
}

/// A model that is asked by Responses, for clients of an endpoint.
fn service(endpoint: Endpoint) -> Service {
    let options = EncodeOptions {
        api: ModelApi::Responses,
        ..EncodeOptions::default()
    };
    provider::of(Kind::OpenAI).serve(endpoint, &options).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_providers_stream_comes_out_the_same_however_it_is_cut(
        endpoint in prop::sample::select(vec![Endpoint::ChatCompletions, Endpoint::Responses]),
        pieces in vec(prop::sample::select(PIECES.to_vec()), 0..16),
        cuts in vec(1_usize..60, 1..10),
    ) {
        let stream = Bytes::from(pieces.concat());
        let whole = decode(service(endpoint), &stream, &[stream.len().max(1)]);
        prop_assert_eq!(&decode(service(endpoint), &stream, &cuts), &whole);
        prop_assert_eq!(&decode(service(endpoint), &stream, &[1]), &whole);
        prop_assert_eq!(whole.1.is_complete, whole.2.is_ok());
        if endpoint == Endpoint::ChatCompletions {
            prop_assert_eq!(whole.0.ends_with(b"data: [DONE]\n\n"), whole.2.is_ok());
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(
        endpoint in prop::sample::select(vec![Endpoint::ChatCompletions, Endpoint::Responses]),
        bytes in vec(any::<u8>(), 0..200),
        status in 100_u16..600,
    ) {
        let bytes = Bytes::from(bytes);
        let _ = decode(service(endpoint), &bytes, &[7]);
        let _ = service(endpoint).decode_whole(bytes.clone(), &AnswerContext::default());
        let now = std::time::SystemTime::UNIX_EPOCH;
        let _ = service(endpoint).decode_failure(status, &http::HeaderMap::new(), &bytes, "", now);
    }
}
