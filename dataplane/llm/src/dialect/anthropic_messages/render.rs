//! Whole answers from the hub, as the released SDK's types have them.
//!
//! Blocks stand in the order in which Claude writes them: thoughts, text, calls of tools. Agents that run the calls read the
//! text before them.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::signature;
use super::words::{WireUsage, answer_id, instead_of_media, stop_reason};
use crate::estimate;
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::json::{self, Kind};
use crate::provider::AnswerContext;
use crate::usage::Usage;

#[derive(Serialize)]
struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
    usage: WireUsage,
}

/// A content block, whole or, in a stream, as it begins.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Cow<'a, RawValue>,
    },
}

/// The body of a message. The dialect has one choice; others are not asked for.
pub fn body(answer: &Answer, context: &AnswerContext<'_>) -> Bytes {
    let made_id = answer_id(context);
    let choice = answer.choices.iter().min_by_key(|choice| choice.index);
    let mut content = Content::default();
    for output in choice.into_iter().flat_map(|choice| &choice.output) {
        content.add(output);
    }
    let reason = choice.map_or(FinishReason::Stop, |choice| choice.finish_reason);
    let usage = answer.usage.unwrap_or_else(|| estimated(choice, context));
    let message = Message {
        id: answer.id.as_deref().unwrap_or(&made_id),
        r#type: "message",
        role: "assistant",
        model: answer.model.as_deref().unwrap_or(context.requested_model),
        stop_reason: stop_reason(reason, content.calls > 0, content.has_refused),
        content: content.into_blocks(),
        stop_sequence: None,
        usage: WireUsage::of(&usage),
    };
    serde_json::to_vec(&message)
        .expect("structs can always be written as JSON")
        .into()
}

/// The SDKs' types demand counts also where the provider tells none.
fn estimated(choice: Option<&Choice>, context: &AnswerContext<'_>) -> Usage {
    let text_of = |output: &Output| match output {
        Output::Text(text) | Output::Refusal(text) | Output::Reasoning { text, .. } => estimate::text_tokens(text),
        Output::ToolCall { name, arguments, .. } => estimate::text_tokens(name) + estimate::text_tokens(arguments),
        Output::RedactedReasoning { .. } | Output::Media { .. } => 0,
    };
    let output = choice.into_iter().flat_map(|choice| &choice.output).map(text_of).sum();
    Usage::estimated(context.request.map_or(0, estimate::input_tokens), output)
}

#[derive(Default)]
struct Content<'a> {
    thoughts: Vec<Block<'a>>,
    texts: Vec<Block<'a>>,
    tool_uses: Vec<Block<'a>>,
    calls: usize,
    has_refused: bool,
    /// The last output was text, which goes on: neighbours become one block, as in a stream.
    in_text: bool,
}

impl<'a> Content<'a> {
    fn add(&mut self, output: &'a Output) {
        let was_in_text = std::mem::take(&mut self.in_text);
        match output {
            Output::Text(text) => self.add_text(Cow::Borrowed(text), was_in_text),
            Output::Refusal(text) => {
                self.has_refused |= !text.is_empty();
                self.add_text(Cow::Borrowed(text), was_in_text);
            }
            Output::Media { mime_type, .. } => {
                self.add_text(instead_of_media(mime_type).into(), false);
                self.in_text = false;
            }
            Output::Reasoning { text, signature } => {
                let signature = signature.as_deref().unwrap_or_default();
                if !text.is_empty() || !signature.is_empty() {
                    self.thoughts.push(Block::Thinking {
                        thinking: text,
                        signature,
                    });
                }
            }
            Output::RedactedReasoning { data } => self.thoughts.push(Block::RedactedThinking {
                data: Cow::Borrowed(data),
            }),
            Output::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                if let Some(proof) = signature {
                    let data = signature::for_call(id, proof).into();
                    self.tool_uses.push(Block::RedactedThinking { data });
                }
                let input = input(arguments);
                self.tool_uses.push(Block::ToolUse {
                    id: id.into(),
                    name,
                    input,
                });
                self.calls += 1;
            }
        }
    }

    fn add_text(&mut self, more: Cow<'a, str>, goes_on: bool) {
        self.in_text = true;
        match self.texts.last_mut() {
            Some(Block::Text { text }) if goes_on => text.to_mut().push_str(&more),
            _ => self.texts.push(Block::Text { text: more }),
        }
    }

    /// Empty text is left out: a client hands it back, and the dialect's own provider refuses it.
    fn into_blocks(self) -> Vec<Block<'a>> {
        let is_said = |block: &Block<'_>| !matches!(block, Block::Text { text } if text.is_empty());
        let mut blocks = self.thoughts;
        blocks.extend(self.texts.into_iter().filter(is_said));
        blocks.extend(self.tool_uses);
        blocks
    }
}

/// Arguments as the object that the dialect demands. Text of a model that is none goes out inside of one, under the name
/// that Anthropic's own documentation gives it ("Fine-grained tool streaming"), so that the client's tool can say what is
/// wrong.
fn input(arguments: &str) -> Cow<'_, RawValue> {
    let arguments = arguments.trim_ascii();
    let raw = |json| serde_json::from_str::<&RawValue>(json).ok();
    match raw(if arguments.is_empty() { "{}" } else { arguments }) {
        Some(json) if json::kind(json.get().as_bytes()) == Kind::Object => Cow::Borrowed(json),
        _ => {
            let object = serde_json::json!({ "INVALID_JSON": arguments });
            Cow::Owned(to_raw_value(&object).expect("an object can always be written as JSON"))
        }
    }
}
