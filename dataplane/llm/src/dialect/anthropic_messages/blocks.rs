//! The content blocks of a stream: one is open at a time, each has one start and one stop, indices count from 0.
//!
//! A text or a thought can be closed at any time, since another block may go on with it. A tool call cannot: it is one
//! block, whatever arrives in the middle of it. So what arrives behind an unfinished call waits, in order, until the call's
//! arguments have closed their braces or the answer has ended. Most providers send one call after the other, and nothing
//! ever waits.

use std::collections::VecDeque;

use serde::Serialize;

use super::render::Block;
use crate::sse::EVENT_BYTES_MAX;
use crate::translate::WireFailure;

/// More calls than any answer has.
const CALLS_MAX: usize = 1024;
/// How many bytes may wait behind an unfinished call: as many as one event may have.
const WAITING_BYTES_MAX: usize = EVENT_BYTES_MAX;
/// What a block that waits takes beside its text.
const WAITING_BLOCK_BYTES: usize = 64;

/// Writes blocks.
#[derive(Default)]
pub(super) struct Blocks {
    /// How many have been opened.
    opened: u32,
    open: Option<Open>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Each call that has begun, by the provider's index.
    calls: Vec<u32>,
}

/// The block that is being written.
enum Open {
    Text,
    Thinking,
    Call(u32, Arguments),
}

/// What waits behind an unfinished call.
enum Waiting {
    Text(String),
    Thinking { text: String, signature: Option<String> },
    Redacted(String),
    Call { call: Call, arguments: String },
}

/// A tool call as it begins.
pub(super) struct Call {
    /// The provider's index of it.
    pub(super) index: u32,
    pub(super) id: String,
    pub(super) name: String,
}

/// Whether the arguments of a call have closed what they opened.
#[derive(Default)]
struct Arguments {
    depth: u32,
    has_begun: bool,
    in_string: bool,
    is_escaped: bool,
}

