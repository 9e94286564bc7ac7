//! A request of the hub as the Responses API takes it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::EncodeOptions;
use super::super::capability::openai_shaped::{self as capability, Model};
use super::super::issuer::Issuer;
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
pub(super) fn body(
    request: &Request<'_>,
    options: &EncodeOptions<'_>,
    issuer: Issuer,
) -> Result<(Bytes, Vec<String>), BadRequest> {
    if request.choices > 1 {
        let message = "`n` above 1 is not possible with this model; ask several times instead".to_owned();
        return Err(BadRequest::new("unsupported_parameter", Some("n"), message));
    }
    let mut leftovers = Leftovers::new(options.unsupported);
    let model = capability::of("OpenAI", options.upstream_model);
    let Fields { verbosity, reasoning } = fields::read(request, &mut leftovers)?;
    let effort = effort(request, model, &mut leftovers)?;
    let sampling = sampling(request, model, effort, &mut leftovers)?;
    untold_tuning(request, &mut leftovers)?;
    if request.has_cache_marks() {
        leftovers.drop("cache_control"); // the provider caches by itself
    }
    let format = format(request);
    let (instructions, input) = input::of(request, options.allows_stored_objects, issuer)?;
    let body = Body {
        model: options.deployed_model(),
        instructions,
        input,
        store: false,
        include: include(request, model),
        max_output_tokens: cap(request, &mut leftovers)?,
        tools: tools::all(&request.tools)?,
        tool_choice: tools::choice(request),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| !request.tools.is_empty()),
        text: (format.is_some() || verbosity.is_some()).then_some(TextConfig { format, verbosity }),
        reasoning: self::reasoning(reasoning, effort, &mut leftovers)?,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
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
fn include(request: &Request<'_>, model: Option<&Model>) -> Vec<&'static str> {
    let mut include = Vec::with_capacity(2);
    if model.is_none_or(Model::thinks) {
        include.push("reasoning.encrypted_content");
    }
    if request.tuning.logprobs {
        include.push("message.output_text.logprobs");
    }
    include
}

/// The model's word for how much it shall think.
fn effort(
    request: &Request<'_>,
    model: Option<&Model>,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<&'static str>, BadRequest> {
    let (name, wanted) = match request.reasoning {
        None | Some(Reasoning::Adaptive) => return Ok(None), // as much as it sees fit is what it does anyway
        Some(Reasoning::Off) if model.is_none_or(Model::can_be_silent) => return Ok(Some("none")),
        Some(Reasoning::Off) => {
            if model.is_some_and(Model::thinks) {
                leftovers.value("reasoning_effort")?;
            }
            return Ok(None);
        }
        Some(Reasoning::Effort(effort)) => ("reasoning_effort", effort),
        Some(Reasoning::Budget { tokens }) => ("thinking", Effort::of_budget(tokens)),
    };
    let word = match model {
        None => Some(wanted.as_str()),
        Some(model) => model.nearest(wanted),
    };
    if name == "thinking" || word != Some(wanted.as_str()) {
        leftovers.value(name)?;
    }
    Ok(word)
}

/// Summaries are not asked for: accounts that `OpenAI` has not verified are refused for it. A client that wants them sends
/// `reasoning` itself, which stands as it is.
fn reasoning<'r>(
    own: Option<&'r RawValue>,
    effort: Option<&str>,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<Cow<'r, RawValue>>, BadRequest> {
    let Some(own) = own else {
        return Ok(effort.map(|effort| raw(format!("{{\"effort\":\"{effort}\"}}"))));
    };
    if effort.is_some() {
        leftovers.value("reasoning_effort")?;
    }
    Ok(Some(Cow::Borrowed(own)))
}

/// What tunes sampling.
#[derive(Default)]
struct Sampling<'r> {
    temperature: Option<&'r RawValue>,
    top_p: Option<&'r RawValue>,
}

/// What the model takes of it beside this word for effort; of what it does not take, one is what it does anyway.
fn sampling<'r>(
    request: &Request<'r>,
    model: Option<&Model>,
    effort: Option<&str>,
    leftovers: &mut Leftovers<'r>,
) -> Result<Sampling<'r>, BadRequest> {
    let tuning = &request.tuning;
    if model.is_none_or(|model| model.samples(effort)) {
        return Ok(Sampling {
            temperature: tuning.temperature,
            top_p: tuning.top_p,
        });
    }
    for (name, value) in [("temperature", tuning.temperature), ("top_p", tuning.top_p)] {
        if let Some(value) = value.filter(|value| value.get().parse::<f64>().ok() != Some(1.0)) {
            leftovers.parameter(name, Cow::Borrowed(value))?;
        }
    }
    Ok(Sampling::default())
}
