//! A whole answer, whatever provider gave it.

use serde_json::value::RawValue;

use crate::usage::Usage;

/// What a provider answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The provider's id of it; absent: the dialect makes one from the request's id.
    pub id: Option<String>,
    /// The model as the provider names it; absent: the one that was asked.
    pub model: Option<String>,
    /// When it was made, Unix seconds, where the provider says.
    pub created_unix_seconds: Option<u64>,
    /// The choices in order of their index.
    pub choices: Vec<Choice>,
    /// Tokens, if reported.
    pub usage: Option<Usage>,
}

/// One choice.
#[derive(Clone, Debug)]
pub struct Choice {
    /// From 0.
    pub index: u32,
    /// What came out, in order.
    pub output: Vec<Output>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// `logprobs` in `OpenAI`'s form, where they were asked for and given.
    pub logprobs: Option<Box<RawValue>>,
}

/// A piece of what came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Text.
    Text(String),
    /// The model's refusal.
    Refusal(String),
    /// What it thought.
    Reasoning {
        /// The words; empty where the provider shows only the signature.
        text: String,
        /// What proves them.
        signature: Option<String>,
    },
    /// Thoughts that only the provider can read.
    RedactedReasoning {
        /// The sealed bytes, as text.
        data: String,
    },
    /// A call of the client's tool.
    ToolCall {
        /// The provider's id; empty where a wire leaves it to the service, never for a dialect.
        id: String,
        /// The function.
        name: String,
        /// The text of a JSON object.
        arguments: String,
        /// Gemini's thought signature.
        signature: Option<String>,
    },
    /// A picture or other media.
    Media {
        /// As in `image/png`.
        mime_type: String,
        /// Standard base64.
        base64: String,
    },
}

/// Why an output ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done, or met a stop text.
    Stop,
    /// The cap on output tokens, or the model's context, was reached.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// The provider blocked it.
    ContentFilter,
}

impl FinishReason {
    /// `OpenAI`'s word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}
