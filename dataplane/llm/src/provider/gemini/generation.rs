//! `generationConfig`: sampling, caps, the form of the output, thinking.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::fields::{GenerationFields, ImageConfig};
use super::thinking;
use crate::hub::{OutputFormat, Request};
use crate::provider::capability::gemini::Gemini;
use crate::provider::leftovers::Leftovers;
use crate::request::BadRequest;

/// Most stop texts that are accepted.
const STOP_SEQUENCES_MAX: usize = 5;

/// Numbers stay as they were written.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GenerationConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    response_logprobs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    /// The schema whole; `responseSchema` would take a dialect of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    response_modalities: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<thinking::Config>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_resolution: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_config: Option<ImageConfig<'r>>,
}

/// `None` where nothing is asked for.
pub(super) fn config<'r>(
    request: &'r Request<'_>,
    model: &Gemini,
    thinking_config: Option<thinking::Config>,
    fields: GenerationFields<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<Option<GenerationConfig<'r>>, BadRequest> {
    let mut config = GenerationConfig {
        candidate_count: (request.choices > 1).then_some(request.choices),
        max_output_tokens: request.max_output_tokens,
        stop_sequences: stop_sequences(request, leftovers)?,
        response_logprobs: request.tuning.logprobs,
        logprobs: request.tuning.top_logprobs.filter(|_| request.tuning.logprobs),
        response_modalities: fields.modalities,
        thinking_config,
        media_resolution: fields.media_resolution,
        image_config: fields.image_config,
        ..GenerationConfig::default()
    };
    match &request.output_format {
        OutputFormat::Text => {}
        OutputFormat::JsonObject => config.response_mime_type = Some("application/json"),
        OutputFormat::JsonSchema { schema, .. } => {
            config.response_mime_type = Some("application/json");
            config.response_json_schema = Some(schema);
        }
    }
    sample(&mut config, request, model, leftovers)?;
    let is_empty = serde_json::to_vec(&config).is_ok_and(|json| json == b"{}");
    Ok((!is_empty).then_some(config))
}

/// What tunes sampling, as far as the model takes it. What it is by default anyway needs no report.
fn sample<'r>(
    config: &mut GenerationConfig<'r>,
    request: &'r Request<'_>,
    model: &Gemini,
    leftovers: &mut Leftovers<'r>,
) -> Result<(), BadRequest> {
    let tuning = &request.tuning;
    for (name, value, default, place) in [
        ("temperature", tuning.temperature, Some(1.0), &mut config.temperature),
        ("top_p", tuning.top_p, Some(1.0), &mut config.top_p),
        ("top_k", tuning.top_k, None, &mut config.top_k),
        (
            "presence_penalty",
            tuning.presence_penalty,
            Some(0.0),
            &mut config.presence_penalty,
        ),
        (
            "frequency_penalty",
            tuning.frequency_penalty,
            Some(0.0),
            &mut config.frequency_penalty,
        ),
    ] {
        let Some(value) = value else { continue };
        if model.sampling {
            *place = Some(value);
        } else if default.is_none() || value.get().parse::<f64>().ok() != default {
            leftovers.value(name)?;
        }
    }
    match tuning.seed {
        // The provider's field has 32 bits.
        Some(seed) if seed.get().parse::<i32>().is_err() => leftovers.value("seed")?,
        seed => config.seed = seed,
    }
    if let Some(bias) = tuning.logit_bias {
        leftovers.parameter("logit_bias", Cow::Borrowed(bias))?;
    }
    Ok(())
}

/// Texts that say nothing are refused by the provider, and so are more than it takes.
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
