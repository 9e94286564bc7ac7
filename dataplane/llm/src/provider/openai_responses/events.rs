//! Streams of the Responses API: items by their place in the output, some of them open at the same time.
//!
//! A thought is proven when its item is done, since what is sealed may be incomplete before. What a server says only in
//! the event that ends something (arguments that came in no delta) is taken from there.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{self, Item, Response};
use crate::dialect::openai_responses::stream::error_event;
use crate::hub::{Delta, Event};
use crate::provider::issuer::Issuer;
use crate::sse::{self, Events};
use crate::translate::{EventDecoder, WireFailure};

/// More items than any output has.
const ITEMS_MAX: usize = 4096;

/// Reads one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    lines: Events,
    state: State,
}

#[derive(Debug)]
struct State {
    issuer: Issuer,
    calls: Vec<Call>,
    thoughts: Vec<Thought>,
    is_complete: bool,
}

/// A call of a client's tool; its place among the calls is that in the list.
#[derive(Debug)]
struct Call {
    output_index: u64,
    has_arguments: bool,
}

/// A thought.
#[derive(Debug)]
struct Thought {
    output_index: u64,
    /// Which words are taken; of those that come both ways the first.
    source: Option<Source>,
    is_done: bool,
}

/// Where a server says what the model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Summary,
    Whole,
}

#[derive(Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    summary_index: u64,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
    #[serde(borrow)]
    logprobs: Option<Vec<&'a RawValue>>,
}

