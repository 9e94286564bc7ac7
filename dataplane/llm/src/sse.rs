//! Server-sent events by their bytes: where one ends, what it says, and a relay that passes them on unchanged.
//!
//! The relay makes no copy of an event that arrived in one piece, and what arrived together leaves as one slice unless
//! something in the middle is taken out. An event split over chunks is put together first: only whole events are
//! passed on, so that a stream can be ended between any two of them. Lines may end in LF, CRLF or CR, and the bytes
//! that leave do not depend on where the chunks were cut.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::failure::{Failure, FailureKind};

/// Largest event in bytes. Images and audio arrive in base64 inside one event; a line without an end must not fill the
/// memory.
pub const EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is passed on.
    Keep,
    /// This is passed on in its place.
    Replace(Bytes),
    /// It is taken out.
    Remove,
    /// It is passed on, and nothing after it is read.
    KeepAndStop,
}

/// Cuts a stream into events and passes on those that its judge keeps.
#[derive(Debug, Default)]
pub struct Relay {
    boundary: Boundary,
    partial: BytesMut, // the beginning of an event that has not ended yet
    last_removed: bool,
    is_stopped: bool,
}

impl Relay {
    /// Takes what arrived, asks `judge` about each whole event, and appends to `out` what is passed on. A refusal by the
    /// judge, or an event above [`EVENT_BYTES_MAX`], ends the relay: what stood before it is passed on, no more is read.
    pub fn push(
        &mut self,
        bytes: &Bytes,
        out: &mut Vec<Bytes>,
        judge: impl FnMut(&[u8]) -> Result<Verdict, Failure>,
    ) -> Result<(), Failure> {
        let mut run = Run {
            bytes,
            start: 0,
            end: 0,
        };
        let result = self.relay(&mut run, out, judge);
        run.flush(out);
        self.is_stopped |= result.is_err();
        result
    }

    /// The stream has ended: takes out what is left of an event that its sender did not close with a blank line.
    pub fn finish(&mut self) -> Bytes {
        self.is_stopped = true;
        self.partial.split().freeze()
    }

    fn relay(
        &mut self,
        run: &mut Run<'_>,
        out: &mut Vec<Bytes>,
        mut judge: impl FnMut(&[u8]) -> Result<Verdict, Failure>,
    ) -> Result<(), Failure> {
        self.take_late_line_feed(run);
        while !self.is_stopped {
            let rest = run.rest();
            let Some(length) = self.boundary.event_length(rest) else {
                self.check_size(rest.len())?;
                self.partial.extend_from_slice(rest);
                break;
            };
            self.check_size(length)?;
            let whole = if self.partial.is_empty() {
                None
            } else {
                self.partial.extend_from_slice(&rest[..length]);
                Some(self.partial.split().freeze())
            };
            let verdict = judge(whole.as_deref().unwrap_or(&rest[..length]))?;
            self.last_removed = matches!(verdict, Verdict::Remove | Verdict::Replace(_));
            self.is_stopped = verdict == Verdict::KeepAndStop;
            match (verdict, whole) {
                (Verdict::Keep | Verdict::KeepAndStop, None) => run.end += length,
                (Verdict::Keep | Verdict::KeepAndStop, Some(whole)) => {
                    out.push(whole);
                    run.skip(length, out);
                }
                (Verdict::Remove, _) => run.skip(length, out),
                (Verdict::Replace(other), _) => {
                    run.flush(out);
                    out.push(other);
                    run.skip(length, out);
                }
            }
        }
        Ok(())
    }

    /// A chunk may be cut between the CR and the LF of the blank line that closes an event. The event went its way with
    /// the CR, so the LF follows it.
    fn take_late_line_feed(&mut self, run: &mut Run<'_>) {
        if self.boundary.after_cr && self.partial.is_empty() && run.bytes.first() == Some(&b'\n') {
            self.boundary.after_cr = false;
            run.end = 1;
            if self.last_removed {
                run.start = 1;
            }
        }
    }

    fn check_size(&self, arrived: usize) -> Result<(), Failure> {
        check_size(self.partial.len() + arrived)
    }
}

/// Cuts a stream into events for a reader that passes nothing on.
#[derive(Debug, Default)]
pub struct Events {
    boundary: Boundary,
    partial: BytesMut, // the beginning of an event that has not ended yet
}

