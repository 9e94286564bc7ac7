//! Whole answers, token counts, reasons and errors of the Messages API.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::FailureKind;
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::translate::WireFailure;
use crate::usage::Usage;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    r#type: Option<&'a str>,
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow, default)]
    content: Vec<WireBlock<'a>>,
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
    usage: Option<WireUsage>,
    error: Option<WireError>,
}

/// A block; which members it has, its type says. Blocks of the provider's own tools are for nobody here.
#[derive(Deserialize)]
struct WireBlock<'a> {
    r#type: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    thinking: String,
    signature: Option<String>,
    #[serde(default)]
    data: String,
}

/// Why the model refused, where it says.
#[derive(Debug, Deserialize)]
pub(super) struct StopDetails {
    pub(super) explanation: Option<String>,
}

/// Token counts. Those of input exclude the cache's; those of output include thoughts. Cumulative in a stream, where
/// the later report may leave some out.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

/// Cache writes by how long they live.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: u64,
    #[serde(default)]
    ephemeral_1h_input_tokens: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: u64,
}

/// More than any answer has; above it a count is a mistake, and sums of such counts could overflow.
const COUNT_MAX: u64 = 1 << 40;

impl WireUsage {
    /// Takes what a later report says. A report never takes tokens back, so the larger count stands.
    pub(super) fn merge(&mut self, later: Self) {
        self.input_tokens = self.input_tokens.max(later.input_tokens);
        self.cache_read_input_tokens = self.cache_read_input_tokens.max(later.cache_read_input_tokens);
        self.cache_creation_input_tokens = self.cache_creation_input_tokens.max(later.cache_creation_input_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.output_tokens = self.output_tokens.max(later.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }

    /// Both sides are counted, as in every whole answer.
    pub(super) fn is_whole(&self) -> bool {
        self.input_tokens.is_some() && self.output_tokens.is_some()
    }

    /// The same in disjoint classes.
    pub(super) fn read(&self) -> Usage {
        let count = |count: Option<u64>| count.unwrap_or(0).min(COUNT_MAX);
        let by_life = self.cache_creation.unwrap_or_default();
        let hour = by_life.ephemeral_1h_input_tokens.min(COUNT_MAX);
        let written =
            count(self.cache_creation_input_tokens).max(hour + by_life.ephemeral_5m_input_tokens.min(COUNT_MAX));
        let output = count(self.output_tokens);
        let reasoning = self
            .output_tokens_details
            .map_or(0, |details| details.thinking_tokens.min(output));
        Usage {
            input_tokens: count(self.input_tokens),
            cached_input_tokens: count(self.cache_read_input_tokens),
            cache_write_tokens: written - hour,
            cache_write_1h_tokens: hour,
            output_tokens: output - reasoning,
            reasoning_tokens: reasoning,
            ..Usage::default()
        }
    }
}

/// An error object.
#[derive(Debug, Deserialize)]
pub(super) struct WireError {
    r#type: Option<String>,
    message: Option<String>,
    details: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ErrorEnvelope {
    error: WireError,
}

/// Reads a whole answer.
pub(in crate::provider) fn message(body: &[u8]) -> Result<Answer, WireFailure> {
    let message: Message<'_> =
        serde_json::from_slice(body).map_err(|_| WireFailure::protocol("the answer is not a message object"))?;
    if let Some(error) = message.error {
        return Err(unannounced(error));
    }
    if message.r#type != Some("message") {
        return Err(WireFailure::protocol(
            "the answer is an object of another type than message",
        ));
    }
    let mut output: Vec<_> = message.content.into_iter().filter_map(output).collect();
    output.extend(
        message
            .stop_details
            .and_then(|details| details.explanation)
            .map(Output::Refusal),
    );
    let choice = Choice {
        index: 0,
        output,
        finish_reason: finish_reason(message.stop_reason.as_deref()),
        logprobs: None,
    };
    Ok(Answer {
        id: message.id,
        model: message.model,
        created_unix_seconds: None,
        choices: vec![choice],
        usage: message.usage.map(|usage| usage.read()),
    })
}

/// The counts of a whole answer that passes as it is. Refuses what is none, and an error that came under status 200.
pub(super) fn usage_of(body: &[u8]) -> Result<Option<WireUsage>, WireFailure> {
    #[derive(Deserialize)]
    struct Envelope {
        r#type: Option<String>,
        usage: Option<WireUsage>,
        error: Option<WireError>,
    }
    let message: Envelope =
        serde_json::from_slice(body).map_err(|_| WireFailure::protocol("the answer is not a message object"))?;
    match message.error {
        Some(error) => Err(unannounced(error)),
        None if message.r#type.as_deref() != Some("message") => Err(WireFailure::protocol(
            "the answer is an object of another type than message",
        )),
        None => Ok(message.usage),
    }
}

