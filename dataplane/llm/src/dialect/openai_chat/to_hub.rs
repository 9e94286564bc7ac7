//! A chat request into the hub, for providers that speak something else.
//!
//! Everything the dialect documents is read and checked here, so that an adapter meets no wrong type; a field that the
//! hub has no place for is kept as it was written. Text borrows from the body. What can only be misunderstood is refused
//! by name: the functions that tools replaced, a half-broken data URL, arguments that are no object.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::hub::{Effort, OutputFormat, Reasoning, Request, Tool, ToolChoice};
use crate::json::{self, Kind};
use crate::request::{BadRequest, ModelRequest};

pub(in crate::dialect) mod media;
pub(in crate::dialect) mod message;
pub(in crate::dialect) mod part;

use part::WireCache;

/// Fields that were read when the request was parsed.
const READ_BEFORE: [&str; 8] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "user",
];

/// Fields that have a place in the hub; see [`Reader::field`].
const READ_HERE: [&str; 18] = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "stop",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "functions",
    "function_call",
];

/// Reads a request that was parsed.
pub fn read(request: &ModelRequest) -> Result<Request<'_>, BadRequest> {
    let body = std::str::from_utf8(&request.body).expect("parse refuses a body that is not UTF-8");
    let mut reader = Reader {
        request: Request {
            model: Cow::Borrowed(&request.model),
            max_output_tokens: request.max_output_tokens,
            choices: request.choices,
            stream: request.stream,
            include_usage: request.include_usage,
            user: request.user.as_deref().map(Cow::Borrowed),
            ..Request::default()
        },
        effort: None,
        thinking: None,
        seen: 0,
    };
    let mut result = Ok(());
    json::walk(body.as_bytes(), |member| {
        result = reader.member(&body[member.key], &body[member.value]);
        if result.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .expect("parse refuses a body that is not JSON");
    result?;
    Ok(reader.finish())
}

struct Reader<'a> {
    request: Request<'a>,
    effort: Option<Reasoning>,
    thinking: Option<Reasoning>,
    seen: u32, // one bit for each of READ_HERE
}

impl<'a> Reader<'a> {
    fn member(&mut self, key: &'a str, value: &'a str) -> Result<(), BadRequest> {
        let name = json::string_value(key.as_bytes()).expect("the key of a member is a string");
        if name == "messages" {
            (self.request.instructions, self.request.turns) = message::read(value)?;
            return Ok(());
        }
        if READ_BEFORE.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Ok(()); // other spellings of these were refused then
        }
        if let Some(index) = READ_HERE.iter().position(|known| known.eq_ignore_ascii_case(&name)) {
            let known = READ_HERE[index];
            if name != known || self.seen & 1 << index != 0 {
                return Err(BadRequest::repeated(known));
            }
            self.seen |= 1 << index;
            return match json::kind(value.as_bytes()) {
                Kind::Null => Ok(()), // as good as absent
                _ => self.field(known, value),
            };
        }
        if json::kind(value.as_bytes()) != Kind::Null {
            self.request.other.push((name, raw(value)));
        }
        Ok(())
    }

    fn field(&mut self, name: &'static str, value: &'a str) -> Result<(), BadRequest> {
        let request = &mut self.request;
        match name {
            "tools" => request.tools = tools(value)?,
            "tool_choice" => request.tool_choice = Some(tool_choice(value)?),
            "parallel_tool_calls" => request.parallel_tool_calls = Some(typed(name, value, "true or false")?),
            "response_format" => request.output_format = output_format(value)?,
            "reasoning_effort" => self.effort = Some(effort(name, value)?),
            "thinking" => self.thinking = Some(thinking(value)?),
            "stop" => request.stop = stop(value)?,
            "temperature" => request.tuning.temperature = Some(number(name, value)?),
            "top_p" => request.tuning.top_p = Some(number(name, value)?),
            "top_k" => request.tuning.top_k = Some(number(name, value)?),
            "frequency_penalty" => request.tuning.frequency_penalty = Some(number(name, value)?),
            "presence_penalty" => request.tuning.presence_penalty = Some(number(name, value)?),
            "seed" => request.tuning.seed = Some(number(name, value)?),
            "logit_bias" => request.tuning.logit_bias = Some(raw(value)),
            "logprobs" => request.tuning.logprobs = typed(name, value, "true or false")?,
            "top_logprobs" => request.tuning.top_logprobs = Some(typed(name, value, "a non-negative integer")?),
            "functions" => return Err(replaced(name, "tools")),
            "function_call" => return Err(replaced(name, "tool_choice")),
            other => unreachable!("{other} is not read here"),
        }
        Ok(())
    }

    /// `thinking` says more than `reasoning_effort`, except where it leaves the amount to the model.
    fn finish(mut self) -> Request<'a> {
        self.request.reasoning = match (self.thinking, self.effort) {
            (None | Some(Reasoning::Adaptive), Some(effort)) => Some(effort),
            (thinking, _) => thinking,
        };
        self.request
    }
}

