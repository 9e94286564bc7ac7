//! Streams of providers that speak the dialect: relayed as they are, and tapped for what the gateway must know.
//!
//! Most events carry a few more letters. Their kind is told by the bytes at the beginning of their data, where servers
//! write it, so that only those are parsed which end a stream or may be its first content.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::failed;
use super::failure::WireError;
use super::usage;
use crate::estimate::Size;
use crate::failure::{Failure, FailureKind};
use crate::json;
use crate::provider::{Progress, StreamDecoder};
use crate::sse::{self, Relay, Verdict};
use crate::translate::WireFailure;

/// Relays a stream and reads it on the way.
#[derive(Debug, Default)]
pub struct Tap {
    relay: Relay,
    reader: Reader,
}

impl StreamDecoder for Tap {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let result = self.relay.push(&bytes, out, |event| self.reader.read(event));
        self.reader.has_failed |= result.is_err();
        result
    }

    /// Some servers do not close their last event with a blank line. If it reads as one that ends a stream it is one,
    /// else the connection broke in the middle of it.
    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let last = self.relay.finish();
        if !self.reader.progress.is_complete && !self.reader.has_failed && !last.is_empty() {
            match self.reader.read(&last) {
                Ok(Verdict::KeepAndStop) => out.extend([last, Bytes::from_static(b"\n\n")]),
                Err(failure) if failure.kind != FailureKind::Protocol => {
                    self.reader.has_failed = true;
                    return Err(failure);
                }
                _ => self.reader.has_failed = true,
            }
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

/// What the events have told.
#[derive(Debug, Default)]
struct Reader {
    has_failed: bool,
    progress: Progress,
}

/// An event as far as it is read.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    item: Option<Item>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item {
    r#type: Option<String>,
}

/// What a response says at its end.
#[derive(Default, Deserialize)]
struct Ended<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    incomplete_details: Option<IncompleteDetails>,
}

#[derive(Deserialize)]
struct IncompleteDetails {
    reason: Option<String>,
}

impl Reader {
    fn read(&mut self, event: &[u8]) -> Result<Verdict, Failure> {
        let Some(data) = sse::data(event) else {
            return Ok(Verdict::Keep); // a comment
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            return Ok(Verdict::Remove); // no word of the dialect; clients would stop reading
        }
        let verdict = match kind_at_a_glance(data) {
            _ if data.is_empty() => return Ok(Verdict::Keep),
            Some(kind) if self.progress.has_content && !ends_a_stream(kind) => {
                self.count(kind, data);
                Verdict::Keep
            }
            _ => self.parse(data)?,
        };
        self.progress.events += 1;
        Ok(verdict)
    }

    fn parse(&mut self, data: &[u8]) -> Result<Verdict, Failure> {
        let event: Event<'_> = serde_json::from_slice(data).map_err(|_| {
            let detail = "an event of the stream is none of the dialect";
            Failure::new(FailureKind::Protocol, detail)
        })?;
        let kind = event.kind.as_ref();
        match kind {
            "response.completed" | "response.incomplete" => return Ok(self.end(kind, event.response)),
            "response.failed" if self.progress.has_content => return Ok(self.end(kind, event.response)),
            "response.failed" => {
                let error = ended(event.response).error.map(|error| error.get().as_bytes());
                return Err(failed(error).into_failure(""));
            }
            "error" => return Err(error_event(data).into_failure("")),
            "" if event.error.is_some() => return Err(error_event(data).into_failure("")),
            "" => {
                return Err(Failure::new(
                    FailureKind::Protocol,
                    "an event of the stream has no type",
                ));
            }
            // They begin what may still fail; everything else, also what may be invented next, is content.
            "response.created"
            | "response.queued"
            | "response.in_progress"
            | "response.content_part.added"
            | "response.reasoning_summary_part.added" => {}
            "response.output_item.added" => {
                let kind = event.item.as_ref().and_then(|item| item.r#type.as_deref());
                self.progress.has_content |= !matches!(kind, None | Some("message" | "reasoning"));
            }
            _ => {
                let is_empty = event.delta.is_some_and(|delta| matches!(delta.get(), "\"\"" | "null"));
                self.progress.has_content |= kind.starts_with("response.") && !is_empty;
            }
        }
        self.count(kind, data);
        Ok(Verdict::Keep)
    }

    /// The last event, whatever it says: what follows it is not needed.
    fn end(&mut self, kind: &str, response: Option<&RawValue>) -> Verdict {
        let ended = ended(response);
        let usage = ended.usage.and_then(|usage| usage::read(usage.get().as_bytes()));
        self.progress.usage = usage.or(self.progress.usage);
        let reason = ended.incomplete_details.and_then(|details| details.reason);
        self.progress.finish_reason = Some(match (kind, reason.as_deref()) {
            ("response.completed", _) => "stop".to_owned(),
            ("response.failed", _) => "error".to_owned(),
            (_, None | Some("max_output_tokens")) => "length".to_owned(),
            (_, Some(other)) => other.to_owned(),
        });
        self.progress.has_content = true;
        self.progress.is_complete = true;
        Verdict::KeepAndStop
    }

    fn count(&mut self, kind: &str, data: &[u8]) {
        if kind.rsplit('.').next() == Some("delta") {
            let size = delta_size(data).unwrap_or_default();
            self.progress.output_bytes += size.bytes();
            self.progress.output_other_bytes += size.other_bytes;
        }
    }
}

/// The type of an event that is written first in its data, as by all servers known; `None`: the event must be parsed.
fn kind_at_a_glance(data: &[u8]) -> Option<&str> {
    let rest = data
        .strip_prefix(b"{\"type\":")?
        .trim_ascii_start()
        .strip_prefix(b"\"")?;
    let (kind, _) = rest.split_at(memchr::memchr2(b'"', b'\\', rest)?);
    let is_whole = rest.get(kind.len()) == Some(&b'"') && data.last() == Some(&b'}');
    std::str::from_utf8(kind)
        .ok()
        .filter(|kind| is_whole && kind.starts_with("response."))
}

fn ends_a_stream(kind: &str) -> bool {
    matches!(kind, "response.completed" | "response.incomplete" | "response.failed")
}

/// An error event, whose members stand at its top or in `error`.
pub(crate) fn error_event(data: &[u8]) -> WireFailure {
    #[derive(Deserialize)]
    struct Envelope {
        error: Option<WireError>,
    }
    let nested = serde_json::from_slice::<Envelope>(data)
        .ok()
        .and_then(|envelope| envelope.error);
    let error = nested.or_else(|| {
        let bare: WireError = serde_json::from_slice(data).ok()?;
        Some(WireError {
            error_type: None, // that of the event
            ..bare
        })
    });
    error.unwrap_or_default().unannounced()
}

fn ended(response: Option<&RawValue>) -> Ended<'_> {
    response
        .and_then(|json| serde_json::from_str(json.get()).ok())
        .unwrap_or_default()
}

/// Size of the output in `delta`: bytes as written, escapes included, so that an estimate from them errs upward.
fn delta_size(data: &[u8]) -> Option<Size> {
    static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\""));
    let behind = &data[DELTA.find(data)? + DELTA.needle().len()..];
    let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = value.strip_prefix(b"\"")?;
    let mut end = 0;
    loop {
        end += json::plain_length(text.get(end..)?);
        match text.get(end)? {
            b'"' => return Some(Size::of(&text[..end])),
            b'\\' => end += 2,
            _ => return None,
        }
    }
}
