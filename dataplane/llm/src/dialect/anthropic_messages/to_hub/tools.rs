//! Tools, and whether one must be called.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::place::{missing, typed};
use crate::dialect::openai_chat::to_hub::Text;
use crate::dialect::openai_chat::to_hub::part::WireCache;
use crate::hub::{Request, Tool, ToolChoice};
use crate::json::{self, Kind};
use crate::request::BadRequest;

/// A tool as far as it is read; one with a type other than `custom` is the provider's own, in its own words.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct WireTool<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    input_schema: Option<&'a RawValue>,
    strict: Option<bool>,
    #[serde(borrow)]
    cache_control: Option<WireCache<'a>>,
    #[serde(borrow)]
    allowed_callers: Option<&'a RawValue>,
    #[serde(borrow)]
    defer_loading: Option<&'a RawValue>,
    #[serde(borrow)]
    input_examples: Option<&'a RawValue>,
}

/// Reads `tools`.
pub(super) fn tools<'a>(value: &'a str, request: &mut Request<'a>) -> Result<(), BadRequest> {
    let list: Vec<&RawValue> = typed("tools", value)?;
    for (index, json) in list.into_iter().enumerate() {
        let name = format!("tools[{index}]");
        let tool: WireTool<'a> = typed(&name, json.get())?;
        match tool.r#type {
            Some(Text(kind)) if kind != "custom" => request.tools.push(Tool::Native { kind, json }),
            _ => request.tools.push(function(tool, &name, &mut request.left_out)?),
        }
    }
    Ok(())
}

fn function<'a>(
    tool: WireTool<'a>,
    place: &str,
    left_out: &mut Vec<std::borrow::Cow<'a, str>>,
) -> Result<Tool<'a>, BadRequest> {
    let member = |name: &str| format!("{place}.{name}");
    let name = tool.name.ok_or_else(|| missing(&member("name")))?.0;
    let schema = tool.input_schema.ok_or_else(|| missing(&member("input_schema")))?;
    if json::kind(schema.get().as_bytes()) != Kind::Object {
        return Err(BadRequest::wrong_type(&member("input_schema"), "a JSON schema object"));
    }
    for (name, value) in [
        ("tools[].allowed_callers", tool.allowed_callers),
        (
            "tools[].defer_loading",
            tool.defer_loading.filter(|value| value.get() == "true"),
        ),
        ("tools[].input_examples", tool.input_examples),
    ] {
        if value.is_some() && !left_out.iter().any(|other| other == name) {
            left_out.push(name.into());
        }
    }
    Ok(Tool::Function {
        name,
        description: tool.description.map(|text| text.0),
        parameters: Some(schema),
        strict: tool.strict,
        cache: tool
            .cache_control
            .map(|cache| cache.read(|| place.to_owned()))
            .transpose()?,
    })
}

/// Reads `tool_choice`.
pub(super) fn tool_choice<'a>(value: &'a str, request: &mut Request<'a>) -> Result<(), BadRequest> {
    #[derive(Deserialize)]
    #[serde(expecting = "an object")]
    struct Choice<'a> {
        #[serde(borrow)]
        r#type: Text<'a>,
        #[serde(borrow)]
        name: Option<Text<'a>>,
        disable_parallel_tool_use: Option<bool>,
    }
    let choice: Choice<'a> = typed("tool_choice", value)?;
    request.tool_choice = Some(match choice.r#type.0.as_ref() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.name.ok_or_else(|| missing("tool_choice.name"))?.0),
        _ => {
            let message = "`tool_choice.type` must be auto, any, tool or none".to_owned();
            return Err(BadRequest::invalid("tool_choice.type", message));
        }
    });
    request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|is_disabled| !is_disabled);
    Ok(())
}
