//! Streams: one record after another, each of the shape of a whole answer.
//!
//! There is no last event. A record may name a finish reason and be followed by others, so reasons are kept until the provider
//! closes the stream: where every choice has one by then, the answer is whole. Calls come whole, and are counted over all
//! records of a choice.

use super::answer::{self, End, PromptFeedback};
use super::usage::WireUsage;
use crate::hub::{Delta, Event, FinishReason, Output};
use crate::provider::issuer::Issuer;
use crate::request::CHOICES_MAX;
use crate::sse::{self, Events};
use crate::translate::{EventDecoder, WireFailure};

/// Reads one stream.
#[derive(Debug)]
pub(in crate::provider) struct Decoder {
    lines: Events,
    state: State,
}

impl Decoder {
    pub(in crate::provider) fn new(issuer: Issuer) -> Self {
        Self {
            lines: Events::default(),
            state: State {
                issuer,
                has_started: false,
                choices: Vec::new(),
                usage: WireUsage::default(),
                refusal: None,
            },
        }
    }
}

#[derive(Debug)]
struct State {
    issuer: Issuer,
    has_started: bool,
    choices: Vec<Choice>,
    usage: WireUsage,
    /// The words to a prompt that was blocked.
    refusal: Option<String>,
}

#[derive(Debug)]
struct Choice {
    index: u32,
    calls: u32,
    end: Option<End>,
}

impl EventDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Self { lines, state } = self;
        lines.push(bytes, |event| state.read(event, events))
    }

    /// What is left is a last record without its blank line, or the piece of one that was cut.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let last = self.lines.finish();
        if !last.trim_ascii().is_empty() && is_whole(&last) {
            self.state.read(&last, events)?;
        } else if !last.trim_ascii().is_empty() {
            return Ok(()); // no `End`: cut
        }
        self.state.finish(events);
        Ok(())
    }
}

fn is_whole(event: &[u8]) -> bool {
    json_of(event).is_none_or(|json| serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok())
}

/// The record of an event. An error in the middle of a stream may come bare, without the form of an event.
fn json_of(event: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    let is_bare = matches!(event.trim_ascii_start().first(), Some(b'{' | b'['));
    sse::data(event).or_else(|| is_bare.then_some(std::borrow::Cow::Borrowed(event)))
}

impl State {
    fn read(&mut self, event: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Some(json) = json_of(event) else {
            return Ok(()); // a comment
        };
        let record = answer::parse(&json)?;
        if !std::mem::replace(&mut self.has_started, true) {
            events.push(Event::Start {
                id: record.response_id,
                model: record.model_version,
            });
        }
        for mut candidate in record.candidates.unwrap_or_default() {
            let issuer = self.issuer;
            let choice = self.choice(candidate.index.unwrap_or(0))?;
            for output in candidate.output(issuer) {
                choice.say(output, events);
            }
            if let Some(logprobs) = candidate.logprobs() {
                choice.delta(Delta::Logprobs(logprobs), events);
            }
            if let Some(reason) = candidate.finish_reason {
                choice.end = Some(End::of(Some(&reason), candidate.finish_message));
            }
        }
        self.refusal = record
            .prompt_feedback
            .and_then(PromptFeedback::refusal)
            .or(self.refusal.take());
        if let Some(usage) = record.usage_metadata {
            self.usage.overwrite(usage);
            events.push(Event::Usage(self.usage.read()));
        }
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
                calls: 0,
                end: None,
            });
            self.choices.len() - 1
        });
        Ok(&mut self.choices[place])
    }

    /// The provider closed the stream.
    fn finish(&mut self, events: &mut Vec<Event>) {
        if let Some(refusal) = self.refusal.take().filter(|_| self.choices.is_empty()) {
            self.choices.push(Choice {
                index: 0,
                calls: 0,
                end: Some(End::of(Some("SAFETY"), Some(refusal))),
            });
        }
        if self.choices.is_empty() || self.choices.iter().any(|choice| choice.end.is_none()) {
            return; // cut
        }
        for mut choice in std::mem::take(&mut self.choices) {
            choice.finish(events);
        }
        events.push(Event::End);
    }
}

impl Choice {
    fn say(&mut self, output: Output, events: &mut Vec<Event>) {
        let delta = match output {
            Output::Text(text) => Delta::Text(text),
            Output::Refusal(text) => Delta::Refusal(text),
            Output::RedactedReasoning { data } => Delta::RedactedReasoning(data),
            Output::Media { mime_type, base64 } => Delta::Media { mime_type, base64 },
            Output::Reasoning { text, signature } => {
                self.delta(Delta::Reasoning(text), events);
                match signature {
                    Some(signature) => Delta::ReasoningSignature(signature),
                    None => return,
                }
            }
            Output::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                let index = self.calls;
                self.calls += 1;
                let start = Delta::ToolCallStart {
                    index,
                    id,
                    name,
                    signature,
                };
                self.delta(start, events);
                Delta::ToolCallArguments { index, text: arguments }
            }
        };
        self.delta(delta, events);
    }

    fn delta(&self, delta: Delta, events: &mut Vec<Event>) {
        let choice = self.index;
        events.push(Event::Delta { choice, delta });
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        let Some(mut end) = self.end.take() else { return };
        let reason: FinishReason = end.reason(self.calls > 0);
        if let Some(words) = end.words.take() {
            self.say(words, events);
        }
        let choice = self.index;
        events.push(Event::Finish { choice, reason });
    }
}
