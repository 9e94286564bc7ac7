//! Parts of a message's content, and of what a tool returned: text, pictures, documents, sound, refusals.

use serde::Deserialize;

use crate::dialect::openai_chat::to_hub::Text;
use crate::dialect::openai_chat::to_hub::media::{self, is_base64};
use crate::hub::{CacheControl, Media, Part};
use crate::request::BadRequest;

/// A part as it is written; which members it must have, its type says.
#[derive(Debug, Deserialize)]
pub(super) struct WirePart<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    #[serde(borrow)]
    image_url: Option<Text<'a>>,
    #[serde(borrow)]
    detail: Option<Text<'a>>,
    #[serde(borrow)]
    file_id: Option<Text<'a>>,
    #[serde(borrow)]
    file_data: Option<Text<'a>>,
    #[serde(borrow)]
    file_url: Option<Text<'a>>,
    #[serde(borrow)]
    filename: Option<Text<'a>>,
    #[serde(borrow)]
    input_audio: Option<InputAudio<'a>>,
    #[serde(borrow)]
    prompt_cache_breakpoint: Option<Breakpoint<'a>>,
}

#[derive(Debug, Deserialize)]
struct InputAudio<'a> {
    #[serde(borrow)]
    data: Text<'a>,
    #[serde(borrow)]
    format: Text<'a>,
}

/// Where a prompt cache may cut; always `explicit`.
#[derive(Debug, Deserialize)]
struct Breakpoint<'a> {
    #[serde(borrow)]
    ttl: Option<Text<'a>>,
}

impl Breakpoint<'_> {
    /// The lifetimes here are the least that is wanted, so that only the longest one of the hub meets any of them.
    fn read(&self) -> CacheControl {
        match self.ttl {
            None => CacheControl::Default,
            Some(_) => CacheControl::OneHour,
        }
    }
}

impl<'a> WirePart<'a> {
    /// The part in the hub's words. `place` names the part.
    pub(super) fn read(self, place: &str) -> Result<Part<'a>, BadRequest> {
        let cache = self.prompt_cache_breakpoint.as_ref().map(Breakpoint::read);
        let kind = self.r#type.0.clone();
        let missing = |member: &str| {
            let name = format!("{place}.{member}");
            let message = format!("`{name}` is required in a part of type `{kind}`; add it");
            BadRequest::new("missing_field", Some(&name), message)
        };
        Ok(match kind.as_ref() {
            "input_text" | "output_text" => Part::Text {
                text: self.text.ok_or_else(|| missing("text"))?.0,
                cache,
            },
            "refusal" => Part::Refusal {
                text: self.refusal.ok_or_else(|| missing("refusal"))?.0,
            },
            "input_image" => self.image(cache, place)?,
            "input_file" => self.file(cache, place)?,
            "input_audio" => {
                let audio = self.input_audio.ok_or_else(|| missing("input_audio"))?;
                if !is_base64(audio.data.0.as_bytes()) {
                    return Err(malformed(
                        place,
                        "input_audio.data",
                        "must be standard base64 with its padding",
                    ));
                }
                Part::Audio {
                    data: audio.data.0,
                    format: audio.format.0,
                }
            }
            _ => {
                let name = format!("{place}.type");
                let message = format!(
                    "`{name}` must be input_text, input_image, input_file, input_audio, output_text or refusal"
                );
                return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
            }
        })
    }

    fn image(self, cache: Option<CacheControl>, place: &str) -> Result<Part<'a>, BadRequest> {
        let media = match (self.image_url, self.file_id) {
            (Some(Text(url)), None) => {
                media::of_url(url, None).map_err(|words| malformed(place, "image_url", words))?
            }
            (None, Some(Text(id))) => Media::FileId(id),
            _ => {
                return Err(malformed(
                    place,
                    "image_url",
                    "is required, if `file_id` is not there in its place",
                ));
            }
        };
        Ok(Part::Image {
            media,
            detail: self.detail.map(|text| text.0),
            cache,
        })
    }

    fn file(self, cache: Option<CacheControl>, place: &str) -> Result<Part<'a>, BadRequest> {
        let media = match (self.file_data, self.file_url, self.file_id) {
            (Some(Text(data)), None, None) => {
                media::of_file_data(data, None).map_err(|words| malformed(place, "file_data", words))?
            }
            (None, Some(Text(url)), None) => {
                media::of_url(url, None).map_err(|words| malformed(place, "file_url", words))?
            }
            (None, None, Some(Text(id))) => Media::FileId(id),
            _ => {
                let words = "is required, if not one of `file_url` and `file_id` is there in its place";
                return Err(malformed(place, "file_data", words));
            }
        };
        Ok(Part::File {
            media,
            name: self.filename.map(|text| text.0),
            cache,
        })
    }
}

fn malformed(place: &str, member: &str, words: &str) -> BadRequest {
    let name = format!("{place}.{member}");
    BadRequest::invalid(&name, format!("`{name}` {words}"))
}
