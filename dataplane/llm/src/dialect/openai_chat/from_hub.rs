//! A request of the hub as a chat request, for servers that speak the dialect and clients that do not.
//!
//! Everything is written in `OpenAI`'s words; what one server wants otherwise is edited afterwards, by the same rules that
//! edit the bodies of chat clients. Here stands only what such rules cannot tell from the body, as a [`Style`]: who gives
//! instructions, what becomes of thoughts, where a list of texts is understood.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::hub::{CacheControl, OutputFormat, Request};
use crate::provider::leftovers::{Leftovers, Passed};
use crate::request::BadRequest;

mod messages;
mod part;
#[cfg(test)]
mod round_trip;
mod tools;

use messages::Message;
use tools::{WireTool, WireToolChoice};

/// What a server takes of what the dialect can say.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of what a server can do and what not"
)]
pub(crate) struct Style {
    /// The service that defines the dialect, or one that follows it closely. A message may be a list of texts, a refusal
    /// has a member of its own. The others read texts safely only as one string.
    pub(crate) is_original: bool,
    /// Who gives instructions: the system, or where all models know of one, a developer.
    pub(crate) instructor: &'static str,
    /// Name of the cap on the output.
    pub(crate) output_cap: &'static str,
    /// Streams tell their usage when asked with `stream_options`; another server may refuse them.
    pub(crate) asks_for_usage: bool,
    /// What goes out of the thoughts of earlier turns.
    pub(crate) thoughts: Thoughts,
    /// Marks for a prompt cache go out as they are; else they are left out and reported.
    pub(crate) cache_marks: bool,
    /// Documents may be parts of a message.
    pub(crate) takes_files: bool,
    /// A user's message must not follow a tool's, and an answer that the client began is marked as such.
    pub(crate) has_strict_order: bool,
    /// Fields of the dialect that the server does not have, and that it would not even refuse.
    pub(crate) lacks: &'static [&'static str],
    /// The model takes no `temperature` and its like.
    pub(crate) lacks_sampling: bool,
}

/// What goes out of the thoughts of earlier turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thoughts {
    /// Nothing.
    Nothing,
    /// Their text, in a member of this name.
    In(&'static str),
    /// Their text in `reasoning_content`, and what proves them in `reasoning_details` and `extra_content`.
    Proven,
}

/// Fields that a request of the hub has a place for: a dialect that has them not must not bring them in from aside.
const FIELDS: [&str; 28] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "user",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "thinking",
    "reasoning",
    "stop",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "random_seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "functions",
    "function_call",
];

/// Whether the hub says elsewhere what this field says; a server that ignores case would read two of it.
pub(crate) fn is_field(name: &str) -> bool {
    FIELDS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Longest `user`. `OpenAI` refuses longer ones, and some clients put whole objects there.
const USER_LENGTH_MAX: usize = 64;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Message<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireToolChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<WireFormat<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "is_empty")]
    stop: &'r [Cow<'r, str>],
    #[serde(flatten)]
    tuning: WireTuning<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'r str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

fn is_empty(list: &&[Cow<'_, str>]) -> bool {
    list.is_empty()
}

/// The body. `effort` is the server's word for how much is thought; members that stand in `leftovers.passed` go out too.
pub(crate) fn body<'r>(
    request: &'r Request<'r>,
    style: &'r Style,
    model: &'r str,
    effort: Option<&'r str>,
    leftovers: &mut Leftovers<'r>,
) -> Result<Bytes, BadRequest> {
    let has = |name: &str| !style.lacks.contains(&name);
    if request.choices > 1 && !has("n") {
        let message = "`n` above 1 is not possible with this model's provider; ask several times instead".to_owned();
        return Err(BadRequest::new("unsupported_parameter", Some("n"), message));
    }
    let tuning = WireTuning::of(request, style, leftovers)?;
    let (tools, tool_choice) = tools::all(request, style, leftovers)?;
    let has_tools = !tools.is_empty();
    let parallel_tool_calls = request.parallel_tool_calls.filter(|_| has_tools);
    if parallel_tool_calls == Some(false) && !has("parallel_tool_calls") {
        leftovers.parameter("parallel_tool_calls", raw(&false))?;
    }
    let user = request.user.as_deref();
    if user.is_some_and(|user| user.chars().count() > USER_LENGTH_MAX) || user.is_some() && !has("user") {
        leftovers.drop("user"); // it names somebody and changes no answer
    }
    let cap = |name: &str| request.max_output_tokens.filter(|_| style.output_cap == name);
    let body = Body {
        model,
        messages: messages::all(request, style, leftovers)?,
        tools,
        tool_choice,
        parallel_tool_calls: parallel_tool_calls.filter(|_| has("parallel_tool_calls")),
        response_format: WireFormat::of(&request.output_format),
        reasoning_effort: effort,
        max_tokens: cap("max_tokens"),
        max_completion_tokens: cap("max_completion_tokens"),
        stop: &request.stop,
        tuning,
        n: (request.choices > 1).then_some(request.choices),
        user: user.filter(|user| has("user") && user.chars().count() <= USER_LENGTH_MAX),
        stream: request.stream,
        stream_options: (request.stream && request.include_usage && style.asks_for_usage)
            .then_some(StreamOptions { include_usage: true }),
        passed: Passed(std::mem::take(&mut leftovers.passed)),
    };
    let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
    Ok(json.into())
}

