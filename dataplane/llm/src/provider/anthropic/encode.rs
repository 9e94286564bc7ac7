//! A request of the hub as the Messages API takes it.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::EncodeOptions;
use super::super::capability::{self, Claude};
use super::super::leftovers::{Leftovers, Passed};
use super::block::{self, Block};
use super::thinking::{self, Plan};
use super::tools::{WireTool, WireToolChoice};
use super::{sampling, tools};
use crate::hub::{self, OutputFormat, Request, Role};
use crate::request::BadRequest;

/// The cap where neither the client nor the manifest sets one: the provider demands one, and every model takes this.
const MAX_TOKENS: u64 = 4096;

/// What `response_format: json_object` comes to; the provider has no form of output without a schema.
pub(in super::super) const JSON_INSTRUCTION: &str =
    "Answer with one JSON object and nothing else: no text before or after it, and no code fence around it.";

/// Fields of the Messages API that a chat client may set as they are; the gateway writes none of them itself.
const NATIVE: [&str; 7] = [
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "speed",
];
/// Fields that only tune caching or billing.
const HARMLESS: [&str; 3] = ["prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"];
/// Fields that this file writes from others: a client's own would stand beside them.
const WRITTEN: [&str; 6] = [
    "anthropic_version",
    "metadata",
    "output_config",
    "stop_sequences",
    "system",
    "max_output_tokens",
];

/// Who serves Claude, as far as bodies differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum Host {
    /// Anthropic: the body names the model.
    Anthropic,
    /// Vertex AI: the path names the model, and the body the version.
    Vertex,
}

/// The only version that Vertex AI has of every model; it takes none in a header.
/// (<https://platform.claude.com/docs/en/build-with-claude/claude-models-on-google-cloud/google-managed>)
pub(in crate::provider) const VERTEX_VERSION: &str = "vertex-2023-10-16";

#[derive(serde::Serialize)]
struct Body<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    anthropic_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'r str>,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'r>>,
    messages: Vec<Message<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireToolChoice<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<thinking::Config>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(serde::Serialize)]
struct Message<'r> {
    role: &'static str,
    content: Vec<Block<'r>>,
}

#[derive(serde::Serialize)]
struct Metadata<'r> {
    user_id: &'r str,
}

#[derive(serde::Serialize)]
struct OutputConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'r>>,
}

#[derive(serde::Serialize)]
struct Format<'r> {
    r#type: &'static str,
    schema: &'r RawValue,
}

/// The body, and the names of what was left out.
pub(in crate::provider) fn body(
    request: &Request<'_>,
    options: &EncodeOptions<'_>,
    host: Host,
) -> Result<(Bytes, Vec<String>), BadRequest> {
    let model = capability::claude(options.upstream_model);
    let mut leftovers = Leftovers::new(options.unsupported);
    refuse_what_would_change_the_answer(request, model)?;
    let cap = options.max_output_tokens_default.unwrap_or(MAX_TOKENS);
    let tool_choice = tools::choice(request, model, &mut leftovers)?;
    let is_forced = tool_choice.as_ref().is_some_and(WireToolChoice::is_forced);
    let plan = thinking::plan(request, model, is_forced, cap, &mut leftovers)?;
    let tools = tools::all(&request.tools, model, &mut leftovers)?;
    let sampling = sampling::fields(request, model, &plan, &mut leftovers)?;
    let (anthropic_version, named) = match host {
        Host::Anthropic => (None, Some(options.upstream_model)),
        Host::Vertex => (Some(VERTEX_VERSION), None),
    };
    let body = Body {
        anthropic_version,
        model: named,
        max_tokens: plan.max_tokens,
        system: system(request)?,
        messages: messages(request)?,
        tools,
        tool_choice,
        thinking: plan.config,
        output_config: output_config(request, &plan),
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        top_k: sampling.top_k,
        stop_sequences: stop_sequences(request, &mut leftovers)?,
        metadata: request.user.as_deref().map(|user_id| Metadata { user_id }),
        service_tier: other_fields(request, host, &mut leftovers)?,
        stream: request.stream,
        passed: Passed(std::mem::take(&mut leftovers.passed)),
    };
    let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
    Ok((json.into(), leftovers.dropped))
}

