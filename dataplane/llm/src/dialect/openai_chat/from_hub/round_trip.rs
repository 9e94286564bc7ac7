//! What a chat client says, read into the hub, written as a chat again and read once more, is the same: everything has
//! its word in both directions.

use std::borrow::Cow;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Style, Thoughts};
use crate::dialect::openai_chat::to_hub;
use crate::endpoint::Endpoint;
use crate::hub::{self, Reasoning, Request};
use crate::provider::UnsupportedParameters;
use crate::provider::leftovers::Leftovers;
use crate::request::ModelRequest;

/// A server that takes everything.
const EVERYTHING: Style = Style {
    is_original: true,
    instructor: "developer",
    output_cap: "max_completion_tokens",
    asks_for_usage: true,
    thoughts: Thoughts::Proven,
    cache_marks: true,
    takes_files: true,
    has_strict_order: false,
    lacks: &[],
    lacks_sampling: false,
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,8}", Just("việt 😀 \"\\\n".to_owned()), Just(String::new())]
}

fn mark() -> impl Strategy<Value = Option<Value>> {
    option::of(prop::sample::select(vec![
        json!({"type": "ephemeral"}),
        json!({"type": "ephemeral", "ttl": "5m"}),
        json!({"type": "ephemeral", "ttl": "1h"}),
    ]))
}

fn with(mut object: Value, name: &str, value: Option<impl Into<Value>>) -> Value {
    if let Some(value) = value {
        object[name] = value.into();
    }
    object
}

fn text_part() -> impl Strategy<Value = Value> {
    (text(), mark()).prop_map(|(text, mark)| with(json!({"type": "text", "text": text}), "cache_control", mark))
}

fn text_content() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        vec(text_part(), 1..4).prop_map(Value::from)
    ]
}

fn part() -> impl Strategy<Value = Value> {
    let url = prop::sample::select(vec!["https://host/a.png", "data:image/png;base64,AAAA", "gs://b/c"]);
    let image = (url, option::of(Just("low")), mark()).prop_map(|(url, detail, mark)| {
        let image = with(json!({ "url": url }), "detail", detail);
        with(json!({"type": "image_url", "image_url": image}), "cache_control", mark)
    });
    let file = ("[a-z]{0,3}\\.pdf", mark()).prop_map(|(name, mark)| {
        let file = json!({"file_data": "data:application/pdf;base64,AA==", "filename": name});
        with(json!({"type": "file", "file": file}), "cache_control", mark)
    });
    let audio = Just(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}));
    prop_oneof![3 => text_part(), 1 => image, 1 => file, 1 => audio]
}

/// An assistant's turn and the results of its calls.
fn exchange() -> impl Strategy<Value = Vec<Value>> {
    let thought = prop_oneof![
        ("\\PC{1,8}", option::of("[a-z]{1,4}")).prop_map(|(text, proof)| with(
            json!({"type": "reasoning.text", "text": text}),
            "signature",
            proof
        )),
        "[a-z]{1,4}".prop_map(|data| json!({"type": "reasoning.encrypted", "data": data})),
    ];
    let arguments = prop::sample::select(vec!["{}", "{\"a\": [1.50, \"\\u00e9\"]}"]);
    let call = ("[a-z]{1,3}", arguments, option::of("[a-z]{1,4}"), mark());
    let result = (text_content(), option::of("[a-z]{1,3}"), mark());
    let said = (option::of(text_content()), option::of("\\PC{1,8}"), vec(thought, 0..3));
    (said, vec((call, result), 0..3)).prop_map(|((content, refusal, thoughts), calls)| {
        let mut assistant = json!({"role": "assistant", "content": content});
        if content.is_none() && refusal.is_none() && calls.is_empty() {
            assistant["content"] = "".into();
        }
        assistant = with(assistant, "refusal", refusal);
        if !thoughts.is_empty() {
            let indexed = (0..).zip(thoughts);
            let indexed: Vec<Value> = indexed
                .map(|(index, thought)| with(thought, "index", Some(index)))
                .collect();
            assistant["reasoning_details"] = indexed.into();
        }
        let mut results = Vec::new();
        let mut written = Vec::new();
        for (place, ((name, arguments, proof, mark), (content, named, result_mark))) in calls.into_iter().enumerate() {
            let id = format!("call_{place}");
            let function = json!({"name": name, "arguments": arguments});
            let call = with(
                json!({"id": id, "type": "function", "function": function}),
                "cache_control",
                mark,
            );
            let extra = proof.map(|proof| json!({"google": {"thought_signature": proof}}));
            written.push(with(call, "extra_content", extra));
            let result = with(
                json!({"role": "tool", "tool_call_id": id, "content": content}),
                "name",
                named,
            );
            results.push(with(result, "cache_control", result_mark));
        }
        if !written.is_empty() {
            assistant["tool_calls"] = written.into();
        }
        results.insert(0, assistant);
        results
    })
}

