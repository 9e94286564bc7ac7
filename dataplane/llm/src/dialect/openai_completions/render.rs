//! Whole answers from the hub, as `OpenAI`'s schema has them.

use bytes::Bytes;
use serde::Serialize;

use super::logprobs::Logprobs;
use crate::dialect::openai_chat::render::{WireUsage, bare_id};
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::provider::AnswerContext;

/// `object` of an answer and of each of its chunks.
pub(super) const OBJECT: &str = "text_completion";

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<WireChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
}

/// A choice, or a piece of one, which has no reason yet.
#[derive(Serialize)]
pub(super) struct WireChoice {
    pub(super) text: String,
    pub(super) index: u32,
    pub(super) logprobs: Option<Logprobs>,
    pub(super) finish_reason: Option<&'static str>,
}

/// The body of a `text_completion`.
pub fn body(answer: &Answer, context: &AnswerContext<'_>) -> Bytes {
    let completion = Completion {
        id: &answer.id.clone().unwrap_or_else(|| answer_id(context)),
        object: OBJECT,
        created: answer.created_unix_seconds.unwrap_or(context.now_unix_seconds),
        model: answer.model.as_deref().unwrap_or(context.requested_model),
        choices: answer.choices.iter().map(WireChoice::of).collect(),
        usage: answer.usage.as_ref().map(WireUsage::of),
    };
    serde_json::to_vec(&completion)
        .expect("structs can always be written as JSON")
        .into()
}

/// The id of an answer whose provider gave none.
pub(super) fn answer_id(context: &AnswerContext<'_>) -> String {
    format!("cmpl-{}", bare_id(context))
}

/// The dialect knows three reasons; a tool that was called unasked is none of them.
pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
    }
}

impl WireChoice {
    fn of(choice: &Choice) -> Self {
        let texts = choice.output.iter().filter_map(|output| match output {
            Output::Text(text) | Output::Refusal(text) => Some(text.as_str()),
            Output::Reasoning { .. }
            | Output::RedactedReasoning { .. }
            | Output::ToolCall { .. }
            | Output::Media { .. } => None,
        });
        Self {
            text: texts.collect(),
            index: choice.index,
            logprobs: choice.logprobs.as_ref().and_then(|json| Logprobs::of(json, &mut 0)),
            finish_reason: Some(finish_reason(choice.finish_reason)),
        }
    }
}
