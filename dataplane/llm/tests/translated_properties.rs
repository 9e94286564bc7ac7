//! What holds for every request and every stream of every provider at every endpoint that has a dialect, searched for with
//! generated ones.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bytes::Bytes;
use headgate_llm::dialect;
use headgate_llm::endpoint::Endpoint;
use headgate_llm::failure::Failure;
use headgate_llm::provider::{self, AnswerContext, EncodeOptions, Kind, Progress, UnsupportedParameters};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::Service;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

mod frames;

/// The kinds that are translated; a new one is added here.
const TRANSLATED: [Kind; 6] = [
    Kind::Anthropic,
    Kind::Bedrock,
    Kind::Ollama,
    Kind::Gemini,
    Kind::Cohere,
    Kind::VertexAI,
];

/// Those whose requests and answers are edited.
const EDITED: [Kind; 5] = [
    Kind::Groq,
    Kind::Mistral,
    Kind::DeepSeek,
    Kind::Together,
    Kind::AzureOpenAI,
];

/// Those whose chats pass as they are; clients of other dialects reach them through the hub.
const PASSED: [Kind; 4] = [Kind::OpenAI, Kind::OpenAICompatible, Kind::OllamaOpenAI, Kind::Echo];

/// A provider asked at an endpoint.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: Kind,
    endpoint: Endpoint,
}

impl Asked {
    fn service(self) -> Service {
        let service = provider::of(self.kind).serve(self.endpoint, &EncodeOptions::default());
        service.expect("only pairs that are served are asked")
    }

    /// A client takes `[DONE]` for success.
    fn ends_with_done(self) -> bool {
        let has_done = matches!(self.endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
        has_done && matches!(self.service(), Service::Translated { .. })
    }
}

fn anybody_asked() -> impl Strategy<Value = Asked> {
    let mut pairs = Vec::new();
    for endpoint in Endpoint::ALL {
        for kind in [TRANSLATED.as_slice(), &EDITED, &PASSED].concat() {
            let is_served = provider::of(kind).serve(endpoint, &EncodeOptions::default()).is_ok();
            if is_served && dialect::of(endpoint).is_some() {
                pairs.push(Asked { kind, endpoint });
            }
        }
    }
    assert!(pairs.len() >= 24, "every kind has chats and completions: {pairs:?}");
    prop::sample::select(pairs)
}

/// A body of the right outline.
fn body(endpoint: Endpoint, messages: &[Value], prompt: &Value) -> Value {
    match endpoint {
        Endpoint::Completions => json!({ "model": "m", "prompt": prompt }),
        Endpoint::Responses if messages.is_empty() => json!({ "model": "m", "input": prompt }),
        Endpoint::Responses => json!({ "model": "m", "input": messages }),
        Endpoint::Messages => json!({ "model": "m", "max_tokens": 9, "messages": messages }),
        _ => json!({ "model": "m", "messages": messages }),
    }
}

fn any_prompt() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            json!(["a"]),
            json!(["a", "b"]),
            json!([1, 2]),
            json!([[1]]),
            json!([])
        ]),
    ]
}

/// Values of the right and of the wrong type, and those that only look right.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => prop::sample::select(vec![
            json!(null), json!(true), json!(0), json!(1.5), json!(-3), json!(u64::MAX), json!(""), json!(" "), json!("auto"),
            json!("required"), json!("none"), json!("high"), json!("text"), json!("{}"), json!("[1]"), json!("{\"a\": 1e999}"),
            json!("data:image/png;base64,AAAA"), json!("data:,"), json!("https://a/b.pdf"), json!("AAAA"), json!("ế😀"),
        ]),
        1 => any::<String>().prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "type",
        "text",
        "role",
        "content",
        "image_url",
        "url",
        "file",
        "file_data",
        "input_audio",
        "data",
        "format",
        "name",
        "function",
        "arguments",
        "parameters",
        "id",
        "tool_calls",
        "tool_call_id",
        "cache_control",
        "ttl",
        "thinking",
        "signature",
        "reasoning_details",
        "thinking_blocks",
        "index",
        "json_schema",
        "schema",
        "budget_tokens",
        "strict",
        "refusal",
        "extra_content",
        "google",
        "thought_signature",
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
    let part = prop_oneof![
        any_value(),
        Just(json!({"type": "text", "text": " "})),
        Just(json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}})),
        Just(json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
        Just(json!({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}})),
        Just(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
    ];
    let call = prop_oneof![
        any_value(),
        (
            "\\PC{0,6}",
            prop::sample::select(vec!["{}", "", "[]", "{\"a\":[1.50]}"])
        )
            .prop_map(|(id, arguments)| {
                json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
            }),
    ];
    let role = prop::sample::select(vec![
        "user",
        "assistant",
        "system",
        "developer",
        "tool",
        "function",
        "x",
    ]);
    (role, vec(part, 0..3), vec(call, 0..2), any_value(), any::<bool>()).prop_map(
        |(role, parts, calls, value, is_plain)| {
            let mut message = json!({ "role": role, "tool_call_id": "c.1", "content": parts });
            if role == "assistant" && !calls.is_empty() {
                message["tool_calls"] = calls.into();
            }
            if is_plain {
                message["content"] = value;
            }
            message
        },
    )
}