fn messages() -> impl Strategy<Value = Vec<Value>> {
    let instructions = (prop::sample::select(vec!["system", "developer"]), text_content())
        .prop_map(|(role, content)| vec![json!({"role": role, "content": content})]);
    let user = || {
        let content = prop_oneof![text().prop_map(Value::from), vec(part(), 1..4).prop_map(Value::from)];
        content.prop_map(|content| vec![json!({"role": "user", "content": content})])
    };
    let exchange = (exchange(), user()).prop_map(|(exchange, user)| [exchange, user].concat());
    vec(prop_oneof![1 => instructions, 2 => user(), 3 => exchange], 1..6).prop_map(|groups| groups.concat())
}

/// Fields that go together: a choice of tools needs tools.
fn fields() -> impl Strategy<Value = Map<String, Value>> {
    let number = prop::sample::select(vec![json!(0), json!(0.7), json!(-1.25), json!(2)]);
    let tuning = prop::sample::select(vec![
        "temperature",
        "top_p",
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "seed",
    ]);
    let other = prop::sample::select(vec![
        json!({"reasoning_effort": "none"}),
        json!({"reasoning_effort": "xhigh"}),
        json!({"response_format": {"type": "json_object"}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"anyOf": [{}]}, "strict": true}}}),
        json!({"stop": "\n"}),
        json!({"stop": ["a", "\u{e9}"]}),
        json!({"logit_bias": {"1": -100}}),
        json!({"logprobs": true, "top_logprobs": 3}),
        json!({"n": 3, "user": "somebody"}),
        json!({"stream": true, "stream_options": {"include_usage": true}}),
        json!({"stream": true}),
        json!({"max_tokens": 7}),
        json!({"max_completion_tokens": 7, "max_tokens": 9}),
        json!({"metadata": {"a": "b"}, "store": false, "service_tier": "flex", "invented_tomorrow": [1.50]}),
    ]);
    let tools = (
        mark(),
        option::of(prop::sample::select(vec![
            json!("auto"),
            json!("none"),
            json!("required"),
            json!({"type": "function", "function": {"name": "f"}}),
        ])),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
    )
        .prop_map(|(mark, choice, parallel, strict)| {
            let function = json!({"name": "f", "description": "d", "parameters": {"type": "object", "x": 1.50}});
            let tool = json!({"type": "function", "function": with(function, "strict", strict)});
            let tools =
                json!({"tools": [with(tool, "cache_control", mark), {"type": "function", "function": {"name": "g"}}]});
            with(with(tools, "tool_choice", choice), "parallel_tool_calls", parallel)
        });
    (vec((tuning, number), 0..3), vec(other, 0..4), option::of(tools)).prop_map(|(tuning, others, tools)| {
        let mut fields = Map::new();
        fields.extend(tuning.into_iter().map(|(name, value)| (name.to_owned(), value)));
        for more in others.into_iter().chain(tools) {
            fields.extend(more.as_object().cloned().unwrap_or_default());
        }
        fields
    })
}

/// What a request says: neighbouring turns of one side say the same as one.
fn said(request: &Request<'_>) -> String {
    let turns = format!("{:?}", hub::merged(&request.turns));
    let rest = Request {
        turns: Vec::new(),
        ..request.clone()
    };
    format!("{rest:?} {turns}")
}

fn parsed(body: Bytes) -> ModelRequest {
    ModelRequest::parse(Endpoint::ChatCompletions, body).expect("a chat request")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_chat_that_goes_through_the_hub_says_what_it_said(messages in messages(), fields in fields()) {
        let mut body = json!({"model": "m", "messages": messages});
        for (name, value) in fields {
            body[name] = value;
        }
        let first = parsed(body.to_string().into());
        let request = to_hub::read(&first).expect("what the dialect can say");
        let mut leftovers = Leftovers::new(UnsupportedParameters::Pass);
        let others = request.other.iter().map(|(name, json)| (name.clone(), Cow::Borrowed(*json)));
        leftovers.passed.extend(others);
        let effort = match request.reasoning {
            Some(Reasoning::Effort(effort)) => Some(effort.as_str()),
            Some(Reasoning::Off) => Some("none"),
            _ => None,
        };
        let written = super::body(&request, &EVERYTHING, "m", effort, &mut leftovers).expect("nothing is lacking");
        prop_assert!(leftovers.dropped.is_empty(), "{:?}", leftovers.dropped);
        let second = parsed(written);
        let again = to_hub::read(&second).expect("what was written can be read");
        prop_assert_eq!(said(&again), said(&request));
    }
}
