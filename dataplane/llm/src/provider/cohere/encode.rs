//! A request of the hub as `/v2/chat` takes it.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::fields;
use super::message::{self, Message};
use super::tools::{self, WireTool};
use crate::hub::{Effort, OutputFormat, Reasoning, Request};
use crate::provider::EncodeOptions;
use crate::provider::leftovers::{Leftovers, Passed, raw};
use crate::request::BadRequest;

/// Most stop texts that are accepted.
const STOP_SEQUENCES_MAX: usize = 5;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Message<'r>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict_tools: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'r str>,
    #[serde(flatten)]
    sampling: Sampling<'r>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(Serialize)]
struct Format<'r> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<&'r RawValue>,
}

#[derive(Serialize)]
struct Thinking {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_budget: Option<u64>,
}

/// Numbers stay as they were written, unless they are out of bounds.
#[derive(Serialize)]
struct Sampling<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<Cow<'r, RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'r RawValue>,
}

/// The body, and the names of what was left out.
pub(super) fn body(request: &Request<'_>, options: &EncodeOptions<'_>) -> Result<(Bytes, Vec<String>), BadRequest> {
    if request.choices > 1 {
        let message = "`n` above 1 is not possible with this model's provider; ask several times instead".to_owned();
        return Err(BadRequest::new("unsupported_parameter", Some("n"), message));
    }
    let mut leftovers = Leftovers::new(options.unsupported);
    let messages = message::all(request)?;
    if request.has_cache_marks() {
        leftovers.drop("cache_control"); // the provider caches by itself
    }
    let tools = tools::all(request)?;
    let strict_tools = tools::are_strict(request, &mut leftovers)?;
    let sampling = sampling(request, &mut leftovers)?;
    let stop_sequences = stop_sequences(request, &mut leftovers)?;
    fields::leave_over(request, &mut leftovers)?;
    let body = Body {
        model: options.upstream_model,
        messages,
        stream: request.stream,
        tool_choice: tools::choice(request),
        tools,
        strict_tools,
        response_format: response_format(&request.output_format),
        thinking: request.reasoning.map(thinking),
        max_tokens: request.max_output_tokens,
        stop_sequences,
        sampling,
        logprobs: request.tuning.logprobs,
        passed: Passed(std::mem::take(&mut leftovers.passed)),
    };
    let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
    Ok((json.into(), leftovers.dropped))
}

/// A schema is one form of a JSON object here, and is always followed exactly.
fn response_format<'r>(format: &'r OutputFormat<'_>) -> Option<Format<'r>> {
    let json_schema = match format {
        OutputFormat::Text => return None,
        OutputFormat::JsonObject => None,
        OutputFormat::JsonSchema { schema, .. } => Some(*schema),
    };
    Some(Format {
        r#type: "json_object",
        json_schema,
    })
}

/// The provider's own layer for clients of `OpenAI` takes `high` for thinking without a bound; the lower efforts are the
/// budgets that other gateways spend on them. A budget is at least one token.
fn thinking(reasoning: Reasoning) -> Thinking {
    let token_budget = match reasoning {
        Reasoning::Off | Reasoning::Budget { tokens: 0 } => {
            return Thinking {
                r#type: "disabled",
                token_budget: None,
            };
        }
        Reasoning::Budget { tokens } => Some(tokens),
        Reasoning::Effort(Effort::Minimal | Effort::Low) => Some(1_024),
        Reasoning::Effort(Effort::Medium) => Some(8_192),
        Reasoning::Effort(Effort::High | Effort::XHigh | Effort::Max) | Reasoning::Adaptive => None,
    };
    Thinking {
        r#type: "enabled",
        token_budget,
    }
}

fn sampling<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'r>) -> Result<Sampling<'r>, BadRequest> {
    let tuning = &request.tuning;
    let penalty = |value: Option<&'r RawValue>| value.filter(|value| number(value) != 0.0); // as it is anyway
    Ok(Sampling {
        temperature: tuning.temperature,
        p: bounded("top_p", tuning.top_p, ["0.01", "0.99"], leftovers)?,
        k: bounded("top_k", tuning.top_k, ["0", "500"], leftovers)?,
        frequency_penalty: bounded(
            "frequency_penalty",
            penalty(tuning.frequency_penalty),
            ["0", "1"],
            leftovers,
        )?,
        presence_penalty: bounded(
            "presence_penalty",
            penalty(tuning.presence_penalty),
            ["0", "1"],
            leftovers,
        )?,
        seed: tuning.seed,
    })
}

/// The number as it was written, or the nearest that the provider takes (bounds of the SDK's documentation), reported.
fn bounded<'r>(
    name: &str,
    value: Option<&'r RawValue>,
    [least, most]: [&'static str; 2],
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<Cow<'r, RawValue>>, BadRequest> {
    let Some(value) = value else { return Ok(None) };
    let bound = |text: &str| text.parse().unwrap_or(f64::NAN);
    let nearest = if number(value) < bound(least) {
        least
    } else if number(value) > bound(most) {
        most
    } else {
        return Ok(Some(Cow::Borrowed(value)));
    };
    leftovers.value(name)?;
    Ok(Some(raw(nearest.to_owned())))
}

fn number(json: &RawValue) -> f64 {
    json.get().parse().unwrap_or(f64::NAN)
}

/// Texts that say nothing, and more than the provider takes, are left out.
fn stop_sequences<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'_>) -> Result<Vec<&'r str>, BadRequest> {
    let texts = request
        .stop
        .iter()
        .map(AsRef::as_ref)
        .filter(|text: &&str| !text.is_empty());
    let texts: Vec<_> = texts.take(STOP_SEQUENCES_MAX).collect();
    if texts.len() < request.stop.len() {
        leftovers.value("stop")?;
    }
    Ok(texts)
}
