//! Streams of chat chunks, and of those of legacy completions: relayed as they are, and tapped for what the gateway must
//! know.
//!
//! Most events only carry a few more letters, and reading each as JSON would cost more than all else that is done with
//! it. So an event is first glanced at (`glance`), and parsed only if it may tell more than that.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::mend::Mend;
use super::{error, usage};
use crate::estimate::Size;
use crate::failure::{Failure, FailureKind};
use crate::provider::{Progress, StreamDecoder};
use crate::sse::{self, Relay, Verdict};

pub(crate) mod glance;

use glance::Glance;

const DONE_EVENT: &[u8] = b"data: [DONE]\n\n";

/// Relays a stream and reads it on the way.
#[derive(Debug)]
pub struct Tap {
    relay: Relay,
    reader: Reader,
}

impl Tap {
    /// `strip_usage`: the event that only carries usage was asked for by us and is taken out.
    pub fn new(strip_usage: bool) -> Self {
        Self::mending(strip_usage, None)
    }

    /// The same for a server whose events are mended on the way.
    pub fn mending(strip_usage: bool, mend: Option<&'static Mend>) -> Self {
        Self {
            relay: Relay::default(),
            reader: Reader {
                strip_usage,
                mend,
                ..Reader::default()
            },
        }
    }
}

impl StreamDecoder for Tap {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let result = self.relay.push(&bytes, out, |event| self.reader.read_mended(event));
        self.reader.has_failed |= result.is_err();
        result
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let last = self.relay.finish();
        if self.reader.progress.is_complete {
            return Ok(());
        }
        if !last.is_empty() && !self.reader.has_failed {
            self.finish_open_event(last, out)?;
        }
        if !self.reader.progress.is_complete {
            if self.reader.has_failed || !self.reader.has_finished_choices() {
                return Err(Failure::new(FailureKind::Cut, "the stream ended before its last event"));
            }
            self.reader.complete();
            out.push(Bytes::from_static(DONE_EVENT));
        }
        Ok(())
    }

    fn progress(&self) -> &Progress {
        &self.reader.progress
    }
}

impl Tap {
    /// Some servers do not close their last event with a blank line. If it reads as an event it is one, else the
    /// connection broke in the middle of it.
    fn finish_open_event(&mut self, event: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        match self.reader.read_mended(&event) {
            Ok(Verdict::Remove) => Ok(()),
            Ok(Verdict::Replace(other)) => {
                out.push(other);
                Ok(())
            }
            Ok(Verdict::Keep | Verdict::KeepAndStop) => {
                out.extend([event, Bytes::from_static(b"\n\n")]);
                Ok(())
            }
            Err(failure) => {
                self.reader.has_failed = true;
                if failure.kind == FailureKind::Protocol {
                    Ok(())
                } else {
                    Err(failure)
                }
            }
        }
    }
}

/// What the events have told.
#[derive(Debug, Default)]
struct Reader {
    strip_usage: bool,
    mend: Option<&'static Mend>,
    has_failed: bool,
    progress: Progress,
    /// One bit for each choice that was seen, and for each that has a finish reason.
    seen_choices: u128,
    finished_choices: u128,
}

impl Reader {
    fn read_mended(&mut self, event: &[u8]) -> Result<Verdict, Failure> {
        let Some(mend) = self.mend else {
            return self.read(event);
        };
        let Some(mended) = mend.event(event)? else {
            return self.read(event);
        };
        Ok(match self.read(&mended)? {
            Verdict::Keep => Verdict::Replace(mended),
            verdict => verdict,
        })
    }