fn raw(value: &impl Serialize) -> Cow<'static, RawValue> {
    Cow::Owned(to_raw_value(value).expect("texts and numbers can always be written as JSON"))
}

#[derive(Serialize)]
struct WireTuning<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logit_bias: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
}

impl<'r> WireTuning<'r> {
    fn of(request: &'r Request<'r>, style: &Style, leftovers: &mut Leftovers<'r>) -> Result<Self, BadRequest> {
        let tuning = &request.tuning;
        let mut taken = |name: &'static str, value: Option<&'r RawValue>| {
            let samples = !matches!(name, "seed" | "top_k");
            match value {
                Some(json) if samples && style.lacks_sampling && matches!(json.get(), "1" | "1.0") => Ok(None), // the default
                Some(json) if style.lacks.contains(&name) || samples && style.lacks_sampling => {
                    leftovers.parameter(name, Cow::Borrowed(json))?;
                    Ok(None)
                }
                value => Ok(value),
            }
        };
        let fields = Self {
            temperature: taken("temperature", tuning.temperature)?,
            top_p: taken("top_p", tuning.top_p)?,
            top_k: taken("top_k", tuning.top_k)?,
            frequency_penalty: taken("frequency_penalty", tuning.frequency_penalty)?,
            presence_penalty: taken("presence_penalty", tuning.presence_penalty)?,
            seed: taken("seed", tuning.seed)?,
            logit_bias: taken("logit_bias", tuning.logit_bias)?,
            logprobs: tuning.logprobs && !style.lacks_sampling,
            top_logprobs: tuning.top_logprobs.filter(|_| !style.lacks_sampling),
        };
        if tuning.logprobs && style.lacks_sampling {
            leftovers.parameter("logprobs", raw(&true))?;
        }
        Ok(fields)
    }
}

#[derive(Serialize)]
struct WireFormat<'r> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json_schema: Option<WireSchema<'r>>,
}

#[derive(Serialize)]
struct WireSchema<'r> {
    name: &'r str,
    schema: &'r RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

impl<'r> WireFormat<'r> {
    fn of(format: &'r OutputFormat<'_>) -> Option<Self> {
        match format {
            OutputFormat::Text => None,
            OutputFormat::JsonObject => Some(Self {
                r#type: "json_object",
                json_schema: None,
            }),
            OutputFormat::JsonSchema { name, schema, strict } => Some(Self {
                r#type: "json_schema",
                json_schema: Some(WireSchema {
                    name,
                    schema,
                    strict: *strict,
                }),
            }),
        }
    }
}

/// `cache_control`, which gateways before Claude's models understand.
#[derive(Clone, Copy, Serialize)]
struct CacheMark {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl CacheMark {
    fn of(cache: Option<CacheControl>, style: &Style, leftovers: &mut Leftovers<'_>) -> Option<Self> {
        let cache = cache?;
        if !style.cache_marks {
            leftovers.drop("cache_control");
            return None;
        }
        Some(Self {
            r#type: "ephemeral",
            ttl: match cache {
                CacheControl::Default => None,
                CacheControl::FiveMinutes => Some("5m"),
                CacheControl::OneHour => Some("1h"),
            },
        })
    }
}
