//! Content blocks: text, pictures, documents, what a search found, calls of tools and their results, thoughts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::signature;
use super::place::missing;
use super::source::{Source, WireSource};
use crate::dialect::openai_chat::to_hub::Text;
use crate::dialect::openai_chat::to_hub::part::WireCache;
use crate::hub::{CacheControl, Part, Role};
use crate::json::{self, Kind};
use crate::request::BadRequest;

/// `content`: a string, a list of blocks, or nothing.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Blocks(Vec<WireBlock<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content blocks")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Content::Nothing)
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = list.next_element()? {
                    blocks.push(block);
                }
                Ok(Content::Blocks(blocks))
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// A block as it is written; which members it must have, its type says.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct WireBlock<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    source: Option<Source<'a>>,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    context: Option<Text<'a>>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
    #[serde(borrow)]
    transformations: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_use_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Content<'a>,
    is_error: Option<bool>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    cache_control: Option<WireCache<'a>>,
}

/// Reads the blocks of one message.
pub(super) struct Blocks<'b, 'a> {
    role: Role,
    /// Proofs of calls by the calls' ids; see [`signature`].
    proofs: HashMap<Cow<'a, str>, Cow<'a, str>>,
    /// See [`crate::hub::Request::left_out`].
    left_out: &'b mut Vec<Cow<'a, str>>,
}

/// The parts of a message's content; `place` names the content.
pub(super) fn parts<'a>(
    content: Content<'a>,
    role: Role,
    place: &str,
    left_out: &mut Vec<Cow<'a, str>>,
) -> Result<Vec<Part<'a>>, BadRequest> {
    let blocks = match content {
        Content::Nothing => return Err(missing(place)),
        Content::Text(text) => return Ok(vec![Part::Text { text, cache: None }]),
        Content::Blocks(blocks) => blocks,
    };
    let mut reader = Blocks {
        role,
        proofs: HashMap::new(),
        left_out,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        reader.read(block, &format!("{place}[{index}]"), &mut parts)?;
    }
    reader.prove(&mut parts);
    Ok(parts)
}

/// Blocks that hold only text and pictures, as those of a document do.
pub(super) fn plain<'a>(blocks: Vec<WireBlock<'a>>, place: &str) -> Result<Vec<Part<'a>>, BadRequest> {
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        let place = format!("{place}[{index}]");
        match block.r#type.0.as_ref() {
            "text" => parts.push(block.text(&place)?),
            "image" => parts.push(block.image(&place)?),
            _ => return Err(unknown(&place, "text or image")),
        }
    }
    Ok(parts)
}

impl<'a> Blocks<'_, 'a> {
    fn read(&mut self, block: WireBlock<'a>, place: &str, parts: &mut Vec<Part<'a>>) -> Result<(), BadRequest> {
        match (block.r#type.0.as_ref(), self.role) {
            ("text", _) => parts.push(block.text(place)?),
            ("image", _) => {
                self.note("transformations", block.transformations.is_some());
                parts.push(block.image(place)?);
            }
            ("document", _) => {
                self.note("citations", block.citations.is_some_and(asks_for));
                self.note("context", block.context.is_some());
                parts.extend(block.document(place)?);
            }
            ("search_result", _) => {
                self.note("citations", block.citations.is_some_and(asks_for));
                parts.push(block.search_result(place)?);
            }
            ("tool_result", Role::User) => parts.push(self.tool_result(block, place)?),
            ("tool_use", Role::Assistant) => parts.push(block.tool_use(place)?),
            ("thinking", Role::Assistant) => parts.push(Part::Reasoning {
                text: block.thinking.ok_or_else(|| missing(&format!("{place}.thinking")))?.0,
                signature: block.signature.map(|text| text.0).filter(|text| !text.is_empty()),
            }),
            ("redacted_thinking", Role::Assistant) => {
                let data = block.data.ok_or_else(|| missing(&format!("{place}.data")))?.0;
                match signature::of_call(&data) {
                    Some((id, proof)) => {
                        self.proofs.insert(id.to_owned().into(), proof.into());
                    }
                    None => parts.push(Part::RedactedReasoning { data }),
                }
            }
            (_, Role::User) => {
                return Err(unknown(place, "text, image, document, search_result or tool_result"));
            }
            (_, Role::Assistant) => {
                return Err(unknown(place, "text, thinking, redacted_thinking or tool_use"));
            }
        }
        Ok(())
    }

    /// What it holds is text and media; the provider's own results (references to tools, states of a browser) are not for
    /// others.
    fn tool_result(&mut self, mut block: WireBlock<'a>, place: &str) -> Result<Part<'a>, BadRequest> {
        let cache = block.cache(place)?;
        let parts = match std::mem::take(&mut block.content) {
            Content::Nothing => Vec::new(),
            Content::Text(text) => vec![Part::Text { text, cache: None }],
            Content::Blocks(blocks) => {
                let mut parts = Vec::with_capacity(blocks.len());
                for (index, inner) in blocks.into_iter().enumerate() {
                    let place = format!("{place}.content[{index}]");
                    match inner.r#type.0.as_ref() {
                        "text" | "image" | "document" | "search_result" => self.read(inner, &place, &mut parts)?,
                        _ => return Err(unknown(&place, "text, image, document or search_result")),
                    }
                }
                parts
            }
        };
        Ok(Part::ToolResult {
            call_id: block
                .tool_use_id
                .ok_or_else(|| missing(&format!("{place}.tool_use_id")))?
                .0,
            name: None,
            parts,
            is_error: block.is_error.unwrap_or(false),
            cache,
        })
    }

    fn note(&mut self, name: &'static str, is_given: bool) {
        if is_given && !self.left_out.iter().any(|other| other == name) {
            self.left_out.push(Cow::Borrowed(name));
        }
    }

    /// Gives each call its proof, wherever the client put that.
    fn prove(mut self, parts: &mut [Part<'a>]) {
        for part in parts {
            if let Part::ToolCall { id, signature, .. } = part {
                *signature = self.proofs.remove(id);
            }
        }
    }
}

