//! A request, whatever dialect it came in.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// What a client asks for. Made by a dialect, written by a provider's adapter.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The model as the client names it.
    pub model: Cow<'a, str>,
    /// System and developer messages in their order, wherever they stood.
    pub instructions: Vec<Part<'a>>,
    /// The conversation. Neighbouring turns of one role may occur; an adapter that must not send them merges them.
    pub turns: Vec<Turn<'a>>,
    /// Functions that the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether it must, and which.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once; absent: the provider's default.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the output.
    pub output_format: OutputFormat<'a>,
    /// How much it may think.
    pub reasoning: Option<Reasoning>,
    /// The most output tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Texts at which the output ends.
    pub stop: Vec<Cow<'a, str>>,
    /// The rest of what tunes sampling.
    pub tuning: Tuning<'a>,
    /// How many choices.
    pub choices: u32,
    /// Whether the answer streams.
    pub stream: bool,
    /// Whether the client wants usage in its stream.
    pub include_usage: bool,
    /// Who asks, as the client says.
    pub user: Option<Cow<'a, str>>,
    /// Top-level fields that the hub has no place for, as they were written, in order. An adapter takes those that its
    /// provider knows and treats the rest as the policy for unsupported parameters says.
    pub other: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// Names of what the dialect read and no provider behind the hub has: left out or refused as the policy says, without
    /// an adapter having to know.
    pub left_out: Vec<Cow<'a, str>>,
}

impl Request<'_> {
    /// Whether a client marked where a prompt cache may cut: for providers that cache by themselves.
    pub fn has_cache_marks(&self) -> bool {
        let turns = self.turns.iter().flat_map(|turn| &turn.parts);
        self.instructions.iter().chain(turns).any(|part| match part {
            Part::Text { cache, .. }
            | Part::Image { cache, .. }
            | Part::File { cache, .. }
            | Part::ToolCall { cache, .. }
            | Part::ToolResult { cache, .. } => cache.is_some(),
            Part::Refusal { .. } | Part::Audio { .. } | Part::Reasoning { .. } | Part::RedactedReasoning { .. } => {
                false
            }
        })
    }
}

/// Who speaks. What tools return stands in a user's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client's side.
    User,
    /// The model's.
    Assistant,
}

/// What one side said at once.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    /// Who.
    pub role: Role,
    /// What, in order.
    pub parts: Vec<Part<'a>>,
}

/// A piece of a turn.
#[derive(Clone, Debug)]
pub enum Part<'a> {
    /// Text.
    Text {
        /// The words.
        text: Cow<'a, str>,
        /// Where a provider's prompt cache may cut.
        cache: Option<CacheControl>,
    },
    /// The model's refusal of an earlier turn.
    Refusal {
        /// Its words.
        text: Cow<'a, str>,
    },
    /// A picture.
    Image {
        /// Where it is.
        media: Media<'a>,
        /// `OpenAI`'s `detail`.
        detail: Option<Cow<'a, str>>,
        /// Where a provider's prompt cache may cut.
        cache: Option<CacheControl>,
    },
    /// Sound.
    Audio {
        /// Base64.
        data: Cow<'a, str>,
        /// `wav`, `mp3`, …
        format: Cow<'a, str>,
    },
    /// A document.
    File {
        /// Where it is.
        media: Media<'a>,
        /// Its name.
        name: Option<Cow<'a, str>>,
        /// Where a provider's prompt cache may cut.
        cache: Option<CacheControl>,
    },
    /// What the model thought in an earlier turn.
    Reasoning {
        /// Its words; empty where only the signature came.
        text: Cow<'a, str>,
        /// What proves them to the provider that made them.
        signature: Option<Cow<'a, str>>,
    },
    /// Thoughts that only their provider can read.
    RedactedReasoning {
        /// The sealed bytes, as text.
        data: Cow<'a, str>,
    },
    /// The model called a tool.
    ToolCall {
        /// The call's id.
        id: Cow<'a, str>,
        /// The function.
        name: Cow<'a, str>,
        /// Its arguments: the text of a JSON object; an empty text means `{}`.
        arguments: Cow<'a, str>,
        /// Gemini's thought signature.
        signature: Option<Cow<'a, str>>,
        /// Where a provider's prompt cache may cut.
        cache: Option<CacheControl>,
    },
    /// What the tool returned.
    ToolResult {
        /// The call it answers.
        call_id: Cow<'a, str>,
        /// The function, where the client names it; else an adapter looks it up by the id.
        name: Option<Cow<'a, str>>,
        /// Text, images, files.
        parts: Vec<Part<'a>>,
        /// The tool failed.
        is_error: bool,
        /// Where a provider's prompt cache may cut.
        cache: Option<CacheControl>,
    },
}

