//! Streams from the hub: the beginning waits for the first content, so that nothing goes out while the answer may still
//! fail and be tried again; the end is `response.completed` or `response.incomplete`, and nothing follows it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::draft::Draft;
use super::events::Events;
use super::response::{Outcome, Response};
use crate::estimate::Size;
use crate::hub::{Delta, Event, FinishReason};
use crate::provider::{AnswerContext, Progress};
use crate::translate::{StreamWriter, WireFailure};

/// Most bytes of one output: the dialect says everything once more at its end, so that all of it is kept until then. As
/// large as an answer that comes whole may be.
const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What an item takes beside its words.
const ITEM_BYTES: usize = 512;

/// Writes the events of one answer.
pub(super) struct Writer {
    response: Response,
    draft: Draft,
    events: Events,
    progress: Progress,
    /// Bytes that are kept.
    kept: usize,
    has_begun: bool,
    ended: Option<FinishReason>,
}

#[derive(Serialize)]
struct OfResponse {
    response: Box<RawValue>,
}

impl StreamWriter for Writer {
    fn write(&mut self, events: &mut Vec<Event>, out: &mut Vec<Bytes>) -> Result<(), WireFailure> {
        let mut result = Ok(());
        for event in events.drain(..) {
            if result.is_ok() && !self.progress.is_complete {
                result = self.event(event);
            }
        }
        let bytes = self.events.take();
        if !bytes.is_empty() {
            out.push(bytes.into());
        }
        self.progress.events = self.events.next;
        result
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Writer {
    /// For the answer to one request.
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        let response = Response::new(context);
        Self {
            draft: Draft::new(&response.bare_id, response.wants_logprobs),
            response,
            events: Events::written(),
            progress: Progress::default(),
            kept: 0,
            has_begun: false,
            ended: None,
        }
    }

    /// The dialect has one choice, and no other was asked for.
    fn event(&mut self, event: Event) -> Result<(), WireFailure> {
        match event {
            Event::Start { model, .. } => {
                if let Some(model) = model.filter(|_| !self.has_begun) {
                    self.response.model = model;
                }
            }
            Event::Delta { choice: 0, delta } => self.delta(&delta)?,
            Event::Finish { choice: 0, reason } => self.finish(reason),
            Event::Delta { .. } | Event::Finish { .. } => {}
            Event::Usage(usage) => self.progress.usage = Some(usage),
            Event::End => self.end()?,
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Delta) -> Result<(), WireFailure> {
        let Some(text) = words(delta) else {
            return Ok(());
        };
        if self.ended.is_some() {
            return Err(WireFailure::protocol("the stream goes on after it has finished"));
        }
        self.kept += text.kept + if text.begins_item { ITEM_BYTES } else { 0 };
        if self.kept > OUTPUT_BYTES_MAX {
            return Err(WireFailure::protocol(format!(
                "the output of the stream is larger than {OUTPUT_BYTES_MAX} bytes"
            )));
        }
        self.progress.output_bytes += text.output.bytes();
        self.progress.output_other_bytes += text.output.other_bytes;
        self.begin();
        self.draft.say(delta, &mut self.events)
    }

    fn begin(&mut self) {
        self.progress.has_content = true;
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        for name in ["response.created", "response.in_progress"] {
            let response = self.response.json(Outcome::InProgress, &[], None);
            self.events.send(name, &OfResponse { response });
        }
    }

    fn finish(&mut self, reason: FinishReason) {
        if self.ended.replace(reason).is_some() {
            return;
        }
        self.begin();
        self.progress.finish_reason = Some(reason.as_str().to_owned());
        self.draft.finish(reason, &mut self.events);
    }

    /// Clients take the last event for success, so it needs a reason.
    fn end(&mut self) -> Result<(), WireFailure> {
        let no_reason = || WireFailure::protocol("the stream ended without a finish reason");
        let reason = self.ended.ok_or_else(no_reason)?;
        let usage = self.progress.usage.as_ref();
        let response = self.response.json(Outcome::Ended(reason), &self.draft.items, usage);
        let name = match reason {
            FinishReason::Stop | FinishReason::ToolCalls => "response.completed",
            FinishReason::Length | FinishReason::ContentFilter => "response.incomplete",
        };
        self.events.send(name, &OfResponse { response });
        self.progress.is_complete = true;
        Ok(())
    }
}

/// What a delta weighs.
struct Words {
    output: Size,
    kept: usize,
    begins_item: bool,
}

/// `None`: the delta says nothing, and neither goes out nor ends the time for retries.
fn words(delta: &Delta) -> Option<Words> {
    let (output, kept, begins_item): (&str, usize, bool) = match delta {
        Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text) | Delta::ToolCallArguments { text, .. }
            if text.is_empty() =>
        {
            return None;
        }
        Delta::Text(text) | Delta::Refusal(text) | Delta::Reasoning(text) | Delta::ToolCallArguments { text, .. } => {
            (text, text.len(), false)
        }
        Delta::ReasoningSignature(proof) | Delta::RedactedReasoning(proof) if proof.is_empty() => return None,
        Delta::ReasoningSignature(proof) | Delta::RedactedReasoning(proof) => ("", proof.len(), true),
        Delta::ToolCallStart {
            id, name, signature, ..
        } => (
            name,
            id.len() + name.len() + signature.as_ref().map_or(0, String::len),
            true,
        ),
        Delta::Media { base64, .. } => ("", base64.len(), true),
        Delta::Logprobs(json) => ("", json.get().len(), false),
    };
    Some(Words {
        output: Size::of(output.as_bytes()),
        kept,
        begins_item,
    })
}
