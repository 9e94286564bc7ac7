//! Content blocks of a request: text, media, calls and their results, thoughts, and marks for the cache, which are blocks
//! of their own behind what they mark.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::media::{self, Blob, Document, Names};
use crate::hub::{CacheControl, Part};
use crate::json::{self, Kind};
use crate::provider::anthropic::block::{input, tool_id};
use crate::provider::capability::bedrock::{Cache, Family};
use crate::provider::issuer::Issuer;
use crate::provider::leftovers::{Leftovers, raw};
use crate::provider::mistral::nine_alphanumerics;
use crate::request::BadRequest;

/// The longest id of a call that is taken.
const TOOL_ID_LENGTH_MAX: usize = 64;

/// A block as it goes out; a tool's result holds fewer kinds of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'r> {
    Text(&'r str),
    Json(Cow<'r, RawValue>),
    Image(Blob<'r>),
    Video(Blob<'r>),
    Audio(Blob<'r>),
    Document(Document<'r>),
    ToolUse(ToolUse<'r>),
    ToolResult(ToolResult<'r>),
    ReasoningContent(Reasoning<'r>),
    CachePoint(CachePoint),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub(super) struct ToolUse<'r> {
    tool_use_id: Cow<'r, str>,
    name: &'r str,
    input: &'r RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'r> {
    tool_use_id: Cow<'r, str>,
    content: Vec<Block<'r>>,
    /// Only where it says more than its absence: some models refuse the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'r> {
    ReasoningText {
        text: &'r str,
        signature: &'r str,
    },
    /// Base64.
    RedactedContent(String),
}

/// `cachePoint`.
#[derive(Clone, Copy, Serialize)]
pub(super) struct CachePoint {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl CachePoint {
    /// The ttl is kept: entries of an hour cost more and are asked for on purpose.
    pub(super) fn of(cache: CacheControl) -> Self {
        Self {
            r#type: "default",
            ttl: match cache {
                CacheControl::Default => None,
                CacheControl::FiveMinutes => Some("5m"),
                CacheControl::OneHour => Some("1h"),
            },
        }
    }
}

/// Writes the blocks of one request.
pub(super) struct Blocks {
    family: &'static Family,
    names: Names,
    has_lost_cache_marks: bool,
}

impl Blocks {
    pub(super) fn new(family: &'static Family) -> Self {
        Self {
            family,
            names: Names::default(),
            has_lost_cache_marks: false,
        }
    }

    /// Names what could not be said.
    pub(super) fn report(&self, leftovers: &mut Leftovers<'_>) {
        if self.has_lost_cache_marks {
            leftovers.drop("cache_control");
        }
    }

    /// The blocks of several parts. Blank text is refused by the provider, and says nothing.
    pub(super) fn all<'r, 'a: 'r>(
        &mut self,
        parts: impl IntoIterator<Item = &'r Part<'a>>,
    ) -> Result<Vec<Block<'r>>, BadRequest> {
        let mut blocks = Vec::new();
        for part in parts {
            match part {
                Part::Text { text, cache } => {
                    if let Some(text) = self::text(text) {
                        self.push(text, *cache, &mut blocks);
                    }
                }
                Part::Refusal { text } => blocks.extend(self::text(text)),
                Part::Image { media, cache, .. } => {
                    let block = media::block(media, None, &mut self.names)?;
                    self.push(block, *cache, &mut blocks);
                }
                Part::File { media, name, cache } => {
                    let block = media::block(media, name.as_deref(), &mut self.names)?;
                    self.push(block, *cache, &mut blocks);
                }
                Part::Audio { data, format } => blocks.push(media::audio(data, format)?),
                Part::Reasoning { text, signature } => {
                    let proof = signature.as_deref().and_then(|proof| Issuer::Claude.unmarked(proof));
                    self.thought(
                        proof.map(|signature| Reasoning::ReasoningText { text, signature }),
                        &mut blocks,
                    );
                }
                Part::RedactedReasoning { data } => {
                    let own = media::is_sealed_here(data).then(|| Reasoning::RedactedContent(media::sealed(data)));
                    self.thought(own, &mut blocks);
                }
                Part::ToolCall {
                    id,
                    name,
                    arguments,
                    cache,
                    ..
                } => {
                    let block = Block::ToolUse(ToolUse {
                        tool_use_id: self.tool_id(id),
                        name,
                        input: input(arguments),
                    });
                    self.push(block, *cache, &mut blocks);
                }
                Part::ToolResult {
                    call_id,
                    parts,
                    is_error,
                    cache,
                    ..
                } => {
                    let block = Block::ToolResult(ToolResult {
                        tool_use_id: self.tool_id(call_id),
                        content: self.result(parts)?,
                        status: is_error.then_some("error"),
                    });
                    self.push(block, cache.or_else(|| mark_inside(parts)), &mut blocks);
                }
            }
        }
        Ok(blocks)
    }

    fn push<'r>(&mut self, block: Block<'r>, cache: Option<CacheControl>, blocks: &mut Vec<Block<'r>>) {
        blocks.push(block);
        let Some(cache) = cache else { return };
        match self.family.cache {
            Cache::Full => blocks.push(Block::CachePoint(CachePoint::of(cache))),
            Cache::Messages => blocks.push(Block::CachePoint(CachePoint::of(CacheControl::Default))),
            Cache::Never => self.has_lost_cache_marks = true,
        }
    }

    /// A thought goes back only with its proof, and only to models that want it.
    fn thought<'r>(&self, thought: Option<Reasoning<'r>>, blocks: &mut Vec<Block<'r>>) {
        let thought = thought.filter(|_| self.family.thoughts);
        blocks.extend(thought.map(Block::ReasoningContent));
    }

    /// What a tool returned.
    fn result<'r>(&mut self, parts: &'r [Part<'_>]) -> Result<Vec<Block<'r>>, BadRequest> {
        let mut content = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Text { text, .. } if self.family.json_results => content.extend(json_result(text)),
                Part::Text { text, .. } | Part::Refusal { text } => content.extend(self::text(text)),
                Part::Image { media, .. } => content.push(media::block(media, None, &mut self.names)?),
                Part::File { media, name, .. } => {
                    content.push(media::block(media, name.as_deref(), &mut self.names)?);
                }
                Part::Audio { .. } => return Err(sound_in_a_result()),
                Part::Reasoning { .. }
                | Part::RedactedReasoning { .. }
                | Part::ToolCall { .. }
                | Part::ToolResult { .. } => {}
            }
        }
        if content.iter().any(|block| matches!(block, Block::Audio(_))) {
            return Err(sound_in_a_result());
        }
        Ok(content)
    }

    /// The call and its result are mapped alike, and the provider never says an id of the client's again.
    fn tool_id<'r>(&self, id: &'r str) -> Cow<'r, str> {
        if self.family.short_tool_ids {
            return nine_alphanumerics(id).map_or(Cow::Borrowed(id), Cow::Owned);
        }
        match tool_id(id) {
            mapped if mapped.is_empty() => Cow::Borrowed("_"),
            mapped if mapped.len() > TOOL_ID_LENGTH_MAX => Cow::Owned(shortened(id)),
            mapped => mapped,
        }
    }
}

/// A mark on what a tool returned; inside a result is no place for one, so it stands behind it.
fn mark_inside(parts: &[Part<'_>]) -> Option<CacheControl> {
    parts.iter().rev().find_map(|part| match part {
        Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. } => *cache,
        _ => None,
    })
}

fn text(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text(text))
}

/// Text as a JSON object: itself, or in one.
fn json_result(text: &str) -> Option<Block<'_>> {
    if text.trim().is_empty() {
        return None;
    }
    let is_object = json::walk(text.as_bytes(), |_| ControlFlow::Continue(())) == Ok(Kind::Object);
    let object = serde_json::from_str(text).ok().filter(|_| is_object);
    Some(Block::Json(object.map_or_else(
        || raw(serde_json::json!({ "output": text }).to_string()),
        Cow::Borrowed,
    )))
}

fn sound_in_a_result() -> BadRequest {
    media::unsupported("sound in what a tool returned", "send its text instead")
}

/// The same 32 digits for the same id: two ids of one conversation never meet.
fn shortened(id: &str) -> String {
    let mut mapped = String::with_capacity(32);
    for byte in &Sha256::digest(id)[..16] {
        write!(mapped, "{byte:02x}").expect("writing to a String cannot fail");
    }
    mapped
}

/// Whether a conversation holds calls of tools or what they returned.
pub(super) fn is_of_tools(part: &Part<'_>) -> bool {
    matches!(part, Part::ToolCall { .. } | Part::ToolResult { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::capability::bedrock::family;

    #[test]
    fn a_tool_that_failed_is_said_so() {
        let result = |is_error| Part::ToolResult {
            call_id: "t".into(),
            name: None,
            parts: vec![Part::text("no")],
            is_error,
            cache: None,
        };
        let parts = [result(true), result(false)];
        let blocks = Blocks::new(family("anthropic.claude-opus-5")).all(&parts).unwrap();
        let json = serde_json::to_value(&blocks).unwrap();
        assert_eq!(json[0]["toolResult"]["status"], "error");
        assert_eq!(json[1]["toolResult"].get("status"), None);
    }
}
