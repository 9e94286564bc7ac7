//! What holds for every Messages request and every stream to its client, searched for with generated ones.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::failure::Failure;
use headgate_llm::provider::{self, AnswerContext, EncodeOptions, Kind, Progress, UnsupportedParameters};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::Service;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// One that speaks the dialect itself, and those that are translated.
const KINDS: [Kind; 7] = [
    Kind::Anthropic,
    Kind::Gemini,
    Kind::VertexAI,
    Kind::Ollama,
    Kind::OpenAI,
    Kind::DeepSeek,
    Kind::Bedrock,
];

fn service(kind: Kind, endpoint: Endpoint) -> Service {
    let service = provider::of(kind).serve(endpoint, &EncodeOptions::default());
    service.expect("these providers serve it")
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(KINDS.to_vec())
}

/// Values of the right and of the wrong type, and those that only look right.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![
            json!(null), json!(true), json!(0), json!(1.5), json!(-3), json!(u64::MAX), json!(""), json!(" "), json!("auto"),
            json!("any"), json!("tool"), json!("text"), json!("base64"), json!("url"), json!("content"), json!("enabled"),
            json!("https://a/b.pdf"), json!("AAAA"), json!("image/png"), json!("tool_use:c:s"), json!("ephemeral"), json!("ế😀"),
        ]),
        1 => any::<String>().prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "type",
        "text",
        "role",
        "content",
        "source",
        "media_type",
        "data",
        "url",
        "file_id",
        "title",
        "id",
        "name",
        "input",
        "tool_use_id",
        "is_error",
        "thinking",
        "signature",
        "cache_control",
        "ttl",
        "input_schema",
        "budget_tokens",
        "effort",
        "format",
        "schema",
        "user_id",
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

