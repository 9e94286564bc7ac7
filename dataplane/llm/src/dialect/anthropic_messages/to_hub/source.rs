//! Where a picture or a document is: bytes in the request, a URL that the provider may fetch, text, or blocks of its own.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::block::{self, Content};
use super::place::missing;
use crate::dialect::openai_chat::to_hub::Text;
use crate::dialect::openai_chat::to_hub::media::{is_base64, lower_case, of_url};
use crate::hub::{Media, Part};
use crate::request::BadRequest;

/// `source`: an object, or in a search result the address of what was found.
#[derive(Debug)]
pub(super) enum Source<'a> {
    Address(Cow<'a, str>),
    Media(Box<WireSource<'a>>),
}

/// Which members it must have, its type says.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct WireSource<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    media_type: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    file_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Content<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Source<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SourceVisitor;
        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = Source<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `type`")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Source::Address(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Source::Address(Cow::Owned(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
                let source = WireSource::deserialize(MapAccessDeserializer::new(members))?;
                Ok(Source::Media(Box::new(source)))
            }
        }
        deserializer.deserialize_any(SourceVisitor)
    }
}

impl<'a> WireSource<'a> {
    /// A picture; `place` names the source.
    pub(super) fn picture(self, place: &str) -> Result<Media<'a>, BadRequest> {
        match self.r#type.0.as_ref() {
            "base64" => self.bytes(place, "image/"),
            "url" => self.address(place),
            "file" => self.file(place),
            _ => Err(wrong_type(place, "base64, url or file")),
        }
    }

    /// A document. One of blocks becomes the text of them, or the blocks themselves where pictures are among them.
    pub(super) fn document(self, place: &str, name: Option<Cow<'a, str>>) -> Result<Vec<Part<'a>>, BadRequest> {
        let media = match self.r#type.0.as_ref() {
            "base64" => self.bytes(place, "application/pdf")?,
            "url" => self.address(place)?,
            "file" => self.file(place)?,
            "text" => Media::Text(self.data.ok_or_else(|| missing(&format!("{place}.data")))?.0),
            "content" => match self.content {
                Content::Text(text) => Media::Text(text),
                Content::Nothing => return Err(missing(&format!("{place}.content"))),
                Content::Blocks(blocks) => {
                    let parts = block::plain(blocks, &format!("{place}.content"))?;
                    let texts: Option<Vec<_>> = parts.iter().map(text_of).collect();
                    match texts {
                        Some(texts) => Media::Text(texts.join("\n\n").into()),
                        None => return Ok(parts),
                    }
                }
            },
            _ => return Err(wrong_type(place, "base64, text, url, content or file")),
        };
        let cache = None;
        Ok(vec![Part::File { media, name, cache }])
    }

    /// Bytes, of a type that begins so.
    fn bytes(self, place: &str, family: &str) -> Result<Media<'a>, BadRequest> {
        let member = |name: &str| format!("{place}.{name}");
        let mime_type = self.media_type.ok_or_else(|| missing(&member("media_type")))?.0;
        let mime_type = lower_case(mime_type);
        if !mime_type.starts_with(family) {
            let name = member("media_type");
            let wanted = if family == "image/" {
                "image/jpeg, image/png, image/gif or image/webp"
            } else {
                family
            };
            return Err(BadRequest::invalid(&name, format!("`{name}` must be {wanted}")));
        }
        let base64 = self.data.ok_or_else(|| missing(&member("data")))?.0;
        if !is_base64(base64.as_bytes()) {
            let name = member("data");
            let message = format!("`{name}` must be standard base64 with its padding and without line breaks");
            return Err(BadRequest::invalid(&name, message));
        }
        Ok(Media::Inline { mime_type, base64 })
    }

    fn address(self, place: &str) -> Result<Media<'a>, BadRequest> {
        let name = format!("{place}.url");
        let url = self.url.ok_or_else(|| missing(&name))?.0;
        of_url(url, None).map_err(|words| BadRequest::invalid(&name, format!("`{name}` {words}")))
    }

    fn file(self, place: &str) -> Result<Media<'a>, BadRequest> {
        let id = self.file_id.ok_or_else(|| missing(&format!("{place}.file_id")))?;
        Ok(Media::FileId(id.0))
    }
}

fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match part {
        Part::Text { text, .. } => Some(text),
        _ => None,
    }
}

fn wrong_type(place: &str, known: &str) -> BadRequest {
    let name = format!("{place}.type");
    let message = format!("`{name}` must be {known}");
    BadRequest::new("unsupported_parameter", Some(&name), message)
}
