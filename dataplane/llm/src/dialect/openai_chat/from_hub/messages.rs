//! The conversation as messages.
//!
//! Neighbouring turns of one side become one message, since templates of open models refuse them otherwise, and an
//! assistant's calls that are spread over messages would lack their results. What tools returned stands first, each in a
//! message of its own; the rest of that turn, and what a tool's message cannot carry, follows in one of the user.

use std::borrow::Cow;

use serde::Serialize;

use super::part::{self, WirePart};
use super::{CacheMark, Style, Thoughts};
use crate::dialect::openai_chat::render::{ReasoningDetail, ToolCall};
use crate::hub::{self, MergedTurn, Part, Request, Role, Turn};
use crate::provider::leftovers::Leftovers;
use crate::request::BadRequest;

/// Between instructions, which come from several messages.
const BETWEEN_INSTRUCTIONS: &str = "\n\n";
/// Between texts of one message.
const BETWEEN_TEXTS: &str = "\n";
/// Stands before what a tool returned that failed; the dialect has no other word for it.
const ERROR: &str = "Error: ";
/// Stands in a tool's message when all of what it returned is in the user's.
const ELSEWHERE: &str = "(see the next message)";
/// Stands between a tool's message and a user's where one must.
const BRIDGE: &str = "OK.";
/// Longest id of a call that `OpenAI` takes.
const CALL_ID_LENGTH_MAX: usize = 40;

#[derive(Default, Serialize)]
pub(super) struct Message<'r> {
    role: &'static str,
    content: Content<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<ReasoningDetail<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'r, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheMark>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prefix: bool,
}

#[derive(Default, Serialize)]
#[serde(untagged)]
enum Content<'r> {
    #[default]
    Nothing,
    Text(Cow<'r, str>),
    Parts(Vec<WirePart<'r>>),
}

#[derive(Serialize)]
struct WireCall<'r> {
    #[serde(flatten)]
    call: ToolCall<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheMark>,
}

/// All messages of a request.
pub(super) fn all<'r>(
    request: &'r Request<'_>,
    style: &Style,
    leftovers: &mut Leftovers<'_>,
) -> Result<Vec<Message<'r>>, BadRequest> {
    let mut conversation = Conversation {
        turns: &request.turns,
        style,
        leftovers,
        messages: Vec::with_capacity(request.turns.len() + 1),
    };
    if !request.instructions.is_empty() {
        let content = conversation.content(&request.instructions, BETWEEN_INSTRUCTIONS)?;
        conversation.push(Message {
            role: style.instructor,
            content,
            ..Message::default()
        });
    }
    for turn in hub::merged(&request.turns) {
        match turn.role {
            Role::User => conversation.user(&turn)?,
            Role::Assistant => conversation.assistant(&turn)?,
        }
    }
    let mut messages = conversation.messages;
    if let Some(last) = messages.last_mut()
        && last.role == "assistant"
        && last.tool_calls.is_empty()
    {
        last.prefix = style.has_strict_order;
    }
    Ok(messages)
}

struct Conversation<'r, 'a, 's, 'l> {
    turns: &'r [Turn<'a>],
    style: &'s Style,
    leftovers: &'s mut Leftovers<'l>,
    messages: Vec<Message<'r>>,
}