fn any_message() -> impl Strategy<Value = Value> {
    let block = prop_oneof![
        any_value(),
        Just(json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}})),
        Just(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}})),
        Just(json!({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a"}]}})),
        Just(
            json!({"type": "search_result", "source": "https://a", "title": "t", "content": [{"type": "text", "text": "a"}]})
        ),
        Just(json!({"type": "thinking", "thinking": "a", "signature": ""})),
        Just(json!({"type": "redacted_thinking", "data": "tool_use:c.1:s"})),
        Just(json!({"type": "tool_use", "id": "c.1", "name": "f", "input": {"a": [1.5]}})),
        Just(json!({"type": "tool_result", "tool_use_id": "c.1", "content": [{"type": "text", "text": "a"}]})),
    ];
    let role = prop::sample::select(vec!["user", "assistant", "system", "x"]);
    (role, vec(block, 0..4), any_value(), any::<bool>()).prop_map(|(role, blocks, value, is_plain)| {
        let content = if is_plain { value } else { blocks.into() };
        json!({ "role": role, "content": content })
    })
}

fn any_field() -> impl Strategy<Value = (&'static str, Value)> {
    let name = prop::sample::select(vec![
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "metadata",
        "service_tier",
        "cache_control",
        "container",
        "mcp_servers",
        "invented_tomorrow",
        "safety_settings",
    ]);
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    (
        name,
        prop_oneof![any_value(), Just(tools), Just(json!({"type": "any"}))],
    )
}

/// The bytes that left, what was learnt, and how it ended.
type Decoded = (Vec<u8>, Progress, Result<(), Failure>);

/// Decodes in chunks of the given lengths, over and over.
fn decode(kind: Kind, stream: &Bytes, chunk_lengths: &[usize]) -> Decoded {
    let mut decoder = service(kind, Endpoint::Messages).stream_decoder(&AnswerContext::default());
    let (mut out, mut result) = (Vec::new(), Ok(()));
    let (mut rest, mut lengths) = (stream.clone(), chunk_lengths.iter().cycle());
    while !rest.is_empty() && result.is_ok() {
        let length = rest.len().min(*lengths.next().unwrap());
        result = decoder.push(rest.split_to(length), &mut out);
    }
    let result = result.and_then(|()| decoder.finish(&mut out));
    (out.concat(), decoder.progress().clone(), result)
}

/// Pieces that the providers' events are made of.
const PIECES: [&str; 34] = [
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"việt 😀\",\"thoughtSignature\":\"s\"}]}}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"},\"thoughtSignature\":\"s\"}]},\"finishReason\":\"STOP\"}]}\n\n",
    "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":18446744073709551615}}\n\n",
    "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"việt\",\"reasoning_content\":\"a\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3}}\n\n",
    "data: [DONE]\n\n",
    "data: ",
    "\n\n",
    "\r\n\r\n",
    "event: ping\n",
    "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\r\n\r\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"việt 😀 \\\"error\\\"\"}}\n\n",
    "event: content_block_delta\rdata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\r\r",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":18446744073709551615}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
    "{\"message\":{\"content\":\"việt\",\"thinking\":\"a\"}}\n",
    "{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]}}\r\n",
    "{\"done\":true,\"eval_count\":3}\n",
    "{\"error\":\"no\"}\n",
    "{\"done\":true}",
    "{\"type\":",
    "\"content_block_delta\"",
    "}",
    "null",
    ":",
    "event:",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_encoded_as_json_or_refused_by_name(
        kind in any_kind(),
        endpoint in prop::sample::select(vec![Endpoint::Messages, Endpoint::CountTokens]),
        messages in vec(any_message(), 0..5),
        fields in vec(any_field(), 0..5),
        model in prop::sample::select(vec!["claude-opus-5-5", "gemini-3.8-flash", "gemini-2.5-pro", "x"]),
        unsupported in prop::sample::select(vec![
            UnsupportedParameters::Drop, UnsupportedParameters::Pass, UnsupportedParameters::Reject,
        ]),
        stream: bool,
    ) {
        let mut body = json!({ "model": "m", "max_tokens": 9, "messages": messages, "stream": stream });
        for (name, value) in fields {
            body[name] = value;
        }
        let request = ModelRequest::parse(endpoint, Bytes::from(body.to_string())).unwrap();
        let options = EncodeOptions { upstream_model: model, unsupported, ..EncodeOptions::default() };
        let service = service(kind, endpoint);
        match service.encode(&request, &options) {
            Ok(_) if service.estimate(&request).is_some() => {}
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
            }
            Err(refusal) => prop_assert!(refusal.param.is_some(), "{}", refusal),
        }
    }

    #[test]
    fn to_the_dialects_own_provider_a_body_without_thoughts_of_others_passes_byte_for_byte(
        messages in vec(any_message(), 0..5),
        fields in vec(any_field(), 0..5),
    ) {
        let mut body = json!({ "messages": messages });
        for (name, value) in fields {
            body[name] = value;
        }
        let body = body.to_string();
        prop_assume!(!body.contains("\"signature\"") && !body.contains("\"data\""));
        let body = |model: &str| format!("{{\"model\" : \"{model}\",\t{}", &body[1..]);
        let request = ModelRequest::parse(Endpoint::Messages, Bytes::from(body("m"))).unwrap();
        let options = EncodeOptions { upstream_model: "claude", ..EncodeOptions::default() };
        let encoded = service(Kind::Anthropic, Endpoint::Messages).encode(&request, &options).unwrap();
        prop_assert_eq!(encoded.body, body("claude"));
    }

    #[test]
    fn a_stream_comes_out_the_same_however_it_is_cut(
        kind in any_kind(),
        pieces in vec(prop::sample::select(PIECES.to_vec()), 0..16),
        cuts in vec(1_usize..60, 1..10),
    ) {
        let stream = Bytes::from(pieces.concat());
        let whole = decode(kind, &stream, &[stream.len().max(1)]);
        prop_assert_eq!(&decode(kind, &stream, &cuts), &whole);
        prop_assert_eq!(&decode(kind, &stream, &[1]), &whole);
        prop_assert_eq!(whole.1.is_complete, whole.2.is_ok());
        if kind != Kind::Anthropic {
            let is_stopped = whole.0.ends_with(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
            prop_assert_eq!(is_stopped, whole.2.is_ok(), "message_stop and only message_stop is a success");
            prop_assert!(whole.1.has_content || whole.0.is_empty());
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(kind in any_kind(), bytes in vec(any::<u8>(), 0..200), status in 100_u16..600) {
        let bytes = Bytes::from(bytes);
        let _ = decode(kind, &bytes, &[7]);
        for endpoint in [Endpoint::Messages, Endpoint::CountTokens] {
            let _ = service(kind, endpoint).decode_whole(bytes.clone(), &AnswerContext::default());
            let now = std::time::SystemTime::UNIX_EPOCH;
            let _ = service(kind, endpoint).decode_failure(status, &http::HeaderMap::new(), &bytes, "", now);
        }
    }
}