fn any_field() -> impl Strategy<Value = (&'static str, Value)> {
    let name = prop::sample::select(vec![
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking",
        "stop",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "modalities",
        "service_tier",
        "metadata",
        "system",
        "container",
        "safety_settings",
        "image_config",
        "generation_config",
        "guardrailConfig",
        "additionalModelRequestFields",
        "anthropic_beta",
        "strict_tools",
        "documents",
        "invented_tomorrow",
        "n",
        "user",
        "suffix",
        "echo",
        "best_of",
        "max_tokens",
        "random_seed",
        "reasoning_format",
        "reasoning",
    ]);
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    (name, prop_oneof![any_value(), Just(tool)])
}

/// The bytes that left, what was learnt, and how it ended.
type Decoded = (Vec<u8>, Progress, Result<(), Failure>);

/// Decodes in chunks of the given lengths, over and over.
fn decode(asked: Asked, stream: &Bytes, chunk_lengths: &[usize]) -> Decoded {
    let mut decoder = asked.service().stream_decoder(&AnswerContext::default());
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
const PIECES: &[&str] = &[
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"việt 😀\",\"thoughtSignature\":\"s\"}]}}]}\n\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]},\"finishReason\":\"STOP\"}]}\n\n",
    "data: {\"candidates\":[{\"index\":1,\"finishReason\":\"MALFORMED_FUNCTION_CALL\"}],\"usageMetadata\":{\"promptTokenCount\":18446744073709551615}}\n\n",
    "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n",
    "[{\"error\":{\"code\":503}}]\n\n",
    "data: ",
    "\n\n",
    "\r\n\r\n",
    "event: ping\n",
    "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n",
    "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"server_tool_use\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"việt 😀\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"a\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"s\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":18446744073709551615}}\n\n",
    "data: {\"type\":\"message_stop\"}\n\n",
    "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"a\",\"content\":[{\"text\":\"b\",\"thinking\":[]}]}}],\"x_groq\":{\"usage\":{}}}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"eos\"}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
    "data: [DONE]\n\n",
    "data: {\"type\":\"message-start\",\"id\":\"c\",\"delta\":{\"message\":{\"role\":\"assistant\",\"content\":[],\"tool_calls\":[]}}}\n\n",
    "data: {\"type\":\"content-start\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"a\"}}}}\n\n",
    "data: {\"type\":\"content-delta\",\"index\":1,\"delta\":{\"message\":{\"content\":{\"text\":\"việt 😀\"}}},\"logprobs\":{\"text\":\"v\",\"token_ids\":[1],\"logprobs\":[-1e308,-1e308]}}\n\n",
    "data: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"a\"}}}\n\n",
    "data: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}}\n\n",
    "data: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{\"}}}}}\n\n",
    "data: {\"type\":\"tool-call-end\",\"index\":0}\n\n",
    "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\",\"usage\":{\"tokens\":{\"input_tokens\":1e300,\"output_tokens\":-1}}}}\n\n",
    "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"ERROR\",\"error\":\"no\"}}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"việt 😀\"},\"logprobs\":{\"content\":[]}}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":{\"name\":\"g\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"no\",\"reasoning_details\":[{\"text\":\"a\",\"signature\":\"s\"},{\"data\":\"d\"}]},\"finish_reason\":\"length\"}]}\n\n",
    "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":1}}\n\n",
    "data: {\"choices\":[{\"index\":0,\"text\":\"việt\",\"finish_reason\":null}]}\n\n",
    "{\"message\":{\"content\":\"việt\",\"thinking\":\"a\"}}\n",
    "{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]}}\r\n",
    "{\"done\":true,\"eval_count\":3}\n",
    "{\"error\":\"no\"}\n",
    "{\"done\":true}",
    "{\"type\":",
    "}",
    "\"index\":-1",
    "null",
    ":",
    "é",
];

