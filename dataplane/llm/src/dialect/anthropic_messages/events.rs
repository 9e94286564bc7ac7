//! Streams from the hub as events of the dialect: `message_start` before the first content, blocks, `message_delta` with the
//! reason and the counts, `message_stop`.
//!
//! Counts may follow the reason, so `message_delta` waits for the end of the stream. Choices other than the first are not
//! asked for, and passed over.

use bytes::Bytes;
use serde::Serialize;

use super::blocks::{Blocks, Call, event};
use super::signature;
use super::words::{WireUsage, answer_id, instead_of_media, stop_reason};
use crate::estimate::Size;
use crate::hub::{Delta, Event, FinishReason};
use crate::provider::{AnswerContext, Progress};
use crate::translate::{StreamWriter, WireFailure};

/// Writes the events of one answer.
pub struct Writer {
    id: String,
    model: String,
    has_begun: bool,
    blocks: Blocks,
    reason: Option<FinishReason>,
    has_refused: bool,
    progress: Progress,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum MessageEvent<'a> {
    #[serde(rename = "message_start")]
    Start { message: Beginning<'a> },
    #[serde(rename = "message_delta")]
    Delta { delta: Ending, usage: WireUsage },
    #[serde(rename = "message_stop")]
    Stop,
}

#[derive(Serialize)]
struct Beginning<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: WireUsage,
}

#[derive(Serialize)]
struct Ending {
    stop_reason: &'static str,
    stop_sequence: Option<&'static str>,
}

impl StreamWriter for Writer {
    fn write(&mut self, events: &mut Vec<Event>, out: &mut Vec<Bytes>) -> Result<(), WireFailure> {
        let mut bytes = Vec::new();
        let mut result = Ok(());
        for event in events.drain(..) {
            if result.is_ok() && !self.progress.is_complete {
                result = self.event(event, &mut bytes);
            }
        }
        if !bytes.is_empty() {
            out.push(bytes.into());
        }
        result
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Writer {
    /// For the answer to one request.
    pub fn new(context: &AnswerContext<'_>) -> Self {
        Self {
            id: answer_id(context),
            model: context.requested_model.to_owned(),
            has_begun: false,
            blocks: Blocks::default(),
            reason: None,
            has_refused: false,
            progress: Progress::default(),
        }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        match event {
            Event::Start { id, model } => {
                if !self.has_begun {
                    self.id = id.unwrap_or_else(|| std::mem::take(&mut self.id));
                    self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
                }
            }
            Event::Delta { choice: 0, delta } => self.delta(delta, out)?,
            Event::Finish { choice: 0, reason } => self.finish(reason, out),
            Event::Delta { .. } | Event::Finish { .. } => {}
            Event::Usage(usage) => self.progress.usage = Some(usage),
            Event::End => self.end(out)?,
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if says_nothing(&delta) {
            return Ok(());
        }
        if self.reason.is_some() {
            return Err(WireFailure::protocol(
                "the stream goes on with an answer that has finished",
            ));
        }
        self.begin(out);
        match delta {
            Delta::Text(text) => {
                self.count(&text);
                self.blocks.text(&text, out)
            }
            Delta::Refusal(text) => {
                self.has_refused = true;
                self.count(&text);
                self.blocks.text(&text, out)
            }
            Delta::Reasoning(text) => {
                self.count(&text);
                self.blocks.thinking(&text, out)
            }
            Delta::ReasoningSignature(signature) => self.blocks.signature(&signature, out),
            Delta::RedactedReasoning(data) => self.blocks.redacted(&data, out),
            Delta::ToolCallStart {
                index,
                id,
                name,
                signature,
            } => {
                self.count(&name);
                self.call(Call { index, id, name }, signature.as_deref(), out)
            }
            Delta::ToolCallArguments { index, text } => {
                self.count(&text);
                self.blocks.arguments(index, &text, out)
            }
            Delta::Media { mime_type, .. } => self.blocks.text(&instead_of_media(&mime_type), out),
            Delta::Logprobs(_) => Ok(()), // the dialect has none
        }
    }

    /// Some servers repeat how a call begins in each of its deltas.
    fn call(&mut self, call: Call, proof: Option<&str>, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.blocks.has_call(call.index) {
            return Ok(());
        }
        if let Some(proof) = proof {
            self.blocks.redacted(&signature::for_call(&call.id, proof), out)?;
        }
        self.blocks.call(call, out)
    }

    /// Writes `message_start`, once, with the counts that are known.
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.progress.has_content = true;
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let message = Beginning {
            id: &self.id,
            r#type: "message",
            role: "assistant",
            model: &self.model,
            content: [],
            stop_reason: None,
            stop_sequence: None,
            usage: WireUsage::of(&self.progress.usage.unwrap_or_default()),
        };
        event("message_start", &MessageEvent::Start { message }, out);
    }

    fn finish(&mut self, reason: FinishReason, out: &mut Vec<u8>) {
        if self.reason.is_some() {
            return;
        }
        self.begin(out);
        self.blocks.finish(out);
        self.reason = Some(reason);
        self.progress.finish_reason = Some(reason.as_str().to_owned());
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        let Some(reason) = self.reason else {
            return Err(WireFailure::protocol("the stream ended without a finish reason"));
        };
        let usage = match &self.progress.usage {
            Some(usage) => WireUsage::of(usage),
            None => WireUsage::of_output(self.progress.estimated_output_tokens()),
        };
        let delta = Ending {
            stop_reason: stop_reason(reason, self.blocks.calls() > 0, self.has_refused),
            stop_sequence: None,
        };
        event("message_delta", &MessageEvent::Delta { delta, usage }, out);
        event("message_stop", &MessageEvent::Stop, out);
        self.progress.is_complete = true;
        Ok(())
    }

    fn count(&mut self, text: &str) {
        let size = Size::of(text.as_bytes());
        self.progress.output_bytes += size.bytes();
        self.progress.output_other_bytes += size.other_bytes;
    }
}

/// A delta that says nothing: it neither goes out nor ends the time for retries.
fn says_nothing(delta: &Delta) -> bool {
    match delta {
        Delta::Text(text)
        | Delta::Refusal(text)
        | Delta::Reasoning(text)
        | Delta::ReasoningSignature(text)
        | Delta::RedactedReasoning(text)
        | Delta::ToolCallArguments { text, .. } => text.is_empty(),
        Delta::Logprobs(_) => true,
        Delta::ToolCallStart { .. } | Delta::Media { .. } => false,
    }
}
