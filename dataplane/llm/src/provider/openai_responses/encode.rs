//! A request of the hub as the Responses API takes it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::EncodeOptions;
use super::super::capability::openai::openai;
use super::super::leftovers::{Leftovers, Passed, raw};
use super::fields::{self, Fields};
use super::input::{self, Item};
use super::tools::{self, WireTool, WireToolChoice};
use crate::hub::{Effort, OutputFormat, Reasoning, Request};
use crate::request::BadRequest;

/// The least cap that is taken (<https://github.com/earendil-works/pi/issues/6265> quotes the provider's words). Clients
/// of chat send smaller ones to see whether a model is there.
const OUTPUT_TOKENS_MIN: u64 = 16;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<Cow<'r, str>>,
    input: Vec<Item<'r>>,
    store: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireToolChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(Serialize)]
struct TextConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'r RawValue>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'r> {
    JsonObject,
    JsonSchema {
        name: &'r str,
        schema: &'r RawValue,
        /// Absent means yes here and no in chat.
        strict: bool,
    },
}

/// The body, and the names of what was left out.
pub(super) fn body(request: &Request<'_>, options: &EncodeOptions<'_>) -> Result<(Bytes, Vec<String>), BadRequest> {
    if request.choices > 1 {
        let message = "`n` above 1 is not possible with this model; ask several times instead".to_owned();
        return Err(BadRequest::new("unsupported_parameter", Some("n"), message));
    }
    let mut leftovers = Leftovers::new(options.unsupported);
    untold_tuning(request, &mut leftovers)?;
    let Fields { verbosity, reasoning } = fields::read(request, &mut leftovers)?;
    let format = format(request);
    let (instructions, input) = input::of(request, options.allows_stored_objects)?;
    let body = Body {
        model: options.upstream_model,
        instructions,
        input,
        store: false,
        include: include(request, options.upstream_model),
        max_output_tokens: cap(request, &mut leftovers)?,
        tools: tools::all(&request.tools)?,
        tool_choice: tools::choice(request),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| !request.tools.is_empty()),
        text: (format.is_some() || verbosity.is_some()).then_some(TextConfig { format, verbosity }),
        reasoning: self::reasoning(request, reasoning, &mut leftovers)?,
        temperature: request.tuning.temperature,
        top_p: request.tuning.top_p,
        top_logprobs: request.tuning.top_logprobs.filter(|_| request.tuning.logprobs),
        user: request.user.as_deref(),
        stream: request.stream,
        passed: Passed(std::mem::take(&mut leftovers.passed)),
    };
    let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
    Ok((json.into(), leftovers.dropped))
}

/// The cap on the output; one below the least that is taken is raised to that.
fn cap(request: &Request<'_>, leftovers: &mut Leftovers<'_>) -> Result<Option<u64>, BadRequest> {
    match request.max_output_tokens {
        Some(tokens) if tokens < OUTPUT_TOKENS_MIN => {
            leftovers.value("max_tokens")?;
            Ok(Some(OUTPUT_TOKENS_MIN))
        }
        tokens => Ok(tokens),
    }
}

/// What chat has and this dialect does not.
fn untold_tuning<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'r>) -> Result<(), BadRequest> {
    let tuning = &request.tuning;
    let is_set = |value: &&RawValue| value.get().parse::<f64>().ok() != Some(0.0); // zero is what it is anyway
    for (name, value) in [
        ("top_k", tuning.top_k),
        ("frequency_penalty", tuning.frequency_penalty.filter(is_set)),
        ("presence_penalty", tuning.presence_penalty.filter(is_set)),
        ("seed", tuning.seed),
        ("logit_bias", tuning.logit_bias),
    ] {
        if let Some(value) = value {
            leftovers.parameter(name, Cow::Borrowed(value))?;
        }
    }
    if !request.stop.is_empty() {
        let stop = serde_json::to_string(&request.stop).expect("texts can always be written as JSON");
        leftovers.parameter("stop", raw(stop))?;
    }
    Ok(())
}

fn format<'r>(request: &'r Request<'_>) -> Option<Format<'r>> {
    match &request.output_format {
        OutputFormat::Text => None,
        OutputFormat::JsonObject => Some(Format::JsonObject),
        OutputFormat::JsonSchema { name, schema, strict } => Some(Format::JsonSchema {
            name,
            schema,
            strict: strict.unwrap_or(false),
        }),
    }
}

/// Thoughts come sealed by default, and older servers give them only when asked; models that do not think refuse to be
/// asked.
fn include(request: &Request<'_>, model: &str) -> Vec<&'static str> {
    let mut include = Vec::with_capacity(2);
    if openai(model).thinks {
        include.push("reasoning.encrypted_content");
    }
    if request.tuning.logprobs {
        include.push("message.output_text.logprobs");
    }
    include
}

/// How much to think. Summaries are not asked for: accounts that `OpenAI` has not verified are refused for it. A client that
/// wants them sends `reasoning` itself, which stands as it is.
fn reasoning<'r>(
    request: &Request<'_>,
    own: Option<&'r RawValue>,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<Cow<'r, RawValue>>, BadRequest> {
    let effort = match request.reasoning {
        None | Some(Reasoning::Adaptive) => None, // as much as it sees fit is what it does anyway
        Some(Reasoning::Off) => Some("none"),
        Some(Reasoning::Effort(effort)) => Some(effort.as_str()),
        Some(Reasoning::Budget { tokens }) => {
            leftovers.value("thinking")?;
            Some(effort_of(tokens).as_str())
        }
    };
    if let Some(own) = own {
        if effort.is_some() {
            leftovers.value("reasoning_effort")?;
        }
        return Ok(Some(Cow::Borrowed(own)));
    }
    Ok(effort.map(|effort| raw(format!("{{\"effort\":\"{effort}\"}}"))))
}

/// The effort that spends about as much.
fn effort_of(tokens: u64) -> Effort {
    match tokens {
        0..=4_095 => Effort::Low,
        4_096..=16_383 => Effort::Medium,
        _ => Effort::High,
    }
}
