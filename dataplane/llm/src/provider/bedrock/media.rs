//! Pictures, films, sound and documents: bytes in the request, by their type. The provider fetches nothing from the web,
//! and neither does the gateway.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::block::Block;
use crate::hub::Media;
use crate::provider::issuer::Issuer;
use crate::request::BadRequest;

/// A picture, a film or sound.
#[derive(Serialize)]
pub(super) struct Blob<'r> {
    format: &'static str,
    source: Source<'r>,
}

/// A document.
#[derive(Serialize)]
pub(super) struct Document<'r> {
    format: &'static str,
    name: String,
    source: Source<'r>,
}

#[derive(Serialize)]
struct Source<'r> {
    /// Base64.
    bytes: Cow<'r, str>,
}

/// Bytes by their type, whatever the client said they are.
pub(super) fn block<'r>(media: &'r Media<'_>, name: Option<&str>, names: &mut Names) -> Result<Block<'r>, BadRequest> {
    let (mime_type, bytes) = match media {
        Media::Inline { mime_type, base64 } => (mime_type.as_ref(), Cow::Borrowed(base64.as_ref())),
        Media::Text(text) => ("text/plain", Cow::Owned(STANDARD.encode(text.as_bytes()))),
        Media::Url { .. } => return Err(unsupported("a URL", "send the bytes in a data URL")),
        // One account serves many keys, and a file of another key must not be read by its id.
        Media::FileId(_) => {
            return Err(unsupported(
                "the id of a stored file",
                "send the file itself in file_data",
            ));
        }
    };
    let source = Source { bytes };
    let blob = |format, source| Blob { format, source };
    if let Some(format) = image_format(mime_type) {
        return Ok(Block::Image(blob(format, source)));
    }
    if let Some(format) = video_format(mime_type) {
        return Ok(Block::Video(blob(format, source)));
    }
    if let Some(format) = mime_type.strip_prefix("audio/").and_then(audio_format) {
        return Ok(Block::Audio(blob(format, source)));
    }
    let Some(format) = document_format(mime_type) else {
        return Err(unsupported(
            "this type of file",
            "send png, jpeg, gif or webp, a film, sound, or pdf, csv, doc, docx, xls, xlsx, html, md or other text",
        ));
    };
    let name = names.unique(name.unwrap_or_default());
    Ok(Block::Document(Document { format, name, source }))
}

/// Sound, by the names that clients give its formats.
pub(super) fn audio<'r>(data: &'r str, format: &str) -> Result<Block<'r>, BadRequest> {
    let format = audio_format(format).ok_or_else(|| {
        unsupported(
            "sound in this format",
            "send wav, mp3, flac, aac, m4a, ogg, opus, mp4, webm or pcm16",
        )
    })?;
    let source = Source {
        bytes: Cow::Borrowed(data),
    };
    Ok(Block::Audio(Blob { format, source }))
}

fn image_format(mime_type: &str) -> Option<&'static str> {
    Some(match mime_type {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpeg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        _ => return None,
    })
}

fn video_format(mime_type: &str) -> Option<&'static str> {
    Some(match mime_type {
        "video/x-matroska" | "video/matroska" => "mkv",
        "video/quicktime" => "mov",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        "video/x-flv" => "flv",
        "video/mpeg" => "mpeg",
        "video/mpg" => "mpg",
        "video/x-ms-wmv" => "wmv",
        "video/3gpp" => "three_gp",
        _ => return None,
    })
}

/// By the name of a format, or what stands behind `audio/`.
fn audio_format(name: &str) -> Option<&'static str> {
    Some(match name {
        "mp3" => "mp3",
        "mpeg" => "mpeg",
        "mpga" => "mpga",
        "wav" | "x-wav" | "wave" => "wav",
        "flac" | "x-flac" => "flac",
        "aac" => "aac",
        "x-aac" => "x-aac",
        "m4a" | "x-m4a" => "m4a",
        "mp4" => "mp4",
        "ogg" => "ogg",
        "opus" => "opus",
        "webm" => "webm",
        "pcm" | "pcm16" | "L16" => "pcm",
        "x-matroska" => "mka",
        _ => return None,
    })
}

fn document_format(mime_type: &str) -> Option<&'static str> {
    Some(match mime_type {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/html" => "html",
        "text/markdown" | "text/x-markdown" => "md",
        text if text.starts_with("text/") => "txt",
        _ => return None,
    })
}

