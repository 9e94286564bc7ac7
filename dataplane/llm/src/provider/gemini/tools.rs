//! Functions, the provider's own tools, and whether one must be called.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::hub::{Request, Tool, ToolChoice};
use crate::json::{self, Repeats};
use crate::provider::leftovers::{Leftovers, raw};
use crate::request::BadRequest;

/// An entry of `tools`.
pub(super) enum WireTool<'r> {
    Functions(Vec<Declaration<'r>>),
    /// One of the provider's own: its name and its settings.
    Native(&'static str, Cow<'r, RawValue>),
}

impl Serialize for WireTool<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Functions(declarations) => map.serialize_entry("functionDeclarations", declarations)?,
            Self::Native(name, settings) => map.serialize_entry(name, settings)?,
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Declaration<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    /// The schema whole; `parameters` would take a dialect of it that knows neither `$ref` nor `additionalProperties`.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'r RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'r> {
    function_calling_config: FunctionCallingConfig<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCallingConfig<'r> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'r str; 1]>,
}

/// The tools of a request; all functions stand in one entry.
pub(super) fn all<'r>(tools: &'r [Tool<'_>], leftovers: &mut Leftovers<'_>) -> Result<Vec<WireTool<'r>>, BadRequest> {
    let mut declarations = Vec::with_capacity(tools.len());
    let mut natives = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        match tool {
            Tool::Function {
                name,
                description,
                parameters,
                strict,
                cache,
            } => {
                if *strict == Some(true) {
                    leftovers.value("tools[].function.strict")?;
                }
                if cache.is_some() {
                    leftovers.drop("cache_control");
                }
                declarations.push(Declaration {
                    name,
                    description: description.as_deref(),
                    parameters_json_schema: *parameters,
                });
            }
            Tool::Native { kind, json } => natives.push(native(index, kind, json)?),
        }
    }
    if !declarations.is_empty() {
        natives.insert(0, WireTool::Functions(declarations));
    }
    Ok(natives)
}

/// `{"type": "google_search", "google_search": {…}}`, as clients of other gateways write it. File search is not among
/// them: its stores belong to the account, which many keys share.
fn native<'r>(index: usize, kind: &str, json: &'r RawValue) -> Result<WireTool<'r>, BadRequest> {
    let name = match kind {
        "google_search" | "googleSearch" => "googleSearch",
        "google_search_retrieval" | "googleSearchRetrieval" => "googleSearchRetrieval",
        "google_maps" | "googleMaps" => "googleMaps",
        "url_context" | "urlContext" => "urlContext",
        "code_execution" | "codeExecution" => "codeExecution",
        "computer_use" | "computerUse" => "computerUse",
        _ => {
            let name = format!("tools[{index}].type");
            let message = format!(
                "`{name}` is no tool of this model's provider; use a function, or one of google_search, google_maps, \
                 url_context, code_execution and computer_use"
            );
            return Err(BadRequest::new("unsupported_parameter", Some(&name), message));
        }
    };
    let mut found = [None];
    let found_it = json::find_fields(json.get().as_bytes(), &[kind], Repeats::TakeLast, &mut found);
    let [member] = found;
    let settings = match member.filter(|_| found_it.is_ok()) {
        Some(member) => {
            let text = &json.get()[member.value];
            Cow::Borrowed(serde_json::from_str(text).expect("a member of a valid document is valid"))
        }
        None => raw("{}".to_owned()),
    };
    Ok(WireTool::Native(name, settings))
}

/// Whether a function must be called.
pub(super) fn config<'r>(
    request: &'r Request<'_>,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<ToolConfig<'r>>, BadRequest> {
    let has_functions = request.tools.iter().any(|tool| matches!(tool, Tool::Function { .. }));
    if !has_functions {
        return Ok(None);
    }
    if request.parallel_tool_calls == Some(false) {
        leftovers.parameter("parallel_tool_calls", raw("false".to_owned()))?;
    }
    let (mode, name) = match &request.tool_choice {
        None => return Ok(None),
        Some(ToolChoice::Auto) => ("AUTO", None),
        Some(ToolChoice::None) => ("NONE", None),
        Some(ToolChoice::Required) => ("ANY", None),
        Some(ToolChoice::Named(name)) => ("ANY", Some(name.as_ref())),
    };
    Ok(Some(ToolConfig {
        function_calling_config: FunctionCallingConfig {
            mode,
            allowed_function_names: name.map(|name| [name]),
        },
    }))
}
