//! Whole answers, log probabilities and finish reasons.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::failure;
use super::usage::WireUsage;
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::translate::WireFailure;

#[derive(Deserialize)]
struct WireAnswer {
    id: Option<String>,
    message: Message,
    finish_reason: Option<String>,
    usage: Option<WireUsage>,
    logprobs: Option<Vec<Logprobs>>,
}

#[derive(Deserialize)]
struct Message {
    tool_plan: Option<String>,
    content: Option<Vec<Block>>,
    tool_calls: Option<Vec<Call>>,
}

/// A piece of content; which member it has, its type says.
#[derive(Default, Deserialize)]
pub(super) struct Block {
    pub(super) thinking: Option<String>,
    pub(super) text: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub(super) id: String,
    pub(super) function: Function,
}

#[derive(Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub(super) name: String,
    pub(super) arguments: Option<String>,
}

/// The log probabilities of the tokens that a piece of text is made of.
#[derive(Deserialize)]
pub(super) struct Logprobs {
    text: Option<String>,
    logprobs: Option<Vec<f64>>,
}

/// Reads a whole answer.
pub(super) fn answer(body: &[u8]) -> Result<Answer, WireFailure> {
    let Ok(answer) = serde_json::from_slice::<WireAnswer>(body) else {
        let unreadable = || WireFailure::protocol("the answer is not one of /v2/chat");
        return Err(failure::unannounced(body).unwrap_or_else(unreadable));
    };
    let message = answer.message;
    let calls = message.tool_calls.unwrap_or_default();
    let finish_reason = finish_reason(answer.finish_reason.as_deref(), !calls.is_empty(), None)?;
    let thought = |text| Output::Reasoning { text, signature: None };
    let says = |text: &String| !text.is_empty();
    let mut output: Vec<_> = message.tool_plan.filter(says).map(thought).into_iter().collect();
    for block in message.content.unwrap_or_default() {
        output.extend(block.thinking.filter(says).map(thought));
        output.extend(block.text.map(Output::Text));
    }
    output.extend(calls.into_iter().map(|call| Output::ToolCall {
        id: call.id,
        name: call.function.name,
        arguments: arguments(call.function.arguments),
        signature: None,
    }));
    let choice = Choice {
        index: 0,
        output,
        finish_reason,
        logprobs: answer.logprobs.as_deref().and_then(logprobs),
    };
    Ok(Answer {
        id: answer.id,
        model: None, // it names none
        created_unix_seconds: None,
        choices: vec![choice],
        usage: answer.usage.and_then(|usage| usage.read()),
    })
}

/// The text of an object. A function without parameters may have been given `null`, or nothing.
fn arguments(text: Option<String>) -> String {
    text.filter(|text| text.trim_ascii_start().starts_with('{'))
        .unwrap_or_else(|| "{}".to_owned())
}

/// What a finish reason means, where it is one. One that nobody knows ended the turn in some way, and the answer stands.
pub(super) fn finish_reason(
    reason: Option<&str>,
    has_called: bool,
    error: Option<String>,
) -> Result<FinishReason, WireFailure> {
    if let Some(failure) = reason.and_then(|reason| failure::of_finish_reason(reason, error)) {
        return Err(failure);
    }
    Ok(match reason {
        Some("MAX_TOKENS") => FinishReason::Length,
        _ if has_called => FinishReason::ToolCalls,
        _ => FinishReason::Stop, // COMPLETE, STOP_SEQUENCE
    })
}

/// `logprobs` in `OpenAI`'s form. What tokens a piece of text is made of is told by number only, so a piece is one entry
/// with its probability, the product of theirs.
pub(super) fn logprobs(pieces: &[Logprobs]) -> Option<Box<RawValue>> {
    let entry = |piece: &Logprobs| {
        let (text, numbers) = (piece.text.as_deref()?, piece.logprobs.as_ref()?);
        let logprob: f64 = numbers.iter().sum();
        let is_said = logprob.is_finite(); // JSON has no infinity
        is_said.then(|| json!({"token": text, "logprob": logprob, "bytes": text.as_bytes(), "top_logprobs": []}))
    };
    let content: Vec<_> = pieces.iter().filter_map(entry).collect();
    if content.is_empty() {
        return None;
    }
    to_raw_value(&json!({"content": content, "refusal": null})).ok()
}
