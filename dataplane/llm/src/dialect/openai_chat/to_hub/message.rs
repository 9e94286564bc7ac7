//! The messages of a request: who said what, which tools were called, what they returned.
//!
//! Thoughts come back in several spellings, since clients keep what some gateway once sent them: `reasoning_details`
//! (ours), `thinking_blocks`, `content_blocks`, parts of `content`, and the bare `reasoning_content`. The first of them
//! that is there is taken, so that no thought is said twice.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Text;
use super::part::{Content, WireCache, WirePart};
use crate::hub::{CacheControl, Part, Role, Turn};
use crate::json::{self, Kind};
use crate::request::BadRequest;

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow, default)]
    content: Content<'a>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<WireToolCall<'a>>>,
    #[serde(borrow)]
    tool_call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_details: Option<Vec<ReasoningDetail<'a>>>,
    #[serde(borrow)]
    thinking_blocks: Option<Vec<Block<'a>>>,
    #[serde(borrow)]
    content_blocks: Option<Vec<Block<'a>>>,
    #[serde(borrow)]
    cache_control: Option<WireCache<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireToolCall<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    function: Option<CalledFunction<'a>>,
    #[serde(borrow)]
    extra_content: Option<ExtraContent<'a>>,
    #[serde(borrow)]
    cache_control: Option<WireCache<'a>>,
}

#[derive(Debug, Deserialize)]
struct CalledFunction<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
    #[serde(borrow)]
    thought_signature: Option<Text<'a>>,
}

/// Where Google's own `OpenAI` layer puts a thought signature.
#[derive(Debug, Deserialize)]
struct ExtraContent<'a> {
    #[serde(borrow)]
    google: Option<GoogleExtra<'a>>,
}

#[derive(Debug, Deserialize)]
struct GoogleExtra<'a> {
    #[serde(borrow)]
    thought_signature: Option<Text<'a>>,
}

/// An entry of `reasoning_details`. Clients that put a stream together by appending keep each delta as an entry of its
/// own; those of one `index` are one thought.
#[derive(Debug, Deserialize)]
struct ReasoningDetail<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    index: Option<u32>,
}

/// An entry of `thinking_blocks` or `content_blocks`; those that are no thoughts are said elsewhere, too.
#[derive(Debug, Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
}

/// The instructions and the turns of `messages`.
pub(super) fn read(messages: &str) -> Result<(Vec<Part<'_>>, Vec<Turn<'_>>), BadRequest> {
    let list: Vec<Message<'_>> = serde_json::from_str(messages).map_err(|_| first_malformed(messages))?;
    let mut conversation = Conversation::default();
    for (index, message) in list.into_iter().enumerate() {
        conversation.add(index, message)?;
    }
    Ok((conversation.instructions, conversation.turns))
}

/// Which message cannot be read and why; a second pass, since nearly all can.
fn first_malformed(messages: &str) -> BadRequest {
    let (mut index, mut found) = (0, None);
    let _ = json::walk(messages.as_bytes(), |member| {
        match serde_json::from_str::<Message<'_>>(&messages[member.value]) {
            Ok(_) => index += 1,
            Err(error) => found = Some(error),
        }
        if found.is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    let why = found.map(|error| without_quotations(&error)).unwrap_or_default();
    let name = format!("messages[{index}]");
    let message = format!("`{name}` is no chat message: {why}");
    BadRequest::new("invalid_type", Some(&name), message)
}

/// Serde's words without the value that it quotes: `invalid type: string "…", expected a sequence at line 1 column 9`.
pub(in crate::dialect) fn without_quotations(error: &serde_json::Error) -> String {
    let words = error.to_string();
    match words.rfind(", expected ") {
        Some(at) => words[at + 2..].to_owned(),
        None => words,
    }
}

#[derive(Default)]
struct Conversation<'a> {
    instructions: Vec<Part<'a>>,
    turns: Vec<Turn<'a>>,
}

