//! An output as it grows: which items are open, what they hold so far, and the events that tell of it.
//!
//! Messages and thoughts are open one at a time, in the order of what is said. Calls of tools stay open until the end,
//! since their arguments may come in turns. So every item has one beginning and one end in the stream, and what its
//! events bring is what the finished answer holds.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::events::{
    ArgumentsDelta, ArgumentsDone, Events, OfItem, OfPart, OfPicture, OfSummary, Place, RefusalDelta, RefusalDone,
    SummaryDelta, SummaryDone, SummaryPlace, TextDelta, TextDone,
};
use super::item::{Item, Part, Status, Summary};
use super::proof::Proof;
use crate::hub::{Delta, FinishReason};
use crate::translate::WireFailure;

/// An output that grows.
pub(super) struct Draft {
    /// What the ids of items are made of.
    id: String,
    /// What there is so far.
    pub(super) items: Vec<Item>,
    /// The message or thought that is open, by its place.
    open: Option<usize>,
    /// The calls: their index in the hub, and their place.
    calls: Vec<(u32, usize)>,
    /// A text whose log probabilities may come next; only where they were asked for.
    held: Option<String>,
    wants_logprobs: bool,
}

impl Draft {
    /// An empty one; `id` is unique to the answer.
    pub(super) fn new(id: &str, wants_logprobs: bool) -> Self {
        Self {
            id: id.to_owned(),
            items: Vec::new(),
            open: None,
            calls: Vec::new(),
            held: None,
            wants_logprobs,
        }
    }

    /// Takes what is said. `Err`: arguments of no call, or a second call of one index.
    pub(super) fn say(&mut self, delta: &Delta, events: &mut Events) -> Result<(), WireFailure> {
        if let Delta::Logprobs(json) = delta {
            if let Some(text) = self.held.take() {
                self.text(&text, tokens(json), events);
            }
            return Ok(());
        }
        self.let_go(events);
        match delta {
            Delta::Text(text) if self.wants_logprobs => self.held = Some(text.clone()),
            Delta::Text(text) => self.text(text, Vec::new(), events),
            Delta::Refusal(text) => self.refusal(text, events),
            Delta::Reasoning(text) => self.thought(text, events),
            Delta::ReasoningSignature(proof) => self.proof(&Proof::Thought(proof.into()), events),
            Delta::RedactedReasoning(data) => {
                self.close_open(Status::Completed, events);
                self.proof(&Proof::Sealed(data.into()), events);
            }
            Delta::ToolCallStart {
                index,
                id,
                name,
                signature,
            } => self.call(*index, id, name, signature.as_deref(), events)?,
            Delta::ToolCallArguments { index, text } => self.arguments(*index, text, events)?,
            Delta::Media { mime_type, base64 } => self.picture(mime_type, base64, events),
            Delta::Logprobs(_) => unreachable!("seen above"),
        }
        Ok(())
    }

    /// Closes all that is open. What was being written when the cap or a filter came is incomplete.
    pub(super) fn finish(&mut self, reason: FinishReason, events: &mut Events) {
        self.let_go(events);
        let is_thought = |item: &Item| matches!(item, Item::Reasoning { .. });
        if self.items.iter().all(is_thought) {
            // Agents take an answer of thoughts alone for one that is still to come, and ask for ever.
            self.part(Part::text(), events);
        }
        let mut open: Vec<_> = self
            .calls
            .drain(..)
            .map(|(_, place)| place)
            .chain(self.open.take())
            .collect();
        open.sort_unstable();
        let last = open.last().copied();
        for place in open {
            let is_cut = matches!(reason, FinishReason::Length | FinishReason::ContentFilter) && Some(place) == last;
            let status = if is_cut { Status::Incomplete } else { Status::Completed };
            self.close(place, status, events);
        }
    }

    /// Log probabilities of a whole text, in `OpenAI`'s form.
    pub(super) fn attach_logprobs(&mut self, json: &RawValue) {
        let parts = self.items.iter_mut().rev().filter_map(|item| match item {
            Item::Message { content, .. } => Some(content),
            _ => None,
        });
        let text = parts
            .flat_map(|parts| parts.iter_mut().rev())
            .find_map(|part| match part {
                Part::OutputText { logprobs, .. } => Some(logprobs),
                Part::Refusal { .. } => None,
            });
        if let Some(logprobs) = text.filter(|_| self.wants_logprobs) {
            *logprobs = tokens(json);
        }
    }

    fn let_go(&mut self, events: &mut Events) {
        if let Some(text) = self.held.take() {
            self.text(&text, Vec::new(), events);
        }
    }

