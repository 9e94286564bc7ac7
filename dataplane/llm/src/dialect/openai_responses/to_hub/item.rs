//! The items of `input`: messages, calls of tools and their results, thoughts and pictures that the model made.
//!
//! What the model said at once comes back as several items in a row, which are one turn. Thoughts are handed back as they
//! went out, their proofs in `encrypted_content`; see `proof`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::WirePart;
use super::{Conversation, hub_text, needs_storage};
use crate::dialect::openai_chat::to_hub::media::is_base64;
use crate::dialect::openai_chat::to_hub::message::{is_object, without_quotations};
use crate::dialect::openai_chat::to_hub::{Text, typed};
use crate::dialect::openai_responses::proof::Proof;
use crate::hub::{Media, Part, Role, Turn};
use crate::json::{self, Kind};
use crate::request::BadRequest;

/// An item as it is written; which members it must have, its type says.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    role: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<Vec<Words<'a>>>,
    #[serde(borrow)]
    encrypted_content: Option<Text<'a>>,
    #[serde(borrow)]
    result: Option<Text<'a>>,
    #[serde(borrow)]
    output_format: Option<Text<'a>>,
}

/// A piece of a thought.
#[derive(Deserialize)]
struct Words<'a> {
    #[serde(borrow)]
    text: Text<'a>,
}

/// The instructions and the turns of `input`.
pub(super) fn read(input: &str) -> Result<Conversation<'_>, BadRequest> {
    let wanted = "a string or an array of items";
    let mut builder = Builder::default();
    if json::kind(input.as_bytes()) == Kind::String {
        let Text(text) = typed("input", input, wanted)?;
        builder.said(Role::User, vec![hub_text(text)]);
        return Ok(builder.conversation);
    }
    let items: Vec<&RawValue> = typed("input", input, wanted)?;
    for (index, json) in items.into_iter().enumerate() {
        let place = Place(index);
        let name = format!("input[{index}]");
        if json::kind(json.get().as_bytes()) != Kind::Object {
            return Err(BadRequest::wrong_type(&name, "an object with `type`"));
        }
        let item = serde_json::from_str(json.get()).map_err(|error| {
            let message = format!("`{name}` is no item: {}", without_quotations(&error));
            BadRequest::new("invalid_type", Some(&name), message)
        })?;
        builder.add(place, item)?;
    }
    Ok(builder.conversation)
}

#[derive(Default)]
struct Builder<'a> {
    conversation: Conversation<'a>,
    /// The last item was the model's, so that the next one of its goes on with that turn.
    in_answer: bool,
    /// Signatures of calls, by the call; they stand before it.
    signatures: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Builder<'a> {
    fn add(&mut self, place: Place, item: Item<'a>) -> Result<(), BadRequest> {
        match item.r#type.as_ref().map_or("message", |kind| kind.0.as_ref()) {
            "message" => self.message(place, item)?,
            "function_call" => {
                let call = self.call(place, item)?;
                self.answered(call);
            }
            "function_call_output" => self.said(Role::User, vec![place.result(item)?]),
            "reasoning" => self.thought(place, item)?,
            "image_generation_call" => {
                if let Some(picture) = place.picture(item)? {
                    self.answered(picture);
                }
            }
            "item_reference" => return Err(needs_storage(&place.name("type"))),
            _ => {
                let name = place.name("type");
                let message = format!(
                    "`{name}` must be message, function_call, function_call_output, reasoning or image_generation_call; \
                     the others belong to tools that run at OpenAI, which this model's provider does not have"
                );
                return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
            }
        }
        Ok(())
    }

    fn message(&mut self, place: Place, item: Item<'a>) -> Result<(), BadRequest> {
        let role = item.role.ok_or_else(|| place.missing("role", "message"))?;
        let content = item.content.ok_or_else(|| place.missing("content", "message"))?;
        let parts = place.parts("content", content)?;
        match role.0.as_ref() {
            "user" => self.said(Role::User, parts),
            "assistant" => {
                // Two messages in a row are two: a client joins nothing that the model did not say at once.
                let has_spoken = |turn: &Turn<'_>| turn.parts.iter().any(|part| matches!(part, Part::Text { .. }));
                self.in_answer &= !self.conversation.turns.last().is_some_and(has_spoken);
                for part in parts {
                    self.answered(part);
                }
            }
            "system" | "developer" if parts.iter().all(|part| matches!(part, Part::Text { .. })) => {
                self.conversation.instructions.extend(parts);
            }
            "system" | "developer" => {
                return Err(place.malformed("content", "must be text in a system or developer message"));
            }
            _ => return Err(place.malformed("role", "must be user, assistant, system or developer")),
        }
        Ok(())
    }

    fn call(&mut self, place: Place, item: Item<'a>) -> Result<Part<'a>, BadRequest> {
        let missing = |member| move || place.missing(member, "function_call");
        let id = item.call_id.ok_or_else(missing("call_id"))?.0;
        let arguments = item.arguments.map_or(Cow::Borrowed(""), |text| text.0);
        if !arguments.trim_ascii().is_empty() && !is_object(&arguments) {
            return Err(place.malformed("arguments", "must be the text of a JSON object"));
        }
        let signed = self.signatures.iter().rposition(|(call, _)| *call == id);
        Ok(Part::ToolCall {
            signature: signed.map(|index| self.signatures.swap_remove(index).1),
            id,
            name: item.name.ok_or_else(missing("name"))?.0,
            arguments,
            cache: None,
        })
    }

    fn thought(&mut self, place: Place, item: Item<'a>) -> Result<(), BadRequest> {
        let summary = item.summary.unwrap_or_default();
        let content: Option<Vec<Words<'a>>> = match item.content {
            Some(json) => typed(&place.name("content"), json.get(), "an array of parts with `text`")?,
            None => None,
        };
        let mut pieces = if summary.is_empty() {
            content.unwrap_or_default()
        } else {
            summary
        };
        let text = match pieces.len() {
            0 => Cow::Borrowed(""),
            1 => pieces.remove(0).text.0,
            _ => {
                let pieces: Vec<_> = pieces.iter().map(|piece| piece.text.0.as_ref()).collect();
                Cow::Owned(pieces.join("\n\n"))
            }
        };
        let signature = match item.encrypted_content.and_then(|sealed| Proof::read(sealed.0)) {
            Some(Proof::Thought(proof)) => Some(proof),
            Some(Proof::Sealed(data)) => {
                self.answered(Part::RedactedReasoning { data });
                return Ok(());
            }
            Some(Proof::Call { id, signature }) => {
                self.signatures.push((id, signature));
                return Ok(());
            }
            None => None,
        };
        if !text.is_empty() || signature.is_some() {
            self.answered(Part::Reasoning { text, signature });
        }
        Ok(())
    }

    /// A piece of an answer of the model's.
    fn answered(&mut self, part: Part<'a>) {
        match self.conversation.turns.last_mut() {
            Some(turn) if self.in_answer => turn.parts.push(part),
            _ => self.said(Role::Assistant, vec![part]),
        }
        self.in_answer = true;
    }

    fn said(&mut self, role: Role, parts: Vec<Part<'a>>) {
        self.conversation.turns.push(Turn { role, parts });
        self.in_answer = false;
    }
}

