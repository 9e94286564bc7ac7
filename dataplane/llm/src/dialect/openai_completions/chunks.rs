//! Streams from the hub as chunks of a completion: one id and one time throughout, one finish chunk a choice, usage in a
//! chunk of its own and only where it was asked for, `[DONE]` last.
//!
//! A thought is not written, but it ends the time for retries all the same: the model is at work, and a client that waits
//! for its first word must not be failed over because that takes long.

use bytes::Bytes;
use serde::Serialize;

use super::logprobs::Logprobs;
use super::render::{OBJECT, WireChoice, answer_id, finish_reason};
use crate::dialect::openai_chat::render::WireUsage;
use crate::estimate::Size;
use crate::hub::{Delta, Event, FinishReason};
use crate::provider::{AnswerContext, Progress};
use crate::request::CHOICES_MAX;
use crate::translate::{StreamWriter, WireFailure};

/// Writes the events of one answer.
pub struct Writer {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    has_written: bool,
    choices: Vec<Choice>,
    progress: Progress,
}

/// What was written of one choice.
struct Choice {
    index: u32,
    is_finished: bool,
    /// Characters that have log probabilities.
    offset: usize,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [WireChoice],
    /// Null in all chunks but the last where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(clippy::option_option, reason = "absent and null differ on the wire")]
    usage: Option<Option<WireUsage>>,
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
            created: context.now_unix_seconds,
            include_usage: context.include_usage,
            has_written: false,
            choices: Vec::new(),
            progress: Progress::default(),
        }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        match event {
            Event::Start { id, model } => {
                if !self.has_written {
                    self.id = id.unwrap_or_else(|| std::mem::take(&mut self.id));
                    self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
                }
            }
            Event::Delta { choice, delta } => self.delta(choice, delta, out)?,
            Event::Finish { choice, reason } => self.finish(choice, reason, out)?,
            Event::Usage(usage) => self.progress.usage = Some(usage),
            Event::End => self.end(out)?,
        }
        Ok(())
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        let place = self.open(index)?;
        if self.choices[place].is_finished {
            return Err(WireFailure::protocol(
                "the stream goes on with a choice that has finished",
            ));
        }
        let (text, logprobs) = match delta {
            Delta::Text(text) | Delta::Refusal(text) => (self.counted(text), None),
            Delta::Logprobs(json) => (String::new(), Logprobs::of(&json, &mut self.choices[place].offset)),
            Delta::Reasoning(text)
            | Delta::ToolCallStart { name: text, .. }
            | Delta::ToolCallArguments { text, .. } => {
                self.counted(text);
                return Ok(());
            }
            Delta::ReasoningSignature(_) | Delta::RedactedReasoning(_) | Delta::Media { .. } => {
                self.progress.has_content = true;
                return Ok(());
            }
        };
        if !text.is_empty() || logprobs.is_some() {
            let choice = WireChoice {
                text,
                index,
                logprobs,
                finish_reason: None,
            };
            self.chunk(&[choice], None, out);
        }
        Ok(())
    }

    /// The text again; what is not empty is content, whether it is written or not.
    fn counted(&mut self, text: String) -> String {
        let size = Size::of(text.as_bytes());
        self.progress.has_content |= !text.is_empty();
        self.progress.output_bytes += size.bytes();
        self.progress.output_other_bytes += size.other_bytes;
        text
    }

    fn open(&mut self, index: u32) -> Result<usize, WireFailure> {
        if let Some(place) = self.choices.iter().position(|choice| choice.index == index) {
            return Ok(place);
        }
        if index >= CHOICES_MAX {
            return Err(WireFailure::protocol(
                "the stream names more choices than can be asked for",
            ));
        }
        self.choices.push(Choice {
            index,
            is_finished: false,
            offset: 0,
        });
        Ok(self.choices.len() - 1)
    }

    fn finish(&mut self, index: u32, reason: FinishReason, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        let place = self.open(index)?;
        if std::mem::replace(&mut self.choices[place].is_finished, true) {
            return Ok(());
        }
        let reason = finish_reason(reason);
        self.progress.has_content = true;
        self.progress.finish_reason.get_or_insert_with(|| reason.to_owned());
        let choice = WireChoice {
            text: String::new(),
            index,
            logprobs: None,
            finish_reason: Some(reason),
        };
        self.chunk(&[choice], None, out);
        Ok(())
    }

    /// The last chunks. Clients take `[DONE]` for success, so it needs every choice to have its reason.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.choices.is_empty() || self.choices.iter().any(|choice| !choice.is_finished) {
            return Err(WireFailure::protocol("the stream ended without a finish reason"));
        }
        if let Some(usage) = self
            .progress
            .usage
            .as_ref()
            .map(WireUsage::of)
            .filter(|_| self.include_usage)
        {
            self.chunk(&[], Some(usage), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.progress.has_content = true;
        self.progress.is_complete = true;
        Ok(())
    }

    fn chunk(&mut self, choices: &[WireChoice], usage: Option<WireUsage>, out: &mut Vec<u8>) {
        self.has_written = true;
        let chunk = Chunk {
            id: &self.id,
            object: OBJECT,
            created: self.created,
            model: &self.model,
            choices,
            usage: self.include_usage.then_some(usage),
        };
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *out, &chunk).expect("structs can always be written as JSON");
        out.extend_from_slice(b"\n\n");
    }
}
