//! Tools and whether one must be called.
//!
//! Converse knows no way to forbid calls but to name no tools, and refuses a history of calls without tools; Claude's own
//! `tool_choice` closes that gap for Claude, and says that calls must come one by one.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::block::{CachePoint, is_of_tools};
use super::encode::Model;
use super::model_fields::ModelFields;
use crate::hub::{Part, Request, Tool, ToolChoice};
use crate::provider::anthropic::tools::input_schema;
use crate::provider::capability::bedrock::{Cache, Reasoning, ToolChoice as Way};
use crate::provider::leftovers::{Leftovers, raw};
use crate::request::BadRequest;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'r> {
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum WireTool<'r> {
    ToolSpec(ToolSpec<'r>),
    CachePoint(CachePoint),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolSpec<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    input_schema: InputSchema<'r>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
struct InputSchema<'r> {
    json: Cow<'r, RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum WireChoice<'r> {
    Any {},
    Tool { name: &'r str },
}

/// Whether calls are wanted. What the model decides by itself is not said: models that know no choice refuse the word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice<'r> {
    Auto,
    Forbidden,
    Any,
    Tool(&'r str),
}

/// `toolConfig`, and whether a tool must be called. Tools that are forbidden are not named, unless the history holds calls.
pub(super) fn config<'r>(
    request: &'r Request<'_>,
    model: Model,
    model_fields: &mut ModelFields<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(Option<ToolConfig<'r>>, bool), BadRequest> {
    let has_history = request.turns.iter().flat_map(|turn| &turn.parts).any(is_of_tools);
    let tools = all(request, model, leftovers)?;
    let is_forbidden = tools.is_empty() || request.tool_choice == Some(ToolChoice::None);
    if is_forbidden && !has_history {
        return Ok((None, false));
    }
    let is_offered = !tools.is_empty();
    let tools = if is_offered { tools } else { of_history(request) };
    let choice = if is_forbidden {
        Choice::Forbidden
    } else {
        choice(request, model, leftovers)?
    };
    let is_forced = matches!(choice, Choice::Any | Choice::Tool(_));
    let is_serial = is_offered && !is_forbidden && request.parallel_tool_calls == Some(false);
    let is_claude = model.family.reasoning == Reasoning::Claude;
    let tool_choice = match choice {
        _ if is_claude && (is_serial || is_forbidden) => {
            model_fields.set("tool_choice", claude_choice(choice, is_serial)); // excludes Converse's own
            None
        }
        Choice::Auto => None,
        // The model may call all the same, which nobody can forbid; where nothing was offered, nothing was asked for.
        Choice::Forbidden if !is_offered => None,
        Choice::Forbidden => {
            leftovers.value("tool_choice")?;
            None
        }
        Choice::Any => Some(WireChoice::Any {}),
        Choice::Tool(name) => Some(WireChoice::Tool { name }),
    };
    if is_serial && !is_claude {
        leftovers.parameter("parallel_tool_calls", raw("false".to_owned()))?;
    }
    Ok((Some(ToolConfig { tools, tool_choice }), is_forced))
}

fn all<'r>(
    request: &'r Request<'_>,
    model: Model,
    leftovers: &mut Leftovers<'_>,
) -> Result<Vec<WireTool<'r>>, BadRequest> {
    let mut written = Vec::with_capacity(request.tools.len());
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
        let strict = *strict == Some(true);
        if strict && !model.has_structured_output() {
            leftovers.value("tools[].function.strict")?;
        }
        written.push(WireTool::ToolSpec(ToolSpec {
            name,
            description: description.as_deref().filter(|text| !text.trim().is_empty()),
            input_schema: InputSchema {
                json: input_schema(*parameters),
            },
            strict: strict && model.has_structured_output(),
        }));
        match cache {
            Some(cache) if model.family.cache == Cache::Full => {
                written.push(WireTool::CachePoint(CachePoint::of(*cache)));
            }
            Some(_) => leftovers.drop("cache_control"),
            None => {}
        }
    }
    Ok(written)
}

/// The functions that were called, of which nothing is known but their names.
fn of_history<'r>(request: &'r Request<'_>) -> Vec<WireTool<'r>> {
    let called = request
        .turns
        .iter()
        .flat_map(|turn| &turn.parts)
        .filter_map(|part| match part {
            Part::ToolCall { name, .. } => Some(name.as_ref()),
            Part::ToolResult { name, .. } => name.as_deref(),
            _ => None,
        });
    let mut names: BTreeSet<&str> = called.collect();
    if names.is_empty() {
        names.insert("unknown"); // results of calls that the client left out
    }
    let spec = |name| {
        WireTool::ToolSpec(ToolSpec {
            name,
            description: None,
            input_schema: InputSchema {
                json: input_schema(None),
            },
            strict: false,
        })
    };
    names.into_iter().map(spec).collect()
}

/// The choice as far as the model knows it. With one tool, any is this one.
fn choice<'r>(request: &'r Request<'_>, model: Model, leftovers: &mut Leftovers<'_>) -> Result<Choice<'r>, BadRequest> {
    let only = match &request.tools[..] {
        [Tool::Function { name, .. }] => Some(name.as_ref()),
        _ => None,
    };
    let knows = |way| model.claude.forced_tools && model.family.tool_choices.contains(&way);
    let wanted = match &request.tool_choice {
        None | Some(ToolChoice::Auto | ToolChoice::None) => return Ok(Choice::Auto),
        Some(ToolChoice::Required) if knows(Way::Any) => return Ok(Choice::Any),
        Some(ToolChoice::Named(name)) if knows(Way::Tool) => return Ok(Choice::Tool(name)),
        Some(ToolChoice::Required) => only,
        Some(ToolChoice::Named(name)) => only.filter(|only| only == name),
    };
    match wanted {
        Some(_) if knows(Way::Any) => Ok(Choice::Any),
        Some(name) if knows(Way::Tool) => Ok(Choice::Tool(name)),
        _ => {
            leftovers.value("tool_choice")?;
            Ok(Choice::Auto)
        }
    }
}

/// Claude's own `tool_choice`.
fn claude_choice(choice: Choice<'_>, is_serial: bool) -> Cow<'static, RawValue> {
    let mut value = match choice {
        Choice::Auto => json!({"type": "auto"}),
        Choice::Forbidden => json!({"type": "none"}),
        Choice::Any => json!({"type": "any"}),
        Choice::Tool(name) => json!({"type": "tool", "name": name}),
    };
    if is_serial {
        value["disable_parallel_tool_use"] = true.into();
    }
    raw(value.to_string())
}
