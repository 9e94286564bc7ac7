//! What tunes sampling, as far as the model takes it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::capability::{Claude, Sampling};
use super::super::leftovers::{Leftovers, raw};
use super::thinking::Plan;
use crate::hub::Request;
use crate::request::BadRequest;

/// The fields that go out.
#[derive(Default)]
pub(in super::super) struct Fields<'r> {
    pub(in super::super) temperature: Option<&'r RawValue>,
    pub(in super::super) top_p: Option<&'r RawValue>,
    pub(in super::super) top_k: Option<&'r RawValue>,
}

/// What the model takes of `temperature`, `top_p` and `top_k`, and of the tuning that the provider has no word for.
pub(in super::super) fn fields<'r>(
    request: &'r Request<'_>,
    model: &Claude,
    plan: &Plan,
    leftovers: &mut Leftovers<'r>,
) -> Result<Fields<'r>, BadRequest> {
    let tuning = &request.tuning;
    for (name, value) in [
        (
            "frequency_penalty",
            tuning.frequency_penalty.filter(|value| number(value) != Some(0.0)),
        ),
        (
            "presence_penalty",
            tuning.presence_penalty.filter(|value| number(value) != Some(0.0)),
        ),
        ("seed", tuning.seed),
        ("logit_bias", tuning.logit_bias),
    ] {
        if let Some(value) = value {
            leftovers.parameter(name, Cow::Borrowed(value))?;
        }
    }
    if tuning.logprobs {
        leftovers.parameter("logprobs", raw("true".to_owned()))?;
    }
    if let Some(count) = tuning.top_logprobs.filter(|_| tuning.logprobs) {
        leftovers.parameter("top_logprobs", raw(count.to_string()))?;
    }
    let mut fields = Fields::default();
    if model.sampling == Sampling::None || plan.is_on() {
        for (name, value) in [
            ("temperature", tuning.temperature),
            ("top_p", tuning.top_p),
            ("top_k", tuning.top_k),
        ] {
            let is_default = name != "top_k" && value.is_some_and(|value| number(value) == Some(1.0));
            if let Some(value) = value.filter(|_| !is_default) {
                leftovers.parameter(name, Cow::Borrowed(value))?;
            }
        }
        return Ok(fields);
    }
    fields.top_k = tuning.top_k;
    fields.temperature = match tuning.temperature {
        Some(value) if number(value).is_some_and(|number| number > 1.0) => {
            leftovers.value("temperature")?;
            Some(one())
        }
        value => value,
    };
    fields.top_p = match tuning.top_p {
        Some(_) if model.sampling == Sampling::One && fields.temperature.is_some() => {
            leftovers.value("top_p")?;
            None
        }
        value => value,
    };
    Ok(fields)
}

pub(in super::super) fn number(json: &RawValue) -> Option<f64> {
    json.get().parse().ok()
}

pub(in super::super) fn one() -> &'static RawValue {
    serde_json::from_str("1").expect("a number is JSON")
}