impl<'a> Part<'a> {
    /// Plain text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text {
            text: text.into(),
            cache: None,
        }
    }
}

/// How long a prompt cache entry that ends here should live (`cache_control`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheControl {
    /// The provider's default, five minutes.
    Default,
    /// `"ttl": "5m"`.
    FiveMinutes,
    /// `"ttl": "1h"`.
    OneHour,
}

/// Where media are. The gateway never fetches a URL that a caller wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media<'a> {
    /// Somewhere else.
    Url {
        /// The address.
        url: Cow<'a, str>,
        /// Its type, where the client says.
        mime_type: Option<Cow<'a, str>>,
    },
    /// Here.
    Inline {
        /// As in `image/png`.
        mime_type: Cow<'a, str>,
        /// The bytes in standard base64, without line breaks.
        base64: Cow<'a, str>,
    },
    /// Plain text of a document.
    Text(Cow<'a, str>),
    /// A file that was uploaded to the provider.
    FileId(Cow<'a, str>),
}

/// A function that the model may call.
#[derive(Clone, Debug)]
pub enum Tool<'a> {
    /// One that the client runs.
    Function {
        /// Its name.
        name: Cow<'a, str>,
        /// What it is for.
        description: Option<Cow<'a, str>>,
        /// JSON schema of its arguments, whole.
        parameters: Option<&'a RawValue>,
        /// Whether arguments must follow the schema exactly.
        strict: Option<bool>,
        /// Where a provider's prompt cache may cut.
        cache: Option<CacheControl>,
    },
    /// One of the provider's own, in its own words.
    Native {
        /// Its `type`.
        kind: Cow<'a, str>,
        /// The whole object.
        json: &'a RawValue,
    },
}

/// Whether the model must call a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// As it likes.
    Auto,
    /// It must not.
    None,
    /// It must call one.
    Required,
    /// It must call this one.
    Named(Cow<'a, str>),
}

/// The form of the output.
#[derive(Clone, Debug, Default)]
pub enum OutputFormat<'a> {
    /// Text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON by a schema.
    JsonSchema {
        /// The schema's name.
        name: Cow<'a, str>,
        /// The schema, whole.
        schema: &'a RawValue,
        /// Whether the output must follow it exactly.
        strict: Option<bool>,
    },
}

/// How much the model may think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// As much as this word means to the provider.
    Effort(Effort),
    /// At most this many tokens.
    Budget {
        /// Tokens.
        tokens: u64,
    },
    /// Not at all.
    Off,
    /// As it sees fit (`thinking: {type: adaptive}`).
    Adaptive,
}

/// `reasoning_effort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the words of the wire
pub enum Effort {
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

impl Effort {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort that spends about as much as a budget of tokens. The bounds stand between what other gateways spend on
    /// each word: 1,024 on low, 8,192 on medium, 24,576 on high.
    pub const fn of_budget(tokens: u64) -> Self {
        match tokens {
            0..=4_095 => Self::Low,
            4_096..=16_383 => Self::Medium,
            _ => Self::High,
        }
    }
}

/// What tunes sampling. Numbers stay as they were written.
#[derive(Clone, Debug, Default)]
pub struct Tuning<'a> {
    /// `temperature`, 0 to 2 as `OpenAI` counts it.
    pub temperature: Option<&'a RawValue>,
    /// `top_p`.
    pub top_p: Option<&'a RawValue>,
    /// `top_k`.
    pub top_k: Option<&'a RawValue>,
    /// `frequency_penalty`.
    pub frequency_penalty: Option<&'a RawValue>,
    /// `presence_penalty`.
    pub presence_penalty: Option<&'a RawValue>,
    /// `seed`.
    pub seed: Option<&'a RawValue>,
    /// `logit_bias`.
    pub logit_bias: Option<&'a RawValue>,
    /// `logprobs`.
    pub logprobs: bool,
    /// `top_logprobs`.
    pub top_logprobs: Option<u32>,
}
