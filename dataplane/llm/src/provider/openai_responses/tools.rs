//! Tools and whether one must be called: functions, flat.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::leftovers::raw;
use crate::hub::{Request, Tool, ToolChoice};
use crate::request::BadRequest;

#[derive(Serialize)]
pub(super) struct WireTool<'r> {
    r#type: &'static str,
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    parameters: Cow<'r, RawValue>,
    /// Absent would mean yes here, and means no in chat.
    strict: bool,
}

/// `tool_choice`.
pub(super) enum WireToolChoice<'r> {
    Word(&'static str),
    Named(&'r str),
}

impl Serialize for WireToolChoice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Named<'n> {
            r#type: &'static str,
            name: &'n str,
        }
        match self {
            Self::Word(word) => serializer.serialize_str(word),
            Self::Named(name) => Named {
                r#type: "function",
                name,
            }
            .serialize(serializer),
        }
    }
}

/// The tools of a request.
pub(super) fn all<'r>(tools: &'r [Tool<'_>]) -> Result<Vec<WireTool<'r>>, BadRequest> {
    let tools = tools.iter().enumerate();
    tools
        .map(|(index, tool)| match tool {
            Tool::Function {
                name,
                description,
                parameters,
                strict,
                ..
            } => Ok(WireTool {
                r#type: "function",
                name,
                description: description.as_deref(),
                parameters: parameters
                    .map_or_else(|| raw(r#"{"type":"object","properties":{}}"#.to_owned()), Cow::Borrowed),
                strict: strict.unwrap_or(false),
            }),
            Tool::Native { .. } => {
                let name = format!("tools[{index}].type");
                let message = format!("`{name}` is no tool that this model can be given here; use a function");
                Err(BadRequest::new("unsupported_parameter", Some(&name), message))
            }
        })
        .collect()
}

/// Whether a tool must be called; without tools there is nothing to choose, and the provider refuses the choice.
pub(super) fn choice<'r>(request: &'r Request<'_>) -> Option<WireToolChoice<'r>> {
    let choice = request.tool_choice.as_ref().filter(|_| !request.tools.is_empty())?;
    Some(match choice {
        ToolChoice::Auto => WireToolChoice::Word("auto"),
        ToolChoice::None => WireToolChoice::Word("none"),
        ToolChoice::Required => WireToolChoice::Word("required"),
        ToolChoice::Named(name) => WireToolChoice::Named(name),
    })
}