    fn text(&mut self, delta: &str, tokens: Vec<Box<RawValue>>, events: &mut Events) {
        let is_text = |part: &Part| matches!(part, Part::OutputText { .. });
        if !self.last_part().is_some_and(is_text) {
            self.part(Part::text(), events);
        }
        let Some((place, Item::Message { id, content, .. })) = self.open_item() else {
            return;
        };
        let event = TextDelta {
            place: part_place(id, place, content.len() - 1),
            delta,
            logprobs: &tokens,
        };
        events.send("response.output_text.delta", &event);
        if let Some(Part::OutputText { text, logprobs, .. }) = content.last_mut() {
            text.push_str(delta);
            logprobs.extend(tokens);
        }
    }

    fn refusal(&mut self, delta: &str, events: &mut Events) {
        let is_refusal = |part: &Part| matches!(part, Part::Refusal { .. });
        if !self.last_part().is_some_and(is_refusal) {
            self.part(Part::refusal(), events);
        }
        let Some((place, Item::Message { id, content, .. })) = self.open_item() else {
            return;
        };
        let event = RefusalDelta {
            place: part_place(id, place, content.len() - 1),
            delta,
        };
        events.send("response.refusal.delta", &event);
        if let Some(Part::Refusal { refusal }) = content.last_mut() {
            refusal.push_str(delta);
        }
    }

    /// Begins a part of the open message, which is begun if there is none.
    fn part(&mut self, part: Part, events: &mut Events) {
        if let Some((place, Item::Message { id, content, .. })) = self.open_item() {
            end_part(id, place, content, events);
        } else {
            self.close_open(Status::Completed, events);
            let message = Item::Message {
                id: self.item_id("msg"),
                status: Status::InProgress,
                role: "assistant",
                content: Vec::new(),
            };
            self.open = Some(self.add(message, events));
        }
        let Some((place, Item::Message { id, content, .. })) = self.open_item() else {
            return;
        };
        content.push(part);
        let place = part_place(id, place, content.len() - 1);
        let part = &content[place.content_index];
        events.send("response.content_part.added", &OfPart { place, part });
    }

    fn thought(&mut self, delta: &str, events: &mut Events) {
        if !matches!(self.open.map(|place| &self.items[place]), Some(Item::Reasoning { .. })) {
            self.close_open(Status::Completed, events);
            let thought = Item::Reasoning {
                id: self.item_id("rs"),
                summary: Vec::new(),
                encrypted_content: None,
            };
            self.open = Some(self.add(thought, events));
        }
        let Some((place, Item::Reasoning { id, summary, .. })) = self.open_item() else {
            return;
        };
        let place = summary_place(id, place);
        if summary.is_empty() {
            summary.push(Summary::new());
            let part = &summary[0];
            events.send("response.reasoning_summary_part.added", &OfSummary { place, part });
        }
        events.send("response.reasoning_summary_text.delta", &SummaryDelta { place, delta });
        summary[0].text.push_str(delta);
    }

    /// The open thought is proven, and over; a proof without one is a thought without words.
    fn proof(&mut self, proof: &Proof<'_>, events: &mut Events) {
        let proof = Some(proof.write());
        if let Some(Item::Reasoning { encrypted_content, .. }) = self.open.map(|place| &mut self.items[place]) {
            *encrypted_content = proof;
        } else {
            self.close_open(Status::Completed, events);
            let thought = Item::Reasoning {
                id: self.item_id("rs"),
                summary: Vec::new(),
                encrypted_content: proof,
            };
            self.open = Some(self.add(thought, events));
        }
        self.close_open(Status::Completed, events);
    }

    fn call(
        &mut self,
        index: u32,
        call_id: &str,
        name: &str,
        signature: Option<&str>,
        events: &mut Events,
    ) -> Result<(), WireFailure> {
        if self.calls.iter().any(|(other, _)| *other == index) {
            return Err(WireFailure::protocol("two tool calls of the stream have one index"));
        }
        self.close_open(Status::Completed, events);
        // Clients tell calls apart by their ids alone.
        let is_taken = |item: &Item| matches!(item, Item::FunctionCall { call_id: other, .. } if other == call_id);
        let call_id = if self.items.iter().any(is_taken) {
            self.item_id("call")
        } else {
            call_id.to_owned()
        };
        if let Some(signature) = signature {
            let id = call_id.as_str().into();
            let signature = signature.into();
            self.proof(&Proof::Call { id, signature }, events);
        }
        let call = Item::FunctionCall {
            id: self.item_id("fc"),
            call_id,
            name: name.to_owned(),
            arguments: String::new(),
            status: Status::InProgress,
        };
        let place = self.add(call, events);
        self.calls.push((index, place));
        Ok(())
    }

