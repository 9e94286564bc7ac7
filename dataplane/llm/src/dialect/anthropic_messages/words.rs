//! What whole answers and streams have in common: ids, reasons, token counts, and what stands for a picture.

use serde::Serialize;

use crate::hub::FinishReason;
use crate::provider::AnswerContext;
use crate::usage::Usage;

/// The request's id without what another dialect puts before it.
fn bare_id(request_id: &str) -> &str {
    request_id.strip_prefix("chatcmpl-").unwrap_or(request_id)
}

/// The id of an answer whose provider gave none.
pub(super) fn answer_id(context: &AnswerContext<'_>) -> String {
    format!("msg_{}", bare_id(context.id))
}

/// The id of a tool call whose provider gave none. Clients send it back with the result, so it is unique in one
/// conversation: the request is part of it.
pub(super) fn tool_use_id(request_id: &str, call: usize) -> String {
    format!("toolu_{}_{call}", bare_id(request_id))
}

/// Why it ended, in the dialect's words. Agents go on by this word, and some servers say `stop` beside calls; a refusal in
/// words is one whatever the provider calls its end.
pub(super) fn stop_reason(reason: FinishReason, has_calls: bool, has_refused: bool) -> &'static str {
    match reason {
        FinishReason::Stop if has_calls => "tool_use",
        FinishReason::Stop if has_refused => "refusal",
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// What stands for a picture: the dialect has no block for one, and an answer that is empty without a word would be taken
/// for a defect.
pub(super) fn instead_of_media(mime_type: &str) -> String {
    format!("[{mime_type}: this API has no place for it; ask the model by /v1/chat/completions]")
}

/// Usage as the dialect counts it: input without the cache's, output with thoughts.
#[derive(Serialize)]
pub(super) struct WireUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreation>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
}

/// Writes to the cache by how long they live.
#[derive(Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

impl WireUsage {
    pub(super) fn of(usage: &Usage) -> Self {
        let thinking_tokens = usage.reasoning_tokens;
        let cache_creation = CacheCreation {
            ephemeral_5m_input_tokens: usage.cache_write_tokens,
            ephemeral_1h_input_tokens: usage.cache_write_1h_tokens,
        };
        Self {
            input_tokens: Some(usage.input_tokens + usage.audio_input_tokens),
            cache_creation_input_tokens: Some(usage.total_cache_write_tokens()),
            cache_read_input_tokens: Some(usage.cached_input_tokens),
            cache_creation: (usage.cache_write_1h_tokens > 0).then_some(cache_creation),
            output_tokens: usage.total_output_tokens(),
            output_tokens_details: (thinking_tokens > 0).then_some(OutputDetails { thinking_tokens }),
        }
    }

    /// Of an answer whose input nobody counted: what the beginning of its stream said stands.
    pub(super) fn of_output(output_tokens: u64) -> Self {
        Self {
            input_tokens: None,
            cache_creation_input_tokens: None,
            cache_read_input_tokens: None,
            cache_creation: None,
            output_tokens,
            output_tokens_details: None,
        }
    }
}
