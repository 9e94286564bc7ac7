//! Streams of the Messages API: one open block after another, each with an index of its own.
//!
//! Deltas belong to the block whose index they name. The provider's own tools (web search, code execution) stream their
//! input in the same words as a client's tools; counting tools instead of looking at the index would put a search's
//! query into the arguments of somebody's function.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{self, StopDetails, WireError, WireUsage, finish_reason};
use crate::hub::{Delta, Event, FinishReason};
use crate::sse::{self, Events};
use crate::translate::{EventDecoder, WireFailure};

/// More blocks than are ever open at once: one is, by the dialect.
const OPEN_BLOCKS_MAX: usize = 64;

/// Reads one stream.
#[derive(Debug, Default)]
pub(in crate::provider) struct Decoder {
    lines: Events,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Open>,
    tool_calls: u32,
    usage: WireUsage,
    is_finished: bool,
    is_complete: bool,
}

/// A call of a client's tool that is being written.
#[derive(Debug)]
struct Open {
    block: u64,
    tool_call: u32,
    has_arguments: bool,
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
    message: Option<Start>,
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    content_block: Option<StartedBlock<'a>>,
    delta: Option<WireDelta>,
    usage: Option<WireUsage>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct Start {
    id: Option<String>,
    model: Option<String>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct StartedBlock<'a> {
    r#type: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    data: String,
}

/// What one block grows by, or in `message_delta` how the message ended.
#[derive(Deserialize)]
struct WireDelta {
    r#type: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: String,
    #[serde(default)]
    signature: String,
    #[serde(default)]
    partial_json: String,
    stop_reason: Option<String>,
    stop_details: Option<StopDetails>,
}

impl EventDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Self { lines, state } = self;
        lines.push(bytes, |event| state.read(event, events))
    }

    /// Some proxies do not close their last event with a blank line. If it reads as an event it is one, else the
    /// connection broke in the middle of it.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let last = self.lines.finish();
        let _ = self.state.read(&last, events);
        Ok(())
    }
}

impl State {
    fn read(&mut self, event: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Some(data) = sse::data(event).filter(|data| !data.trim_ascii().is_empty() && !self.is_complete) else {
            return Ok(());
        };
        let event: WireEvent<'_> = serde_json::from_slice(&data)
            .map_err(|_| WireFailure::protocol("an event of the stream is none of the dialect"))?;
        match event.r#type.as_ref() {
            "message_start" => self.start(event.message, events),
            "content_block_start" => self.open(event.index, event.content_block, events)?,
            "content_block_delta" => self.grow(event.index, event.delta, events),
            "content_block_stop" => self.close(event.index, events),
            "message_delta" => self.end_message(event.delta, event.usage, events),
            "message_stop" => self.stop(events),
            "error" => {
                let unreadable = || WireFailure::protocol("an error event without an error object");
                return Err(event.error.map_or_else(unreadable, decode::unannounced));
            }
            _ => {} // ping, and what may be invented next
        }
        Ok(())
    }

    fn start(&mut self, message: Option<Start>, events: &mut Vec<Event>) {
        let Some(Start { id, model, usage }) = message else {
            return;
        };
        events.push(Event::Start { id, model });
        self.count(usage, events);
    }

    /// Counts are cumulative, so a client that hangs up is charged for the last ones.
    fn count(&mut self, usage: Option<WireUsage>, events: &mut Vec<Event>) {
        if let Some(usage) = usage {
            self.usage.merge(usage);
            events.push(Event::Usage(self.usage.read()));
        }
    }

    fn open(
        &mut self,
        index: u64,
        block: Option<StartedBlock<'_>>,
        events: &mut Vec<Event>,
    ) -> Result<(), WireFailure> {
        let Some(block) = block else { return Ok(()) };
        match block.r#type.as_str() {
            "text" => say(Delta::Text(block.text), events),
            "redacted_thinking" => say(Delta::RedactedReasoning(block.data), events),
            "tool_use" => {
                if self.open.len() == OPEN_BLOCKS_MAX {
                    return Err(WireFailure::protocol("the stream opens blocks and does not close them"));
                }
                let tool_call = self.tool_calls;
                self.tool_calls += 1;
                let start = Delta::ToolCallStart {
                    index: tool_call,
                    id: block.id,
                    name: block.name,
                    signature: None,
                };
                say(start, events);
                // The input comes in deltas and is empty here; a proxy may have it whole.
                let input = block
                    .input
                    .map(RawValue::get)
                    .filter(|input| *input != "{}" && *input != "null");
                if let Some(input) = input {
                    let text = input.to_owned();
                    say(Delta::ToolCallArguments { index: tool_call, text }, events);
                }
                self.open.push(Open {
                    block: index,
                    tool_call,
                    has_arguments: input.is_some(),
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn grow(&mut self, index: u64, delta: Option<WireDelta>, events: &mut Vec<Event>) {
        let Some(delta) = delta else { return };
        match delta.r#type.as_deref() {
            Some("text_delta") => say(Delta::Text(delta.text), events),
            Some("thinking_delta") => say(Delta::Reasoning(delta.thinking), events),
            Some("signature_delta") => say(Delta::ReasoningSignature(delta.signature), events),
            Some("input_json_delta") => {
                let open = self.open.iter_mut().find(|open| open.block == index);
                if let Some(open) = open.filter(|_| !delta.partial_json.is_empty()) {
                    open.has_arguments = true;
                    let index = open.tool_call;
                    let text = delta.partial_json;
                    say(Delta::ToolCallArguments { index, text }, events);
                }
            }
            _ => {}
        }
    }

    /// A tool without parameters streams no arguments; clients parse them all the same.
    fn close(&mut self, index: u64, events: &mut Vec<Event>) {
        let Some(place) = self.open.iter().position(|open| open.block == index) else {
            return;
        };
        let open = self.open.swap_remove(place);
        if !open.has_arguments {
            let text = "{}".to_owned();
            let index = open.tool_call;
            say(Delta::ToolCallArguments { index, text }, events);
        }
    }

    fn end_message(&mut self, delta: Option<WireDelta>, usage: Option<WireUsage>, events: &mut Vec<Event>) {
        self.count(usage, events);
        let Some(delta) = delta else { return };
        if let Some(explanation) = delta.stop_details.and_then(|details| details.explanation) {
            say(Delta::Refusal(explanation), events);
        }
        if let Some(reason) = delta.stop_reason.filter(|_| !self.is_finished) {
            self.finish(finish_reason(Some(&reason)), events);
        }
    }

    fn stop(&mut self, events: &mut Vec<Event>) {
        if !self.is_finished {
            self.finish(FinishReason::Stop, events);
        }
        self.is_complete = true;
        events.push(Event::End);
    }

    fn finish(&mut self, reason: FinishReason, events: &mut Vec<Event>) {
        self.is_finished = true;
        events.push(Event::Finish { choice: 0, reason });
    }
}

fn say(delta: Delta, events: &mut Vec<Event>) {
    events.push(Event::Delta { choice: 0, delta });
}