/// Those, and messages of the provider whose streams are binary: whole ones, and the halves of one.
fn pieces() -> Vec<Vec<u8>> {
    let event = |kind: &str, payload: &str| {
        let headers = [(":event-type", kind), (":message-type", "event")];
        frames::frame(&headers, payload.as_bytes())
    };
    let delta = |index: u32, delta: &str| {
        let payload = format!("{{\"contentBlockIndex\":{index},\"delta\":{delta}}}");
        event("contentBlockDelta", &payload)
    };
    let call = "{\"contentBlockIndex\":1,\"start\":{\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\"}}}";
    let exception = [
        (":exception-type", "throttlingException"),
        (":message-type", "exception"),
    ];
    let mut pieces: Vec<Vec<u8>> = PIECES.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    let text = delta(0, "{\"text\":\"việt 😀\"}");
    pieces.extend([text[..20].to_vec(), text[20..].to_vec(), text]);
    pieces.extend([
        event("messageStart", "{\"role\":\"assistant\"}"),
        event("contentBlockStart", call),
        delta(1, "{\"toolUse\":{\"input\":\"{\"}}"),
        delta(2, "{\"reasoningContent\":{\"text\":\"a\",\"signature\":\"s\"}}"),
        delta(3, "{\"reasoningContent\":{\"redactedContent\":\"/w==\"}}"),
        event("contentBlockStop", "{\"contentBlockIndex\":1}"),
        event("messageStop", "{\"stopReason\":\"tool_use\"}"),
        event("metadata", "{\"usage\":{\"outputTokens\":18446744073709551615}}"),
        event("metadata", "{"),
        frames::frame(&exception, b"{\"message\":\"no\"}"),
    ]);
    pieces
}

#[test]
fn what_stands_behind_the_last_event_is_not_read() {
    let event = |kind: &str, payload: &str| {
        let headers = [(":event-type", kind), (":message-type", "event")];
        frames::frame(&headers, payload.as_bytes())
    };
    let asked = Asked {
        kind: Kind::Bedrock,
        endpoint: Endpoint::ChatCompletions,
    };
    let answer = [
        event("messageStop", "{\"stopReason\":\"end_turn\"}"),
        event("metadata", "{\"usage\":{\"outputTokens\":1}}"),
        b"no frame, as its first bytes tell".to_vec(),
    ];
    let stream = Bytes::from(answer.concat());
    let (bytes, _, result) = decode(asked, &stream, &[stream.len()]);
    assert!(bytes.ends_with(b"data: [DONE]\n\n"));
    assert!(result.is_ok(), "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_encoded_as_json_or_refused_by_name(
        asked in anybody_asked(),
        messages in vec(any_message(), 0..5),
        prompt in any_prompt(),
        fields in vec(any_field(), 0..5),
        model in prop::sample::select(vec!["claude-opus-5-5", "claude-sonnet-4-5", "claude-3-haiku", "gemini-3.8-flash", "gemini-2.5-pro", "us.anthropic.claude-sonnet-4-5-v1:0", "amazon.nova-2-lite-v1:0", "mistral.x", "gpt-5.6", "o3", "qwen/qwen3-32b", "x"]),
        unsupported in prop::sample::select(vec![
            UnsupportedParameters::Drop, UnsupportedParameters::Pass, UnsupportedParameters::Reject,
        ]),
        stream: bool,
    ) {
        let mut body = body(asked.endpoint, &messages, &prompt);
        body["stream"] = stream.into();
        for (name, value) in fields {
            body[name] = value;
        }
        let request = match ModelRequest::parse(asked.endpoint, Bytes::from(body.to_string())) {
            Ok(request) => request,
            Err(refusal) => {
                prop_assert!(refusal.param.is_some(), "{}", refusal);
                return Ok(());
            }
        };
        let options = EncodeOptions { upstream_model: model, unsupported, ..EncodeOptions::default() };
        match asked.service().encode(&request, &options) {
            Ok(encoded) => {
                let upstream: Value = serde_json::from_slice(&encoded.body).unwrap();
                prop_assert!(upstream.is_object());
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
    fn a_stream_comes_out_the_same_however_it_is_cut(
        asked in anybody_asked(),
        pieces in vec(prop::sample::select(pieces()), 0..16),
        cuts in vec(1_usize..60, 1..10),
    ) {
        let stream = Bytes::from(pieces.concat());
        let whole = decode(asked, &stream, &[stream.len().max(1)]);
        prop_assert_eq!(&decode(asked, &stream, &cuts), &whole);
        prop_assert_eq!(&decode(asked, &stream, &[1]), &whole);
        let is_done = whole.0.ends_with(b"data: [DONE]\n\n");
        if asked.ends_with_done() {
            prop_assert_eq!(is_done, whole.2.is_ok(), "[DONE] and only [DONE] is a success");
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(
        asked in anybody_asked(),
        bytes in vec(any::<u8>(), 0..200),
        status in 100_u16..600,
    ) {
        let bytes = Bytes::from(bytes);
        let _ = decode(asked, &bytes, &[7]);
        let _ = asked.service().decode_whole(bytes.clone(), &AnswerContext::default());
        let now = std::time::SystemTime::UNIX_EPOCH;
        let _ = asked.service().decode_failure(status, &http::HeaderMap::new(), &bytes, "", now);
    }
}