impl<'a> Conversation<'a> {
    fn add(&mut self, index: usize, message: Message<'a>) -> Result<(), BadRequest> {
        let place = Place(index);
        if message.function_call.is_some_and(is_given) {
            return Err(place.replaced("function_call", "tool_calls"));
        }
        let turn = |role, parts| Turn { role, parts };
        match message.role.0.as_ref() {
            "system" | "developer" => {
                let cache = place.cache(message.cache_control)?;
                let parts = place.content(message.content, cache)?;
                if parts.iter().any(|part| !matches!(part, Part::Text { .. })) {
                    return Err(place.malformed("content", "must be text in a system or developer message"));
                }
                self.instructions.extend(parts);
            }
            "user" => {
                let cache = place.cache(message.cache_control)?;
                self.turns
                    .push(turn(Role::User, place.content(message.content, cache)?));
            }
            "assistant" => self.turns.push(turn(Role::Assistant, place.assistant(message)?)),
            "tool" => self.turns.push(turn(Role::User, vec![place.tool_result(message)?])),
            "function" => return Err(place.replaced("role", "the role tool")),
            _ => return Err(place.malformed("role", "must be system, developer, user, assistant or tool")),
        }
        Ok(())
    }
}

/// Null is as good as absent.
fn is_given(json: &RawValue) -> bool {
    json::kind(json.get().as_bytes()) != Kind::Null
}

/// One message, by its place in the list: reads it, and names it in refusals.
#[derive(Clone, Copy)]
struct Place(usize);

impl Place {
    fn name(self, member: &str) -> String {
        format!("messages[{}].{member}", self.0)
    }

    fn malformed(self, member: &str, words: &str) -> BadRequest {
        let name = self.name(member);
        BadRequest::invalid(&name, format!("`{name}` {words}"))
    }

    fn replaced(self, member: &str, by: &str) -> BadRequest {
        let name = self.name(member);
        let message = format!("`{name}` is the form before tools, which this model's provider does not know; use {by}");
        BadRequest::new("unsupported_parameter", Some(&name), message)
    }

    fn cache(self, cache: Option<WireCache<'_>>) -> Result<Option<CacheControl>, BadRequest> {
        cache
            .map(|cache| cache.read(|| format!("messages[{}]", self.0)))
            .transpose()
    }