/// One item, by its place in the list: reads what needs nothing else, and names it in refusals.
#[derive(Clone, Copy)]
struct Place(usize);

impl Place {
    fn name(self, member: &str) -> String {
        format!("input[{}].{member}", self.0)
    }

    fn malformed(self, member: &str, words: &str) -> BadRequest {
        let name = self.name(member);
        BadRequest::invalid(&name, format!("`{name}` {words}"))
    }

    fn missing(self, member: &str, kind: &str) -> BadRequest {
        let name = self.name(member);
        let message = format!("`{name}` is required in an item of type `{kind}`; add it");
        BadRequest::new("missing_field", Some(&name), message)
    }

    /// A text, or a list of parts.
    fn parts<'a>(self, member: &str, value: &'a RawValue) -> Result<Vec<Part<'a>>, BadRequest> {
        let name = self.name(member);
        let wanted = "a string or an array of parts";
        if json::kind(value.get().as_bytes()) == Kind::String {
            let Text(text) = typed(&name, value.get(), wanted)?;
            return Ok(vec![hub_text(text)]);
        }
        let parts: Vec<WirePart<'_>> = typed(&name, value.get(), wanted)?;
        let parts = parts.into_iter().enumerate();
        parts
            .map(|(index, part)| part.read(&format!("{name}[{index}]")))
            .collect()
    }

    fn result(self, item: Item<'_>) -> Result<Part<'_>, BadRequest> {
        let missing = |member| move || self.missing(member, "function_call_output");
        let call_id = item.call_id.map(|text| text.0).filter(|id| !id.is_empty());
        let output = item.output.ok_or_else(missing("output"))?;
        Ok(Part::ToolResult {
            call_id: call_id.ok_or_else(missing("call_id"))?,
            name: item.name.map(|text| text.0),
            parts: self.parts("output", output)?,
            is_error: false, // the dialect has no word for it
            cache: None,
        })
    }

    /// A picture that an earlier answer brought; one that never came says nothing.
    fn picture(self, item: Item<'_>) -> Result<Option<Part<'_>>, BadRequest> {
        let Some(Text(base64)) = item.result else {
            return Ok(None);
        };
        if !is_base64(base64.as_bytes()) {
            return Err(self.malformed("result", "must be standard base64 with its padding"));
        }
        let format = item.output_format.as_ref().map_or("png", |text| text.0.as_ref());
        if !matches!(format, "png" | "jpeg" | "webp" | "gif") {
            return Err(self.malformed("output_format", "must be png, jpeg, webp or gif"));
        }
        Ok(Some(Part::Image {
            media: Media::Inline {
                mime_type: format!("image/{format}").into(),
                base64,
            },
            detail: None,
            cache: None,
        }))
    }
}
