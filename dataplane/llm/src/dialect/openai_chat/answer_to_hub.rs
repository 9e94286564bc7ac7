//! Whole chat answers into the hub, for clients that speak something else; `stream` reads streams.
//!
//! Servers differ in where they put thoughts, pictures and arguments, and which reason they give when tools are called:
//! what is not understood beside the answer is passed over, what is part of it and cannot be read is an error.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::mend::Mend;
use super::{error, usage};
use crate::failure::{Failure, FailureKind};
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::translate::WireFailure;

mod said;
pub(crate) mod stream;
#[cfg(test)]
mod tests;

use said::{Piece, Said};

#[derive(Deserialize)]
struct Completion<'a> {
    id: Option<String>,
    model: Option<String>,
    created: Option<serde_json::Number>,
    #[serde(borrow)]
    choices: Option<Vec<WireChoice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    index: Option<u32>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
}

/// Reads a whole answer (status 2xx), mended where the server has words of its own.
pub(crate) fn read(body: &[u8], mend: Option<&Mend>) -> Result<Answer, WireFailure> {
    let mended = mend.map(|mend| mend.answer(Bytes::copy_from_slice(body))).transpose()?;
    let body = mended.as_deref().unwrap_or(body);
    let answer: Completion<'_> =
        serde_json::from_slice(body).map_err(|_| WireFailure::protocol("the answer is no chat completion"))?;
    let Some(choices) = answer.choices.filter(|choices| !choices.is_empty()) else {
        if answer.error.is_some() {
            let unreadable = || WireFailure::protocol("an error in an answer with status 200");
            return Err(error::read_unannounced_wire(body).unwrap_or_else(unreadable));
        }
        return Err(WireFailure::protocol("the answer has no choice"));
    };
    let mut read = Vec::with_capacity(choices.len());
    for (place, choice) in (0..).zip(choices) {
        read.push(choice.read(place)?);
    }
    read.sort_by_key(|choice| choice.index);
    Ok(Answer {
        id: answer.id.filter(|id| !id.is_empty()),
        model: answer.model.filter(|model| !model.is_empty()),
        created_unix_seconds: answer.created.and_then(|seconds| seconds.as_u64()),
        choices: read,
        usage: answer.usage.and_then(|usage| usage::read(usage.get().as_bytes())),
    })
}

impl WireChoice<'_> {
    fn read(self, place: u32) -> Result<Choice, WireFailure> {
        let said = self.message.unwrap_or_default();
        let mut output = Vec::new();
        for piece in said.pieces()? {
            add(&mut output, piece);
        }
        for call in said.calls() {
            let name = call.name().filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| WireFailure::protocol("a tool call without a function"))?;
            let arguments = call.arguments().filter(|text| !text.trim_ascii().is_empty());
            output.push(Output::ToolCall {
                id: call.id().unwrap_or_default().to_owned(),
                name: name.to_owned(),
                arguments: arguments.map_or_else(|| "{}".to_owned(), Cow::into_owned),
                signature: call.signature().map(ToOwned::to_owned),
            });
        }
        let has_called = output.iter().any(|output| matches!(output, Output::ToolCall { .. }));
        Ok(Choice {
            index: self.index.unwrap_or(place),
            output,
            finish_reason: finish_reason(self.finish_reason.as_deref(), has_called)?,
            logprobs: self.logprobs.filter(|json| is_given(json)).map(ToOwned::to_owned),
        })
    }
}

/// A proof belongs to the thought before it.
fn add(output: &mut Vec<Output>, piece: Piece) {
    let said = match piece {
        Piece::Text(text) => Output::Text(text),
        Piece::Refusal(text) => Output::Refusal(text),
        Piece::Thought(text) => Output::Reasoning { text, signature: None },
        Piece::Proof(proof) => {
            if let Some(Output::Reasoning {
                signature: signature @ None,
                ..
            }) = output.last_mut()
            {
                *signature = Some(proof);
                return;
            }
            Output::Reasoning {
                text: String::new(),
                signature: Some(proof),
            }
        }
        Piece::Sealed(data) => Output::RedactedReasoning { data },
        Piece::Media { mime_type, base64 } => Output::Media { mime_type, base64 },
    };
    output.push(said);
}

fn is_given(json: &RawValue) -> bool {
    json.get() != "null"
}

/// Some servers say `stop` when tools were called (`OpenAI` itself does where one had to be), and some the reverse:
/// what came out decides, since clients' loops turn by this.
fn finish_reason(reason: Option<&str>, has_called: bool) -> Result<FinishReason, WireFailure> {
    match reason {
        Some("length" | "max_tokens") => Ok(FinishReason::Length),
        Some("content_filter") => Ok(FinishReason::ContentFilter),
        Some("error") => Err(WireFailure::from(Failure {
            status: Some(503),
            ..Failure::new(FailureKind::Server, "the answer ended with error")
        })),
        _ if has_called => Ok(FinishReason::ToolCalls),
        _ => Ok(FinishReason::Stop),
    }
}
