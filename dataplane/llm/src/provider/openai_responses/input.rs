//! The items of `input`: messages, calls and their results, thoughts in their places.

use std::borrow::Cow;

use serde::Serialize;

use super::native::forbidden;
use super::signature::Signature;
use crate::hub::{Media, Part, Request, Role, Turn};
use crate::provider::issuer::Issuer;
use crate::request::BadRequest;

/// An item as it goes out.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'r> {
    Message {
        role: &'static str,
        content: Content<'r>,
    },
    FunctionCall {
        call_id: Cow<'r, str>,
        name: &'r str,
        arguments: &'r str,
    },
    FunctionCallOutput {
        call_id: Cow<'r, str>,
        output: Content<'r>,
    },
    Reasoning {
        id: &'r str,
        summary: Vec<WirePart<'r>>,
        encrypted_content: &'r str,
    },
}

/// A text, or parts.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'r> {
    Text(Cow<'r, str>),
    Parts(Vec<WirePart<'r>>),
}

/// A part as it goes out.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum WirePart<'r> {
    InputText {
        text: &'r str,
    },
    OutputText {
        text: &'r str,
    },
    SummaryText {
        text: &'r str,
    },
    Refusal {
        refusal: &'r str,
    },
    InputImage {
        detail: &'r str,
        #[serde(flatten)]
        source: ImageSource<'r>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<Cow<'r, str>>,
        #[serde(flatten)]
        source: FileSource<'r>,
    },
}

