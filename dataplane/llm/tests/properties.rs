//! What holds for every input, searched for with generated ones.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use headgate_llm::dialect::openai_chat::stream::Tap;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::json;
use headgate_llm::provider::{self, AnswerContext, EncodeOptions, Kind, Progress, StreamDecoder};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::Service;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;

fn chat() -> Service {
    let service = provider::of(Kind::OpenAI).serve(Endpoint::ChatCompletions, &EncodeOptions::default());
    service.expect("every provider serves chats")
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| (f64::from(number) / 16.0).into()),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            vec((any::<String>(), inner), 0..8).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Text that is nearly JSON: pieces that the grammar is made of, in any order.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "false", "0", "-", "1", "12.5", "e", "E+3", ".",
            " ", "\n", "\t", "\"a\"", "\"\\n\"", "\\u", "d83d", "de00", "\\ud83d\\ude00", "\"a\":", "é", "\u{1}", "nul",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..3),
    ];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Pieces that events are made of, in any order.
fn nearly_an_event() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "data: ", "event: error", "\n", "\r\n", "\n\n", "{\"choices\":[{\"index\":", "0", "99999999999", ",\"delta\":{",
            "\"delta\"", "\"content\":\"", "a\\", "\"", "}", "}]", "}\n\n", "\"finish_reason\":", "null", "\"usage\":{",
            "\"error\":", "[DONE]", "{", "[", ":", ",",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn is_valid_here(text: &[u8]) -> bool {
    json::walk(text, |_| ControlFlow::Continue(())).is_ok()
}