impl Decoder {
    /// `issuer` proves its thoughts.
    pub(super) fn new(issuer: Issuer) -> Self {
        Self {
            lines: Events::default(),
            state: State {
                issuer,
                calls: Vec::new(),
                thoughts: Vec::new(),
                is_complete: false,
            },
        }
    }
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
        let Some(data) = sse::data(event) else {
            return Ok(());
        };
        let data = data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" || self.is_complete {
            return Ok(());
        }
        let event: WireEvent<'_> = serde_json::from_slice(data)
            .map_err(|_| WireFailure::protocol("an event of the stream is none of the dialect"))?;
        self.event(event, data, events)
    }

    fn event(&mut self, event: WireEvent<'_>, data: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let place = event.output_index;
        let delta = event.delta.filter(|delta| !delta.is_empty()).map(Cow::into_owned);
        match event.r#type.as_ref() {
            "response.created" => {
                if let Some(Response { id, model, .. }) = event.response {
                    events.push(Event::Start { id, model });
                }
            }
            "response.output_item.added" => self.begin(place, event.item, events)?,
            "response.output_item.done" => self.finish(place, event.item, events)?,
            "response.output_text.delta" => {
                events.extend(delta.map(|text| say(Delta::Text(text))));
                let logprobs = decode::logprobs(&event.logprobs.unwrap_or_default());
                events.extend(logprobs.map(|json| say(Delta::Logprobs(json))));
            }
            "response.refusal.delta" => events.extend(delta.map(|text| say(Delta::Refusal(text)))),
            "response.reasoning_summary_part.added" if event.summary_index > 0 => {
                self.think(place, Source::Summary, "\n\n".to_owned(), events)?;
            }
            "response.reasoning_summary_text.delta" => {
                self.think(place, Source::Summary, delta.unwrap_or_default(), events)?;
            }
            "response.reasoning_text.delta" => {
                self.think(place, Source::Whole, delta.unwrap_or_default(), events)?;
            }
            "response.function_call_arguments.delta" => {
                if let (Some((index, call)), Some(text)) = (self.call(place), delta) {
                    call.has_arguments = true;
                    events.push(say(Delta::ToolCallArguments { index, text }));
                }
            }
            "response.function_call_arguments.done" => self.whole_arguments(place, event.arguments, events),
            "response.completed" | "response.incomplete" => self.end(event.response, events)?,
            "response.failed" => {
                let unreadable = || WireFailure::protocol("a response that failed, without a response");
                return Err(event.response.map_or_else(unreadable, |response| response.failure()));
            }
            "error" => return Err(error_event(data)),
            _ => {} // what repeats what was said, the provider's own tools, and what may be invented next
        }
        Ok(())
    }

    fn begin(&mut self, place: u64, item: Option<&RawValue>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        match item.map(Item::of).transpose()?.flatten() {
            Some(item) if item.r#type == "function_call" => self.begin_call(place, item, events),
            _ => Ok(()),
        }
    }

    fn begin_call(&mut self, output_index: u64, item: Item<'_>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        if self.call(output_index).is_some() {
            return Ok(());
        }
        let index = u32::try_from(self.calls.len())
            .ok()
            .filter(|_| self.calls.len() < ITEMS_MAX);
        let index = index.ok_or_else(|| WireFailure::protocol("the stream has more tool calls than any answer"))?;
        self.calls.push(Call {
            output_index,
            has_arguments: false,
        });
        events.push(say(Delta::ToolCallStart {
            index,
            id: item.call_id.unwrap_or_default(),
            name: item.name.unwrap_or_default(),
            signature: None,
        }));
        Ok(())
    }

    fn finish(&mut self, place: u64, item: Option<&RawValue>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Some(mut item) = item.map(Item::of).transpose()?.flatten() else {
            return Ok(());
        };
        match item.r#type.as_str() {
            "function_call" => {
                let arguments = item.arguments.take().map(Cow::Owned);
                self.begin_call(place, item, events)?;
                self.whole_arguments(place, arguments, events);
            }
            "reasoning" => {
                let (issuer, calls_before) = (self.issuer, self.calls.len());
                let thought = self.thought(place)?;
                if !std::mem::replace(&mut thought.is_done, true) {
                    let signature = item.signature(issuer, calls_before);
                    events.extend(signature.map(|proof| say(Delta::ReasoningSignature(proof))));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Arguments that came in no delta. A tool without parameters may have none at all; clients parse them all the same.
    fn whole_arguments(&mut self, place: u64, arguments: Option<Cow<'_, str>>, events: &mut Vec<Event>) {
        let Some((index, call)) = self.call(place) else { return };
        if std::mem::replace(&mut call.has_arguments, true) {
            return;
        }
        let text = arguments
            .filter(|text| !text.is_empty())
            .unwrap_or(Cow::Borrowed("{}"))
            .into_owned();
        events.push(say(Delta::ToolCallArguments { index, text }));
    }

    fn think(&mut self, place: u64, source: Source, text: String, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let thought = self.thought(place)?;
        let is_taken = *thought.source.get_or_insert(source) == source;
        if is_taken && !thought.is_done && !text.is_empty() {
            events.push(say(Delta::Reasoning(text)));
        }
        Ok(())
    }

    fn call(&mut self, output_index: u64) -> Option<(u32, &mut Call)> {
        (0..)
            .zip(&mut self.calls)
            .find(|(_, call)| call.output_index == output_index)
    }

    fn thought(&mut self, output_index: u64) -> Result<&mut Thought, WireFailure> {
        let known = self
            .thoughts
            .iter()
            .position(|thought| thought.output_index == output_index);
        let place = known.unwrap_or(self.thoughts.len());
        if known.is_none() {
            if self.thoughts.len() == ITEMS_MAX {
                return Err(WireFailure::protocol("the stream has more thoughts than any answer"));
            }
            self.thoughts.push(Thought {
                output_index,
                source: None,
                is_done: false,
            });
        }
        Ok(&mut self.thoughts[place])
    }

    fn end(&mut self, response: Option<Response<'_>>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let missing = || WireFailure::protocol("the last event of the stream has no response");
        let response = response.ok_or_else(missing)?;
        events.extend(response.usage().map(Event::Usage));
        let reason = response.finish_reason(!self.calls.is_empty());
        events.extend([Event::Finish { choice: 0, reason }, Event::End]);
        self.is_complete = true;
        Ok(())
    }
}

fn say(delta: Delta) -> Event {
    Event::Delta { choice: 0, delta }
}
