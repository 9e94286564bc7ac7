//! Parts of a request's contents: text, media, calls of functions and their results, thoughts.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::media::{self, Blob, FileData};
use super::signature;
use crate::hub::{self, MergedTurn, Part, Request, Role};
use crate::json::{self, Kind};
use crate::provider::capability::gemini::Gemini;
use crate::provider::issuer::Issuer;
use crate::provider::leftovers::raw;
use crate::request::BadRequest;

/// What one side said at once.
#[derive(Serialize)]
pub(super) struct Content<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<WirePart<'r>>,
}

/// A part as it goes out; exactly one of the first five is set.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WirePart<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Blob<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<FileData<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<FunctionResponse<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'r str>,
}

#[derive(Serialize)]
struct FunctionCall<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'r str,
    name: &'r str,
    args: &'r RawValue,
}

#[derive(Serialize)]
struct FunctionResponse<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'r str,
    name: &'r str,
    response: Cow<'r, RawValue>,
    /// Media among the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<WirePart<'r>>,
}

impl<'r> WirePart<'r> {
    pub(super) fn text(text: &'r str) -> Self {
        Self {
            text: Some(text),
            ..Self::default()
        }
    }

    pub(super) fn blob(blob: Blob<'r>) -> Self {
        Self {
            inline_data: Some(blob),
            ..Self::default()
        }
    }

    pub(super) fn file(file: FileData<'r>) -> Self {
        Self {
            file_data: Some(file),
            ..Self::default()
        }
    }
}

/// System and developer messages, all of them.
pub(super) fn instructions<'r>(request: &'r Request<'_>) -> Result<Option<Content<'r>>, BadRequest> {
    let mut parts = Vec::with_capacity(request.instructions.len());
    for part in &request.instructions {
        match part {
            Part::Text { text, .. } if text.is_empty() => {}
            Part::Text { text, .. } => parts.push(WirePart::text(text)),
            _ => {
                return Err(media::unsupported(
                    "media in a system message",
                    "send them in a user message",
                ));
            }
        }
    }
    Ok((!parts.is_empty()).then_some(Content { role: None, parts }))
}

/// The turns, neighbours of one role made one; a turn whose parts all vanish vanishes, and its neighbours become one.
pub(super) fn contents<'r>(
    request: &'r Request<'_>,
    model: &Gemini,
    issuer: Issuer,
) -> Result<Vec<Content<'r>>, BadRequest> {
    let mut contents: Vec<Content<'r>> = Vec::new();
    let mut calls = Calls::new();
    for turn in hub::merged(&request.turns) {
        let (role, parts) = match turn.role {
            Role::User => ("user", said(&turn, &calls, model, issuer)?),
            Role::Assistant => ("model", answered(&turn, &mut calls, model, issuer)?),
        };
        match contents.last_mut() {
            _ if parts.is_empty() => {}
            Some(last) if last.role == Some(role) => last.parts.extend(parts),
            _ => contents.push(Content {
                role: Some(role),
                parts,
            }),
        }
    }
    Ok(contents)
}

/// The functions called so far by the ids of their calls. Clients reuse ids, so the last one counts, and one that comes
/// after the result does not.
type Calls<'r> = HashMap<&'r str, &'r str>;

/// The id of a call as the model gets it; empty: it takes none. Vertex AI refused all until September 2026; now it makes
/// them itself, with the models that sign calls. (<https://github.com/anomalyco/opencode/pull/50504>)
fn wire_id<'r>(id: &'r str, model: &Gemini, issuer: Issuer) -> &'r str {
    if issuer == Issuer::Vertex && !model.signs_calls {
        ""
    } else {
        id
    }
}

/// The client's side; results of tools stand first.
fn said<'r>(
    turn: &MergedTurn<'r, '_>,
    calls: &Calls<'r>,
    model: &Gemini,
    issuer: Issuer,
) -> Result<Vec<WirePart<'r>>, BadRequest> {
    let mut parts = Vec::with_capacity(turn.parts.len());
    let mut beside_results = Vec::new();
    for part in &turn.parts {
        match part {
            Part::ToolResult {
                call_id,
                name,
                parts: returned,
                is_error,
                ..
            } => {
                let function = calls.get(call_id.as_ref()).copied().or(name.as_deref());
                let function = function.ok_or_else(|| unknown_call(call_id))?;
                let media = returned.iter().map(plain).filter_map(Result::transpose);
                let mut media: Vec<_> = media.collect::<Result<_, _>>()?;
                let text: Vec<&'r str> = media.iter().filter_map(|part: &WirePart<'r>| part.text).collect();
                let response = response(&text.concat(), *is_error);
                media.retain(|part| part.text.is_none());
                if !model.media_in_results {
                    beside_results.append(&mut media);
                }
                let function_response = FunctionResponse {
                    id: wire_id(call_id, model, issuer),
                    name: function,
                    response,
                    parts: media,
                };
                parts.push(WirePart {
                    function_response: Some(function_response),
                    ..WirePart::default()
                });
            }
            part => {
                parts.append(&mut beside_results); // all results have been seen
                parts.extend(plain(part)?);
            }
        }
    }
    parts.append(&mut beside_results);
    Ok(parts)
}

