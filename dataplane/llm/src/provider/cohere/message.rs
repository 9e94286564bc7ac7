//! The conversation: instructions first, calls with their plan, results by the id of their call.
//!
//! A turn that calls tools has no text of its own here: what the model thought and said before it called is its plan
//! (`tool_plan`), and goes back as that. Thoughts of turns that are over are not sent; models that do not reason have no
//! place for them.

use std::borrow::Cow;

use serde::Serialize;

use crate::hub::{self, Media, Part, Request, Role};
use crate::request::BadRequest;

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub(super) enum Message<'r> {
    System {
        content: String,
    },
    User {
        content: Content<'r>,
    },
    Assistant {
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool_plan: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call<'r>>,
    },
    Tool {
        tool_call_id: &'r str,
        content: String,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'r> {
    Text(&'r str),
    Blocks(Vec<Block<'r>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'r> {
    Text { text: &'r str },
    ImageUrl { image_url: ImageUrl<'r> },
}

#[derive(Serialize)]
pub(super) struct ImageUrl<'r> {
    url: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
}

#[derive(Serialize)]
pub(super) struct Call<'r> {
    id: &'r str,
    r#type: &'static str,
    function: CalledFunction<'r>,
}

#[derive(Serialize)]
struct CalledFunction<'r> {
    name: &'r str,
    arguments: &'r str,
}

/// Every message of a request. The provider refuses empty ones, so what says nothing is left out.
pub(super) fn all<'r>(request: &'r Request<'_>) -> Result<Vec<Message<'r>>, BadRequest> {
    let mut messages = Vec::with_capacity(request.turns.len() + 1);
    let instructions = request.instructions.iter().filter_map(text_of);
    let content = instructions.collect::<Vec<_>>().join("\n\n");
    if !content.trim_ascii().is_empty() {
        messages.push(Message::System { content });
    }
    for turn in hub::merged(&request.turns) {
        match turn.role {
            Role::User => add_user(&turn.parts, &mut messages)?,
            Role::Assistant => messages.extend(assistant(&turn.parts)?),
        }
    }
    Ok(messages)
}

fn text_of<'r>(part: &'r Part<'_>) -> Option<&'r str> {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(text),
        _ => None,
    }
}

/// What tools returned, each in a message of its own, and then what the user says.
fn add_user<'r>(parts: &[&'r Part<'_>], messages: &mut Vec<Message<'r>>) -> Result<(), BadRequest> {
    let mut blocks = Vec::new();
    for part in parts {
        if let Part::ToolResult {
            call_id,
            parts,
            is_error,
            ..
        } = part
        {
            messages.push(Message::Tool {
                tool_call_id: call_id,
                content: result(parts, *is_error)?,
            });
        } else {
            blocks.extend(block(part)?);
        }
    }
    let content = match blocks.as_slice() {
        [] => return Ok(()),
        [Block::Text { text }] => Content::Text(text),
        _ => Content::Blocks(blocks),
    };
    messages.push(Message::User { content });
    Ok(())
}

/// A block of the user's; `None` for text that says nothing.
fn block<'r>(part: &'r Part<'_>) -> Result<Option<Block<'r>>, BadRequest> {
    let image = |url, detail| Block::ImageUrl {
        image_url: ImageUrl { url, detail },
    };
    let text = |text: &'r str| (!text.trim_ascii().is_empty()).then_some(Block::Text { text });
    match part {
        Part::Image { media, detail, .. } => {
            let detail = detail
                .as_deref()
                .filter(|word| matches!(*word, "auto" | "low" | "high"));
            Ok(Some(image(picture(media)?, detail)))
        }
        Part::File {
            media: Media::Text(words),
            ..
        } => Ok(text(words)),
        Part::File { media, .. } => Ok(Some(image(picture(media)?, None))),
        Part::Audio { .. } => Err(unsupported("sound", "send its text instead")),
        part => Ok(text_of(part).and_then(text)),
    }
}

/// The provider fetches from the web what is not here.
fn picture<'r>(media: &'r Media<'_>) -> Result<Cow<'r, str>, BadRequest> {
    match media {
        Media::Inline { mime_type, base64 } if mime_type.starts_with("image/") => {
            Ok(Cow::Owned(format!("data:{mime_type};base64,{base64}")))
        }
        Media::Url { url, .. } if is_web(url) => Ok(Cow::Borrowed(url)),
        Media::Url { .. } => Err(unsupported(
            "a URL that is not on the web",
            "send https://, or the bytes",
        )),
        _ => Err(unsupported("a file", "send pictures as `image_url`, and text as text")),
    }
}

fn is_web(url: &str) -> bool {
    let starts_with = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts_with("https://") || starts_with("http://")
}

/// What the model said, or planned and called; `None` where it said nothing.
fn assistant<'r>(parts: &[&'r Part<'_>]) -> Result<Option<Message<'r>>, BadRequest> {
    let (mut thoughts, mut said, mut tool_calls) = (String::new(), String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Reasoning { text, .. } => thoughts.push_str(text),
            Part::ToolCall {
                id, name, arguments, ..
            } => tool_calls.push(call(id, name, arguments)),
            Part::Text { text, .. } | Part::Refusal { text } => said.push_str(text),
            Part::RedactedReasoning { .. } | Part::ToolResult { .. } => {}
            Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => {
                return Err(unsupported("media of the assistant's", "send its text instead"));
            }
        }
    }
    let words = |text: String| (!text.trim_ascii().is_empty()).then_some(text);
    if tool_calls.is_empty() {
        return Ok(words(said).map(|content| Message::Assistant {
            content: Some(content),
            tool_plan: None,
            tool_calls,
        }));
    }
    let plan: Vec<_> = [words(thoughts), words(said)].into_iter().flatten().collect();
    Ok(Some(Message::Assistant {
        content: None,
        tool_plan: words(plan.join("\n\n")),
        tool_calls,
    }))
}

fn call<'r>(id: &'r str, name: &'r str, arguments: &'r str) -> Call<'r> {
    let arguments = if arguments.trim_ascii().is_empty() {
        "{}"
    } else {
        arguments
    };
    Call {
        id,
        r#type: "function",
        function: CalledFunction { name, arguments },
    }
}

/// What a tool returned, as text. One that returned nothing says so in the form that the provider documents, a JSON
/// object; an error has no field here and is said in words.
fn result(parts: &[Part<'_>], is_error: bool) -> Result<String, BadRequest> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::File {
                media: Media::Text(words),
                ..
            } => text.push_str(words),
            part => text.push_str(text_of(part).ok_or_else(|| {
                unsupported(
                    "pictures, sound or files in the result of a tool",
                    "send them in a user message",
                )
            })?),
        }
    }
    Ok(match (text.trim_ascii().is_empty(), is_error) {
        (false, false) => text,
        (false, true) => format!("Error: {text}"),
        (true, false) => "{}".to_owned(),
        (true, true) => "Error".to_owned(),
    })
}

fn unsupported(what: &str, instead: &str) -> BadRequest {
    let message = format!("`messages` hold {what}, which this model's provider does not take; {instead}");
    BadRequest::new("unsupported_parameter", Some("messages"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_never_empty_and_an_error_is_said() {
        let words = [Part::text("no such city")];
        assert_eq!(result(&words, false).unwrap(), "no such city");
        assert_eq!(result(&words, true).unwrap(), "Error: no such city");
        assert_eq!(result(&[], false).unwrap(), "{}");
        assert_eq!(result(&[Part::text(" ")], true).unwrap(), "Error");
    }
}
