//! Tools and whether one must be called. Functions are flat here; all else runs at `OpenAI`, or has no schema.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::openai_chat::to_hub::{Text, typed};
use crate::hub::{Tool, ToolChoice};
use crate::json::{self, Kind};
use crate::request::BadRequest;

/// A function as it is written.
#[derive(Deserialize)]
pub(in super::super) struct WireTool<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    pub(in super::super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) description: Option<Text<'a>>,
    #[serde(borrow)]
    pub(in super::super) parameters: Option<&'a RawValue>,
    pub(in super::super) strict: Option<bool>,
    /// Results may come later than the next turn.
    #[serde(rename = "async")]
    is_async: Option<bool>,
}

/// The list of tools.
pub(in super::super) fn wire_tools(value: &str) -> Result<Vec<WireTool<'_>>, BadRequest> {
    let list: Vec<&RawValue> = typed("tools", value, "an array")?;
    let wanted = "an object with `type` and, for a function, `name`";
    let tools = list.into_iter().enumerate();
    tools
        .map(|(index, json)| typed(&format!("tools[{index}]"), json.get(), wanted))
        .collect()
}

/// The tools of a request.
pub(super) fn read(value: &str) -> Result<Vec<Tool<'_>>, BadRequest> {
    let tools = wire_tools(value)?.into_iter().enumerate();
    tools.map(|(index, tool)| function(index, tool)).collect()
}

fn function(index: usize, tool: WireTool<'_>) -> Result<Tool<'_>, BadRequest> {
    let place = |member: &str| format!("tools[{index}].{member}");
    if tool.r#type.0 != "function" {
        let name = place("type");
        let message = format!(
            "`{name}` must be function: the other tools run at OpenAI, or take no schema, and this model's provider has \
             nothing of the kind"
        );
        return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
    }
    if tool.is_async == Some(true) {
        let name = place("async");
        let message = format!("`{name}` is not possible with this model's provider; leave it out");
        return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
    }
    let parameters = tool.parameters.filter(|schema| kind(schema) != Kind::Null);
    if parameters.is_some_and(|schema| kind(schema) != Kind::Object) {
        return Err(BadRequest::wrong_type(&place("parameters"), "a JSON schema object"));
    }
    let name = tool.name.ok_or_else(|| {
        let name = place("name");
        BadRequest::new("missing_field", Some(&name), format!("`{name}` is required; add it"))
    })?;
    Ok(Tool::Function {
        name: name.0,
        description: tool.description.map(|text| text.0),
        parameters,
        strict: tool.strict,
        cache: None,
    })
}

fn kind(json: &RawValue) -> Kind {
    json::kind(json.get().as_bytes())
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    mode: Option<Text<'a>>,
    #[serde(borrow)]
    tools: Option<Vec<Allowed<'a>>>,
}

#[derive(Deserialize)]
struct Allowed<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// `tool_choice`. Of `allowed_tools` the others are taken out of `tools`: a model cannot call what it does not see.
pub(super) fn choose<'a>(value: &'a str, tools: &mut Vec<Tool<'a>>) -> Result<Option<ToolChoice<'a>>, BadRequest> {
    let wanted = "auto, none, required, or an object that names a function";
    let malformed = || BadRequest::wrong_type("tool_choice", wanted);
    if json::kind(value.as_bytes()) == Kind::String {
        let Text(word) = typed("tool_choice", value, wanted)?;
        return word_choice(&word).map(Some).ok_or_else(malformed);
    }
    let choice: Choice<'a> = typed("tool_choice", value, wanted)?;
    match (choice.r#type.0.as_ref(), choice.name, choice.tools) {
        ("function", Some(name), _) => Ok(Some(ToolChoice::Named(name.0))),
        ("allowed_tools", _, Some(allowed)) => {
            keep_only(&allowed, tools)?;
            let mode = choice.mode.as_ref().map_or("auto", |mode| mode.0.as_ref());
            match word_choice(mode) {
                Some(choice @ (ToolChoice::Auto | ToolChoice::Required)) => Ok(Some(choice)),
                _ => Err(BadRequest::wrong_type("tool_choice.mode", "auto or required")),
            }
        }
        ("function" | "allowed_tools", ..) => Err(malformed()),
        _ => {
            let name = "tool_choice.type";
            let message = format!("`{name}` must be function or allowed_tools with this model's provider");
            Err(BadRequest::new("unsupported_parameter", Some(name), message))
        }
    }
}

fn word_choice(word: &str) -> Option<ToolChoice<'static>> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}

fn keep_only(allowed: &[Allowed<'_>], tools: &mut Vec<Tool<'_>>) -> Result<(), BadRequest> {
    let mut names: Vec<&Cow<'_, str>> = Vec::with_capacity(allowed.len());
    for (index, tool) in allowed.iter().enumerate() {
        match &tool.name {
            Some(name) if tool.r#type.0 == "function" => names.push(&name.0),
            _ => {
                let name = format!("tool_choice.tools[{index}]");
                let message = format!("`{name}` must name a function; this model's provider has no other tools");
                return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
            }
        }
    }
    tools.retain(|tool| matches!(tool, Tool::Function { name, .. } if names.contains(&name)));
    Ok(())
}
