//! The events of a stream, whatever provider sent it.
//!
//! A decoder owes its reader this order: at most one `Start`, before anything else; of each tool call its start, then its
//! arguments; at most one `Finish` a choice; `Usage` overwrites an earlier one; one `End`, and nothing after it. A stream
//! that stops without `End` was cut.

use serde_json::value::RawValue;

use super::FinishReason;
use crate::usage::Usage;

/// One step of a stream.
#[derive(Clone, Debug)]
pub enum Event {
    /// The answer begins.
    Start {
        /// The provider's id of it.
        id: Option<String>,
        /// The model as the provider names it.
        model: Option<String>,
    },
    /// More of one choice.
    Delta {
        /// Which choice, from 0.
        choice: u32,
        /// What.
        delta: Delta,
    },
    /// One choice has ended.
    Finish {
        /// Which choice, from 0.
        choice: u32,
        /// Why.
        reason: FinishReason,
    },
    /// Tokens so far.
    Usage(Usage),
    /// The answer is whole.
    End,
}

/// More of one choice.
#[derive(Clone, Debug)]
pub enum Delta {
    /// Text.
    Text(String),
    /// Text of a refusal.
    Refusal(String),
    /// Text of a thought.
    Reasoning(String),
    /// The thought so far is signed, and complete.
    ReasoningSignature(String),
    /// A thought that only the provider can read.
    RedactedReasoning(String),
    /// A tool call begins.
    ToolCallStart {
        /// Its place among the calls of this choice, from 0.
        index: u32,
        /// Its id; empty where a wire leaves it to the service, never for a dialect.
        id: String,
        /// The function.
        name: String,
        /// Gemini's thought signature.
        signature: Option<String>,
    },
    /// More of the arguments of a tool call.
    ToolCallArguments {
        /// Its place.
        index: u32,
        /// A piece of the text of a JSON object.
        text: String,
    },
    /// A picture or other media, whole.
    Media {
        /// As in `image/png`.
        mime_type: String,
        /// Standard base64.
        base64: String,
    },
    /// `logprobs` of the text just sent, in `OpenAI`'s form.
    Logprobs(Box<RawValue>),
}