impl Arguments {
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    self.has_begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn are_whole(&self) -> bool {
        self.has_begun && self.depth == 0
    }
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum BlockEvent<'a> {
    #[serde(rename = "content_block_start")]
    Start { index: u32, content_block: Block<'a> },
    #[serde(rename = "content_block_delta")]
    Delta { index: u32, delta: BlockDelta<'a> },
    #[serde(rename = "content_block_stop")]
    Stop { index: u32 },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum BlockDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

/// An event of the dialect; its name is its type.
pub(super) fn event(name: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    for part in ["event: ", name, "\ndata: "] {
        out.extend_from_slice(part.as_bytes());
    }
    serde_json::to_writer(&mut *out, data).expect("structs can always be written as JSON");
    out.extend_from_slice(b"\n\n");
}

impl Blocks {
    /// How many calls have begun.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.must_wait() {
            match self.waiting.back_mut() {
                Some(Waiting::Text(waiting)) => waiting.push_str(text),
                _ => self.wait(Waiting::Text(text.to_owned()))?,
            }
            return self.hold(text.len());
        }
        if !matches!(self.open, Some(Open::Text)) {
            let empty = Block::Text { text: "".into() };
            self.begin(empty, Some(Open::Text), out);
        }
        self.delta(BlockDelta::Text { text }, out);
        Ok(())
    }

    pub(super) fn thinking(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.must_wait() {
            match self.waiting.back_mut() {
                Some(Waiting::Thinking {
                    text: waiting,
                    signature: None,
                }) => waiting.push_str(text),
                _ => self.wait(Waiting::Thinking {
                    text: text.to_owned(),
                    signature: None,
                })?,
            }
            return self.hold(text.len());
        }
        self.begin_thinking(out);
        self.delta(BlockDelta::Thinking { thinking: text }, out);
        Ok(())
    }

    /// The thought so far is signed and ends; one that is not shown has only its signature.
    pub(super) fn signature(&mut self, signature: &str, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.must_wait() {
            match self.waiting.back_mut() {
                Some(Waiting::Thinking { signature: place, .. }) if place.is_none() => {
                    *place = Some(signature.to_owned());
                }
                _ => self.wait(Waiting::Thinking {
                    text: String::new(),
                    signature: Some(signature.to_owned()),
                })?,
            }
            return self.hold(signature.len());
        }
        self.begin_thinking(out);
        self.delta(BlockDelta::Signature { signature }, out);
        self.close(out);
        Ok(())
    }

    pub(super) fn redacted(&mut self, data: &str, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.must_wait() {
            self.wait(Waiting::Redacted(data.to_owned()))?;
            return self.hold(data.len());
        }
        self.write_redacted(data, out);
        Ok(())
    }

    /// Whether the call of this index has begun.
    pub(super) fn has_call(&self, index: u32) -> bool {
        self.calls.contains(&index)
    }

    /// A call begins.
    pub(super) fn call(&mut self, call: Call, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if self.calls.len() == CALLS_MAX {
            return Err(WireFailure::protocol(
                "the stream has more tool calls than any answer has",
            ));
        }
        self.calls.push(call.index);
        if self.must_wait() {
            let length = call.id.len() + call.name.len();
            let arguments = String::new();
            self.wait(Waiting::Call { call, arguments })?;
            return self.hold(length);
        }
        self.begin_call(&call, out);
        Ok(())
    }

    pub(super) fn arguments(&mut self, index: u32, text: &str, out: &mut Vec<u8>) -> Result<(), WireFailure> {
        if let Some(Open::Call(open, state)) = &mut self.open
            && *open == index
        {
            state.push(text);
            self.delta(BlockDelta::Input { partial_json: text }, out);
            self.write_waiting(out);
            return Ok(());
        }
        let waiting = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Call { call, arguments } if call.index == index => Some(arguments),
            _ => None,
        });
        if let Some(waiting) = waiting {
            waiting.push_str(text);
            return self.hold(text.len());
        }
        if self.has_call(index) && text.trim_ascii().is_empty() {
            return Ok(());
        }
        Err(WireFailure::protocol(
            "the stream goes on with a tool call that is not there",
        ))
    }

    /// Nothing more comes: what waits is written, and the last block closed.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        while let Some(waiting) = self.waiting.pop_front() {
            self.write(waiting, out);
        }
        self.waiting_bytes = 0;
        self.close(out);
    }

    fn must_wait(&self) -> bool {
        !self.waiting.is_empty() || self.is_in_call()
    }

    fn is_in_call(&self) -> bool {
        matches!(&self.open, Some(Open::Call(_, arguments)) if !arguments.are_whole())
    }

    fn wait(&mut self, waiting: Waiting) -> Result<(), WireFailure> {
        self.waiting.push_back(waiting);
        self.hold(WAITING_BLOCK_BYTES)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), WireFailure> {
        self.waiting_bytes += bytes;
        if self.waiting_bytes <= WAITING_BYTES_MAX {
            return Ok(());
        }
        Err(WireFailure::protocol(
            "too much of the stream stands behind a tool call that does not end",
        ))
    }

    /// Writes what waited, up to the next call that has not ended.
    fn write_waiting(&mut self, out: &mut Vec<u8>) {
        while !self.is_in_call() {
            let Some(waiting) = self.waiting.pop_front() else {
                self.waiting_bytes = 0;
                return;
            };
            self.write(waiting, out);
        }
    }

    fn write(&mut self, waiting: Waiting, out: &mut Vec<u8>) {
        match waiting {
            Waiting::Text(text) => {
                let empty = Block::Text { text: "".into() };
                self.begin(empty, Some(Open::Text), out);
                self.delta(BlockDelta::Text { text: &text }, out);
            }
            Waiting::Thinking { text, signature } => {
                self.begin_thinking(out);
                if !text.is_empty() {
                    self.delta(BlockDelta::Thinking { thinking: &text }, out);
                }
                if let Some(signature) = &signature {
                    self.delta(BlockDelta::Signature { signature }, out);
                    self.close(out);
                }
            }
            Waiting::Redacted(data) => self.write_redacted(&data, out),
            Waiting::Call { call, arguments } => {
                self.begin_call(&call, out);
                if !arguments.is_empty() {
                    if let Some(Open::Call(_, state)) = &mut self.open {
                        state.push(&arguments);
                    }
                    let partial_json = &arguments;
                    self.delta(BlockDelta::Input { partial_json }, out);
                }
            }
        }
    }

    fn begin_thinking(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Thinking)) {
            let empty = Block::Thinking {
                thinking: "",
                signature: "",
            };
            self.begin(empty, Some(Open::Thinking), out);
        }
    }

    fn begin_call(&mut self, call: &Call, out: &mut Vec<u8>) {
        let block = Block::ToolUse {
            id: call.id.as_str().into(),
            name: &call.name,
            input: std::borrow::Cow::Borrowed(serde_json::from_str("{}").expect("an object")),
        };
        self.begin(block, Some(Open::Call(call.index, Arguments::default())), out);
    }

    fn write_redacted(&mut self, data: &str, out: &mut Vec<u8>) {
        self.begin(Block::RedactedThinking { data: data.into() }, None, out);
        self.stop(out);
    }

    /// Opens a block; one that is open ends before it. `open`: what it grows by; `None`, nothing.
    fn begin(&mut self, content_block: Block<'_>, open: Option<Open>, out: &mut Vec<u8>) {
        self.close(out);
        self.open = open;
        self.opened += 1;
        let index = self.opened - 1;
        let start = BlockEvent::Start { index, content_block };
        event("content_block_start", &start, out);
    }

    fn delta(&self, delta: BlockDelta<'_>, out: &mut Vec<u8>) {
        let index = self.opened - 1;
        event("content_block_delta", &BlockEvent::Delta { index, delta }, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            self.stop(out);
        }
    }

    fn stop(&self, out: &mut Vec<u8>) {
        let index = self.opened - 1;
        event("content_block_stop", &BlockEvent::Stop { index }, out);
    }
}
