//! Content blocks of a request: text, media, tool calls and their results, thoughts.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::hub::{CacheControl, Media, Part};
use crate::provider::issuer::Issuer;
use crate::request::BadRequest;

/// A block as it goes out.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'r> {
    Text {
        text: Cow<'r, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Cache>,
    },
    Image {
        source: Source<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Cache>,
    },
    Document {
        source: Source<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'r str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Cache>,
    },
    ToolUse {
        id: Cow<'r, str>,
        name: &'r str,
        input: &'r RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Cache>,
    },
    ToolResult {
        tool_use_id: Cow<'r, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'r>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Cache>,
    },
    Thinking {
        thinking: &'r str,
        signature: &'r str,
    },
    RedactedThinking {
        data: &'r str,
    },
}

/// `cache_control`, its ttl kept: entries of an hour cost more and are asked for on purpose.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Cache {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl From<CacheControl> for Cache {
    fn from(cache: CacheControl) -> Self {
        Self {
            r#type: "ephemeral",
            ttl: match cache {
                CacheControl::Default => None,
                CacheControl::FiveMinutes => Some("5m"),
                CacheControl::OneHour => Some("1h"),
            },
        }
    }
}

/// Where media are.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'r> {
    Url {
        url: &'r str,
    },
    Base64 {
        media_type: &'r str,
        data: &'r str,
    },
    Text {
        media_type: &'static str,
        data: Cow<'r, str>,
    },
}

/// Blank text is refused by the provider, and says nothing.
pub(super) fn text(text: &str, cache: Option<CacheControl>) -> Option<Block<'_>> {
    (!text.trim_ascii().is_empty()).then(|| Block::Text {
        text: Cow::Borrowed(text),
        cache_control: cache.map(Cache::from),
    })
}

/// The block of a part; `None` for what cannot be said: blank text, thoughts without their proof or with another's.
pub(super) fn of<'r>(part: &'r Part<'_>) -> Result<Option<Block<'r>>, BadRequest> {
    Ok(Some(match part {
        Part::Text { text, cache } => return Ok(self::text(text, *cache)),
        Part::Refusal { text } => return Ok(self::text(text, None)),
        Part::Image { media, cache, .. } => media_block(media, Said::Picture, *cache)?,
        Part::File { media, name, cache } => media_block(media, Said::Document(name.as_deref()), *cache)?,
        Part::Audio { .. } => return Err(unsupported("sound", "send its text instead")),
        Part::Reasoning { text, signature } => match signature.as_deref().and_then(own) {
            Some(signature) => Block::Thinking {
                thinking: text,
                signature,
            },
            None => return Ok(None),
        },
        Part::RedactedReasoning { data } => match own(data) {
            Some(data) => Block::RedactedThinking { data },
            None => return Ok(None),
        },
        Part::ToolCall {
            id,
            name,
            arguments,
            cache,
            ..
        } => Block::ToolUse {
            id: tool_id(id),
            name,
            input: input(arguments),
            cache_control: cache.map(Cache::from),
        },
        Part::ToolResult {
            call_id,
            parts,
            is_error,
            cache,
            ..
        } => Block::ToolResult {
            tool_use_id: tool_id(call_id),
            content: all(parts)?,
            is_error: *is_error,
            cache_control: cache.map(Cache::from),
        },
    }))
}

fn own(proof: &str) -> Option<&str> {
    Issuer::Claude.unmarked(proof)
}

/// Whether a part proves what Claude thought.
pub(super) fn is_proof(part: &Part<'_>) -> bool {
    let proof = match part {
        Part::Reasoning { signature, .. } => signature.as_deref(),
        Part::RedactedReasoning { data } => Some(data.as_ref()),
        _ => None,
    };
    proof.and_then(own).is_some()
}

/// The blocks of several parts.
pub(super) fn all<'r, 'a: 'r>(parts: impl IntoIterator<Item = &'r Part<'a>>) -> Result<Vec<Block<'r>>, BadRequest> {
    parts.into_iter().filter_map(|part| of(part).transpose()).collect()
}

/// What a client said media are.
#[derive(Clone, Copy)]
enum Said<'r> {
    Picture,
    Document(Option<&'r str>),
}

/// Bytes by their type, whatever the client said they are; what is elsewhere as the client says.
fn media_block<'r>(media: &'r Media<'_>, said: Said<'r>, cache: Option<CacheControl>) -> Result<Block<'r>, BadRequest> {
    let cache_control = cache.map(Cache::from);
    let (is_document, title) = match said {
        Said::Picture => (false, None),
        Said::Document(title) => (true, title),
    };
    let document = |source| Block::Document {
        source,
        title,
        cache_control,
    };
    match media {
        Media::Url { url, .. } if !is_web(url) => Err(unsupported(
            "a URL that is not on the web",
            "send https://, or the bytes",
        )),
        Media::Url { url, .. } if is_document || url.ends_with(".pdf") => Ok(document(Source::Url { url })),
        Media::Url { url, .. } => Ok(Block::Image {
            source: Source::Url { url },
            cache_control,
        }),
        Media::Text(text) => Ok(document(Source::Text {
            media_type: "text/plain",
            data: Cow::Borrowed(text),
        })),
        Media::Inline { mime_type, base64 } => {
            let source = Source::Base64 {
                media_type: mime_type,
                data: base64,
            };
            match mime_type.as_ref() {
                "image/jpeg" | "image/png" | "image/gif" | "image/webp" => Ok(Block::Image { source, cache_control }),
                "application/pdf" => Ok(document(source)),
                mime_type if mime_type.starts_with("text/") => Ok(document(Source::Text {
                    media_type: "text/plain",
                    data: Cow::Owned(decoded(base64)?),
                })),
                _ => Err(unsupported(
                    "this type of file",
                    "send image/jpeg, image/png, image/gif, image/webp, application/pdf or text",
                )),
            }
        }
        // One account serves many keys, and a file of another key must not be read by its id.
        Media::FileId(_) => Err(unsupported(
            "the id of a stored file",
            "send the file itself in file_data",
        )),
    }
}

fn is_web(url: &str) -> bool {
    let starts_with = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts_with("https://") || starts_with("http://")
}

fn decoded(base64: &str) -> Result<String, BadRequest> {
    let bytes = STANDARD.decode(base64).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| unsupported("a text file that is not UTF-8", "send it as UTF-8"))
}

fn unsupported(what: &str, instead: &str) -> BadRequest {
    let message = format!("`messages` hold {what}, which this model's provider does not take; {instead}");
    BadRequest::new("unsupported_parameter", Some("messages"), message)
}

/// Arguments as JSON; the client's dialect has checked that they are an object.
pub(in super::super) fn input(arguments: &str) -> &RawValue {
    let arguments = if arguments.trim_ascii().is_empty() {
        "{}"
    } else {
        arguments
    };
    serde_json::from_str(arguments).expect("arguments of tool calls are JSON objects")
}

/// Ids are letters, digits, `_` and `-` here, and other providers' may hold more. The call and its result are mapped
/// alike, and the provider never says an id of the client's again.
pub(in super::super) fn tool_id(id: &str) -> Cow<'_, str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.bytes().all(is_allowed) {
        return Cow::Borrowed(id);
    }
    let mut mapped = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        if is_allowed(byte) {
            mapped.push(char::from(byte));
        } else {
            write!(mapped, "_{byte:02x}").expect("writing to a String cannot fail");
        }
    }
    Cow::Owned(mapped)
}
