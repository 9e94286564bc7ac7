//! A request of the hub as `/api/chat` takes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::super::EncodeOptions;
use super::super::leftovers::{Leftovers, Passed};
use crate::hub::{self, Effort, Media, OutputFormat, Part, Reasoning, Request, Role, Tool, ToolChoice};
use crate::request::BadRequest;

/// Options of the model that are no fields of the client's dialect, and are taken from it by their names here.
const OPTIONS: [&str; 11] = [
    "min_p",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_ctx",
    "num_keep",
    "repeat_last_n",
    "repeat_penalty",
    "tfs_z",
    "typical_p",
    "num_gpu",
];
/// Fields that this file writes from others: a client's own would stand beside them.
const WRITTEN: [&str; 2] = ["options", "format"];

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Message<'r>>,
    /// Always: absent means true.
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<&'r str, Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(Serialize)]
struct Message<'r> {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'r str>,
}

#[derive(Serialize)]
struct Call<'r> {
    function: CalledFunction<'r>,
}

#[derive(Serialize)]
struct CalledFunction<'r> {
    name: &'r str,
    arguments: &'r RawValue,
}

#[derive(Serialize)]
struct WireTool<'r> {
    r#type: &'static str,
    function: WireFunction<'r>,
}

#[derive(Serialize)]
struct WireFunction<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'r RawValue>,
}

/// The body, and the names of what was left out.
pub(super) fn body(request: &Request<'_>, options: &EncodeOptions<'_>) -> Result<(Bytes, Vec<String>), BadRequest> {
    if request.choices > 1 {
        let message = "`n` above 1 is not possible with this model's provider; ask several times instead".to_owned();
        return Err(BadRequest::new("unsupported_parameter", Some("n"), message));
    }
    let mut leftovers = Leftovers::new(options.unsupported);
    if request.has_cache_marks() {
        leftovers.drop("cache_control"); // the server caches by itself
    }
    let mut model_options = model_options(request);
    let think = request.reasoning.map(|reasoning| think(reasoning, &mut leftovers));
    let mut think = think.transpose()?;
    let tools = tools(request, &mut leftovers)?;
    other_fields(request, &mut model_options, &mut think, &mut leftovers)?;
    let body = Body {
        model: options.upstream_model,
        messages: messages(request)?,
        stream: request.stream,
        tools,
        format: match &request.output_format {
            OutputFormat::Text => None,
            OutputFormat::JsonObject => Some(raw(&"json")),
            OutputFormat::JsonSchema { schema, .. } => Some(Cow::Borrowed(*schema)),
        },
        think,
        options: model_options,
        logprobs: request.tuning.logprobs,
        top_logprobs: request.tuning.top_logprobs,
        passed: Passed(std::mem::take(&mut leftovers.passed)),
    };
    let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
    Ok((json.into(), leftovers.dropped))
}

fn raw(value: &impl Serialize) -> Cow<'static, RawValue> {
    Cow::Owned(to_raw_value(value).expect("texts and numbers can always be written as JSON"))
}

/// What the client leaves out stays out: the model's own file says what is best for it.
fn model_options<'r>(request: &'r Request<'_>) -> BTreeMap<&'r str, Cow<'r, RawValue>> {
    let tuning = &request.tuning;
    let numbers = [
        ("temperature", tuning.temperature),
        ("top_p", tuning.top_p),
        ("top_k", tuning.top_k),
        ("seed", tuning.seed),
        ("frequency_penalty", tuning.frequency_penalty),
        ("presence_penalty", tuning.presence_penalty),
    ];
    let numbers = numbers
        .into_iter()
        .filter_map(|(name, value)| Some((name, Cow::Borrowed(value?))));
    let mut options: BTreeMap<_, _> = numbers.collect();
    if let Some(tokens) = request.max_output_tokens {
        options.insert("num_predict", raw(&tokens));
    }
    if !request.stop.is_empty() {
        options.insert("stop", raw(&request.stop));
    }
    options
}

/// The server knows three efforts, and models that know none take any as yes. A lower one than was asked is reported.
fn think(reasoning: Reasoning, leftovers: &mut Leftovers<'_>) -> Result<Cow<'static, RawValue>, BadRequest> {
    if matches!(reasoning, Reasoning::Effort(Effort::XHigh | Effort::Max)) {
        leftovers.value("reasoning_effort")?;
    }
    Ok(match reasoning {
        Reasoning::Off => raw(&false),
        Reasoning::Budget { .. } | Reasoning::Adaptive => raw(&true),
        Reasoning::Effort(Effort::Minimal | Effort::Low) => raw(&"low"),
        Reasoning::Effort(Effort::Medium) => raw(&"medium"),
        Reasoning::Effort(Effort::High | Effort::XHigh | Effort::Max) => raw(&"high"),
    })
}

fn tools<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'_>) -> Result<Vec<WireTool<'r>>, BadRequest> {
    match &request.tool_choice {
        Some(ToolChoice::None) => return Ok(Vec::new()),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => leftovers.value("tool_choice")?,
        Some(ToolChoice::Auto) | None => {}
    }
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
        let description = description.as_deref();
        tools.push(WireTool {
            r#type: "function",
            function: WireFunction {
                name,
                description,
                parameters: *parameters,
            },
        });
    }
    Ok(tools)
}