impl Events {
    /// Takes what arrived and shows `on_event` each whole event, blank line included; [`data`] reads it. An event above
    /// [`EVENT_BYTES_MAX`] is a failure.
    pub fn push<E: From<Failure>>(
        &mut self,
        mut bytes: &[u8],
        mut on_event: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(length) = self.boundary.event_length(bytes) {
            check_size(self.partial.len() + length)?;
            let (event, rest) = bytes.split_at(length);
            bytes = rest;
            if self.partial.is_empty() {
                on_event(event)?;
            } else {
                self.partial.extend_from_slice(event);
                on_event(&self.partial.split())?;
            }
        }
        check_size(self.partial.len() + bytes.len())?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// The stream has ended: takes out what is left of an event that its sender did not close with a blank line.
    pub fn finish(&mut self) -> Bytes {
        self.partial.split().freeze()
    }
}

fn check_size(length: usize) -> Result<(), Failure> {
    if length <= EVENT_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Protocol,
        format!("an event of the stream is larger than {EVENT_BYTES_MAX} bytes"),
    ))
}

/// Neighbouring events of one chunk that leave together.
struct Run<'a> {
    bytes: &'a Bytes,
    start: usize,
    end: usize,
}

impl<'a> Run<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.end..]
    }

    fn flush(&mut self, out: &mut Vec<Bytes>) {
        if self.start < self.end {
            out.push(self.bytes.slice(self.start..self.end));
        }
        self.start = self.end;
    }

    /// Leaves out the next `length` bytes.
    fn skip(&mut self, length: usize, out: &mut Vec<Bytes>) {
        self.flush(out);
        self.end += length;
        self.start = self.end;
    }
}

/// Finds blank lines over chunks, looking at every byte once.
#[derive(Debug, Default)]
struct Boundary {
    in_line: bool,  // the current line has bytes already
    after_cr: bool, // the last byte was a CR: a LF now belongs to the same line end
}

impl Boundary {
    /// Length of the event at the start of `bytes`, its blank line included. `None`: it does not end among them; the
    /// next call goes on behind them.
    fn event_length(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if self.after_cr && at < bytes.len() {
                self.after_cr = false;
                at += usize::from(bytes[at] == b'\n');
            }
            let Some(line_length) = memchr::memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.in_line |= at < bytes.len();
                return None;
            };
            let is_blank = line_length == 0 && !self.in_line;
            at += line_length + 1;
            self.in_line = false;
            self.after_cr = bytes[at - 1] == b'\r';
            if is_blank {
                if self.after_cr && at < bytes.len() {
                    self.after_cr = false;
                    at += usize::from(bytes[at] == b'\n');
                }
                return Some(at);
            }
        }
    }
}

/// The data of an event: its `data` lines without their names, joined by line feeds. `None` if it has none, as comments
/// and blank lines do.
pub fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(data) = single_line_data(event) {
        return Some(Cow::Borrowed(data));
    }
    let mut joined: Option<Cow<'_, [u8]>> = None;
    for value in fields(event)
        .filter(|(name, _)| *name == b"data")
        .map(|(_, value)| value)
    {
        match &mut joined {
            None => joined = Some(Cow::Borrowed(value)),
            Some(data) => {
                data.to_mut().push(b'\n');
                data.to_mut().extend_from_slice(value);
            }
        }
    }
    joined
}

/// The name of an event, from its last `event` line.
pub fn name(event: &[u8]) -> Option<&[u8]> {
    fields(event)
        .filter(|(name, _)| *name == b"event")
        .last()
        .map(|(_, value)| value)
}

/// Nearly every event of a chat stream is one `data` line, or one behind the event's name: found without looking at the
/// line byte by byte.
fn single_line_data(event: &[u8]) -> Option<&[u8]> {
    let unnamed = match event.strip_prefix(b"event:") {
        Some(name) => {
            let lines = &name[memchr::memchr2(b'\n', b'\r', name)?..];
            lines.strip_prefix(b"\r\n").unwrap_or(&lines[1..])
        }
        None => event,
    };
    let value = unnamed.strip_prefix(b"data:")?;
    let end = memchr::memchr2(b'\n', b'\r', value).unwrap_or(value.len());
    let is_single = value[end..].iter().all(|byte| matches!(byte, b'\n' | b'\r'));
    is_single.then(|| without_leading_space(&value[..end]))
}

/// Names and values of the lines of an event. Comments have the empty name; a stream may begin with a byte order mark.
fn fields(event: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let event = event.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(event);
    event
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = memchr::memchr(b':', line).unwrap_or(line.len());
            (
                &line[..colon],
                without_leading_space(line.get(colon + 1..).unwrap_or_default()),
            )
        })
}

fn without_leading_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}