/// Where a picture is.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ImageSource<'r> {
    ImageUrl(Cow<'r, str>),
    FileId(&'r str),
}

/// Where a document is.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names on the wire")]
pub(super) enum FileSource<'r> {
    FileData(String),
    FileUrl(&'r str),
    FileId(&'r str),
}

/// The longest id of a call that is accepted
/// (<https://github.com/decolua/9router/issues/393> quotes the provider's words).
const CALL_ID_LENGTH_MAX: usize = 64;

/// `instructions` and `input`. Instructions alone are no input, so that they are said in it.
pub(super) fn of<'r>(
    request: &'r Request<'_>,
    allows_stored_objects: bool,
    issuer: Issuer,
) -> Result<(Option<Cow<'r, str>>, Vec<Item<'r>>), BadRequest> {
    let writer = Writer { allows_stored_objects };
    let mut items = Vec::with_capacity(request.turns.len() + 4);
    for turn in &request.turns {
        match turn.role {
            Role::User => writer.said(turn, &mut items)?,
            Role::Assistant => answered(turn, issuer, &mut items)?,
        }
    }
    let texts: Vec<&str> = request.instructions.iter().filter_map(text).collect();
    if texts.len() < request.instructions.len() {
        return Err(unsupported("media in a system message", "send them in a user message"));
    }
    let instructions = match texts[..] {
        [] => None,
        [text] => Some(Cow::Borrowed(text)),
        _ => Some(Cow::Owned(texts.join("\n\n"))),
    };
    match instructions {
        Some(text) if items.is_empty() => {
            let content = Content::Text(text);
            items.push(Item::Message {
                role: "developer",
                content,
            });
            Ok((None, items))
        }
        instructions => Ok((instructions, items)),
    }
}

fn text<'r>(part: &'r Part<'_>) -> Option<&'r str> {
    match part {
        Part::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// What the model said: thoughts before the call that followed them, then the text, then the calls. A thought that nothing
/// follows is left out, since the provider refuses it.
fn answered<'r>(turn: &'r Turn<'_>, issuer: Issuer, items: &mut Vec<Item<'r>>) -> Result<(), BadRequest> {
    let mut thoughts: Vec<(usize, Item<'r>)> = Vec::new();
    let mut message: Vec<&'r Part<'_>> = Vec::new();
    let mut calls = 0;
    let put_thoughts = |thoughts: &mut Vec<(usize, Item<'r>)>, calls: usize, items: &mut Vec<Item<'r>>| {
        let due = thoughts.extract_if(.., |(calls_before, _)| *calls_before <= calls);
        items.extend(due.map(|(_, thought)| thought));
    };
    for part in &turn.parts {
        match part {
            Part::Reasoning {
                text,
                signature: Some(signature),
            } => thoughts.extend(thought(text, signature, issuer)),
            // Another issuer's, and what the dialects put into the client's turns.
            Part::Reasoning { .. } | Part::RedactedReasoning { .. } | Part::ToolResult { .. } => {}
            Part::Text { .. } | Part::Refusal { .. } => message.push(part),
            Part::ToolCall {
                id, name, arguments, ..
            } => {
                put_thoughts(&mut thoughts, calls, items);
                items.extend(message_of(&std::mem::take(&mut message)));
                items.push(Item::FunctionCall {
                    call_id: call_id(id),
                    name,
                    arguments: if arguments.trim_ascii().is_empty() {
                        "{}"
                    } else {
                        arguments
                    },
                });
                calls += 1;
            }
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => {
                return Err(unsupported("media of the assistant's", "send them in a user message"));
            }
        }
    }
    if let Some(message) = message_of(&message) {
        put_thoughts(&mut thoughts, calls, items);
        items.push(message);
    }
    Ok(())
}

fn thought<'r>(text: &'r str, signature: &'r str, issuer: Issuer) -> Option<(usize, Item<'r>)> {
    let signature = Signature::read(signature, issuer)?;
    let summary = if text.is_empty() {
        Vec::new()
    } else {
        vec![WirePart::SummaryText { text }]
    };
    let item = Item::Reasoning {
        id: signature.id,
        summary,
        encrypted_content: signature.encrypted_content,
    };
    Some((signature.calls_before, item))
}

/// A message of the model's; text alone is sent as such, which every server takes.
fn message_of<'r>(parts: &[&'r Part<'_>]) -> Option<Item<'r>> {
    let texts: Vec<&'r str> = parts.iter().filter_map(|part| text(part)).collect();
    let is_empty =
        |part: &&&Part<'_>| matches!(part, Part::Text { text, .. } | Part::Refusal { text } if text.is_empty());
    if parts.iter().all(|part| is_empty(&part)) {
        return None;
    }
    let content = if let [text] = texts[..]
        && parts.len() == 1
    {
        Content::Text(Cow::Borrowed(text))
    } else if texts.len() == parts.len() {
        Content::Text(Cow::Owned(texts.concat()))
    } else {
        let written = parts.iter().filter_map(|part| match part {
            Part::Text { text, .. } => Some(WirePart::OutputText { text }),
            Part::Refusal { text } => Some(WirePart::Refusal { refusal: text }),
            _ => None,
        });
        Content::Parts(written.collect())
    };
    Some(Item::Message {
        role: "assistant",
        content,
    })
}

struct Writer {
    allows_stored_objects: bool,
}

impl Writer {
    /// The client's side: results of tools are items of their own, all else is a message.
    fn said<'r>(&self, turn: &'r Turn<'_>, items: &mut Vec<Item<'r>>) -> Result<(), BadRequest> {
        let mut message = Vec::new();
        for part in &turn.parts {
            match part {
                Part::ToolResult { call_id, parts, .. } => {
                    items.extend(user_message(&mut message));
                    items.push(Item::FunctionCallOutput {
                        call_id: self::call_id(call_id),
                        output: self.output(parts)?,
                    });
                }
                part => message.extend(self.part(part)?),
            }
        }
        items.extend(user_message(&mut message));
        Ok(())
    }

    fn output<'r>(&self, parts: &'r [Part<'_>]) -> Result<Content<'r>, BadRequest> {
        let texts: Vec<&'r str> = parts.iter().filter_map(text).collect();
        if texts.len() < parts.len() {
            let parts = parts.iter().filter_map(|part| self.part(part).transpose());
            return Ok(Content::Parts(parts.collect::<Result<_, _>>()?));
        }
        Ok(Content::Text(match texts[..] {
            [text] => Cow::Borrowed(text),
            _ => Cow::Owned(texts.concat()),
        }))
    }

    fn part<'r>(&self, part: &'r Part<'_>) -> Result<Option<WirePart<'r>>, BadRequest> {
        Ok(Some(match part {
            Part::Text { text, .. } | Part::Refusal { text } => WirePart::InputText { text },
            Part::Image { media, detail, .. } => self.image(media, detail.as_deref())?,
            Part::File { media, name, .. } => self.file(media, name.as_deref())?,
            Part::Audio { .. } => return Err(unsupported("sound", "send its text instead")),
            // The dialects put these into turns where they are read elsewhere.
            Part::Reasoning { .. }
            | Part::RedactedReasoning { .. }
            | Part::ToolCall { .. }
            | Part::ToolResult { .. } => return Ok(None),
        }))
    }

    fn image<'r>(&self, media: &'r Media<'_>, detail: Option<&'r str>) -> Result<WirePart<'r>, BadRequest> {
        let source = match media {
            Media::Url { url, .. } => ImageSource::ImageUrl(Cow::Borrowed(web(url)?)),
            Media::Inline { mime_type, base64 } if mime_type.starts_with("image/") => {
                ImageSource::ImageUrl(Cow::Owned(data_url(mime_type, base64)))
            }
            Media::Inline { .. } => return self.file(media, None),
            Media::Text(text) => return Ok(WirePart::InputText { text }),
            Media::FileId(id) if self.allows_stored_objects => ImageSource::FileId(id),
            Media::FileId(_) => return Err(forbidden("file_id", "send the file itself")),
        };
        Ok(WirePart::InputImage {
            detail: detail.unwrap_or("auto"),
            source,
        })
    }

    fn file<'r>(&self, media: &'r Media<'_>, name: Option<&'r str>) -> Result<WirePart<'r>, BadRequest> {
        let mut filename = name.map(Cow::Borrowed);
        let source = match media {
            Media::Url { url, .. } => {
                filename = None; // the provider takes one beside bytes only
                FileSource::FileUrl(web(url)?)
            }
            Media::Inline { mime_type, .. } if mime_type.starts_with("image/") => return self.image(media, None),
            Media::Inline { mime_type, base64 } => {
                filename.get_or_insert_with(|| name_of(mime_type).into()); // demanded beside bytes
                FileSource::FileData(data_url(mime_type, base64))
            }
            Media::Text(text) => return Ok(WirePart::InputText { text }),
            Media::FileId(id) if self.allows_stored_objects => FileSource::FileId(id),
            Media::FileId(_) => return Err(forbidden("file_id", "send the file itself")),
        };
        Ok(WirePart::InputFile { filename, source })
    }
}