impl<'r> Conversation<'r, '_, '_, '_> {
    fn push(&mut self, message: Message<'r>) {
        let follows_tool = self.messages.last().is_some_and(|last| last.role == "tool");
        if self.style.has_strict_order && message.role == "user" && follows_tool {
            self.messages.push(Message {
                role: "assistant",
                content: Content::Text(Cow::Borrowed(BRIDGE)),
                ..Message::default()
            });
        }
        self.messages.push(message);
    }

    fn user(&mut self, turn: &MergedTurn<'r, '_>) -> Result<(), BadRequest> {
        let mut rest = Vec::new();
        for part in &turn.parts {
            if let Part::ToolResult { .. } = part {
                self.tool(part, &mut rest)?;
            } else {
                rest.extend(part::of(part, self.style, self.leftovers)?);
            }
        }
        if !rest.is_empty() {
            let content = self.joined(rest, BETWEEN_TEXTS);
            self.push(Message {
                role: "user",
                content,
                ..Message::default()
            });
        }
        Ok(())
    }

    /// One result; what is no text in it is added to `rest`, behind a text that says whose it is.
    fn tool(&mut self, result: &'r Part<'_>, rest: &mut Vec<WirePart<'r>>) -> Result<(), BadRequest> {
        let Part::ToolResult {
            call_id,
            name,
            parts,
            is_error,
            cache,
        } = result
        else {
            return Ok(());
        };
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for part in parts {
            match part::of(part, self.style, self.leftovers)? {
                Some(text @ WirePart::Text { .. }) => texts.push(text),
                other => others.extend(other),
            }
        }
        if texts.is_empty() && !others.is_empty() {
            texts.push(WirePart::text(ELSEWHERE));
        }
        if *is_error {
            match texts.first_mut() {
                Some(WirePart::Text { text, .. }) => text.to_mut().insert_str(0, ERROR),
                _ => texts.push(WirePart::text(ERROR.trim_end_matches(": "))),
            }
        }
        if !others.is_empty() {
            let called = || hub::called_function(self.turns, call_id).unwrap_or(call_id);
            let name = name.as_deref().unwrap_or_else(called);
            rest.push(WirePart::text(format!("Returned by the tool {name}:")));
            rest.append(&mut others);
        }
        let content = match self.joined(texts, BETWEEN_TEXTS) {
            Content::Parts(parts) if parts.is_empty() => Content::Text(Cow::Borrowed("")),
            content => content,
        };
        let cache_control = CacheMark::of(*cache, self.style, self.leftovers);
        self.push(Message {
            role: "tool",
            content,
            name: name.as_deref(),
            tool_call_id: Some(self.call_id(call_id)),
            cache_control,
            ..Message::default()
        });
        Ok(())
    }

    /// A turn of which nothing is left vanishes.
    fn assistant(&mut self, turn: &MergedTurn<'r, '_>) -> Result<(), BadRequest> {
        let mut message = Message {
            role: "assistant",
            ..Message::default()
        };
        let mut content = Vec::new();
        for part in &turn.parts {
            match part {
                Part::Refusal { text } if self.style.is_original => {
                    message.refusal.get_or_insert_default().push_str(text);
                }
                Part::ToolCall {
                    id,
                    name,
                    arguments,
                    signature,
                    cache,
                } => {
                    let is_blank = arguments.trim_ascii().is_empty(); // which some servers refuse to parse
                    let arguments = if is_blank { "{}" } else { arguments.as_ref() };
                    let proof = signature.as_deref().filter(|_| self.style.thoughts == Thoughts::Proven);
                    message.tool_calls.push(WireCall {
                        call: ToolCall::new(None, self.call_id(id), name, arguments, proof),
                        cache_control: CacheMark::of(*cache, self.style, self.leftovers),
                    });
                }
                part => content.extend(part::of(part, self.style, self.leftovers)?),
            }
        }
        self.think(&mut message, &turn.parts);
        let has_thoughts =
            message.reasoning_content.is_some() || message.reasoning.is_some() || !message.reasoning_details.is_empty();
        if !content.is_empty() {
            message.content = self.joined(content, BETWEEN_TEXTS);
        } else if message.tool_calls.is_empty() && message.refusal.is_none() {
            if !has_thoughts {
                return Ok(());
            }
            message.content = Content::Text(Cow::Borrowed("")); // null is for calls
        }
        self.push(message);
        Ok(())
    }

    fn think(&self, message: &mut Message<'r>, parts: &[&'r Part<'_>]) {
        let texts = parts.iter().filter_map(|part| match part {
            Part::Reasoning { text, .. } if !text.is_empty() => Some(text.as_ref()),
            _ => None,
        });
        let texts: Vec<&str> = texts.collect();
        let text = (!texts.is_empty()).then(|| texts.join(BETWEEN_TEXTS));
        match self.style.thoughts {
            Thoughts::Nothing => {}
            Thoughts::In("reasoning") => message.reasoning = text,
            Thoughts::In(_) => message.reasoning_content = text,
            Thoughts::Proven => {
                message.reasoning_content = text;
                message.reasoning_details = details(parts);
            }
        }
    }

    /// Texts alone are one text, or a list where the server is sure to take one; all else is a list.
    fn content(&mut self, parts: &'r [Part<'_>], between: &str) -> Result<Content<'r>, BadRequest> {
        let mut written = Vec::with_capacity(parts.len());
        for part in parts {
            written.extend(part::of(part, self.style, self.leftovers)?);
        }
        Ok(self.joined(written, between))
    }

    fn joined(&self, parts: Vec<WirePart<'r>>, between: &str) -> Content<'r> {
        let plain = |part: &WirePart<'r>| match part {
            WirePart::Text {
                text,
                cache_control: None,
            } => Some(text.clone()),
            _ => None,
        };
        let Some(mut texts) = parts.iter().map(plain).collect::<Option<Vec<_>>>() else {
            return Content::Parts(parts);
        };
        match texts.len() {
            1 => Content::Text(texts.remove(0)),
            length if length == 0 || self.style.is_original => Content::Parts(parts),
            _ => Content::Text(Cow::Owned(texts.join(between))),
        }
    }

    /// The same id for the same id. Ids that other providers or gateways made may be longer than `OpenAI` takes; what is
    /// made of them is never said by the model again, so nothing is mapped back.
    fn call_id(&self, id: &'r str) -> Cow<'r, str> {
        if !self.style.is_original || id.chars().count() <= CALL_ID_LENGTH_MAX {
            return Cow::Borrowed(id);
        }
        // FNV-1a from both ends: two of the few ids of one conversation meet once in some 2^100.
        let hash = |bytes: &mut dyn Iterator<Item = u8>| {
            bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
        };
        let (front, back) = (hash(&mut id.bytes()), hash(&mut id.bytes().rev()));
        Cow::Owned(format!("call_{front:016x}{back:016x}"))
    }
}

/// Thoughts with their proofs; none where their text alone says it all.
fn details<'r>(parts: &[&'r Part<'_>]) -> Vec<ReasoningDetail<'r>> {
    let mut details = Vec::new();
    let mut has_proof = false;
    for part in parts {
        match part {
            Part::Reasoning { text, signature } => {
                has_proof |= signature.is_some();
                details.push(ReasoningDetail::text(details.len(), Some(text), signature.as_deref()));
            }
            Part::RedactedReasoning { data } => {
                has_proof = true;
                details.push(ReasoningDetail::encrypted(details.len(), data));
            }
            _ => {}
        }
    }
    if has_proof || details.len() > 1 {
        details
    } else {
        Vec::new()
    }
}