    /// The parts of `content`; the message's own `cache_control` means its end.
    fn content(self, content: Content<'_>, cache: Option<CacheControl>) -> Result<Vec<Part<'_>>, BadRequest> {
        let mut parts = match content {
            Content::Nothing => Vec::new(),
            Content::Text(text) => vec![Part::Text { text, cache: None }],
            Content::Parts(list) => self.parts(list)?,
        };
        if let Some(Part::Text { cache: end, .. } | Part::Image { cache: end, .. } | Part::File { cache: end, .. }) =
            parts.last_mut()
        {
            *end = end.or(cache);
        }
        Ok(parts)
    }

    fn parts(self, list: Vec<WirePart<'_>>) -> Result<Vec<Part<'_>>, BadRequest> {
        let mut parts = Vec::with_capacity(list.len());
        for (index, part) in list.into_iter().enumerate() {
            parts.extend(part.read(|| self.name(&format!("content[{index}]")))?);
        }
        Ok(parts)
    }

    fn assistant(self, mut message: Message<'_>) -> Result<Vec<Part<'_>>, BadRequest> {
        if message.audio.is_some_and(is_given) {
            return Err(self.malformed(
                "audio",
                "refers to audio that this model's provider does not have; send its text",
            ));
        }
        let cache = self.cache(message.cache_control.take())?;
        let mut parts = thoughts(&mut message);
        parts.extend(self.content(message.content, cache)?);
        parts.extend(message.refusal.map(|Text(text)| Part::Refusal { text }));
        for (index, call) in message.tool_calls.unwrap_or_default().into_iter().enumerate() {
            parts.push(self.tool_call(index, call)?);
        }
        Ok(parts)
    }

    fn tool_call(self, index: usize, call: WireToolCall<'_>) -> Result<Part<'_>, BadRequest> {
        let name = || self.name(&format!("tool_calls[{index}]"));
        let is_function = call.r#type.is_none_or(|kind| kind.0 == "function");
        let Some(function) = call.function.filter(|_| is_function) else {
            return Err(self.malformed(&format!("tool_calls[{index}]"), "must be a call of a function"));
        };
        let arguments = function.arguments.map_or(Cow::Borrowed(""), |text| text.0);
        if !arguments.trim_ascii().is_empty() && !is_object(&arguments) {
            let member = format!("tool_calls[{index}].function.arguments");
            return Err(self.malformed(&member, "must be the text of a JSON object"));
        }
        let google = call.extra_content.and_then(|extra| extra.google?.thought_signature);
        Ok(Part::ToolCall {
            id: call.id.0,
            name: function.name.0,
            arguments,
            signature: google.or(function.thought_signature).map(|text| text.0),
            cache: call.cache_control.map(|cache| cache.read(name)).transpose()?,
        })
    }

    fn tool_result(self, message: Message<'_>) -> Result<Part<'_>, BadRequest> {
        let call_id = message.tool_call_id.map(|text| text.0).filter(|id| !id.is_empty());
        let name = self.name("tool_call_id");
        Ok(Part::ToolResult {
            call_id: call_id.ok_or_else(|| {
                BadRequest::new(
                    "missing_field",
                    Some(&name),
                    format!("`{name}` is required in a tool message; add it"),
                )
            })?,
            name: message.name.map(|text| text.0),
            parts: self.content(message.content, None)?,
            is_error: false, // the dialect has no word for it
            cache: self.cache(message.cache_control)?,
        })
    }
}

pub(in crate::dialect) fn is_object(json: &str) -> bool {
    json::walk(json.as_bytes(), |_| ControlFlow::Continue(())) == Ok(Kind::Object)
}

/// What the model thought, from the first spelling that is there.
fn thoughts<'a>(message: &mut Message<'a>) -> Vec<Part<'a>> {
    if let Some(details) = message.reasoning_details.take().filter(|details| !details.is_empty()) {
        return of_details(details);
    }
    let inline = match &mut message.content {
        Content::Parts(parts) => parts
            .iter_mut()
            .filter_map(|part| {
                let is_thought = matches!(part.r#type.0.as_ref(), "thinking" | "redacted_thinking");
                is_thought.then(|| Block {
                    r#type: part.r#type.clone(),
                    thinking: part.thinking.take(),
                    signature: part.signature.take(),
                    data: part.data.take(),
                })
            })
            .collect(),
        _ => Vec::new(),
    };
    for blocks in [
        message.thinking_blocks.take(),
        message.content_blocks.take(),
        Some(inline),
    ] {
        let parts: Vec<_> = blocks.into_iter().flatten().filter_map(of_block).collect();
        if !parts.is_empty() {
            return parts;
        }
    }
    let bare = message.reasoning_content.take().filter(|text| !text.0.is_empty());
    let bare = bare.map(|Text(text)| Part::Reasoning { text, signature: None });
    bare.into_iter().collect()
}

fn of_details(details: Vec<ReasoningDetail<'_>>) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut last_index = None;
    for detail in details {
        let continues = detail.index.is_some() && detail.index == last_index;
        last_index = detail.index;
        match (detail.data, parts.last_mut()) {
            (Some(Text(data)), _) => parts.push(Part::RedactedReasoning { data }),
            (None, Some(Part::Reasoning { text, signature })) if continues => {
                if let Some(Text(more)) = detail.text {
                    text.to_mut().push_str(&more);
                }
                if let Some(Text(proof)) = detail.signature {
                    *signature = Some(proof);
                }
            }
            (None, _) if detail.r#type.0 == "reasoning.text" => parts.push(Part::Reasoning {
                text: detail.text.map_or(Cow::Borrowed(""), |text| text.0),
                signature: detail.signature.map(|text| text.0),
            }),
            (None, _) => {} // a summary, which no provider takes back
        }
    }
    parts
}

fn of_block(block: Block<'_>) -> Option<Part<'_>> {
    match block.r#type.0.as_ref() {
        "thinking" => Some(Part::Reasoning {
            text: block.thinking.map_or(Cow::Borrowed(""), |text| text.0),
            signature: block.signature.map(|text| text.0),
        }),
        "redacted_thinking" => Some(Part::RedactedReasoning { data: block.data?.0 }),
        _ => None,
    }
}
