//! Streams of `/v2/chat`: one open piece after another, each with an index of its own, and `message-end` last.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{self, Block, Call, Logprobs, finish_reason};
use super::failure;
use super::usage::WireUsage;
use crate::hub::{Delta, Event};
use crate::sse::{self, Events};
use crate::translate::{EventDecoder, WireFailure};

/// More calls than are ever open at once: one is, by the dialect.
const OPEN_CALLS_MAX: usize = 64;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    lines: Events,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Open>,
    tool_calls: u32,
    is_complete: bool,
}

/// A call that is being written.
#[derive(Debug)]
struct Open {
    index: u64,
    tool_call: u32,
    has_arguments: bool,
}

/// An event; what its delta holds, its type says.
#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    id: Option<String>,
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct InMessage<T> {
    message: T,
}

#[derive(Deserialize)]
struct Content {
    content: Block,
}

#[derive(Deserialize)]
struct Plan {
    tool_plan: String,
}

/// One call, or a piece of it, in spite of its name.
#[derive(Deserialize)]
struct Calls<T> {
    tool_calls: T,
}

#[derive(Deserialize)]
struct CallPiece {
    function: ArgumentsPiece,
}

#[derive(Deserialize)]
struct ArgumentsPiece {
    arguments: Option<String>,
}

#[derive(Default, Deserialize)]
struct MessageEnd {
    finish_reason: Option<String>,
    usage: Option<WireUsage>,
    error: Option<String>,
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
        match self.state.read(&last, events) {
            // The last event said that the answer failed.
            Err(failure) if failure.status.is_some() => Err(failure),
            _ => Ok(()),
        }
    }
}

impl State {
    fn read(&mut self, event: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Some(data) = sse::data(event).filter(|data| !data.trim_ascii().is_empty() && !self.is_complete) else {
            return Ok(());
        };
        if data.trim_ascii() == b"[DONE]" {
            return Ok(()); // the SDK knows of it; what ends an answer is `message-end`
        }
        let Ok(event) = serde_json::from_slice::<WireEvent<'_>>(&data) else {
            return Err(failure::unannounced(&data).unwrap_or_else(unreadable));
        };
        match event.r#type.as_ref() {
            "message-start" => events.push(Event::Start {
                id: event.id,
                model: None,
            }),
            "content-start" | "content-delta" => {
                let Content { content } = in_message(event.delta)?;
                events.extend(content.thinking.map(Delta::Reasoning).map(of_choice));
                events.extend(content.text.map(Delta::Text).map(of_choice));
                let logprobs = event.logprobs.and_then(|piece| decode::logprobs(&[piece]));
                events.extend(logprobs.map(Delta::Logprobs).map(of_choice));
            }
            "tool-plan-delta" => {
                let Plan { tool_plan } = in_message(event.delta)?;
                say(Delta::Reasoning(tool_plan), events);
            }
            "tool-call-start" => self.open(event.index, in_message(event.delta)?, events)?,
            "tool-call-delta" => self.grow(event.index, in_message(event.delta)?, events),
            "tool-call-end" => self.close(event.index, events),
            "message-end" => self.end(event.delta, events)?,
            _ => {} // content-end, citations, debug, and what may be invented next
        }
        Ok(())
    }

    fn open(
        &mut self,
        index: u64,
        Calls { tool_calls: call }: Calls<Call>,
        events: &mut Vec<Event>,
    ) -> Result<(), WireFailure> {
        if self.open.len() == OPEN_CALLS_MAX {
            return Err(WireFailure::protocol("the stream opens calls and does not close them"));
        }
        let tool_call = self.tool_calls;
        self.tool_calls += 1;
        let start = Delta::ToolCallStart {
            index: tool_call,
            id: call.id,
            name: call.function.name,
            signature: None,
        };
        say(start, events);
        self.open.push(Open {
            index,
            tool_call,
            has_arguments: false,
        });
        self.write(index, call.function.arguments, events);
        Ok(())
    }

    fn grow(&mut self, index: u64, Calls { tool_calls: piece }: Calls<CallPiece>, events: &mut Vec<Event>) {
        self.write(index, piece.function.arguments, events);
    }

    /// Arguments are an object. What stands before it is white space, or the `null` of a function without parameters.
    fn write(&mut self, index: u64, text: Option<String>, events: &mut Vec<Event>) {
        let open = self.open.iter_mut().rfind(|open| open.index == index);
        let (Some(open), Some(text)) = (open, text) else { return };
        open.has_arguments |= text.trim_ascii_start().starts_with('{');
        if open.has_arguments {
            let index = open.tool_call;
            say(Delta::ToolCallArguments { index, text }, events);
        }
    }

    /// A tool without parameters streams no arguments; clients parse them all the same.
    fn close(&mut self, index: u64, events: &mut Vec<Event>) {
        if let Some(place) = self.open.iter().rposition(|open| open.index == index) {
            let open = self.open.swap_remove(place);
            complete(&open, events);
        }
    }

    fn end(&mut self, delta: Option<&RawValue>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        for open in self.open.drain(..) {
            complete(&open, events);
        }
        let MessageEnd {
            finish_reason: reason,
            usage,
            error,
        } = delta.map(parse).transpose()?.unwrap_or_default();
        events.extend(usage.and_then(|usage| usage.read()).map(Event::Usage));
        let reason = finish_reason(reason.as_deref(), self.tool_calls > 0, error)?;
        events.push(Event::Finish { choice: 0, reason });
        events.push(Event::End);
        self.is_complete = true;
        Ok(())
    }
}

fn complete(open: &Open, events: &mut Vec<Event>) {
    if !open.has_arguments {
        let (index, text) = (open.tool_call, "{}".to_owned());
        say(Delta::ToolCallArguments { index, text }, events);
    }
}

fn in_message<'a, T: Deserialize<'a>>(delta: Option<&'a RawValue>) -> Result<T, WireFailure> {
    let InMessage { message } = parse(delta.ok_or_else(unreadable)?)?;
    Ok(message)
}

fn parse<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, WireFailure> {
    serde_json::from_str(json.get()).map_err(|_| unreadable())
}

fn unreadable() -> WireFailure {
    WireFailure::protocol("an event of the stream is none of the dialect")
}

fn of_choice(delta: Delta) -> Event {
    Event::Delta { choice: 0, delta }
}

fn say(delta: Delta, events: &mut Vec<Event>) {
    events.push(of_choice(delta));
}
