//! A request of the hub as `generateContent` takes it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::fields::{self, Fields};
use super::generation::{self, GenerationConfig};
use super::part::{self, Content};
use super::thinking;
use super::tools::{self, ToolConfig, WireTool};
use crate::hub::{Request, Role};
use crate::provider::EncodeOptions;
use crate::provider::capability::gemini::{Gemini, gemini};
use crate::provider::issuer::Issuer;
use crate::provider::leftovers::{Leftovers, Passed};
use crate::request::BadRequest;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'r> {
    contents: Vec<Content<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<GenerationConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_settings: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    #[serde(flatten)]
    passed: Passed<'r>,
}

/// The body, and the names of what was left out.
pub(in crate::provider) fn body(
    request: &Request<'_>,
    options: &EncodeOptions<'_>,
    issuer: Issuer,
) -> Result<(Bytes, Vec<String>), BadRequest> {
    let model = gemini(options.upstream_model);
    let mut leftovers = Leftovers::new(options.unsupported);
    let contents = part::contents(request, model, issuer)?;
    refuse_what_has_no_answer(request, &contents, model)?;
    if request.has_cache_marks() {
        leftovers.drop("cache_control"); // the provider caches by itself
    }
    let thinking = thinking::plan(request.reasoning, model, &mut leftovers)?;
    let tools = tools::all(&request.tools, &mut leftovers)?;
    let tool_config = tools::config(request, &mut leftovers)?;
    let Fields {
        safety_settings,
        cached_content,
        labels,
        service_tier,
        generation,
    } = fields::read(request, &mut leftovers)?;
    let body = Body {
        contents,
        system_instruction: part::instructions(request)?,
        tools,
        tool_config,
        generation_config: generation::config(request, model, thinking, generation, &mut leftovers)?,
        safety_settings,
        cached_content,
        labels,
        service_tier,
        passed: Passed(std::mem::take(&mut leftovers.passed)),
    };
    let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
    Ok((json.into(), leftovers.dropped))
}

fn refuse_what_has_no_answer(
    request: &Request<'_>,
    contents: &[Content<'_>],
    model: &Gemini,
) -> Result<(), BadRequest> {
    let refused = |message: &str| BadRequest::new("unsupported_parameter", Some("messages"), message.to_owned());
    if contents.is_empty() {
        return Err(refused(
            "`messages` hold nothing but instructions, to which this model's provider gives no answer; add a user message",
        ));
    }
    let ends_with_its_own = request.turns.last().is_some_and(|turn| turn.role == Role::Assistant);
    if ends_with_its_own && !model.prefill {
        return Err(refused(
            "`messages` end with the assistant's, which this model cannot continue; end with a user or tool message",
        ));
    }
    Ok(())
}
