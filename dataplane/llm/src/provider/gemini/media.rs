//! Pictures, sound and documents: bytes in the request, or an address that the provider fetches.

use serde::Serialize;

use super::part::WirePart;
use crate::hub::Media;
use crate::request::BadRequest;

/// Bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob<'r> {
    mime_type: &'r str,
    data: &'r str,
}

/// An address.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileData<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mime_type: Option<&'r str>,
    file_uri: &'r str,
}

/// A picture or a document.
pub(super) fn part<'r>(media: &'r Media<'_>) -> Result<WirePart<'r>, BadRequest> {
    match media {
        Media::Inline { mime_type, base64 } => Ok(blob(mime_type, base64)),
        Media::Text(text) => Ok(WirePart::text(text)),
        Media::Url { url, mime_type } => {
            check_url(url)?;
            Ok(WirePart::file(FileData {
                mime_type: mime_type.as_deref().or_else(|| type_by_name(url)),
                file_uri: url,
            }))
        }
        Media::FileId(_) => Err(stored_file()),
    }
}

/// Sound, by the names that clients give its formats.
pub(super) fn audio<'r>(data: &'r str, format: &str) -> Result<WirePart<'r>, BadRequest> {
    let mime_type = match format {
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "opus" | "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" | "x-aac" => "audio/aac",
        "m4a" | "x-m4a" => "audio/m4a",
        "mpeg" => "audio/mpeg",
        "mpga" => "audio/mpga",
        "mp4" => "audio/mp4",
        "pcm16" => "audio/pcm",
        "webm" => "audio/webm",
        _ => {
            let instead = "send wav, mp3, flac, opus, aac, m4a, mp4, webm or pcm16";
            return Err(unsupported("sound in this format", instead));
        }
    };
    Ok(blob(mime_type, data))
}

fn blob<'r>(mime_type: &'r str, data: &'r str) -> WirePart<'r> {
    WirePart::blob(Blob { mime_type, data })
}

/// The provider fetches what is on the web and in its own cloud. What was uploaded to the account is another matter: one
/// account serves many keys, and a file of another key must not be read by its address.
fn check_url(url: &str) -> Result<(), BadRequest> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if scheme.eq_ignore_ascii_case("s3") {
        return Err(unsupported(
            "a URL of another cloud",
            "send https://, gs://, or the bytes",
        ));
    }
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let could_be_the_account = authority.to_ascii_lowercase().contains("generativelanguage") || authority.contains('%');
    if could_be_the_account {
        return Err(stored_file());
    }
    Ok(())
}

fn stored_file() -> BadRequest {
    unsupported("a file that is stored at the provider", "send the file itself")
}

/// The type of a file on the web by the end of its name; the provider demands one for some, and guesses none.
fn type_by_name(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "gif" => "image/gif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "html" => "text/html",
        "md" => "text/markdown",
        "json" => "application/json",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "m4a" => "audio/m4a",
        "mp4" => "video/mp4",
        "mov" => "video/mov",
        "mpeg" | "mpg" => "video/mpeg",
        "webm" => "video/webm",
        _ => return None,
    })
}

pub(super) fn unsupported(what: &str, instead: &str) -> BadRequest {
    let message = format!("`messages` hold {what}, which this model's provider does not take here; {instead}");
    BadRequest::new("unsupported_parameter", Some("messages"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_account_are_never_read_by_their_address() {
        for url in [
            "https://generativelanguage.googleapis.com/v1beta/files/abc",
            "HTTPS://GenerativeLanguage.googleapis.com:443/v1beta/files/abc",
            "https://x@generativelanguage.googleapis.com/v1beta/files/abc",
            "https://eu-generativelanguage.sandbox.googleapis.com/v1beta/files/abc",
            "https://generativelanguag%65.googleapis.com/v1beta/files/abc",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
        for url in [
            "https://host/a.png",
            "https://host/?u=generativelanguage",
            "gs://bucket/50%25.png",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_type_is_read_off_the_name_and_not_off_the_query() {
        assert_eq!(type_by_name("https://host/a.JPG?x=.pdf"), Some("image/jpeg"));
        assert_eq!(type_by_name("https://host/watch?v=1.png"), None);
        assert_eq!(type_by_name("gs://bucket/a.b/c"), None);
    }
}
