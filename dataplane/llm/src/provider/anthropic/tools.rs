//! Tools and whether one must be called, as the Messages API takes them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::capability::Claude;
use super::super::leftovers::{Leftovers, raw};
use super::block::Cache;
use crate::hub::{Request, Tool, ToolChoice};
use crate::json::{self, Repeats};
use crate::request::BadRequest;

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireTool<'r> {
    Function {
        name: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'r str>,
        input_schema: Cow<'r, RawValue>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        strict: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Cache>,
    },
    Native(&'r RawValue),
}

#[derive(Serialize)]
pub(super) struct WireToolChoice<'r> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

impl WireToolChoice<'_> {
    /// A tool must be called.
    pub(super) fn is_forced(&self) -> bool {
        matches!(self.r#type, "any" | "tool")
    }
}

/// The tools of a request.
pub(super) fn all<'r>(
    tools: &'r [Tool<'_>],
    model: &Claude,
    leftovers: &mut Leftovers<'_>,
) -> Result<Vec<WireTool<'r>>, BadRequest> {
    let mut written = Vec::with_capacity(tools.len());
    for (index, tool) in tools.iter().enumerate() {
        written.push(match tool {
            Tool::Function {
                name,
                description,
                parameters,
                strict,
                cache,
            } => {
                let strict = *strict == Some(true);
                if strict && !model.structured_output {
                    leftovers.value("tools[].function.strict")?;
                }
                WireTool::Function {
                    name,
                    description: description.as_deref(),
                    input_schema: input_schema(*parameters),
                    strict: strict && model.structured_output,
                    cache_control: cache.map(Cache::from),
                }
            }
            Tool::Native { kind, json } if is_native(kind, json) => WireTool::Native(json),
            Tool::Native { .. } => {
                let name = format!("tools[{index}].type");
                let message =
                    format!("`{name}` is no tool of this model's provider; use a function, or one of its own");
                return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
            }
        });
    }
    Ok(written)
}

/// The provider's own tools carry the date of their version; `custom` is also a tool of `OpenAI`'s, in another shape.
fn is_native(kind: &str, json: &RawValue) -> bool {
    let has_date = kind
        .rsplit_once('_')
        .is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()));
    has_date || kind == "mcp_toolset" || (kind == "custom" && member(json, "input_schema").is_some())
}

/// The schema whole, with the type that the provider demands at its top.
pub(in super::super) fn input_schema(parameters: Option<&RawValue>) -> Cow<'_, RawValue> {
    let Some(schema) = parameters else {
        return raw(r#"{"type":"object","properties":{}}"#.to_owned());
    };
    if member(schema, "type").is_some() {
        return Cow::Borrowed(schema);
    }
    let rest = schema.get()[1..].trim_ascii_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    raw(format!("{{\"type\":\"object\"{comma}{rest}"))
}

fn member<'j>(json: &'j RawValue, name: &str) -> Option<&'j str> {
    let mut found = [None];
    json::find_fields(json.get().as_bytes(), &[name], Repeats::TakeLast, &mut found).ok()?;
    let [member] = found;
    Some(&json.get()[member?.value])
}

/// Whether a tool must be called; a model that refuses to be forced decides for itself.
pub(super) fn choice<'r>(
    request: &'r Request<'_>,
    model: &Claude,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<WireToolChoice<'r>>, BadRequest> {
    if request.tools.is_empty() {
        return Ok(None);
    }
    let is_serial = request.parallel_tool_calls == Some(false);
    let (r#type, name) = match &request.tool_choice {
        None if is_serial => ("auto", None),
        None => return Ok(None),
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required | ToolChoice::Named(_)) if !model.forced_tools => {
            leftovers.value("tool_choice")?;
            ("auto", None)
        }
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_ref())),
    };
    Ok(Some(WireToolChoice {
        r#type,
        name,
        disable_parallel_tool_use: is_serial && r#type != "none",
    }))
}