fn refuse_what_would_change_the_answer(request: &Request<'_>, model: &Claude) -> Result<(), BadRequest> {
    if request.choices > 1 {
        let message = "`n` above 1 is not possible with this model's provider; ask several times instead".to_owned();
        return Err(BadRequest::new("unsupported_parameter", Some("n"), message));
    }
    if matches!(request.output_format, OutputFormat::JsonSchema { .. }) && !model.structured_output {
        let message = "`response_format` of type json_schema is not possible with this model; ask for json_object, or \
                       use a newer model"
            .to_owned();
        return Err(BadRequest::new(
            "unsupported_parameter",
            Some("response_format"),
            message,
        ));
    }
    let ends_with_its_own = request.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    if ends_with_its_own && !model.prefill {
        let message = "`messages` end with the assistant's, which this model cannot continue; end with a user or tool \
                       message"
            .to_owned();
        return Err(BadRequest::new("unsupported_parameter", Some("messages"), message));
    }
    Ok(())
}

fn system<'r>(request: &'r Request<'_>) -> Result<Vec<Block<'r>>, BadRequest> {
    let mut system = block::all(&request.instructions)?;
    if matches!(request.output_format, OutputFormat::JsonObject) {
        system.extend(block::text(JSON_INSTRUCTION, None));
    }
    Ok(system)
}

/// Turns that alternate; one whose parts all vanish vanishes, and its neighbours become one.
fn messages<'r>(request: &'r Request<'_>) -> Result<Vec<Message<'r>>, BadRequest> {
    let mut messages: Vec<Message<'r>> = Vec::new();
    for turn in hub::merged(&request.turns) {
        let content = block::all(turn.parts)?;
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        match messages.last_mut() {
            _ if content.is_empty() => {}
            Some(last) if last.role == role => last.content.extend(content),
            _ => messages.push(Message { role, content }),
        }
    }
    Ok(messages)
}

fn output_config<'r>(request: &'r Request<'_>, plan: &Plan) -> Option<OutputConfig<'r>> {
    let format = match &request.output_format {
        OutputFormat::JsonSchema { schema, .. } => Some(Format {
            r#type: "json_schema",
            schema,
        }),
        OutputFormat::Text | OutputFormat::JsonObject => None,
    };
    (plan.effort.is_some() || format.is_some()).then_some(OutputConfig {
        effort: plan.effort,
        format,
    })
}

/// Texts of white space alone are refused by the provider.
fn stop_sequences<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'_>) -> Result<Vec<&'r str>, BadRequest> {
    let is_blank = |text: &&str| text.trim().is_empty();
    let texts = request.stop.iter().map(AsRef::as_ref);
    if texts.clone().any(|text| is_blank(&text)) {
        leftovers.value("stop")?;
    }
    Ok(texts.filter(|text| !is_blank(text)).collect())
}

/// The fields that the hub has no place for; returns `service_tier`, which both dialects have in words of their own.
fn other_fields<'r>(
    request: &'r Request<'_>,
    host: Host,
    leftovers: &mut Leftovers<'r>,
) -> Result<Option<&'static str>, BadRequest> {
    let mut service_tier = None;
    for (name, value) in &request.other {
        match name.as_ref() {
            "modalities"
                if value
                    .get()
                    .bytes()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .eq(*b"[\"text\"]") => {}
            "modalities" | "audio" | "web_search_options" => {
                let message = format!("`{name}` is not possible with this model's provider; leave it out");
                return Err(BadRequest::new("unsupported_parameter", Some(name), message));
            }
            "service_tier" if host == Host::Vertex => leftovers.drop(name), // Google's own are bought otherwise
            "service_tier" => match value.get() {
                "\"auto\"" => service_tier = Some("auto"),
                "\"default\"" | "\"standard_only\"" => service_tier = Some("standard_only"),
                _ => leftovers.drop(name),
            },
            "store" if value.get() == "false" => {}
            name if HARMLESS.contains(&name) => leftovers.drop(name),
            name if NATIVE.contains(&name) => leftovers.passed.push((Cow::Borrowed(name), Cow::Borrowed(*value))),
            name if WRITTEN.contains(&name) => {
                leftovers.value(name)?;
            }
            name => leftovers.parameter(name, Cow::Borrowed(*value))?,
        }
    }
    Ok(service_tier)
}
