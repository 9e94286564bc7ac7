//! What tunes the output: its length, sampling, and how much the model thinks, as its family takes it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::encode::Model;
use super::model_fields::ModelFields;
use crate::hub::{Effort, Reasoning as Asked, Request};
use crate::provider::EncodeOptions;
use crate::provider::anthropic::sampling::{self, number, one};
use crate::provider::anthropic::thinking::{self, Config};
use crate::provider::capability::bedrock::{Family, Reasoning, TopK};
use crate::provider::leftovers::{Leftovers, raw};
use crate::request::BadRequest;

/// `inferenceConfig`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InferenceConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'r str>,
}

impl InferenceConfig<'_> {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            max_tokens,
            temperature,
            top_p,
            stop_sequences,
        } = self;
        max_tokens.is_none() && temperature.is_none() && top_p.is_none() && stop_sequences.is_empty()
    }
}

/// `inferenceConfig`, and the effort that Converse itself is told.
pub(super) fn config<'r>(
    request: &'r Request<'_>,
    options: &EncodeOptions<'_>,
    model: Model,
    forces_tool: bool,
    model_fields: &mut ModelFields<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(InferenceConfig<'r>, Option<&'static str>), BadRequest> {
    let family = model.family;
    let mut config = InferenceConfig {
        max_tokens: request.max_output_tokens,
        stop_sequences: stop_sequences(request, family, leftovers)?,
        ..InferenceConfig::default()
    };
    let is_budget = matches!(request.reasoning, Some(Asked::Budget { .. } | Asked::Adaptive));
    if family.reasoning == Reasoning::Claude || family.reasoning == Reasoning::Any && is_budget {
        claude(
            request,
            options,
            model,
            forces_tool,
            &mut config,
            model_fields,
            leftovers,
        )?;
        return Ok((config, None));
    }
    let effort = effort(request, family, model_fields, leftovers)?;
    others(request, family, &mut config, model_fields, leftovers)?;
    Ok((config, effort))
}

/// Texts of white space alone are refused by Claude, and empty ones by everybody.
fn stop_sequences<'r>(
    request: &'r Request<'_>,
    family: &Family,
    leftovers: &mut Leftovers<'_>,
) -> Result<Vec<&'r str>, BadRequest> {
    let is_refused = |text: &&str| match family.reasoning {
        Reasoning::Claude => text.trim().is_empty(),
        _ => text.is_empty(),
    };
    let texts = request.stop.iter().map(AsRef::as_ref);
    if texts.clone().any(|text| is_refused(&text)) {
        leftovers.value("stop")?;
    }
    Ok(texts.filter(|text| !is_refused(text)).collect())
}

/// Claude's thinking and sampling, by the tables of its own provider. A cap is not demanded here, so none is made up but
/// for a budget, which must be below it. An effort beside a budget would say the same twice, and older models refuse it.
fn claude<'r>(
    request: &'r Request<'_>,
    options: &EncodeOptions<'_>,
    model: Model,
    forces_tool: bool,
    config: &mut InferenceConfig<'r>,
    model_fields: &mut ModelFields<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(), BadRequest> {
    let cap = options.max_output_tokens_default.unwrap_or(0);
    let plan = thinking::plan(request, model.claude, forces_tool, cap, leftovers)?;
    if let Some(thinking) = plan.config {
        model_fields.set("thinking", raw(json!(thinking).to_string()));
    }
    if matches!(plan.config, Some(Config::Enabled { .. })) {
        config.max_tokens = Some(plan.max_tokens);
    } else if let Some(effort) = plan.effort.filter(|_| plan.config.is_some()) {
        model_fields.set("output_config", raw(json!({ "effort": effort }).to_string()));
    }
    let sampling = sampling::fields(request, model.claude, &plan, leftovers)?;
    config.temperature = sampling.temperature;
    config.top_p = sampling.top_p;
    if let Some(top_k) = sampling.top_k {
        model_fields.set("top_k", Cow::Borrowed(top_k));
    }
    Ok(())
}