/// The model's side. The proof of a text stands on the last text, as it came. Of several calls at once only the first is
/// signed by the provider; where the client lost that, the model would refuse the turn.
fn answered<'r>(
    turn: &MergedTurn<'r, '_>,
    calls: &mut Calls<'r>,
    model: &Gemini,
    issuer: Issuer,
) -> Result<Vec<WirePart<'r>>, BadRequest> {
    let mut parts: Vec<WirePart<'r>> = Vec::with_capacity(turn.parts.len());
    let mut text_signature = None;
    for part in &turn.parts {
        match part {
            Part::Reasoning { text, signature } => {
                if let Some(signature) = signature.as_deref().and_then(|text| issuer.unmarked(text)) {
                    parts.push(WirePart {
                        text: Some(text),
                        thought: true,
                        thought_signature: Some(signature),
                        ..WirePart::default()
                    });
                }
            }
            Part::RedactedReasoning { data } => text_signature = issuer.unmarked(data).or(text_signature),
            Part::ToolCall {
                id,
                name,
                arguments,
                signature,
                ..
            } => {
                calls.insert(id, name);
                parts.push(WirePart {
                    function_call: Some(FunctionCall {
                        id: wire_id(id, model, issuer),
                        name,
                        args: args(arguments),
                    }),
                    thought_signature: signature
                        .as_deref()
                        .and_then(|text| signature::own_of_call(text, issuer)),
                    ..WirePart::default()
                });
            }
            part => parts.extend(plain(part)?),
        }
    }
    if text_signature.is_some() {
        match parts.iter_mut().rfind(|part| part.text.is_some() && !part.thought) {
            Some(last) => last.thought_signature = text_signature,
            None => parts.insert(
                0,
                WirePart {
                    thought_signature: text_signature,
                    ..WirePart::text("")
                },
            ),
        }
    }
    let first_call = parts.iter_mut().find(|part| part.function_call.is_some());
    if let Some(call) = first_call.filter(|_| model.signs_calls) {
        call.thought_signature.get_or_insert(signature::SKIP);
    }
    Ok(parts)
}

/// Text and media; `None` for text that says nothing, which the provider refuses.
fn plain<'r>(part: &'r Part<'_>) -> Result<Option<WirePart<'r>>, BadRequest> {
    Ok(Some(match part {
        Part::Text { text, .. } | Part::Refusal { text } if text.is_empty() => return Ok(None),
        Part::Text { text, .. } | Part::Refusal { text } => WirePart::text(text),
        Part::Image { media, .. } | Part::File { media, .. } => media::part(media)?,
        Part::Audio { data, format } => media::audio(data, format)?,
        // The dialects put these into turns where they are read elsewhere.
        Part::Reasoning { .. } | Part::RedactedReasoning { .. } | Part::ToolCall { .. } | Part::ToolResult { .. } => {
            return Ok(None);
        }
    }))
}

fn unknown_call(call_id: &str) -> BadRequest {
    let message = format!(
        "`messages` hold the result of the tool call `{}`, which no message before it makes; send that message too, or \
         the function's `name` with the result",
        call_id.escape_debug()
    );
    BadRequest::new("invalid_value", Some("messages"), message)
}

/// Arguments as JSON; the client's dialect has checked that they are an object.
fn args(arguments: &str) -> &RawValue {
    let arguments = if arguments.trim_ascii().is_empty() {
        "{}"
    } else {
        arguments
    };
    serde_json::from_str(arguments).expect("arguments of tool calls are JSON objects")
}

/// What a tool returned, which must be an object: its own if it is one, else under the key that the provider names.
fn response(text: &str, is_error: bool) -> Cow<'static, RawValue> {
    let is_object = json::walk(text.as_bytes(), |_| std::ops::ControlFlow::Continue(())) == Ok(Kind::Object);
    if is_object && !is_error {
        return raw(text.trim_ascii().to_owned());
    }
    let text = serde_json::to_string(text).expect("a string can always be written as JSON");
    let key = if is_error { "error" } else { "output" };
    raw(format!("{{\"{key}\":{text}}}"))
}
