//! The events of a stream as they are written: a name, a number that grows by one, and members of their own.

use serde::Serialize;
use serde_json::value::RawValue;

use super::item::{Item, Part, Summary};

/// Writes events; nobody reads those of an answer that is given whole.
pub(super) struct Events {
    /// The number of the next one.
    pub(super) next: u64,
    bytes: Option<Vec<u8>>,
}

impl Events {
    /// Of a stream.
    pub(super) fn written() -> Self {
        Self {
            next: 0,
            bytes: Some(Vec::new()),
        }
    }

    /// Of an answer that is given whole.
    pub(super) fn unheard() -> Self {
        Self { next: 0, bytes: None }
    }

    /// One event; `members` is an object that is not empty.
    pub(super) fn send(&mut self, name: &str, members: &impl Serialize) {
        let Some(bytes) = &mut self.bytes else { return };
        let mut number = itoa::Buffer::new();
        let number = number.format(self.next);
        for part in [
            "event: ",
            name,
            "\ndata: {\"type\":\"",
            name,
            "\",\"sequence_number\":",
            number,
            ",",
        ] {
            bytes.extend_from_slice(part.as_bytes());
        }
        let start = bytes.len();
        serde_json::to_writer(&mut *bytes, members).expect("structs can always be written as JSON");
        bytes.remove(start); // the brace that stands before the number
        // An event is one line. JSON of others may be broken into several, between its values: in texts breaks are escaped.
        for byte in &mut bytes[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        bytes.extend_from_slice(b"\n\n");
        self.next += 1;
    }

    /// What was written since the last time.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.bytes.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// `response.output_item.*`
#[derive(Serialize)]
pub(super) struct OfItem<'a> {
    pub(super) output_index: usize,
    pub(super) item: &'a Item,
}

/// `response.content_part.*`
#[derive(Serialize)]
pub(super) struct OfPart<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) part: &'a Part,
}

/// `response.output_text.delta`
#[derive(Serialize)]
pub(super) struct TextDelta<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) delta: &'a str,
    pub(super) logprobs: &'a [Box<RawValue>],
}

/// `response.output_text.done`
#[derive(Serialize)]
pub(super) struct TextDone<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) text: &'a str,
    pub(super) logprobs: &'a [Box<RawValue>],
}

/// `response.refusal.delta`
#[derive(Serialize)]
pub(super) struct RefusalDelta<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) delta: &'a str,
}

/// `response.refusal.done`
#[derive(Serialize)]
pub(super) struct RefusalDone<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) refusal: &'a str,
}

/// A part of a message.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Place<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) content_index: usize,
}

/// `response.reasoning_summary_part.*`
#[derive(Serialize)]
pub(super) struct OfSummary<'a> {
    #[serde(flatten)]
    pub(super) place: SummaryPlace<'a>,
    pub(super) part: &'a Summary,
}

/// `response.reasoning_summary_text.delta`
#[derive(Serialize)]
pub(super) struct SummaryDelta<'a> {
    #[serde(flatten)]
    pub(super) place: SummaryPlace<'a>,
    pub(super) delta: &'a str,
}

/// `response.reasoning_summary_text.done`
#[derive(Serialize)]
pub(super) struct SummaryDone<'a> {
    #[serde(flatten)]
    pub(super) place: SummaryPlace<'a>,
    pub(super) text: &'a str,
}

/// A part of a thought; there is one.
#[derive(Clone, Copy, Serialize)]
pub(super) struct SummaryPlace<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) summary_index: usize,
}

/// `response.function_call_arguments.delta`
#[derive(Serialize)]
pub(super) struct ArgumentsDelta<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) delta: &'a str,
}

/// `response.function_call_arguments.done`
#[derive(Serialize)]
pub(super) struct ArgumentsDone<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
    pub(super) arguments: &'a str,
}

/// `response.image_generation_call.*`
#[derive(Serialize)]
pub(super) struct OfPicture<'a> {
    pub(super) item_id: &'a str,
    pub(super) output_index: usize,
}
