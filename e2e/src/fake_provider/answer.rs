//! The bytes of correct answers, in `OpenAI`'s shapes, and of its error bodies.

use std::io::Write as _;

use serde_json::{Value, json};

use super::request::Request;

/// Every content event of a stream has this length, blank line included: what the bench counts with.
pub const EVENT_BYTES: usize = 250;
/// What big answers are made of.
pub(super) const MEBIBYTE: usize = 1 << 20;
const CREATED_S: u64 = 1_790_000_000; // fixed, so that two runs give equal bytes

/// What is read of a request to choose an answer.
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// The first function among `tools`.
    pub(super) tool: Option<String>,
    embeddings: bool,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        Self {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            tool: body["tools"][0]["function"]["name"].as_str().map(str::to_owned),
            embeddings: request.path.ends_with("/embeddings"),
        }
    }
}

fn usage() -> Value {
    json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2}})
}

/// A whole answer.
pub(super) fn whole(asked: &Asked, content: &str, with_usage: bool) -> Vec<u8> {
    if asked.embeddings {
        return embedding(&asked.model);
    }
    let (message, finish) = match &asked.tool {
        Some(name) => (
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
            {"id": "call_fake_1", "type": "function", "function": {"name": name, "arguments": "{\"city\":\"Hanoi\"}"}}]}),
            "tool_calls",
        ),
        None => (
            json!({"role": "assistant", "content": content, "refusal": null}),
            "stop",
        ),
    };
    let mut answer = json!({"id": "chatcmpl-fake", "object": "chat.completion", "created": CREATED_S, "model": asked.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
        "service_tier": "default", "system_fingerprint": "fp_fake"});
    if with_usage {
        answer["usage"] = usage();
    }
    answer.to_string().into_bytes()
}

fn embedding(model: &str) -> Vec<u8> {
    json!({"object": "list", "model": model, "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}],
        "usage": {"prompt_tokens": 11, "total_tokens": 11}})
    .to_string()
    .into_bytes()
}

fn event(model: &str, delta: &Value, finish: Option<&str>) -> Vec<u8> {
    let chunk = json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED_S, "model": model,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]});
    framed(&chunk)
}

fn framed(chunk: &Value) -> Vec<u8> {
    format!("data: {chunk}\n\n").into_bytes()
}

/// One content event of [`EVENT_BYTES`]; the same for every event of a stream, so it is made once.
pub(super) fn content_event(model: &str) -> Vec<u8> {
    let bare = event(model, &json!({"content": ""}), None).len();
    let words = "xin chao ".repeat(EVENT_BYTES / 9 + 1);
    event(
        model,
        &json!({"content": &words[..EVENT_BYTES.saturating_sub(bare)]}),
        None,
    )
}

/// The two events that a tool call is streamed in.
pub(super) fn tool_events(model: &str, tool: &str) -> [Vec<u8>; 2] {
    [
        event(
            model,
            &json!({"role": "assistant", "tool_calls": [{"index": 0, "id": "call_fake_1", "type": "function",
            "function": {"name": tool, "arguments": "{\"city\""}}]}),
            None,
        ),
        event(
            model,
            &json!({"tool_calls": [{"index": 0, "function": {"arguments": ":\"Hanoi\"}"}}]}),
            None,
        ),
    ]
}

/// Finish, usage if asked for, and `[DONE]`: the end of a stream.
pub(super) fn stream_end(asked: &Asked, with_usage: bool) -> Vec<u8> {
    let finish = if asked.tool.is_some() { "tool_calls" } else { "stop" };
    let mut end = event(&asked.model, &json!({}), Some(finish));
    if with_usage && asked.include_usage {
        end.extend(framed(
            &json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED_S,
            "model": asked.model, "choices": [], "usage": usage()}),
        ));
    }
    end.extend_from_slice(b"data: [DONE]\n\n");
    end
}

/// An error in the middle of a stream, as providers send it: HTTP said 200 long ago.
pub(super) fn error_event() -> Vec<u8> {
    framed(
        &json!({"error": {"message": "the model fell over", "type": "server_error", "param": null, "code": "fake_mid_stream"}}),
    )
}

/// The error body that belongs to `status`.
pub(super) fn error(status: u16, message: &str) -> Vec<u8> {
    let (kind, code) = match status {
        400 => ("invalid_request_error", "invalid_value"),
        401 => ("invalid_request_error", "invalid_api_key"),
        403 => ("invalid_request_error", "unsupported_country_region_territory"),
        404 => ("invalid_request_error", "model_not_found"),
        429 => ("requests", "rate_limit_exceeded"),
        _ => ("server_error", "fake_server_error"),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        .to_string()
        .into_bytes()
}

/// The list that `GET /v1/models` of a provider gives.
pub(super) fn models() -> Vec<u8> {
    json!({"object": "list", "data": [{"id": "chat", "object": "model", "created": CREATED_S, "owned_by": "fake"}]})
        .to_string()
        .into_bytes()
}

/// A whole answer in three parts: what stands before its content, and behind it. Between them goes as much as is wanted,
/// without a string of that size ever being made.
pub(super) fn around_content(asked: &Asked) -> [Vec<u8>; 2] {
    const MARK: &str = "@content@";
    let answer = String::from_utf8(whole(asked, MARK, true)).expect("JSON is text");
    let (before, after) = answer.split_once(MARK).expect("the content is in the answer");
    [before.into(), after.into()]
}

/// `plain`, compressed.
pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

/// The beginning of a compressed answer, and one mebibyte of its content, to be sent as often as is wanted: what it
/// refers to is always the same `x`. The end is missing: nobody should read that far.
pub(super) fn gzip_bomb(asked: &Asked) -> [Vec<u8>; 2] {
    let [before, _] = around_content(asked);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut blocks = |plain: &[u8]| {
        encoder
            .write_all(plain)
            .and_then(|()| encoder.flush())
            .expect("writing to memory does not fail");
        std::mem::take(encoder.get_mut())
    };
    [blocks(&before), blocks(&vec![b'x'; MEBIBYTE])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_event_has_the_length_the_bench_counts_with() {
        for model in ["chat", "events-1000000-every-2ms"] {
            assert_eq!(content_event(model).len(), EVENT_BYTES, "{model}");
        }
    }
}
