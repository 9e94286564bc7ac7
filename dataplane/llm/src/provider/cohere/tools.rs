//! Functions, and whether one must be called.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::fields::STRICT_TOOLS;
use crate::hub::{Request, Tool, ToolChoice};
use crate::provider::leftovers::{Leftovers, raw};
use crate::request::BadRequest;

#[derive(Serialize)]
pub(super) struct WireTool<'r> {
    r#type: &'static str,
    function: WireFunction<'r>,
}

#[derive(Serialize)]
struct WireFunction<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    parameters: Cow<'r, RawValue>,
}

/// The functions of a request, whole. A function that must be called goes alone, since the provider can only be told to
/// call any.
pub(super) fn all<'r>(request: &'r Request<'_>) -> Result<Vec<WireTool<'r>>, BadRequest> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let Tool::Function {
            name,
            description,
            parameters,
            ..
        } = tool
        else {
            let name = format!("tools[{index}].type");
            let message = format!("`{name}` is no tool of this model's provider; use a function");
            return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
        };
        if !is_sent(name, request) {
            continue;
        }
        let nothing = || raw(r#"{"type":"object","properties":{}}"#.to_owned());
        tools.push(WireTool {
            r#type: "function",
            function: WireFunction {
                name,
                description: description.as_deref(),
                parameters: parameters.map_or_else(nothing, Cow::Borrowed),
            },
        });
    }
    match &request.tool_choice {
        Some(ToolChoice::Named(_)) if tools.is_empty() => {
            let message = "`tool_choice` names a function that `tools` do not hold; add it there".to_owned();
            Err(BadRequest::invalid("tool_choice", message))
        }
        _ => Ok(tools),
    }
}

fn is_sent(function: &str, request: &Request<'_>) -> bool {
    match &request.tool_choice {
        Some(ToolChoice::Named(name)) => name == function,
        _ => true,
    }
}

/// Whether arguments must follow the schemas exactly: for all functions or for none. Where only some ask for it the
/// others could not be called any more, as the provider demands more of a strict schema.
pub(super) fn are_strict(request: &Request<'_>, leftovers: &mut Leftovers<'_>) -> Result<bool, BadRequest> {
    let says_itself = request.other.iter().any(|(name, _)| name == STRICT_TOOLS);
    let asked: Vec<bool> = request
        .tools
        .iter()
        .filter_map(|tool| match tool {
            Tool::Function { name, strict, .. } if is_sent(name, request) => Some(*strict == Some(true)),
            _ => None,
        })
        .collect();
    if says_itself || !asked.contains(&true) {
        return Ok(false);
    }
    if asked.contains(&false) {
        leftovers.value("tools[].function.strict")?;
        return Ok(false);
    }
    Ok(true)
}

/// `tool_choice`; `auto` has no word. Without tools there is nothing to choose from.
pub(super) fn choice(request: &Request<'_>) -> Option<&'static str> {
    match request.tool_choice.as_ref()? {
        _ if request.tools.is_empty() => None,
        ToolChoice::Auto => None,
        ToolChoice::None => Some("NONE"),
        ToolChoice::Required | ToolChoice::Named(_) => Some("REQUIRED"),
    }
}