fn output(block: WireBlock<'_>) -> Option<Output> {
    match block.r#type.as_str() {
        "text" => Some(Output::Text(block.text)),
        "thinking" => Some(Output::Reasoning {
            text: block.thinking,
            signature: block.signature.filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => Some(Output::RedactedReasoning { data: block.data }),
        "tool_use" => Some(Output::ToolCall {
            id: block.id,
            name: block.name,
            arguments: block
                .input
                .map_or_else(|| "{}".to_owned(), |input| input.get().to_owned()),
            signature: None,
        }),
        _ => None,
    }
}

/// What a stop reason means. One that nobody knows ended the turn in some way, and the answer stands.
pub(super) fn finish_reason(stop_reason: Option<&str>) -> FinishReason {
    match stop_reason {
        Some("tool_use") => FinishReason::ToolCalls,
        Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
        Some("refusal") => FinishReason::ContentFilter,
        _ => FinishReason::Stop, // end_turn, stop_sequence, pause_turn
    }
}

/// Reads an answer that is not 2xx. What is no error object (a proxy's page) is replaced by words of ours.
pub(in crate::provider) fn failure(status: u16, body: &[u8]) -> WireFailure {
    if let Ok(envelope) = serde_json::from_slice::<ErrorEnvelope>(body) {
        return describe(envelope.error, status, format!("status {status}"));
    }
    let detail = format!("status {status} with a body that is no error object");
    WireFailure::new(FailureKind::of_status(status), detail)
}

/// An error that came under status 200: in a stream, or as a whole body. Its type names the status it would have had.
pub(super) fn unannounced(error: WireError) -> WireFailure {
    let status = match error.r#type.as_deref() {
        Some("invalid_request_error") => 400,
        Some("authentication_error") => 401,
        Some("billing_error") => 402,
        Some("permission_error") => 403,
        Some("not_found_error") => 404,
        Some("request_too_large") => 413,
        Some("rate_limit_error") => 429,
        Some("timeout_error") => 504,
        Some("overloaded_error") => 529,
        _ => 500,
    };
    describe(error, status, "an error in an answer with status 200".to_owned())
}

fn describe(error: WireError, status: u16, mut detail: String) -> WireFailure {
    let kind = match FailureKind::of_status(status) {
        FailureKind::Rejected if error.message.as_deref().is_some_and(speaks_of_context) => FailureKind::ContextLength,
        kind => kind,
    };
    if let Some(word) = error.r#type.as_deref().filter(|word| is_word(word)) {
        detail.push_str(", type ");
        detail.push_str(word);
    }
    WireFailure {
        status: Some(status),
        message: error.message.map(Into::into),
        error_type: error.r#type.map(Into::into),
        details: error.details.filter(serde_json::Value::is_object).map(Box::new),
        ..WireFailure::new(kind, detail)
    }
}

/// The provider has no type of error for it, only these sentences.
fn speaks_of_context(message: &str) -> bool {
    ["prompt is too long", "exceed context limit", "context window"]
        .iter()
        .any(|words| message.contains(words))
}

/// Whether a type may stand in a log line: the provider's are short and of small letters.
fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
