//! Streams of the Messages API, relayed as they are and tapped for what the gateway must know.
//!
//! Most events carry a few more letters of one block, and are only glanced at. A stream commits at its first content:
//! `message_start`, `ping` and the beginning of a text come before.

use bytes::Bytes;
use serde::Deserialize;

use super::decode::{self, WireError, WireUsage, finish_reason};
use crate::dialect::openai_chat::stream::glance::all_deltas;
use crate::estimate::Size;
use crate::failure::{Failure, FailureKind};
use crate::provider::{Progress, StreamDecoder};
use crate::sse::{self, Relay, Verdict};
use crate::translate::WireFailure;

/// Relays a stream and reads it on the way.
#[derive(Debug, Default)]
pub(super) struct Tap {
    relay: Relay,
    reader: Reader,
}

#[derive(Debug, Default)]
struct Reader {
    usage: Option<WireUsage>,
    has_failed: bool,
    progress: Progress,
}

/// An event as far as it is read. What it holds beside passes unread.
#[derive(Deserialize)]
struct WireEvent {
    #[serde(default)]
    r#type: String,
    message: Option<Start>,
    content_block: Option<StartedBlock>,
    delta: Option<Delta>,
    usage: Option<WireUsage>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct Start {
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct StartedBlock {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: String,
}

#[derive(Deserialize)]
struct Delta {
    r#type: Option<String>,
    stop_reason: Option<String>,
}

impl StreamDecoder for Tap {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let result = self.relay.push(&bytes, out, |event| self.reader.read(event));
        self.reader.has_failed |= result.is_err();
        result
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let last = self.relay.finish();
        if !self.reader.progress.is_complete && !self.reader.has_failed && !last.is_empty() {
            self.finish_open_event(last, out)?;
        }
        if self.reader.progress.is_complete {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Cut, "the stream ended before its last event"))
    }

    fn progress(&self) -> &Progress {
        &self.reader.progress
    }
}

impl Tap {
    /// Some proxies do not close their last event with a blank line. If it reads as an event it is one, else the
    /// connection broke in the middle of it.
    fn finish_open_event(&mut self, event: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        match self.reader.read(&event) {
            Ok(_) => out.extend([event, Bytes::from_static(b"\n\n")]),
            Err(failure) => {
                self.reader.has_failed = true;
                if failure.kind != FailureKind::Protocol {
                    return Err(failure);
                }
            }
        }
        Ok(())
    }
}

impl Reader {
    fn read(&mut self, event: &[u8]) -> Result<Verdict, Failure> {
        let Some(data) = sse::data(event).filter(|data| !data.trim_ascii().is_empty()) else {
            return Ok(Verdict::Keep);
        };
        if self.progress.has_content && is_delta(&data) {
            self.count(all_deltas(&data));
            return Ok(Verdict::Keep);
        }
        let event: WireEvent = serde_json::from_slice(&data)
            .map_err(|_| Failure::new(FailureKind::Protocol, "an event of the stream is none of the dialect"))?;
        match event.r#type.as_str() {
            "message_start" => self.add(event.message.and_then(|message| message.usage)),
            "content_block_start" => self.open(event.content_block.as_ref()),
            "content_block_delta" => self.grow(&data, event.delta.as_ref()),
            "message_delta" => {
                self.add(event.usage);
                self.end(event.delta.and_then(|delta| delta.stop_reason));
            }
            "message_stop" => {
                self.progress.has_content = true;
                self.progress.is_complete = true;
                return Ok(Verdict::KeepAndStop);
            }
            // Where a cloud stands between, its own errors have no type.
            "error" | "" if event.error.is_some() || event.r#type == "error" => {
                let unreadable = || WireFailure::protocol("an error event without an error object");
                return Err(event
                    .error
                    .map_or_else(unreadable, decode::unannounced)
                    .into_failure(""));
            }
            _ => {} // ping, and what may be invented next
        }
        Ok(Verdict::Keep)
    }

    fn add(&mut self, usage: Option<WireUsage>) {
        if let Some(later) = usage {
            let usage = self.usage.get_or_insert_default();
            usage.merge(later);
            self.progress.usage = Some(usage.read());
        }
    }

    /// A text and a thought begin empty; whatever else begins is content.
    fn open(&mut self, block: Option<&StartedBlock>) {
        let Some(block) = block else { return };
        let is_content = match block.r#type.as_str() {
            "text" => !block.text.is_empty(),
            "thinking" => !block.thinking.is_empty(),
            _ => true,
        };
        self.progress.has_content |= is_content;
        for text in [&block.name, &block.text, &block.thinking] {
            self.count(Size::of(text.as_bytes()));
        }
    }

    fn grow(&mut self, data: &[u8], delta: Option<&Delta>) {
        let output = all_deltas(data);
        let kind = delta.and_then(|delta| delta.r#type.as_deref());
        let is_empty_text =
            matches!(kind, Some("text_delta" | "thinking_delta" | "input_json_delta")) && output.bytes() == 0;
        self.progress.has_content |= !is_empty_text;
        self.count(output);
    }

    fn end(&mut self, stop_reason: Option<String>) {
        if let Some(reason) = stop_reason {
            self.progress.has_content = true;
            let word = finish_reason(Some(&reason)).as_str();
            self.progress.finish_reason.get_or_insert_with(|| word.to_owned());
        }
    }

    fn count(&mut self, output: Size) {
        self.progress.output_bytes += output.bytes();
        self.progress.output_other_bytes += output.other_bytes;
    }
}

/// A glance at an event: does it say only that a block grows? A quote inside a text is always escaped, so a word in quotes
/// is never found inside an answer; what may be an error is read.
fn is_delta(data: &[u8]) -> bool {
    let is_object = data.first() == Some(&b'{') && data.last() == Some(&b'}');
    let holds = |word: &[u8]| memchr::memmem::find(data, word).is_some();
    is_object && holds(b"\"content_block_delta\"") && !holds(b"\"error\"")
}