/// The names of a request's documents: the provider takes few characters, and no name twice in all of the messages.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In small letters: names that differ in case alone may be one to the provider.
    taken: BTreeSet<String>,
    /// The number that a name gets next, so that many documents of one name do not try all numbers before.
    next: BTreeMap<String, u32>,
}

/// The longest name, less what makes it unlike others.
const NAME_LENGTH_MAX: usize = 200 - 16;

impl Names {
    /// The name in letters, digits, spaces, hyphens, parentheses and brackets, and a number where it was there before. The
    /// same request gives the same names, else the provider's cache would never meet.
    fn unique(&mut self, name: &str) -> String {
        let mut clean = String::with_capacity(name.len());
        for character in name.chars() {
            let is_allowed = character.is_ascii_alphanumeric() || "-()[]".contains(character);
            let character = if is_allowed { character } else { ' ' };
            if clean.len() < NAME_LENGTH_MAX && !(character == ' ' && clean.ends_with(' ')) {
                clean.push(character);
            }
        }
        let clean = match clean.trim() {
            "" => "document",
            clean => clean,
        };
        let key = clean.to_ascii_lowercase();
        if self.taken.insert(key.clone()) {
            return clean.to_owned();
        }
        let number = self.next.entry(key.clone()).or_insert(2);
        loop {
            let suffix = format!(" ({number})");
            *number += 1;
            if self.taken.insert(format!("{key}{suffix}")) {
                return format!("{clean}{suffix}");
            }
        }
    }
}

/// Stands before sealed thoughts that are no text, so that they survive the way through the client's JSON.
pub(super) const BYTES_MARK: &str = "base64:";

/// Sealed thoughts as they go out. Their bytes are the text by which the model's maker seals them, so that what its own
/// service sealed can be opened here, and the other way round.
pub(super) fn sealed(data: &str) -> String {
    match data.strip_prefix(BYTES_MARK) {
        Some(bytes) if STANDARD.decode(bytes).is_ok() => bytes.to_owned(),
        _ => STANDARD.encode(data),
    }
}

/// Whether sealed thoughts that came back are Claude's; those of other providers name theirs.
pub(super) fn is_sealed_here(data: &str) -> bool {
    data.starts_with(BYTES_MARK) || Issuer::Claude.unmarked(data).is_some()
}

/// Sealed thoughts as they go to the client.
pub(super) fn unsealed(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !text.starts_with(BYTES_MARK) => text,
        Ok(text) => format!("{BYTES_MARK}{}", STANDARD.encode(text)),
        Err(error) => format!("{BYTES_MARK}{}", STANDARD.encode(error.as_bytes())),
    }
}

pub(super) fn unsupported(what: &str, instead: &str) -> BadRequest {
    let message = format!("`messages` hold {what}, which this model's provider does not take; {instead}");
    BadRequest::new("unsupported_parameter", Some("messages"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_what_the_provider_takes_and_no_name_comes_twice() {
        let mut names = Names::default();
        let mut unique = |name| names.unique(name);
        assert_eq!(unique("report.final_v2.pdf"), "report final v2 pdf");
        assert_eq!(unique("report final v2.pdf"), "report final v2 pdf (2)");
        assert_eq!(unique("REPORT FINAL V2 PDF"), "REPORT FINAL V2 PDF (3)");
        assert_eq!(unique("report final v2 pdf (4)"), "report final v2 pdf (4)");
        assert_eq!(unique("report.final_v2.pdf"), "report final v2 pdf (5)");
        assert_eq!(unique("Q1 [draft] (a)-b"), "Q1 [draft] (a)-b");
        assert_eq!(unique(""), "document");
        assert_eq!(unique("契約書"), "document (2)");
        assert_eq!(unique("  a \n\t b  "), "a b");
        let long = "x".repeat(10_000);
        assert!(unique(&long).len() <= 200 && unique(&long).len() <= 200);
    }

    #[test]
    fn sealed_thoughts_come_back_as_they_went() {
        for bytes in [b"EvAFCkgIBRABGAI=".as_slice(), &[0xff, 0, 0x80], b"base64:AAAA", b""] {
            let text = unsealed(bytes.to_vec());
            assert_eq!(STANDARD.decode(sealed(&text)).unwrap(), bytes, "{text}");
        }
        assert_eq!(unsealed(b"EvAFCkgIBRABGAI=".to_vec()), "EvAFCkgIBRABGAI=");
        assert_eq!(
            STANDARD.decode(sealed("base64:no base64")).unwrap(),
            b"base64:no base64"
        );
    }
}