/// A string that borrows where it holds no escapes. (`serde` borrows a `Cow` only when it stands alone.)
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::dialect) struct Text<'a>(#[serde(borrow)] pub(in crate::dialect) Cow<'a, str>);

/// JSON text that stands in a body which was validated.
pub(in crate::dialect) fn raw(value: &str) -> &RawValue {
    serde_json::from_str(value).expect("a member of a valid document is valid")
}

/// Reads a value by its type. Serde's own words are not for clients: they quote what was written.
pub(in crate::dialect) fn typed<'a, T: Deserialize<'a>>(
    name: &str,
    value: &'a str,
    wanted: &str,
) -> Result<T, BadRequest> {
    serde_json::from_str(value).map_err(|_| BadRequest::wrong_type(name, wanted))
}

pub(in crate::dialect) fn number<'a>(name: &str, value: &'a str) -> Result<&'a RawValue, BadRequest> {
    match json::kind(value.as_bytes()) {
        Kind::Number => Ok(raw(value)),
        _ => Err(BadRequest::wrong_type(name, "a number")),
    }
}

fn replaced(name: &str, by: &str) -> BadRequest {
    let message = format!("`{name}` was replaced by `{by}`, and this model's provider only knows that; use `{by}`");
    BadRequest::new("unsupported_parameter", Some(name), message)
}

pub(in crate::dialect) fn stop(value: &str) -> Result<Vec<Cow<'_, str>>, BadRequest> {
    let wanted = "a string or an array of strings";
    if json::kind(value.as_bytes()) == Kind::String {
        let Text(text) = typed("stop", value, wanted)?;
        return Ok(vec![text]);
    }
    let texts: Vec<Text<'_>> = typed("stop", value, wanted)?;
    Ok(texts.into_iter().map(|Text(text)| text).collect())
}

pub(in crate::dialect) fn effort(name: &str, value: &str) -> Result<Reasoning, BadRequest> {
    let word: Text<'_> = typed(name, value, "a string")?;
    Ok(Reasoning::Effort(match word.0.as_ref() {
        "none" => return Ok(Reasoning::Off),
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::XHigh,
        "max" => Effort::Max,
        _ => {
            let message = format!("`{name}` must be none, minimal, low, medium, high, xhigh or max");
            return Err(BadRequest::invalid(name, message));
        }
    }))
}

fn thinking(value: &str) -> Result<Reasoning, BadRequest> {
    #[derive(Deserialize)]
    struct Thinking<'a> {
        #[serde(borrow)]
        r#type: Text<'a>,
        #[serde(alias = "token_budget")] // Cohere's spelling
        budget_tokens: Option<u64>,
    }
    let thinking: Thinking<'_> = typed(
        "thinking",
        value,
        "an object with `type`, and `budget_tokens` where enabled",
    )?;
    match (thinking.r#type.0.as_ref(), thinking.budget_tokens) {
        ("enabled", Some(tokens)) => Ok(Reasoning::Budget { tokens }),
        ("enabled" | "adaptive", _) => Ok(Reasoning::Adaptive),
        ("disabled", _) => Ok(Reasoning::Off),
        _ => {
            let message = "`thinking.type` must be enabled, adaptive or disabled".to_owned();
            Err(BadRequest::invalid("thinking.type", message))
        }
    }
}