    fn arguments(&mut self, index: u32, delta: &str, events: &mut Events) -> Result<(), WireFailure> {
        let call = self.calls.iter().find(|(other, _)| *other == index);
        let (_, place) = call.ok_or_else(|| WireFailure::protocol("arguments of a tool call that has not begun"))?;
        let output_index = *place;
        if let Item::FunctionCall { id, arguments, .. } = &mut self.items[output_index] {
            let item_id = id.as_str();
            let event = ArgumentsDelta {
                item_id,
                output_index,
                delta,
            };
            events.send("response.function_call_arguments.delta", &event);
            arguments.push_str(delta);
        }
        Ok(())
    }

    fn picture(&mut self, mime_type: &str, base64: &str, events: &mut Events) {
        self.close_open(Status::Completed, events);
        let format = mime_type.rsplit_once('/').map_or("png", |(_, format)| format);
        let item = Item::ImageGenerationCall {
            id: self.item_id("ig"),
            status: Status::InProgress,
            output_format: format.to_owned(),
            result: None,
        };
        let output_index = self.add(item, events);
        let item_id = self.items[output_index].id();
        for name in [
            "response.image_generation_call.in_progress",
            "response.image_generation_call.completed",
        ] {
            let event = OfPicture { item_id, output_index };
            events.send(name, &event);
        }
        if let Item::ImageGenerationCall { result, .. } = &mut self.items[output_index] {
            *result = Some(base64.to_owned());
        }
        self.close(output_index, Status::Completed, events);
    }

    fn add(&mut self, item: Item, events: &mut Events) -> usize {
        let output_index = self.items.len();
        let event = OfItem {
            output_index,
            item: &item,
        };
        events.send("response.output_item.added", &event);
        self.items.push(item);
        output_index
    }

    fn close_open(&mut self, status: Status, events: &mut Events) {
        if let Some(place) = self.open.take() {
            self.close(place, status, events);
        }
    }

    /// The events that end an item.
    fn close(&mut self, output_index: usize, status: Status, events: &mut Events) {
        let item = &mut self.items[output_index];
        item.set_status(status);
        match item {
            Item::Message { id, content, .. } => end_part(id, output_index, content, events),
            Item::Reasoning { id, summary, .. } => {
                if let [part] = &summary[..] {
                    let place = summary_place(id, output_index);
                    let text = &part.text;
                    events.send("response.reasoning_summary_text.done", &SummaryDone { place, text });
                    events.send("response.reasoning_summary_part.done", &OfSummary { place, part });
                }
            }
            Item::FunctionCall { id, arguments, .. } => end_arguments(id, output_index, arguments, status, events),
            Item::ImageGenerationCall { .. } => {}
        }
        let item = &self.items[output_index];
        events.send("response.output_item.done", &OfItem { output_index, item });
    }

    fn open_item(&mut self) -> Option<(usize, &mut Item)> {
        self.open.map(|place| (place, &mut self.items[place]))
    }

    fn last_part(&self) -> Option<&Part> {
        match &self.items[self.open?] {
            Item::Message { content, .. } => content.last(),
            _ => None,
        }
    }

    /// An id of the item that comes next, of the kind that its beginning tells.
    fn item_id(&self, kind: &str) -> String {
        format!("{kind}_{}_{}", self.id, self.items.len())
    }
}

fn part_place(item_id: &str, output_index: usize, content_index: usize) -> Place<'_> {
    Place {
        item_id,
        output_index,
        content_index,
    }
}

fn summary_place(item_id: &str, output_index: usize) -> SummaryPlace<'_> {
    SummaryPlace {
        item_id,
        output_index,
        summary_index: 0,
    }
}

/// The events that end the last part of a message.
fn end_part(item_id: &str, output_index: usize, content: &[Part], events: &mut Events) {
    let Some(part) = content.last() else { return };
    let place = part_place(item_id, output_index, content.len() - 1);
    match part {
        Part::OutputText { text, logprobs, .. } => {
            let event = TextDone { place, text, logprobs };
            events.send("response.output_text.done", &event);
        }
        Part::Refusal { refusal } => events.send("response.refusal.done", &RefusalDone { place, refusal }),
    }
    events.send("response.content_part.done", &OfPart { place, part });
}

/// A tool without parameters may be called without any arguments; clients parse them all the same.
fn end_arguments(item_id: &str, output_index: usize, arguments: &mut String, status: Status, events: &mut Events) {
    if status == Status::Completed && arguments.trim_ascii().is_empty() {
        let delta = "{}";
        let event = ArgumentsDelta {
            item_id,
            output_index,
            delta,
        };
        events.send("response.function_call_arguments.delta", &event);
        arguments.push_str(delta);
    }
    let event = ArgumentsDone {
        item_id,
        output_index,
        arguments,
    };
    events.send("response.function_call_arguments.done", &event);
}

/// The tokens of `logprobs` in chat's form, which are those of this dialect.
fn tokens(json: &RawValue) -> Vec<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Logprobs {
        content: Option<Vec<Box<RawValue>>>,
    }
    let logprobs = serde_json::from_str::<Logprobs>(json.get()).ok();
    logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default()
}