fn messages<'r>(request: &'r Request<'_>) -> Result<Vec<Message<'r>>, BadRequest> {
    let mut messages = Vec::with_capacity(request.turns.len() + 1);
    if !request.instructions.is_empty() {
        messages.push(message("system", &request.instructions, "\n\n")?);
    }
    for turn in &request.turns {
        let is_result = |part: &&Part<'_>| matches!(part, Part::ToolResult { .. });
        for part in turn.parts.iter().filter(is_result) {
            let Part::ToolResult {
                call_id,
                name,
                parts,
                is_error,
                ..
            } = part
            else {
                continue;
            };
            let called = || hub::called_function(&request.turns, call_id);
            let mut result = message("tool", parts, "")?;
            result.tool_name = name.as_deref().or_else(called);
            if *is_error {
                result.content.insert_str(0, "Error: "); // the server has no field for it
            }
            messages.push(result);
        }
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        if turn.parts.iter().any(|part| !is_result(&part)) {
            messages.push(message(role, turn.parts.iter().filter(|part| !is_result(part)), "")?);
        }
    }
    Ok(messages)
}

/// One message of all parts: text joined, pictures beside it.
fn message<'r, 'a: 'r>(
    role: &'static str,
    parts: impl IntoIterator<Item = &'r Part<'a>>,
    between: &str,
) -> Result<Message<'r>, BadRequest> {
    let mut message = Message {
        role,
        content: String::new(),
        thinking: String::new(),
        images: Vec::new(),
        tool_calls: Vec::new(),
        tool_name: None,
    };
    let mut after_document = false;
    for part in parts {
        let is_document = matches!(part, Part::File { .. });
        match part {
            Part::Text { text, .. }
            | Part::Refusal { text }
            | Part::File {
                media: Media::Text(text),
                ..
            } => {
                if !message.content.is_empty() {
                    let is_apart = is_document || after_document;
                    message.content.push_str(if is_apart { "\n\n" } else { between });
                }
                message.content.push_str(text);
                after_document = is_document;
            }
            Part::Reasoning { text, .. } => message.thinking.push_str(text),
            Part::RedactedReasoning { .. } | Part::ToolResult { .. } => {}
            Part::Image { media, .. } | Part::File { media, .. } => message.images.push(picture(media)?),
            Part::Audio { .. } => return Err(unsupported("sound", "send its text instead")),
            Part::ToolCall { name, arguments, .. } => {
                let arguments = if arguments.trim_ascii().is_empty() {
                    "{}"
                } else {
                    arguments
                };
                let arguments = serde_json::from_str(arguments).expect("arguments of tool calls are JSON objects");
                let function = CalledFunction { name, arguments };
                message.tool_calls.push(Call { function });
            }
        }
    }
    Ok(message)
}

/// The server fetches nothing, and neither does the gateway.
fn picture<'r>(media: &'r Media<'_>) -> Result<&'r str, BadRequest> {
    match media {
        Media::Inline { mime_type, base64 } if matches!(&**mime_type, "image/png" | "image/jpeg" | "image/webp") => {
            Ok(base64)
        }
        Media::Url { .. } => Err(unsupported("the URL of a picture", "send it as a data URL")),
        _ => Err(unsupported(
            "a file",
            "send pictures as image/png, image/jpeg or image/webp, and text as text",
        )),
    }
}

fn unsupported(what: &str, instead: &str) -> BadRequest {
    let message = format!("`messages` hold {what}, which this model's provider does not take; {instead}");
    BadRequest::new("unsupported_parameter", Some("messages"), message)
}

/// What the hub has no place for, or the server none.
fn other_fields<'r>(
    request: &'r Request<'_>,
    options: &mut BTreeMap<&'r str, Cow<'r, RawValue>>,
    think: &mut Option<Cow<'r, RawValue>>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(), BadRequest> {
    if let Some(user) = &request.user {
        leftovers.parameter("user", raw(user))?;
    }
    if let Some(bias) = request.tuning.logit_bias {
        leftovers.parameter("logit_bias", Cow::Borrowed(bias))?;
    }
    if request.parallel_tool_calls == Some(false) {
        leftovers.parameter("parallel_tool_calls", raw(&false))?;
    }
    for (name, value) in &request.other {
        let is_text = || serde_json::from_str::<serde_json::Value>(value.get()).ok() == Some(json!(["text"]));
        match name.as_ref() {
            "modalities" if is_text() => {}
            "modalities" | "audio" | "web_search_options" => {
                let message = format!("`{name}` is not possible with this model's provider; leave it out");
                return Err(BadRequest::new("unsupported_parameter", Some(name), message));
            }
            "think" if think.is_none() => *think = Some(Cow::Borrowed(*value)), // some models have words of their own
            "think" => leftovers.value("think")?,
            "keep_alive" => leftovers
                .passed
                .push((Cow::Borrowed("keep_alive"), Cow::Borrowed(*value))),
            "store" if value.get() == "false" => {}
            "service_tier" | "prompt_cache_key" | "prompt_cache_retention" => leftovers.drop(name),
            name if OPTIONS.contains(&name) => {
                options.insert(name, Cow::Borrowed(*value));
            }
            name if WRITTEN.contains(&name) => leftovers.value(name)?,
            name => leftovers.parameter(name, Cow::Borrowed(*value))?,
        }
    }
    Ok(())
}