    fn read(&mut self, event: &[u8]) -> Result<Verdict, Failure> {
        let Some(data) = sse::data(event) else {
            return Ok(Verdict::Keep);
        };
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(Verdict::Keep);
        }
        if data == b"[DONE]" {
            self.complete();
            return Ok(Verdict::KeepAndStop);
        }
        if self.progress.has_content
            && let Some(glance) = Glance::at(data)
        {
            self.see_choice(glance.choice)?;
            self.count(glance.output);
            return Ok(Verdict::Keep);
        }
        self.parse(event, data)
    }

    fn parse(&mut self, event: &[u8], data: &[u8]) -> Result<Verdict, Failure> {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            return Err(Failure::new(
                FailureKind::Protocol,
                "an event of the stream is not a chat chunk",
            ));
        };
        if chunk.error.is_some() || sse::name(event) == Some(b"error") {
            let unreadable = || Failure::new(FailureKind::Server, "an error event without an error object");
            return Err(error::read_unannounced(data).unwrap_or_else(unreadable));
        }
        let reported = chunk.usage.and_then(|usage| usage::read(usage.get().as_bytes()));
        self.progress.usage = reported.or(self.progress.usage); // cumulative: the last report counts
        let choices = chunk.choices.as_deref();
        for choice in choices.unwrap_or_default() {
            self.read_choice(choice)?;
        }
        self.count(glance::all_deltas(data));
        let is_usage_only = choices.is_some_and(<[_]>::is_empty) && chunk.usage.is_some();
        Ok(if is_usage_only && self.strip_usage {
            Verdict::Remove
        } else {
            Verdict::Keep
        })
    }

    fn read_choice(&mut self, choice: &Choice) -> Result<(), Failure> {
        let index = choice.index.unwrap_or(0);
        self.see_choice(index)?;
        self.progress.has_content |= choice.delta.as_ref().is_some_and(|delta| delta.has_content);
        // Legacy completions. Some servers write the text of a chat's delta there once more.
        if let Some(text) = choice.text.as_deref().filter(|_| choice.delta.is_none()) {
            self.progress.has_content |= !text.is_empty();
            self.count(Size::of(text.as_bytes()));
        }
        // Some servers write an empty reason into every event until they know it.
        if let Some(reason) = choice.finish_reason.as_deref().filter(|reason| !reason.is_empty()) {
            self.progress.has_content = true;
            self.finished_choices |= 1 << index;
            self.progress.finish_reason.get_or_insert_with(|| reason.to_owned());
        }
        Ok(())
    }

    fn see_choice(&mut self, index: u32) -> Result<(), Failure> {
        if index >= u128::BITS {
            return Err(Failure::new(
                FailureKind::Protocol,
                "the stream names more choices than can be asked for",
            ));
        }
        self.seen_choices |= 1 << index;
        Ok(())
    }

    fn has_finished_choices(&self) -> bool {
        self.seen_choices != 0 && self.seen_choices == self.finished_choices
    }

    fn complete(&mut self) {
        self.progress.is_complete = true;
        self.progress.has_content = true;
    }

    fn count(&mut self, output: Size) {
        self.progress.output_bytes += output.bytes();
        self.progress.output_other_bytes += output.other_bytes;
    }
}

/// A chunk as far as it is read. What it holds beside passes unread.
#[derive(Deserialize)]
struct Chunk<'a> {
    choices: Option<Vec<Choice>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    index: Option<u32>,
    delta: Option<Delta>,
    text: Option<String>,
    finish_reason: Option<String>,
}

/// Whether a delta says anything: text, reasoning, a refusal, a tool call, media, or what may be invented next. Only the
/// role and empty values do not count, so that a first event without content does not end the time for retries.
struct Delta {
    has_content: bool,
}

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Delta;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Delta, A::Error> {
                let mut has_content = false;
                while let Some(key) = members.next_key::<std::borrow::Cow<'_, str>>()? {
                    let Presence(is_present) = members.next_value()?;
                    has_content |= is_present && key != "role";
                }
                Ok(Delta { has_content })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Whether a value is a string, list or object that is not empty.
struct Presence(bool);

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PresenceVisitor)
    }
}

struct PresenceVisitor;

impl<'de> Visitor<'de> for PresenceVisitor {
    type Value = Presence;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Presence, E> {
        Ok(Presence(!text.is_empty()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Presence, A::Error> {
        let mut is_present = false;
        while items.next_element::<IgnoredAny>()?.is_some() {
            is_present = true;
        }
        Ok(Presence(is_present))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Presence, A::Error> {
        let mut is_present = false;
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            is_present = true;
        }
        Ok(Presence(is_present))
    }

    fn visit_unit<E>(self) -> Result<Presence, E> {
        Ok(Presence(false))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Presence, E> {
        Ok(Presence(false))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Presence, E> {
        Ok(Presence(false))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Presence, E> {
        Ok(Presence(false))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Presence, E> {
        Ok(Presence(false))
    }
}
