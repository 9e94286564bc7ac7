//! Streams from the hub as `OpenAI`'s chunks: one id and one time throughout, the role in the first delta of each choice,
//! one finish chunk a choice, usage in a chunk of its own and only where it was asked for, `[DONE]` last.

use bytes::Bytes;
use serde::Serialize;

use super::render::{Image, ReasoningDetail, ToolCall, WireUsage, answer_id};
use crate::estimate::Size;
use crate::hub::{Delta, Event, FinishReason};
use crate::provider::{AnswerContext, Progress};
use crate::translate::{StreamWriter, WireFailure};

/// Writes the events of one answer.
pub struct Writer {
    id: String,
    model: String,
    created: u64,
    include_usage: bool,
    /// What every chunk of a choice begins with; made when the id and the model are known.
    head: Vec<u8>,
    choices: Vec<Choice>,
    progress: Progress,
}

/// What was written of one choice.
struct Choice {
    index: u32,
    is_finished: bool,
    /// Thoughts so far; the last one may still grow.
    thoughts: usize,
    in_thought: bool,
    images: usize,
}

/// More choices than can be asked for: an index that somebody made up.
const CHOICES_MAX: u32 = crate::request::CHOICES_MAX;

#[derive(Default, Serialize)]
struct WireDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<[ReasoningDetail<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolDelta<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<[Image; 1]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ToolDelta<'a> {
    Start(ToolCall<'a>),
    Arguments { index: u32, function: Arguments<'a> },
}

#[derive(Serialize)]
struct Arguments<'a> {
    arguments: &'a str,
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
            head: Vec::new(),
            choices: Vec::new(),
            progress: Progress::default(),
        }
    }

    fn event(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        match event {
            Event::Start { id, model } => {
                if self.head.is_empty() {
                    self.id = id.unwrap_or_else(|| std::mem::take(&mut self.id));
                    self.model = model.unwrap_or_else(|| std::mem::take(&mut self.model));
                }
            }
            Event::Delta { choice, delta } => {
                self.delta(choice, &delta, out)?;
            }
            Event::Finish { choice, reason } => self.finish(choice, reason, out)?,
            Event::Usage(usage) => self.progress.usage = Some(usage),
            Event::End => self.end(out)?,
        }
        Ok(())
    }

    fn delta(&mut self, choice: u32, delta: &Delta, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if is_empty(delta) {
            return Ok(());
        }
        let opens_with_text = !matches!(delta, Delta::ToolCallStart { .. } | Delta::ToolCallArguments { .. });
        let place = self.open(choice, opens_with_text, out)?;
        if self.choices[place].is_finished {
            return Err(WireFailure::protocol(
                "the stream goes on with a choice that has finished",
            ));
        }
        self.progress.has_content = true;
        self.count(delta);
        if let Delta::Logprobs(logprobs) = delta {
            self.chunk(choice, b"{}", logprobs.get().as_bytes(), None, out);
            return Ok(());
        }
        let wire = self.choices[place].delta(delta);
        let json = serde_json::to_vec(&wire).expect("structs can always be written as JSON");
        self.chunk(choice, &json, b"null", None, out);
        Ok(())
    }

    /// The place of a choice, whose first chunk names the role.
    fn open(&mut self, index: u32, with_text: bool, out: &mut Vec<u8>) -> Result<usize, WireFailure> {
        if let Some(place) = self.choices.iter().position(|choice| choice.index == index) {
            return Ok(place);
        }
        if index >= CHOICES_MAX {
            return Err(WireFailure::protocol(
                "the stream names more choices than can be asked for",
            ));
        }
        let opening: &[u8] = if with_text {
            br#"{"role":"assistant","content":"","refusal":null}"#
        } else {
            br#"{"role":"assistant","content":null,"refusal":null}"#
        };
        self.chunk(index, opening, b"null", None, out);
        self.choices.push(Choice {
            index,
            is_finished: false,
            thoughts: 0,
            in_thought: false,
            images: 0,
        });
        Ok(self.choices.len() - 1)
    }

    fn finish(&mut self, index: u32, reason: FinishReason, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        let place = self.open(index, true, out)?;
        if std::mem::replace(&mut self.choices[place].is_finished, true) {
            return Ok(());
        }
        self.progress.has_content = true;
        self.progress
            .finish_reason
            .get_or_insert_with(|| reason.as_str().to_owned());
        self.chunk(index, b"{}", b"null", Some(reason), out);
        Ok(())
    }

    /// The last chunks. Clients take `[DONE]` for success, so it needs every choice to have its reason.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.choices.is_empty() || self.choices.iter().any(|choice| !choice.is_finished) {
            return Err(WireFailure::protocol("the stream ended without a finish reason"));
        }
        if let Some(usage) = self.progress.usage.as_ref().filter(|_| self.include_usage) {
            let usage = serde_json::to_vec(&WireUsage::of(usage)).expect("numbers can always be written as JSON");
            let head = self.chunk_head();
            for part in [&head, b"],\"usage\":".as_slice(), &usage, b"}\n\n"] {
                out.extend_from_slice(part);
            }
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.progress.has_content = true;
        self.progress.is_complete = true;
        Ok(())
    }

    /// A chunk of one choice; `delta` and `logprobs` are JSON.
    fn chunk(&mut self, choice: u32, delta: &[u8], logprobs: &[u8], reason: Option<FinishReason>, out: &mut Vec<u8>) {
        if self.head.is_empty() {
            self.head = self.chunk_head();
        }
        let mut index = itoa::Buffer::new();
        let reason: [&str; 3] = match reason {
            Some(reason) => ["\"", reason.as_str(), "\""],
            None => ["null", "", ""],
        };
        let usage = if self.include_usage { ",\"usage\":null" } else { "" };
        for part in [
            &self.head,
            b"{\"index\":".as_slice(),
            index.format(choice).as_bytes(),
            b",\"delta\":",
            delta,
            b",\"logprobs\":",
            logprobs,
            b",\"finish_reason\":",
        ] {
            out.extend_from_slice(part);
        }
        for part in [reason[0], reason[1], reason[2], "}]", usage, "}\n\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// Everything before the first choice.
    fn chunk_head(&self) -> Vec<u8> {
        let text = |text: &str| serde_json::to_string(text).expect("a string can always be written as JSON");
        let (id, created, model) = (text(&self.id), self.created, text(&self.model));
        format!(
            "data: {{\"id\":{id},\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{model},\"choices\":["
        )
        .into_bytes()
    }

    fn count(&mut self, delta: &Delta) {
        let text = match delta {
            Delta::Text(text)
            | Delta::Refusal(text)
            | Delta::Reasoning(text)
            | Delta::ToolCallStart { name: text, .. }
            | Delta::ToolCallArguments { text, .. } => text,
            Delta::ReasoningSignature(_) | Delta::RedactedReasoning(_) | Delta::Media { .. } | Delta::Logprobs(_) => {
                return;
            }
        };
        let size = Size::of(text.as_bytes());
        self.progress.output_bytes += size.bytes();
        self.progress.output_other_bytes += size.other_bytes;
    }
}

/// A delta that says nothing: it neither goes out nor ends the time for retries.
fn is_empty(delta: &Delta) -> bool {
    match delta {
        Delta::Text(text)
        | Delta::Refusal(text)
        | Delta::Reasoning(text)
        | Delta::ReasoningSignature(text)
        | Delta::RedactedReasoning(text)
        | Delta::ToolCallArguments { text, .. } => text.is_empty(),
        Delta::ToolCallStart { .. } | Delta::Media { .. } | Delta::Logprobs(_) => false,
    }
}

impl Choice {
    fn delta<'d>(&mut self, delta: &'d Delta) -> WireDelta<'d> {
        let mut wire = WireDelta::default();
        match delta {
            Delta::Text(text) => wire.content = Some(text),
            Delta::Refusal(text) => wire.refusal = Some(text),
            Delta::Reasoning(text) => {
                wire.reasoning_content = Some(text);
                wire.reasoning_details = Some([ReasoningDetail::text(self.thought(true), Some(text), None)]);
            }
            Delta::ReasoningSignature(signature) => {
                wire.reasoning_details = Some([ReasoningDetail::text(self.thought(false), None, Some(signature))]);
            }
            Delta::RedactedReasoning(data) => {
                self.in_thought = false;
                wire.reasoning_details = Some([ReasoningDetail::encrypted(self.thought(false), data)]);
            }
            Delta::ToolCallStart {
                index,
                id,
                name,
                signature,
            } => {
                let call = ToolCall::new(Some(*index), id, name, "", signature.as_deref());
                wire.tool_calls = Some([ToolDelta::Start(call)]);
            }
            Delta::ToolCallArguments { index, text } => {
                let function = Arguments { arguments: text };
                wire.tool_calls = Some([ToolDelta::Arguments {
                    index: *index,
                    function,
                }]);
            }
            Delta::Media { mime_type, base64 } => {
                wire.images = Some([Image::new(self.images, mime_type, base64)]);
                self.images += 1;
            }
            Delta::Logprobs(_) => {}
        }
        wire
    }

    /// The index of the thought that grows here; `goes_on`: it may grow further.
    fn thought(&mut self, goes_on: bool) -> usize {
        if !self.in_thought {
            self.thoughts += 1;
        }
        self.in_thought = goes_on;
        self.thoughts - 1
    }
}
