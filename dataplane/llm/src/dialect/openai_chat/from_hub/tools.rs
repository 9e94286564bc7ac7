//! Functions that the model may call, and whether it must.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{CacheMark, Style};
use crate::hub::{Request, Tool, ToolChoice};
use crate::provider::leftovers::Leftovers;
use crate::request::BadRequest;

#[derive(Serialize)]
pub(super) struct WireTool<'r> {
    r#type: &'static str,
    function: WireFunction<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheMark>,
}

#[derive(Serialize)]
struct WireFunction<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireToolChoice<'r> {
    Word(&'static str),
    Function {
        r#type: &'static str,
        function: NamedFunction<'r>,
    },
}

#[derive(Serialize)]
pub(super) struct NamedFunction<'r> {
    name: &'r str,
}

/// Tools, and whether one must be called. A choice without tools is refused by servers, and says nothing.
pub(super) fn all<'r>(
    request: &'r Request<'_>,
    style: &Style,
    leftovers: &mut Leftovers<'_>,
) -> Result<(Vec<WireTool<'r>>, Option<WireToolChoice<'r>>), BadRequest> {
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let Tool::Function {
            name,
            description,
            parameters,
            strict,
            cache,
        } = tool
        else {
            let name = format!("tools[{index}].type");
            let message = format!("`{name}` is no tool of this model's provider; use a function");
            return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
        };
        let function = WireFunction {
            name,
            description: description.as_deref(),
            parameters: *parameters,
            strict: *strict,
        };
        tools.push(WireTool {
            r#type: "function",
            function,
            cache_control: CacheMark::of(*cache, style, leftovers),
        });
    }
    let choice = request.tool_choice.as_ref().filter(|_| !tools.is_empty());
    if style.lacks.contains(&"tool_choice") {
        return match choice {
            Some(ToolChoice::None) => Ok((Vec::new(), None)), // what it does not see it does not call
            Some(ToolChoice::Required | ToolChoice::Named(_)) => leftovers.value("tool_choice").map(|()| (tools, None)),
            Some(ToolChoice::Auto) | None => Ok((tools, None)),
        };
    }
    Ok((tools, choice.map(WireToolChoice::of)))
}

impl<'r> WireToolChoice<'r> {
    fn of(choice: &'r ToolChoice<'_>) -> Self {
        match choice {
            ToolChoice::Auto => Self::Word("auto"),
            ToolChoice::None => Self::Word("none"),
            ToolChoice::Required => Self::Word("required"),
            ToolChoice::Named(name) => Self::Function {
                r#type: "function",
                function: NamedFunction { name },
            },
        }
    }
}
