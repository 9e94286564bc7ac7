//! Streams of Converse: binary messages, each an event, or an exception that ends it.
//!
//! Deltas belong to the block whose index they name; blocks of text have no beginning of their own. The provider's own tools
//! stream their input in the same words as the client's. Reason and usage come in two events, and only both together
//! are an end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::{End, WireSource, WireUsage, mime_type};
use super::failure;
use super::media::unsealed;
use crate::event_stream::{MESSAGE_BYTES_MAX, Message, Messages};
use crate::hub::{Delta, Event};
use crate::translate::{EventDecoder, WireFailure};

/// More blocks than are ever open at once: one is, by the dialect.
const OPEN_BLOCKS_MAX: usize = 64;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    messages: Messages,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Open>,
    tool_calls: u32,
    kept_bytes: usize, // in open blocks
    has_reason: bool,
    has_metadata: bool,
    is_complete: bool,
}

/// A block that says something when it ends.
#[derive(Debug)]
struct Open {
    block: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A call of a client's tool.
    Call { index: u32, has_arguments: bool },
    /// Thoughts that only the provider can read, in pieces that are no text by themselves.
    Sealed(Vec<u8>),
    /// A picture.
    Picture { format: String, bytes: Vec<u8> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    #[serde(default)]
    content_block_index: u64,
    start: Option<Start>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolUseStart>,
    image: Option<ImageStart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUseStart {
    #[serde(default)]
    tool_use_id: String,
    #[serde(default)]
    name: String,
    /// Present where the provider runs the tool itself.
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct ImageStart {
    #[serde(default)]
    format: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    #[serde(default)]
    content_block_index: u64,
    delta: Option<WireDelta>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDelta {
    text: Option<String>,
    tool_use: Option<ToolUseDelta>,
    reasoning_content: Option<ReasoningDelta>,
    image: Option<ImageDelta>,
}

#[derive(Deserialize)]
struct ToolUseDelta {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningDelta {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ImageDelta {
    source: Option<WireSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    #[serde(default)]
    content_block_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop {
    #[serde(default)]
    stop_reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<WireUsage>,
}

impl EventDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let Self { messages, state } = self;
        messages.push(bytes, |message| state.read(message, events))
    }

    /// Nothing is left to be said: a message is whole or none.
    fn finish(&mut self, _events: &mut Vec<Event>) -> Result<(), WireFailure> {
        Ok(())
    }
}

impl State {
    fn read(&mut self, message: &Message<'_>, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        if self.is_complete {
            return Ok(());
        }
        if let Some("exception" | "error") = message.text_header(":message-type") {
            return Err(failure::of_stream(message));
        }
        match message.text_header(":event-type").unwrap_or_default() {
            "contentBlockStart" => self.open(payload(message)?, events)?,
            "contentBlockDelta" => self.grow(payload(message)?, events)?,
            "contentBlockStop" => {
                let BlockStop { content_block_index } = payload(message)?;
                self.close(content_block_index, events);
            }
            "messageStop" => {
                let MessageStop { stop_reason } = payload(message)?;
                self.stop(&stop_reason, events);
            }
            "metadata" => {
                let Metadata { usage } = payload(message)?;
                events.extend(usage.map(|usage| Event::Usage(usage.read())));
                self.has_metadata = true;
            }
            _ => {} // messageStart, which says nothing new, and what may be invented next
        }
        if self.has_reason && self.has_metadata {
            self.is_complete = true;
            events.push(Event::End);
        }
        Ok(())
    }

    fn open(&mut self, started: BlockStart, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let block = started.content_block_index;
        let Some(start) = started.start else { return Ok(()) };
        if let Some(call) = start.tool_use.filter(|call| call.r#type.is_none()) {
            let index = self.tool_calls;
            self.tool_calls += 1;
            let start = Delta::ToolCallStart {
                index,
                id: call.tool_use_id,
                name: call.name,
                signature: None,
            };
            say(start, events);
            let has_arguments = false;
            self.keep(block, What::Call { index, has_arguments })?;
        } else if let Some(image) = start.image {
            let (format, bytes) = (image.format, Vec::new());
            self.keep(block, What::Picture { format, bytes })?;
        }
        Ok(())
    }

    /// An index that is used again means the newest block of it.
    fn keep(&mut self, block: u64, what: What) -> Result<(), WireFailure> {
        if self.open.len() >= OPEN_BLOCKS_MAX {
            return Err(WireFailure::protocol("the stream has more open blocks than can be"));
        }
        self.open.insert(0, Open { block, what });
        Ok(())
    }

    fn find(&mut self, block: u64) -> Option<&mut What> {
        let open = self.open.iter_mut().find(|open| open.block == block);
        open.map(|open| &mut open.what)
    }

    fn grow(&mut self, grown: BlockDelta, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let block = grown.content_block_index;
        let Some(delta) = grown.delta else { return Ok(()) };
        if let Some(text) = delta.text {
            say(Delta::Text(text), events);
        }
        if let Some(ToolUseDelta { input }) = delta.tool_use.filter(|call| !call.input.is_empty())
            && let Some(What::Call { index, has_arguments }) = self.find(block)
        {
            *has_arguments = true;
            let index = *index;
            say(Delta::ToolCallArguments { index, text: input }, events);
        }
        if let Some(thought) = delta.reasoning_content {
            if let Some(text) = thought.text {
                say(Delta::Reasoning(text), events);
            }
            if let Some(signature) = thought.signature {
                say(Delta::ReasoningSignature(signature), events);
            }
            if let Some(sealed) = thought.redacted_content {
                if !matches!(self.find(block), Some(What::Sealed(_))) {
                    self.keep(block, What::Sealed(Vec::new()))?;
                }
                self.collect(block, &sealed)?;
            }
        }
        if let Some(bytes) = delta.image.and_then(|image| image.source?.bytes) {
            self.collect(block, &bytes)?;
        }
        Ok(())
    }

    /// Pieces of base64, each padded by itself.
    fn collect(&mut self, block: u64, base64: &str) -> Result<(), WireFailure> {
        let piece = STANDARD
            .decode(base64)
            .map_err(|_| WireFailure::protocol("bytes in the stream are not base64"))?;
        let Some(What::Sealed(bytes) | What::Picture { bytes, .. }) = self.find(block) else {
            return Ok(());
        };
        bytes.extend_from_slice(&piece);
        self.kept_bytes += piece.len();
        if self.kept_bytes > MESSAGE_BYTES_MAX {
            let detail = format!("the blocks of the stream hold more than {MESSAGE_BYTES_MAX} bytes");
            return Err(WireFailure::protocol(detail));
        }
        Ok(())
    }

    fn close(&mut self, block: u64, events: &mut Vec<Event>) {
        if let Some(place) = self.open.iter().position(|open| open.block == block) {
            let open = self.open.remove(place);
            self.end_block(open.what, events);
        }
    }

    fn end_block(&mut self, what: What, events: &mut Vec<Event>) {
        match what {
            // A tool without parameters streams no arguments; clients parse them all the same.
            What::Call {
                index,
                has_arguments: false,
            } => {
                let text = "{}".to_owned();
                say(Delta::ToolCallArguments { index, text }, events);
            }
            What::Call { .. } => {}
            What::Sealed(bytes) => {
                self.kept_bytes -= bytes.len();
                say(Delta::RedactedReasoning(unsealed(bytes)), events);
            }
            What::Picture { format, bytes } => {
                self.kept_bytes -= bytes.len();
                if !bytes.is_empty() {
                    let (mime_type, base64) = (mime_type(&format), STANDARD.encode(bytes));
                    say(Delta::Media { mime_type, base64 }, events);
                }
            }
        }
    }

    fn stop(&mut self, stop_reason: &str, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.has_reason, true) {
            return;
        }
        while let Some(open) = self.open.pop() {
            self.end_block(open.what, events);
        }
        let End { reason, words } = End::of(stop_reason, self.tool_calls > 0);
        if let Some(words) = words {
            say(Delta::Text(words), events);
        }
        events.push(Event::Finish { choice: 0, reason });
    }
}

fn payload<T: DeserializeOwned>(message: &Message<'_>) -> Result<T, WireFailure> {
    serde_json::from_slice(message.payload)
        .map_err(|_| WireFailure::protocol("an event of the stream is none of the dialect"))
}

fn say(delta: Delta, events: &mut Vec<Event>) {
    events.push(Event::Delta { choice: 0, delta });
}
