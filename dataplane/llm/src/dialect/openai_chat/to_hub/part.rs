//! Parts of a message's content: text, pictures, sound, documents, refusals, and thoughts of earlier turns.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::Text;
use super::media::{self, is_base64};
use crate::hub::{CacheControl, Part};
use crate::request::BadRequest;

/// `content`: a string, a list of parts, or nothing.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Parts(Vec<WirePart<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`content` to be a string or an array of parts")
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
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            parts.push(part);
        }
        Ok(Content::Parts(parts))
    }
}

/// A part as it is written; which members it must have, its type says.
#[derive(Debug, Deserialize)]
pub(super) struct WirePart<'a> {
    #[serde(borrow)]
    pub(super) r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    image_url: Option<ImageUrl<'a>>,
    #[serde(borrow)]
    input_audio: Option<InputAudio<'a>>,
    #[serde(borrow)]
    file: Option<File<'a>>,
    #[serde(borrow)]
    pub(super) thinking: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) signature: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) data: Option<Text<'a>>,
    #[serde(borrow)]
    cache_control: Option<WireCache<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ImageUrl<'a> {
    Object {
        #[serde(borrow)]
        url: Text<'a>,
        #[serde(borrow)]
        detail: Option<Text<'a>>,
        #[serde(borrow, alias = "format")]
        mime_type: Option<Text<'a>>,
    },
    Text(#[serde(borrow)] Text<'a>),
}

#[derive(Debug, Deserialize)]
struct InputAudio<'a> {
    #[serde(borrow)]
    data: Text<'a>,
    #[serde(borrow)]
    format: Text<'a>,
}

/// `file_url` and `mime_type` are no fields of `OpenAI`'s; other gateways' clients send them.
#[derive(Debug, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct File<'a> {
    #[serde(borrow)]
    file_data: Option<Text<'a>>,
    #[serde(borrow)]
    file_url: Option<Text<'a>>,
    #[serde(borrow)]
    file_id: Option<Text<'a>>,
    #[serde(borrow)]
    filename: Option<Text<'a>>,
    #[serde(borrow, alias = "format")]
    mime_type: Option<Text<'a>>,
}

/// `cache_control`, an extension that clients send for Claude's models.
#[derive(Debug, Deserialize)]
pub(in crate::dialect) struct WireCache<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    ttl: Option<Text<'a>>,
}

impl WireCache<'_> {
    /// `place` names what it stands in.
    pub(in crate::dialect) fn read(&self, place: impl Fn() -> String) -> Result<CacheControl, BadRequest> {
        let ttl = self.ttl.as_ref().map(|ttl| ttl.0.as_ref());
        match (self.r#type.0.as_ref(), ttl) {
            ("ephemeral", None) => Ok(CacheControl::Default),
            ("ephemeral", Some("5m")) => Ok(CacheControl::FiveMinutes),
            ("ephemeral", Some("1h")) => Ok(CacheControl::OneHour),
            _ => {
                let name = format!("{}.cache_control", place());
                let message = format!("`{name}` must have the type ephemeral, and no ttl or one of 5m and 1h");
                Err(BadRequest::invalid(&name, message))
            }
        }
    }
}

impl<'a> WirePart<'a> {
    /// The part in the hub's words; `None` for a thought, which the message reads. `place` names the part.
    pub(super) fn read(self, place: impl Fn() -> String) -> Result<Option<Part<'a>>, BadRequest> {
        let kind = self.r#type.0;
        let missing = |member: &str| {
            let name = format!("{}.{member}", place());
            BadRequest::new(
                "missing_field",
                Some(&name),
                format!("`{name}` is required in a part of type `{member}`; add it"),
            )
        };
        let cache = self.cache_control.map(|cache| cache.read(&place)).transpose()?;
        Ok(Some(match kind.as_ref() {
            "text" => Part::Text {
                text: self.text.ok_or_else(|| missing("text"))?.0,
                cache,
            },
            "refusal" => Part::Refusal {
                text: self.refusal.ok_or_else(|| missing("refusal"))?.0,
            },
            "image_url" => image(self.image_url.ok_or_else(|| missing("image_url"))?, cache, &place)?,
            "input_audio" => {
                let audio = self.input_audio.ok_or_else(|| missing("input_audio"))?;
                if !is_base64(audio.data.0.as_bytes()) {
                    return Err(malformed(
                        &place,
                        "input_audio.data",
                        "must be standard base64 with its padding",
                    ));
                }
                Part::Audio {
                    data: audio.data.0,
                    format: audio.format.0,
                }
            }
            "file" => file(self.file.ok_or_else(|| missing("file"))?, cache, &place)?,
            "thinking" | "redacted_thinking" => return Ok(None),
            _ => {
                let name = format!("{}.type", place());
                let message = format!("`{name}` must be text, image_url, input_audio, file or refusal");
                return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
            }
        }))
    }
}

fn malformed(place: &impl Fn() -> String, member: &str, words: &str) -> BadRequest {
    let name = format!("{}.{member}", place());
    BadRequest::invalid(&name, format!("`{name}` {words}"))
}

fn image<'a>(
    image: ImageUrl<'a>,
    cache: Option<CacheControl>,
    place: &impl Fn() -> String,
) -> Result<Part<'a>, BadRequest> {
    let (url, detail, mime_type) = match image {
        ImageUrl::Object { url, detail, mime_type } => (url, detail, mime_type),
        ImageUrl::Text(url) => (url, None, None),
    };
    let media =
        media::of_url(url.0, mime_type.map(|text| text.0)).map_err(|words| malformed(place, "image_url.url", words))?;
    Ok(Part::Image {
        media,
        detail: detail.map(|text| text.0),
        cache,
    })
}

fn file<'a>(file: File<'a>, cache: Option<CacheControl>, place: &impl Fn() -> String) -> Result<Part<'a>, BadRequest> {
    let mime_type = file.mime_type.map(|text| text.0);
    let media = match (file.file_data, file.file_url, file.file_id) {
        (Some(Text(data)), None, None) => {
            media::of_file_data(data, mime_type).map_err(|words| malformed(place, "file.file_data", words))?
        }
        (None, Some(Text(url)), None) => {
            media::of_url(url, mime_type).map_err(|words| malformed(place, "file.file_url", words))?
        }
        (None, None, Some(Text(id))) => crate::hub::Media::FileId(id),
        _ => {
            return Err(malformed(
                place,
                "file",
                "must have exactly one of file_data, file_url and file_id",
            ));
        }
    };
    Ok(Part::File {
        media,
        name: file.filename.map(|text| text.0),
        cache,
    })
}
