//! Streams of chat chunks into the hub.
//!
//! A finish reason is kept until the stream is complete, because some servers go on after it, and because only then it is
//! sure that no call of a tool follows. Calls are told apart by their index; servers that send each call whole, number none
//! of them or number all alike are told by the ids. A call without arguments gets `{}`, which clients parse.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::said::{Call, Piece, Said};
use super::{finish_reason, is_given};
use crate::dialect::openai_chat::mend::Mend;
use crate::dialect::openai_chat::{error, usage};
use crate::failure::FailureKind;
use crate::hub::{Delta, Event};
use crate::request::CHOICES_MAX;
use crate::sse::{self, Events};
use crate::translate::{EventDecoder, WireFailure};

/// More calls than any model makes at once: an index that somebody made up.
const CALLS_MAX: usize = 256;

/// Reads one stream.
#[derive(Debug)]
pub(crate) struct Decoder {
    lines: Events,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    mend: Option<&'static Mend>,
    has_started: bool,
    is_complete: bool,
    choices: Vec<Choice>,
}

#[derive(Debug)]
struct Choice {
    index: u32,
    calls: Vec<OpenCall>,
    reason: Option<String>,
}

/// A call that is being written. Its place in the list is its index in the hub.
#[derive(Debug)]
struct OpenCall {
    wire_index: Option<u32>,
    id: String,
    is_named: bool,
    has_arguments: bool,
    /// Another one has begun, or the stream ended.
    is_closed: bool,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
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
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
}

impl Decoder {
    /// For a server whose events are mended on the way.
    pub(crate) fn mending(mend: Option<&'static Mend>) -> Self {
        Self {
            lines: Events::default(),
            state: State {
                mend,
                ..State::default()
            },
        }
    }
}

impl EventDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Self { lines, state } = self;
        lines.push(bytes, |event| state.read(event, events))
    }

    /// A stream without `[DONE]` is whole if every choice has its reason. Some servers do not close their last event with
    /// a blank line: if it reads as one it is one, else the connection broke in the middle of it.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let last = self.lines.finish();
        if !last.is_empty()
            && let Err(failure) = self.state.read(&last, events)
            && failure.kind != FailureKind::Protocol
        {
            return Err(failure);
        }
        let choices = &self.state.choices;
        if !self.state.is_complete && !choices.is_empty() && choices.iter().all(|choice| choice.reason.is_some()) {
            return self.state.end(events);
        }
        Ok(())
    }
}

impl State {
    fn read(&mut self, event: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        if self.is_complete {
            return Ok(());
        }
        let mended: Option<Bytes> = self.mend.map_or(Ok(None), |mend| mend.event(event))?;
        let event = mended.as_deref().unwrap_or(event);
        let Some(data) = sse::data(event) else {
            return Ok(());
        };
        match data.trim_ascii() {
            b"" => Ok(()),
            b"[DONE]" => self.end(events),
            data => self.chunk(event, data, events),
        }
    }

    fn chunk(&mut self, event: &[u8], data: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let chunk: Chunk<'_> = serde_json::from_slice(data)
            .map_err(|_| WireFailure::protocol("an event of the stream is not a chat chunk"))?;
        if chunk.error.is_some() || sse::name(event) == Some(b"error") {
            let unreadable = || WireFailure::protocol("an error event without an error object");
            return Err(error::read_unannounced_wire(data).unwrap_or_else(unreadable));
        }
        let choices = chunk.choices.unwrap_or_default();
        let given = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
        let id = given(chunk.id);
        // What a filter found comes first with some servers, in an event of nobody.
        if !self.has_started && (id.is_some() || !choices.is_empty()) {
            self.has_started = true;
            let model = given(chunk.model);
            events.push(Event::Start { id, model });
        }
        for choice in choices {
            self.choice(choice.index.unwrap_or(0))?.read(choice, events)?;
        }
        let usage = chunk.usage.and_then(|usage| usage::read(usage.get().as_bytes()));
        events.extend(usage.map(Event::Usage));
        Ok(())
    }

    fn choice(&mut self, index: u32) -> Result<&mut Choice, WireFailure> {
        if index >= CHOICES_MAX {
            return Err(WireFailure::protocol(
                "the stream names more choices than can be asked for",
            ));
        }
        let place = self.choices.iter().position(|choice| choice.index == index);
        let place = place.unwrap_or_else(|| {
            self.choices.push(Choice {
                index,
                calls: Vec::new(),
                reason: None,
            });
            self.choices.len() - 1
        });
        Ok(&mut self.choices[place])
    }