impl<'a> WireBlock<'a> {
    fn cache(&self, place: &str) -> Result<Option<CacheControl>, BadRequest> {
        let cache = self.cache_control.as_ref();
        cache.map(|cache| cache.read(|| place.to_owned())).transpose()
    }

    fn text(self, place: &str) -> Result<Part<'a>, BadRequest> {
        let cache = self.cache(place)?;
        let text = self.text.ok_or_else(|| missing(&format!("{place}.text")))?.0;
        Ok(Part::Text { text, cache })
    }

    fn image(self, place: &str) -> Result<Part<'a>, BadRequest> {
        let cache = self.cache(place)?;
        let place = format!("{place}.source");
        Ok(Part::Image {
            media: media(self.source, &place)?.picture(&place)?,
            detail: None,
            cache,
        })
    }

    fn document(self, place: &str) -> Result<Vec<Part<'a>>, BadRequest> {
        let cache = self.cache(place)?;
        let place = format!("{place}.source");
        let mut parts = media(self.source, &place)?.document(&place, self.title.map(|text| text.0))?;
        if let Some(end) = parts.last_mut().and_then(cache_of) {
            *end = end.or(cache);
        }
        Ok(parts)
    }

    /// Where it was found stands before its text, since the hub has no place for it.
    fn search_result(self, place: &str) -> Result<Part<'a>, BadRequest> {
        let cache = self.cache(place)?;
        let Some(Source::Address(source)) = self.source else {
            return Err(BadRequest::wrong_type(&format!("{place}.source"), "a string"));
        };
        let Content::Blocks(blocks) = self.content else {
            return Err(BadRequest::wrong_type(
                &format!("{place}.content"),
                "an array of text blocks",
            ));
        };
        let mut text = match self.title {
            Some(Text(title)) => format!("{title}\n{source}"),
            None => source.into_owned(),
        };
        for (index, block) in blocks.into_iter().enumerate() {
            let place = format!("{place}.content[{index}]");
            let Part::Text { text: found, .. } = block.text(&place)? else {
                continue;
            };
            text.push_str("\n\n");
            text.push_str(&found);
        }
        let text = text.into();
        Ok(Part::Text { text, cache })
    }

    fn tool_use(self, place: &str) -> Result<Part<'a>, BadRequest> {
        let cache = self.cache(place)?;
        let member = |name: &str| format!("{place}.{name}");
        let input = self.input.ok_or_else(|| missing(&member("input")))?.get();
        if json::kind(input.as_bytes()) != Kind::Object {
            return Err(BadRequest::wrong_type(&member("input"), "an object"));
        }
        Ok(Part::ToolCall {
            id: self.id.ok_or_else(|| missing(&member("id")))?.0,
            name: self.name.ok_or_else(|| missing(&member("name")))?.0,
            arguments: Cow::Borrowed(input),
            signature: None,
            cache,
        })
    }
}

/// Where a prompt cache may cut behind a part.
pub(super) fn cache_of<'p>(part: &'p mut Part<'_>) -> Option<&'p mut Option<CacheControl>> {
    match part {
        Part::Text { cache, .. }
        | Part::Image { cache, .. }
        | Part::File { cache, .. }
        | Part::ToolCall { cache, .. }
        | Part::ToolResult { cache, .. } => Some(cache),
        Part::Refusal { .. } | Part::Audio { .. } | Part::Reasoning { .. } | Part::RedactedReasoning { .. } => None,
    }
}

fn media<'a>(source: Option<Source<'a>>, place: &str) -> Result<WireSource<'a>, BadRequest> {
    match source {
        Some(Source::Media(source)) => Ok(*source),
        Some(Source::Address(_)) => Err(BadRequest::wrong_type(place, "an object with `type`")),
        None => Err(missing(place)),
    }
}

/// `{"enabled": true}`; without it nothing is cited.
fn asks_for(citations: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Citations {
        enabled: Option<bool>,
    }
    serde_json::from_str::<Citations>(citations.get()).is_ok_and(|citations| citations.enabled == Some(true))
}

fn unknown(place: &str, known: &str) -> BadRequest {
    let name = format!("{place}.type");
    let message = format!("`{name}` must be {known} with this model's provider");
    BadRequest::new("unsupported_parameter", Some(&name), message)
}
