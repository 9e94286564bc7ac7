//! Streams of chat chunks: relayed as they are, and tapped for what the gateway must know.
//!
//! Most events only carry a few more letters, and reading each as JSON would cost more than all else that is done with
//! it. So an event is first glanced at: does it hold one delta, no finish reason, no usage, no error? Only what fails
//! that test is parsed. The glance works on bytes and errs to the side of parsing: a quote inside a text is always
//! escaped, so a key in quotes is never found inside a prompt or an answer.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{error, usage};
use crate::estimate::Size;
use crate::failure::{Failure, FailureKind};
use crate::json;
use crate::provider::{Progress, StreamDecoder};
use crate::sse::{self, Relay, Verdict};

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
        Self {
            relay: Relay::default(),
            reader: Reader {
                strip_usage,
                ..Reader::default()
            },
        }
    }
}

impl StreamDecoder for Tap {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let result = self.relay.push(&bytes, out, |event| self.reader.read(event));
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
        match self.reader.read(&event) {
            Ok(Verdict::Remove) => Ok(()),
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
    has_failed: bool,
    progress: Progress,
    /// One bit for each choice that was seen, and for each that has a finish reason.
    seen_choices: u128,
    finished_choices: u128,
}

impl Reader {
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
        self.count(all_deltas(data));
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

/// Built once: preparing a search costs more than searching one event.
static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    choices: Finder::new("\"choices\""),
    delta: Finder::new(DELTA),
    finish_reason: Finder::new(FINISH_REASON),
    usage: Finder::new(USAGE),
    error: Finder::new("\"error\""),
    index: Finder::new(INDEX),
});

const DELTA: &str = "\"delta\"";
const FINISH_REASON: &str = "\"finish_reason\"";
const USAGE: &str = "\"usage\"";
const INDEX: &str = "\"index\"";

struct Keys {
    choices: Finder<'static>,
    delta: Finder<'static>,
    finish_reason: Finder<'static>,
    usage: Finder<'static>,
    error: Finder<'static>,
    index: Finder<'static>,
}

/// What is seen of an event that carries one delta and nothing else of interest.
struct Glance {
    choice: u32,
    output: Size,
}

impl Glance {
    /// `None`: the event must be parsed.
    fn at(data: &[u8]) -> Option<Self> {
        let keys = &*KEYS;
        let is_object = data.first() == Some(&b'{') && data.last() == Some(&b'}');
        if !is_object || keys.error.find(data).is_some() {
            return None;
        }
        let choices_at = keys.choices.find(data)?;
        let delta_at = choices_at + keys.delta.find(&data[choices_at..])?;
        let (output, length) = delta_size(&data[delta_at + DELTA.len()..])?;
        let delta_end = delta_at + DELTA.len() + length;
        if keys.delta.find(&data[delta_end..]).is_some() || !is_only_null(&keys.usage, data) {
            return None;
        }
        let (before, behind) = (&data[choices_at..delta_at], &data[delta_end..]);
        if !is_only_null(&keys.finish_reason, before) || !is_only_null(&keys.finish_reason, behind) {
            return None;
        }
        let choice = index_value(before).or_else(|| index_value(behind))?;
        Some(Self { choice, output })
    }
}

/// Whether every value of this key in `data` is `null`.
fn is_only_null(key: &Finder<'_>, data: &[u8]) -> bool {
    key.find_iter(data)
        .all(|at| value_behind(&data[at + key.needle().len()..]).is_some_and(|value| value.starts_with(b"null")))
}

fn index_value(data: &[u8]) -> Option<u32> {
    let value = value_behind(&data[KEYS.index.find(data)? + INDEX.len()..])?;
    let digits = value.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

/// What stands behind the colon behind a key.
fn value_behind(key_end: &[u8]) -> Option<&[u8]> {
    key_end
        .trim_ascii_start()
        .strip_prefix(b":")
        .map(<[u8]>::trim_ascii_start)
}

/// Output of all deltas of an event that is parsed anyway.
fn all_deltas(data: &[u8]) -> Size {
    let mut sum = Size::default();
    let mut rest = data;
    while let Some(at) = KEYS.delta.find(rest) {
        rest = &rest[at + DELTA.len()..];
        if let Some((size, length)) = delta_size(rest) {
            sum = sum.plus(size);
            rest = &rest[length..];
        }
    }
    sum
}

/// Strings of a delta that are output; ids, roles and types, which some servers repeat in each event, are not.
const OUTPUT_KEYS: [&[u8]; 9] = [
    b"content",
    b"reasoning_content",
    b"reasoning",
    b"refusal",
    b"arguments",
    b"name",
    b"text",
    b"thinking",
    b"transcript",
];

/// Size of the output in the delta object behind its key, and where that object ends. Bytes as written, escapes
/// included: an estimate from them errs upward.
fn delta_size(key_end: &[u8]) -> Option<(Size, usize)> {
    let object = value_behind(key_end).filter(|value| value.starts_with(b"{"))?;
    let mut size = Size::default();
    let mut key: &[u8] = b"";
    let (mut at, mut depth) = (0, 0_u32);
    loop {
        match object.get(at)? {
            b'"' => {
                let text = string_inside(&object[at + 1..])?;
                at += text.len() + 2;
                if value_behind(&object[at..]).is_some() {
                    key = text;
                } else if OUTPUT_KEYS.contains(&key) {
                    size = size.plus(Size::of(text));
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some((size, key_end.len() - object.len() + at));
        }
    }
}

/// The text up to the quote that closes it.
fn string_inside(text: &[u8]) -> Option<&[u8]> {
    let mut end = 0;
    loop {
        end += json::plain_length(text.get(end..)?);
        match text.get(end)? {
            b'"' => return Some(&text[..end]),
            b'\\' => end += 2,
            _ => return None,
        }
    }
}
