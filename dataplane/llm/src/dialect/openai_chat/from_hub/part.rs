//! Parts of a message: text, pictures, sound, documents.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::{CacheMark, Style};
use crate::hub::{Media, Part};
use crate::provider::leftovers::Leftovers;
use crate::request::BadRequest;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WirePart<'r> {
    Text {
        text: Cow<'r, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheMark>,
    },
    ImageUrl {
        image_url: ImageUrl<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheMark>,
    },
    InputAudio {
        input_audio: InputAudio<'r>,
    },
    File {
        file: File<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheMark>,
    },
}

#[derive(Serialize)]
pub(super) struct ImageUrl<'r> {
    url: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
}

#[derive(Serialize)]
pub(super) struct InputAudio<'r> {
    data: &'r str,
    format: &'r str,
}

#[derive(Serialize)]
pub(super) struct File<'r> {
    file_data: String,
    filename: Cow<'r, str>,
}

impl<'r> WirePart<'r> {
    /// Text without a mark.
    pub(super) fn text(text: impl Into<Cow<'r, str>>) -> Self {
        Self::Text {
            text: text.into(),
            cache_control: None,
        }
    }
}

/// A part as content; `None` for what stands elsewhere in a message: calls and their results, thoughts.
pub(super) fn of<'r>(
    part: &'r Part<'_>,
    style: &Style,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<WirePart<'r>>, BadRequest> {
    let mut mark = |cache| CacheMark::of(cache, style, leftovers);
    Ok(Some(match part {
        Part::Text { text, cache } => WirePart::Text {
            text: Cow::Borrowed(text),
            cache_control: mark(*cache),
        },
        Part::Refusal { text } => WirePart::text(text.as_ref()),
        Part::Image { media, detail, cache } => WirePart::ImageUrl {
            image_url: ImageUrl {
                url: picture(media)?,
                detail: detail.as_deref(),
            },
            cache_control: mark(*cache),
        },
        Part::Audio { data, format } => WirePart::InputAudio {
            input_audio: InputAudio { data, format },
        },
        Part::File { media, name, cache } => document(media, name.as_deref(), mark(*cache), style)?,
        Part::Reasoning { .. } | Part::RedactedReasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {
            return Ok(None);
        }
    }))
}

fn picture<'r>(media: &'r Media<'_>) -> Result<Cow<'r, str>, BadRequest> {
    match media {
        Media::Url { url, .. } => Ok(Cow::Borrowed(url)),
        Media::Inline { mime_type, base64 } => Ok(Cow::Owned(data_url(mime_type, base64))),
        Media::FileId(_) => Err(stored()),
        Media::Text(_) => Err(unsupported("a picture that is text", "send it as text")),
    }
}

/// A document as the server takes it. One that is text is read as text everywhere; where there are no parts for files,
/// those that are pictures or text by their type still go.
fn document<'r>(
    media: &'r Media<'_>,
    name: Option<&'r str>,
    cache_control: Option<CacheMark>,
    style: &Style,
) -> Result<WirePart<'r>, BadRequest> {
    match media {
        Media::Text(text) => Ok(named_text(name, text, cache_control)),
        Media::Inline { mime_type, base64 } if style.takes_files => Ok(WirePart::File {
            file: File {
                file_data: data_url(mime_type, base64),
                filename: file_name(name, mime_type),
            },
            cache_control,
        }),
        Media::Inline { mime_type, base64 } if mime_type.starts_with("image/") => Ok(WirePart::ImageUrl {
            image_url: ImageUrl {
                url: Cow::Owned(data_url(mime_type, base64)),
                detail: None,
            },
            cache_control,
        }),
        Media::Inline { mime_type, base64 } if mime_type.starts_with("text/") => {
            let bytes = STANDARD.decode(base64.as_bytes()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| unsupported("a text file that is not UTF-8", "send it as UTF-8"))?;
            Ok(named_text(name, &text, cache_control))
        }
        Media::Inline { .. } => Err(unsupported("a file", "send its text, or ask another model")),
        Media::Url { .. } => Err(unsupported("the URL of a document", "send the document itself")),
        Media::FileId(_) => Err(stored()),
    }
}

fn named_text<'r>(name: Option<&str>, text: &str, cache_control: Option<CacheMark>) -> WirePart<'r> {
    let text = match name {
        Some(name) => format!("{name}\n\n{text}"),
        None => text.to_owned(),
    };
    WirePart::Text {
        text: Cow::Owned(text),
        cache_control,
    }
}

/// The name of a document, made where there is none, and with an ending: `OpenAI` refuses a file without a name and tells
/// its type by that.
fn file_name<'r>(name: Option<&'r str>, mime_type: &str) -> Cow<'r, str> {
    if let Some(name) = name.filter(|name| name.contains('.')) {
        return Cow::Borrowed(name);
    }
    let ending = match mime_type {
        "text/plain" => "txt",
        _ => mime_type.rsplit(['/', '+', '.']).next().unwrap_or(mime_type),
    };
    Cow::Owned(format!("{}.{ending}", name.unwrap_or("document")))
}

fn data_url(mime_type: &str, base64: &str) -> String {
    ["data:", mime_type, ";base64,", base64].concat()
}

/// One account serves many keys, and a file of another key must not be read by its id.
fn stored() -> BadRequest {
    unsupported("the id of a stored file", "send the file itself")
}

fn unsupported(what: &str, instead: &str) -> BadRequest {
    let message = format!("`messages` hold {what}, which this model's provider does not take; {instead}");
    BadRequest::new("unsupported_parameter", Some("messages"), message)
}
