//! Whole answers, and what streams share with them: token counts and reasons.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::media::unsealed;
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::translate::WireFailure;
use crate::usage::Usage;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(borrow)]
    output: Option<WireOutput<'a>>,
    stop_reason: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireOutput<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<WireBlock<'a>>,
}

/// A block; which member it has is its type. Those of the provider's own tools are for nobody here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBlock<'a> {
    text: Option<String>,
    #[serde(borrow)]
    tool_use: Option<WireToolUse<'a>>,
    reasoning_content: Option<WireReasoning>,
    image: Option<WireImage>,
    citations_content: Option<Cited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireToolUse<'a> {
    #[serde(default)]
    tool_use_id: String,
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    /// Present where the provider runs the tool itself.
    r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReasoning {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct WireImage {
    #[serde(default)]
    format: String,
    source: Option<WireSource>,
}

/// Where a picture is: here, in base64.
#[derive(Deserialize)]
pub(super) struct WireSource {
    pub(super) bytes: Option<String>,
}

/// Text with its sources, in pieces.
#[derive(Deserialize)]
struct Cited {
    #[serde(default)]
    content: Vec<CitedText>,
}

#[derive(Deserialize)]
struct CitedText {
    #[serde(default)]
    text: String,
}

/// Token counts. Those of input exclude the cache's; those of output include thoughts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<CacheWrite>>,
}

/// Cache writes of one time to live.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheWrite {
    ttl: Option<String>,
    #[serde(default)]
    input_tokens: u64,
}

/// More than any answer has; above it a count is a mistake, and sums of such counts could overflow.
const COUNT_MAX: u64 = 1 << 40;

impl WireUsage {
    /// The same in disjoint classes.
    pub(super) fn read(&self) -> Usage {
        let count = |count: Option<u64>| count.unwrap_or(0).min(COUNT_MAX);
        let written_for = |is_hour: bool| {
            let writes = self.cache_details.iter().flatten();
            let writes = writes.filter(|write| (write.ttl.as_deref() == Some("1h")) == is_hour);
            writes
                .fold(0, |sum: u64, write| sum.saturating_add(write.input_tokens))
                .min(COUNT_MAX)
        };
        let hour = written_for(true);
        let written = count(self.cache_write_input_tokens).max(hour + written_for(false));
        Usage {
            input_tokens: count(self.input_tokens),
            cached_input_tokens: count(self.cache_read_input_tokens),
            cache_write_tokens: written - hour,
            cache_write_1h_tokens: hour,
            output_tokens: count(self.output_tokens),
            ..Usage::default()
        }
    }
}

/// Reads a whole answer.
pub(super) fn read(body: &[u8]) -> Result<Answer, WireFailure> {
    let response: Response<'_> =
        serde_json::from_slice(body).map_err(|_| WireFailure::protocol("the answer is not one of Converse"))?;
    let message = response.output.and_then(|output| output.message);
    let (Some(message), Some(stop_reason)) = (message, response.stop_reason) else {
        return Err(WireFailure::protocol("the answer has no message or no stop reason"));
    };
    let mut output: Vec<_> = message.content.into_iter().filter_map(output).collect();
    let has_calls = output.iter().any(|output| matches!(output, Output::ToolCall { .. }));
    let end = End::of(&stop_reason, has_calls);
    output.extend(end.words.map(Output::Text));
    let choice = Choice {
        index: 0,
        output,
        finish_reason: end.reason,
        logprobs: None,
    };
    Ok(Answer {
        choices: vec![choice],
        usage: response.usage.map(|usage| usage.read()),
        ..Answer::default()
    })
}

fn output(block: WireBlock<'_>) -> Option<Output> {
    if let Some(text) = block.text {
        return Some(Output::Text(text));
    }
    if let Some(call) = block.tool_use.filter(|call| call.r#type.is_none()) {
        return Some(Output::ToolCall {
            id: call.tool_use_id,
            name: call.name,
            arguments: call
                .input
                .map_or_else(|| "{}".to_owned(), |input| input.get().to_owned()),
            signature: None,
        });
    }
    if let Some(thought) = block.reasoning_content {
        return match (thought.reasoning_text, thought.redacted_content) {
            (Some(ReasoningText { text, signature }), _) => Some(Output::Reasoning {
                text,
                signature: signature.filter(|signature| !signature.is_empty()),
            }),
            (None, Some(sealed)) => Some(Output::RedactedReasoning {
                data: unsealed(STANDARD.decode(sealed).ok()?),
            }),
            (None, None) => None,
        };
    }
    if let Some(cited) = block.citations_content {
        return Some(Output::Text(
            cited.content.into_iter().map(|piece| piece.text).collect(),
        ));
    }
    let image = block.image?;
    Some(Output::Media {
        mime_type: mime_type(&image.format),
        base64: image.source?.bytes?,
    })
}

/// The type of a picture, by the name of its format.
pub(super) fn mime_type(format: &str) -> String {
    format!("image/{format}")
}

/// How an answer ended.
pub(super) struct End {
    pub(super) reason: FinishReason,
    /// What is said of an end that is none.
    pub(super) words: Option<String>,
}

impl End {
    /// What a stop reason means. One that nobody knows ended the answer in some way, and the answer stands. Agents look for
    /// `tool_calls` and not at what was called.
    pub(super) fn of(stop_reason: &str, has_calls: bool) -> Self {
        let (reason, words) = match stop_reason {
            "tool_use" => (FinishReason::ToolCalls, None),
            "max_tokens" | "model_context_window_exceeded" => (FinishReason::Length, None),
            "guardrail_intervened" | "content_filtered" | "refusal" => (FinishReason::ContentFilter, None),
            "malformed_model_output" | "malformed_tool_use" => {
                let words = format!("The model did not finish its answer ({stop_reason}).");
                (FinishReason::Stop, Some(words))
            }
            _ if has_calls => (FinishReason::ToolCalls, None),
            _ => (FinishReason::Stop, None), // end_turn, stop_sequence
        };
        Self { reason, words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str) -> Usage {
        serde_json::from_str::<WireUsage>(json).unwrap().read()
    }

    #[test]
    fn cache_writes_of_an_hour_are_counted_by_themselves() {
        let counts = usage(
            r#"{"inputTokens": 12, "outputTokens": 5, "cacheReadInputTokens": 1000, "cacheWriteInputTokens": 124,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 100}, {"ttl": "5m", "inputTokens": 24}]}"#,
        );
        let expected = Usage {
            input_tokens: 12,
            cached_input_tokens: 1000,
            cache_write_tokens: 24,
            cache_write_1h_tokens: 100,
            output_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn counts_that_cannot_be_neither_overflow_nor_vanish() {
        let counts =
            usage(r#"{"inputTokens": 18446744073709551615, "cacheDetails": [{"ttl": "1h", "inputTokens": 7}]}"#);
        assert_eq!((counts.input_tokens, counts.cache_write_1h_tokens), (COUNT_MAX, 7));
        assert_eq!(usage("{}"), Usage::default());
        assert_eq!(usage(r#"{"cacheWriteInputTokens": 9}"#).cache_write_tokens, 9);
    }
}