/// A message of the parts so far; one text is sent as such, which every server takes.
fn user_message<'r>(parts: &mut Vec<WirePart<'r>>) -> Option<Item<'r>> {
    let content = match parts[..] {
        [] => return None,
        [WirePart::InputText { text }] => Content::Text(Cow::Borrowed(text)),
        _ => Content::Parts(std::mem::take(parts)),
    };
    parts.clear();
    Some(Item::Message { role: "user", content })
}

fn web(url: &str) -> Result<&str, BadRequest> {
    let starts_with = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if starts_with("https://") || starts_with("http://") {
        return Ok(url);
    }
    Err(unsupported(
        "a URL that is not on the web",
        "send https://, or the bytes",
    ))
}

fn data_url(mime_type: &str, base64: &str) -> String {
    format!("data:{mime_type};base64,{base64}")
}

/// The provider tells what a document is by the end of its name.
fn name_of(mime_type: &str) -> &'static str {
    match mime_type {
        "application/pdf" => "file.pdf",
        "text/csv" => "file.csv",
        "text/html" => "file.html",
        "text/markdown" => "file.md",
        "application/json" => "file.json",
        _ => "file.txt",
    }
}

fn unsupported(what: &str, instead: &str) -> BadRequest {
    let message = format!("`messages` hold {what}, which this model's provider does not take; {instead}");
    BadRequest::new("unsupported_parameter", Some("messages"), message)
}

/// Ids of other providers may be longer than this one takes. The call and its result are mapped alike, and the provider
/// never says an id of the client's again.
fn call_id(id: &str) -> Cow<'_, str> {
    if id.chars().count() <= CALL_ID_LENGTH_MAX {
        return Cow::Borrowed(id);
    }
    // FNV-1a, beside enough of the beginning: two of the few ids of one conversation do not meet by chance.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let start: String = id.chars().take(CALL_ID_LENGTH_MAX - 17).collect();
    Cow::Owned(format!("{start}_{hash:016x}"))
}
