//! Whole answers from the hub.

use bytes::Bytes;

use super::draft::Draft;
use super::events::Events;
use super::response::{Outcome, Response};
use crate::hub::{Answer, Delta, FinishReason, Output};
use crate::provider::AnswerContext;

/// The body of a response. The dialect has one choice, and no other was asked for.
pub(super) fn body(answer: &Answer, context: &AnswerContext<'_>) -> Bytes {
    let mut response = Response::new(context);
    if let Some(created) = answer.created_unix_seconds {
        response.created_at = created;
    }
    if let Some(model) = &answer.model {
        response.model.clone_from(model);
    }
    let mut events = Events::unheard();
    let mut draft = Draft::new(&response.bare_id, response.wants_logprobs);
    let mut reason = FinishReason::Stop;
    if let Some(choice) = answer.choices.first() {
        reason = choice.finish_reason;
        for (index, output) in (0..).zip(&choice.output) {
            for delta in deltas(index, output) {
                // A call has its arguments behind it, and an index of its own.
                let _ = draft.say(&delta, &mut events);
            }
        }
    }
    draft.finish(reason, &mut events);
    if let Some(logprobs) = answer.choices.first().and_then(|choice| choice.logprobs.as_deref()) {
        draft.attach_logprobs(logprobs);
    }
    let json = response.json(Outcome::Ended(reason), &draft.items, answer.usage.as_ref());
    String::from(Box::<str>::from(json)).into()
}

/// What an output would have come as in a stream.
fn deltas(index: u32, output: &Output) -> Vec<Delta> {
    let said = |text: &String, delta: fn(String) -> Delta| (!text.is_empty()).then(|| delta(text.clone()));
    match output {
        Output::Text(text) => said(text, Delta::Text).into_iter().collect(),
        Output::Refusal(text) => said(text, Delta::Refusal).into_iter().collect(),
        Output::Reasoning { text, signature } => {
            let proof = signature.clone().map(Delta::ReasoningSignature);
            said(text, Delta::Reasoning).into_iter().chain(proof).collect()
        }
        Output::RedactedReasoning { data } => said(data, Delta::RedactedReasoning).into_iter().collect(),
        Output::ToolCall {
            id,
            name,
            arguments,
            signature,
        } => vec![
            Delta::ToolCallStart {
                index,
                id: id.clone(),
                name: name.clone(),
                signature: signature.clone(),
            },
            Delta::ToolCallArguments {
                index,
                text: arguments.clone(),
            },
        ],
        Output::Media { mime_type, base64 } => vec![Delta::Media {
            mime_type: mime_type.clone(),
            base64: base64.clone(),
        }],
    }
}