/// How much the model thinks, under the name that its family has for it.
fn effort(
    request: &Request<'_>,
    family: &'static Family,
    model_fields: &mut ModelFields<'_>,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<&'static str>, BadRequest> {
    let (name, wanted) = match request.reasoning {
        None => return Ok(None),
        // As it is anyway.
        Some(Asked::Off) if matches!(family.reasoning, Reasoning::Never | Reasoning::Nova) => return Ok(None),
        Some(Asked::Off) => ("reasoning_effort", None),
        Some(Asked::Effort(effort)) => ("reasoning_effort", Some(effort)),
        Some(Asked::Budget { tokens }) => ("thinking", Some(Effort::of_budget(tokens))),
        Some(Asked::Adaptive) => ("thinking", Some(Effort::Medium)),
    };
    let Some(word) = nearest(family, wanted, name, leftovers)? else {
        return Ok(None);
    };
    let (field, value) = match family.reasoning {
        Reasoning::Any => return Ok(Some(word)),
        Reasoning::Claude | Reasoning::Never => unreachable!("they have no words for it"),
        Reasoning::Nova => (
            "reasoningConfig",
            json!({"type": "enabled", "maxReasoningEffort": word}),
        ),
        Reasoning::Effort => ("reasoning_effort", json!(word)),
        Reasoning::Nested => ("reasoning", json!({ "effort": word })),
        Reasoning::Config => ("reasoning_config", json!(word)),
    };
    model_fields.set(field, raw(value.to_string()));
    Ok(None)
}

/// The word that the family knows, next to the one that was asked for: more rather than less, so that the answer is no
/// worse. Another one than asked is reported. `None` as wanted: not to think.
fn nearest(
    family: &'static Family,
    wanted: Option<Effort>,
    name: &str,
    leftovers: &mut Leftovers<'_>,
) -> Result<Option<&'static str>, BadRequest> {
    const ORDER: [&str; 6] = ["none", "low", "medium", "high", "xhigh", "max"];
    let word = match wanted {
        None => "none",
        Some(Effort::Minimal) => "low",
        Some(effort) => effort.as_str(),
    };
    if let Some(known) = family.efforts.iter().find(|known| *known == word) {
        return Ok(Some(known));
    }
    leftovers.value(name)?;
    if wanted.is_none() {
        return Ok(None); // it thinks as it does by itself
    }
    let place = |word: &str| ORDER.iter().position(|known| *known == word);
    let above = family.efforts.iter().find(|known| place(known) > place(word));
    Ok(above.or(family.efforts.last()).map(String::as_str))
}

/// Sampling of other families.
fn others<'r>(
    request: &'r Request<'_>,
    family: &Family,
    config: &mut InferenceConfig<'r>,
    model_fields: &mut ModelFields<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(), BadRequest> {
    let tuning = &request.tuning;
    for (name, value) in [
        ("frequency_penalty", tuning.frequency_penalty),
        ("presence_penalty", tuning.presence_penalty),
        ("seed", tuning.seed),
        ("logit_bias", tuning.logit_bias),
    ] {
        match value {
            Some(value) if family.tuning.iter().any(|known| known == name) => {
                model_fields.set(name, Cow::Borrowed(value));
            }
            Some(value) if name.ends_with("penalty") && number(value) == Some(0.0) => {} // as it is anyway
            Some(value) => leftovers.parameter(name, Cow::Borrowed(value))?,
            None => {}
        }
    }
    if tuning.logprobs {
        leftovers.parameter("logprobs", raw("true".to_owned()))?;
    }
    if let Some(count) = tuning.top_logprobs.filter(|_| tuning.logprobs) {
        leftovers.parameter("top_logprobs", raw(count.to_string()))?;
    }
    match (tuning.top_k, family.top_k) {
        (None, _) => {}
        (Some(value), TopK::Flat) => model_fields.set("top_k", Cow::Borrowed(value)),
        (Some(value), TopK::K) => model_fields.set("k", Cow::Borrowed(value)),
        (Some(value), TopK::Nova) => {
            model_fields.set("inferenceConfig", raw(format!("{{\"topK\":{}}}", value.get())));
        }
        (Some(value), TopK::Never) => leftovers.parameter("top_k", Cow::Borrowed(value))?,
    }
    if !family.sampling {
        for (name, value) in [("temperature", tuning.temperature), ("top_p", tuning.top_p)] {
            if let Some(value) = value.filter(|value| number(value) != Some(1.0)) {
                leftovers.parameter(name, Cow::Borrowed(value))?;
            }
        }
        return Ok(());
    }
    config.top_p = tuning.top_p;
    config.temperature = match tuning.temperature {
        Some(value) if number(value).is_some_and(|number| number > 1.0) => {
            leftovers.value("temperature")?; // Converse's bound, whatever the model takes elsewhere
            Some(one())
        }
        value => value,
    };
    Ok(())
}