/// `serde_json` stops at numbers that no float can hold; the grammar has no such bound, so there is nothing to compare.
fn is_valid_there(text: &[u8]) -> Option<bool> {
    match serde_json::from_slice::<Value>(text) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

fn check_agreement(text: &[u8]) -> Result<(), TestCaseError> {
    if let Some(is_valid) = is_valid_there(text) {
        prop_assert_eq!(is_valid_here(text), is_valid, "{}", String::from_utf8_lossy(text));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_scan_agrees_with_serde_json(value in any_json(), pretty: bool, edit in any::<(prop::sample::Index, u8)>()) {
        let mut text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert!(is_valid_here(&text));
        let (index, byte) = edit;
        let index = index.index(text.len());
        check_agreement(&text[..index])?;
        text[index] = byte;
        check_agreement(&text)?;
    }

    #[test]
    fn the_scan_agrees_with_serde_json_on_what_is_nearly_json(text in nearly_json()) {
        check_agreement(&text)?;
    }

    #[test]
    fn members_stand_where_the_scan_says(value in vec((any::<String>(), any_json()), 0..6), pretty: bool) {
        let object: Map<String, Value> = value.into_iter().collect();
        let text = if pretty { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) }.unwrap();
        let mut seen = Map::new();
        json::walk(&text, |member| {
            let key = json::string_value(&text[member.key]).unwrap();
            seen.insert(key.into_owned(), serde_json::from_slice(&text[member.value]).unwrap());
            ControlFlow::Continue(())
        }).unwrap();
        prop_assert_eq!(seen, object);
    }

    #[test]
    fn an_encoded_request_says_what_was_asked_and_nothing_else_differs(
        mut extra in vec(("[a-z ]{1,6}", any_json()), 0..5),
        model: String,
        upstream_model in "\\PC{1,20}",
        stream: bool,
        options in prop::option::of(prop_oneof![
            Just(Value::Null), Just(json!({})), Just(json!({"a": 1})), Just(json!({"include_usage": false, "b": [2]})),
        ]),
        pretty: bool,
        set in any::<bool>(),
    ) {
        prop_assume!(!model.is_empty() && model.chars().count() <= 256);
        extra.retain(|(name, _)| !matches!(name.as_str(), "n" | "user" | "model" | "stream" | "tools"));
        let mut fields: Map<String, Value> = extra.into_iter().collect();
        fields.insert("model".into(), model.into());
        fields.insert("messages".into(), json!([{"role": "user", "content": "{\"stream_options\": [\\"}]));
        fields.insert("stream".into(), stream.into());
        if let Some(options) = options {
            fields.insert("stream_options".into(), options);
        }
        let body = if pretty { serde_json::to_vec_pretty(&fields) } else { serde_json::to_vec(&fields) }.unwrap();
        let overrides = if set { vec![("temperature".to_owned(), "0.5".to_owned())] } else { vec![] };

        let request = ModelRequest::parse(Endpoint::ChatCompletions, Bytes::from(body)).unwrap();
        let chosen = EncodeOptions { upstream_model: &upstream_model, overrides: &overrides, ..EncodeOptions::default() };
        let encoded = chat().encode(&request, &chosen).unwrap();

        fields["model"] = upstream_model.into();
        if set {
            fields.insert("temperature".into(), json!(0.5));
        }
        if stream {
            let options = fields.entry("stream_options").or_insert(Value::Null);
            if options.is_null() {
                *options = json!({});
            }
            options["include_usage"] = json!(true);
        }
        let upstream: Map<String, Value> = serde_json::from_slice(&encoded.body).unwrap();
        prop_assert_eq!(upstream, fields);
        prop_assert_eq!(encoded.strip_usage, stream);
    }

    #[test]
    fn a_stream_comes_out_the_same_however_it_is_cut(
        events in vec(prop::sample::select(EVENTS.to_vec()), 0..12),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cuts in vec(1_usize..60, 1..20),
        strip_usage: bool,
    ) {
        let stream = Bytes::from(events.concat().replace('\n', line_end));
        let whole = relay(&stream, &[stream.len().max(1)], strip_usage);
        prop_assert_eq!(relay(&stream, &cuts, strip_usage), whole.clone());
        prop_assert_eq!(relay(&stream, &[1], strip_usage), whole);
    }

    #[test]
    fn nothing_of_interest_is_missed_at_a_glance(
        text in prop_oneof![any::<String>(), prop::sample::select(vec![
            "usage", "error", "delta", "finish_reason", "\"usage\":{", "\\\"error\":", "choices", "null", "}]}",
        ]).prop_map(str::to_owned)],
        key in prop::sample::select(vec!["content", "reasoning_content", "refusal", "error", "usage", "delta"]),
        index in 0_u32..4,
        reason in prop::option::of(Just("length")),
        reported in prop::option::of(0_u64..9),
        has_error: bool,
        layout in 0..3,
    ) {
        let usage = reported.map_or(Value::Null, |tokens| json!({ "prompt_tokens": tokens, "completion_tokens": 1 }));
        let error = if has_error { json!({ "message": text }) } else { Value::Null };
        let delta = json!({ key: text });
        let choice = json!({ "index": index, "delta": delta, "finish_reason": reason });
        let chunk = json!({ "choices": [choice], "usage": usage, "error": error });
        let event = match layout {
            0 => format!("data: {chunk}\n\n"),
            1 => format!("data: {}\n\n", format!("{chunk:#}").replace('\n', "\ndata: ")),
            _ => format!(
                "data: {{\"usage\" : {usage},\"choices\":[{{\"index\": {index}, \"delta\": {delta}, \"finish_reason\":{}}}]{}}}\n\n",
                json!(reason), if has_error { format!(", \"error\" :{error}") } else { String::new() },
            ),
        };
        let (mut tap, mut out) = (Tap::new(true), Vec::new());
        tap.push(Bytes::from_static(EVENTS[5].as_bytes()), &mut out).unwrap();
        let result = tap.push(Bytes::from(event), &mut out);
        prop_assert_eq!(result.is_err(), has_error);
        if !has_error {
            prop_assert_eq!(tap.progress().finish_reason.as_deref(), reason);
            prop_assert_eq!(tap.progress().usage.map(|usage| usage.input_tokens), reported);
            let is_finished = index == 0 && reason.is_some();
            prop_assert_eq!(tap.finish(&mut out).is_ok(), is_finished, "every choice that was seen must finish");
        }
    }

    #[test]
    fn no_bytes_make_the_decoders_panic(
        chunks in vec(nearly_an_event(), 0..8),
        is_committed: bool,
    ) {
        let mut tap = Tap::new(true);
        let mut out = Vec::new();
        if is_committed {
            tap.push(Bytes::from_static(EVENTS[5].as_bytes()), &mut out).unwrap();
        }
        for chunk in &chunks {
            let _ = tap.push(Bytes::copy_from_slice(chunk), &mut out);
        }
        let _ = tap.finish(&mut out);
        let _ = chat().decode_whole(Bytes::from(chunks.concat()), &AnswerContext::default());
    }
}

const EVENTS: [&str; 12] = [
    ": comment\n\n",
    "\n",
    "data:\n\n",
    "event: message\nid: 1\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"việt 😀 \\n\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"index\":0,\n data: \"delta\":{}}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
    "data: {\"error\":{\"message\":\"no\"}}\n\n",
    "data: [DONE]\n\n",
];

/// The bytes that left, what was learnt, and how it ended.
type Relayed = (String, Progress, Result<(), headgate_llm::failure::Failure>);

/// Relays in chunks of the given lengths, over and over.
fn relay(stream: &Bytes, chunk_lengths: &[usize], strip_usage: bool) -> Relayed {
    let mut tap = Tap::new(strip_usage);
    let mut out = Vec::new();
    let mut result = Ok(());
    let (mut rest, mut lengths) = (stream.clone(), chunk_lengths.iter().cycle());
    while !rest.is_empty() && result.is_ok() {
        let length = rest.len().min(*lengths.next().unwrap());
        result = tap.push(rest.split_to(length), &mut out);
    }
    let result = result.and_then(|()| tap.finish(&mut out));
    (String::from_utf8(out.concat()).unwrap(), tap.progress().clone(), result)
}
