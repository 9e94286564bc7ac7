//! The items of an output as the SDK's types have them, with every key that those demand.

use serde::Serialize;
use serde_json::value::RawValue;

/// What an output is made of.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    /// What the model said.
    Message {
        id: String,
        status: Status,
        role: &'static str,
        content: Vec<Part>,
    },
    /// What it thought.
    Reasoning {
        id: String,
        summary: Vec<Summary>,
        /// See `proof`.
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    /// A call of the client's tool.
    FunctionCall {
        id: String,
        call_id: String,
        name: String,
        arguments: String,
        status: Status,
    },
    /// A picture, in the only place that the dialect has for one.
    ImageGenerationCall {
        id: String,
        status: Status,
        output_format: String,
        result: Option<String>,
    },
}

/// How far an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

/// A part of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    OutputText {
        text: String,
        /// Always none: what providers cite has no form in the hub.
        annotations: [(); 0],
        logprobs: Vec<Box<RawValue>>,
    },
    Refusal {
        refusal: String,
    },
}

/// A piece of a thought.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    r#type: &'static str,
    pub(super) text: String,
}

impl Summary {
    pub(super) fn new() -> Self {
        Self {
            r#type: "summary_text",
            text: String::new(),
        }
    }
}

impl Part {
    pub(super) fn text() -> Self {
        Self::OutputText {
            text: String::new(),
            annotations: [],
            logprobs: Vec::new(),
        }
    }

    pub(super) fn refusal() -> Self {
        Self::Refusal { refusal: String::new() }
    }
}

impl Item {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::Reasoning { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::ImageGenerationCall { id, .. } => id,
        }
    }

    /// Thoughts have none: they come whole or are cut with what follows them.
    pub(super) fn set_status(&mut self, now: Status) {
        match self {
            Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::ImageGenerationCall { status, .. } => *status = now,
            Self::Reasoning { .. } => {}
        }
    }
}