    fn end(&mut self, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        self.is_complete = true;
        for choice in &mut self.choices {
            choice.complete_calls(events);
            let reason = finish_reason(choice.reason.as_deref(), !choice.calls.is_empty())?;
            events.push(Event::Finish {
                choice: choice.index,
                reason,
            });
        }
        events.push(Event::End);
        Ok(())
    }
}

impl Choice {
    fn read(&mut self, choice: WireChoice<'_>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let said = choice.delta.unwrap_or_default();
        for piece in said.pieces()? {
            let delta = match piece {
                Piece::Text(text) => Delta::Text(text),
                Piece::Refusal(text) => Delta::Refusal(text),
                Piece::Thought(text) => Delta::Reasoning(text),
                Piece::Proof(proof) => Delta::ReasoningSignature(proof),
                Piece::Sealed(data) => Delta::RedactedReasoning(data),
                Piece::Media { mime_type, base64 } => Delta::Media { mime_type, base64 },
            };
            self.say(delta, events);
        }
        if let Some(logprobs) = choice.logprobs.filter(|json| is_given(json)) {
            self.say(Delta::Logprobs(logprobs.to_owned()), events);
        }
        for call in said.calls() {
            self.call(&call, events)?;
        }
        // Some servers write an empty reason into every event until they know it.
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            self.reason.get_or_insert_with(|| reason.into_owned());
        }
        Ok(())
    }

    fn say(&self, delta: Delta, events: &mut Vec<Event>) {
        let choice = self.index;
        events.push(Event::Delta { choice, delta });
    }

    fn call(&mut self, piece: &Call<'_>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let place = match self.place(piece) {
            Some(place) => place,
            None => self.open(piece.index)?,
        };
        let (id, name) = (piece.id(), piece.name());
        let arguments = piece.arguments().filter(|text| !text.is_empty());
        let call = &mut self.calls[place];
        if call.id.is_empty() {
            id.unwrap_or_default().clone_into(&mut call.id);
        }
        let index = u32::try_from(place).expect("calls are bounded");
        match name.filter(|_| !call.is_named) {
            Some(name) => {
                call.is_named = true;
                let start = Delta::ToolCallStart {
                    index,
                    id: call.id.clone(),
                    name: name.to_owned(),
                    signature: piece.signature().map(ToOwned::to_owned),
                };
                self.complete_calls_before(place, events);
                self.say(start, events);
            }
            None if !call.is_named && arguments.is_some() => {
                return Err(WireFailure::protocol("a tool call without a function"));
            }
            None => {}
        }
        if let Some(text) = arguments.map(Cow::into_owned) {
            let call = &mut self.calls[place];
            if call.is_closed && !call.has_arguments {
                return Err(WireFailure::protocol("arguments for a tool call that had none"));
            }
            call.has_arguments = true;
            self.say(Delta::ToolCallArguments { index, text }, events);
        }
        Ok(())
    }

    /// The call that a piece belongs to; `None`: it begins one.
    fn place(&self, piece: &Call<'_>) -> Option<usize> {
        let (id, name) = (piece.id(), piece.name());
        let last_of = |is_it: &dyn Fn(&OpenCall) -> bool| self.calls.iter().rposition(is_it);
        let place = match (piece.index, id) {
            (Some(index), _) => last_of(&|call| call.wire_index == Some(index))?,
            (None, Some(id)) => return last_of(&|call| call.id == id),
            (None, None) if name.is_some() => return None,
            (None, None) => self.calls.len().checked_sub(1)?,
        };
        let call = &self.calls[place];
        let is_another = name.is_some() && id.is_some_and(|id| !call.id.is_empty() && call.id != id);
        (!is_another).then_some(place)
    }

    fn open(&mut self, wire_index: Option<u32>) -> Result<usize, WireFailure> {
        if self.calls.len() == CALLS_MAX {
            return Err(WireFailure::protocol("the stream calls more tools than any model does"));
        }
        self.calls.push(OpenCall {
            wire_index,
            id: String::new(),
            is_named: false,
            has_arguments: false,
            is_closed: false,
        });
        Ok(self.calls.len() - 1)
    }

    fn complete_calls(&mut self, events: &mut Vec<Event>) {
        self.complete_calls_before(self.calls.len(), events);
    }

    /// Gives their empty arguments to the calls that begin before this place and had none.
    fn complete_calls_before(&mut self, place: usize, events: &mut Vec<Event>) {
        let choice = self.index;
        for (index, call) in (0..).zip(&mut self.calls[..place]) {
            let was_closed = std::mem::replace(&mut call.is_closed, true);
            if call.is_named && !call.has_arguments && !was_closed {
                let text = "{}".to_owned();
                let delta = Delta::ToolCallArguments { index, text };
                events.push(Event::Delta { choice, delta });
            }
        }
    }
}