fn output_format(value: &str) -> Result<OutputFormat<'_>, BadRequest> {
    #[derive(Deserialize)]
    struct Format<'a> {
        #[serde(borrow)]
        r#type: Text<'a>,
        #[serde(borrow)]
        json_schema: Option<Schema<'a>>,
    }
    #[derive(Deserialize)]
    #[expect(clippy::struct_field_names, reason = "the names on the wire")]
    struct Schema<'a> {
        #[serde(borrow)]
        name: Option<Text<'a>>,
        #[serde(borrow)]
        schema: Option<&'a RawValue>,
        strict: Option<bool>,
    }
    let format: Format<'_> = typed("response_format", value, "an object with `type`")?;
    match format.r#type.0.as_ref() {
        "text" => Ok(OutputFormat::Text),
        "json_object" => Ok(OutputFormat::JsonObject),
        "json_schema" => {
            let schema = format.json_schema.and_then(|schema| {
                Some(OutputFormat::JsonSchema {
                    name: schema.name.map_or(Cow::Borrowed("answer"), |name| name.0),
                    schema: schema.schema?,
                    strict: schema.strict,
                })
            });
            schema.ok_or_else(|| {
                let name = "response_format.json_schema.schema";
                BadRequest::new(
                    "missing_field",
                    Some(name),
                    format!("`{name}` is required with type json_schema; add it"),
                )
            })
        }
        _ => {
            let message = "`response_format.type` must be text, json_object or json_schema".to_owned();
            Err(BadRequest::invalid("response_format.type", message))
        }
    }
}

#[derive(Deserialize)]
struct WireTool<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    function: Option<WireFunction<'a>>,
    #[serde(borrow)]
    cache_control: Option<WireCache<'a>>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
    #[serde(borrow)]
    cache_control: Option<WireCache<'a>>,
}

fn tools(value: &str) -> Result<Vec<Tool<'_>>, BadRequest> {
    let tools: Vec<&RawValue> = typed("tools", value, "an array")?;
    tools
        .into_iter()
        .enumerate()
        .map(|(index, json)| tool(index, json))
        .collect()
}

fn tool(index: usize, json: &RawValue) -> Result<Tool<'_>, BadRequest> {
    let name = || format!("tools[{index}]");
    let wanted = "an object with `type` and, for a function, `function` with a `name`";
    let tool: WireTool<'_> = typed(&name(), json.get(), wanted)?;
    match tool.function {
        Some(function) if tool.r#type.0 == "function" => {
            let cache = tool.cache_control.or(function.cache_control);
            let parameters = function
                .parameters
                .filter(|schema| json::kind(schema.get().as_bytes()) != Kind::Null);
            if parameters.is_some_and(|schema| json::kind(schema.get().as_bytes()) != Kind::Object) {
                return Err(BadRequest::wrong_type(
                    &format!("{}.function.parameters", name()),
                    "a JSON schema object",
                ));
            }
            Ok(Tool::Function {
                name: function.name.0,
                description: function.description.map(|text| text.0),
                parameters,
                strict: function.strict,
                cache: cache.map(|cache| cache.read(name)).transpose()?,
            })
        }
        None if tool.r#type.0 == "function" => Err(BadRequest::wrong_type(&name(), wanted)),
        _ => Ok(Tool::Native {
            kind: tool.r#type.0,
            json,
        }),
    }
}

fn tool_choice(value: &str) -> Result<ToolChoice<'_>, BadRequest> {
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow)]
        r#type: Text<'a>,
        #[serde(borrow)]
        function: Option<Named<'a>>,
    }
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Text<'a>,
    }
    let wanted = "auto, none, required, or an object that names a function";
    if json::kind(value.as_bytes()) == Kind::String {
        let word: Text<'_> = typed("tool_choice", value, wanted)?;
        return match word.0.as_ref() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(BadRequest::wrong_type("tool_choice", wanted)),
        };
    }
    let choice: Choice<'_> = typed("tool_choice", value, wanted)?;
    match choice.function {
        Some(named) if choice.r#type.0 == "function" => Ok(ToolChoice::Named(named.name.0)),
        _ => Err(BadRequest::wrong_type("tool_choice", wanted)),
    }
}
