//! Fields that the hub has no place for: Converse's own are taken in its spelling and in that of the client's dialect, the rest
//! is left over.

use std::borrow::Cow;

use serde_json::json;
use serde_json::value::RawValue;

use super::model_fields::ModelFields;
use crate::hub::Request;
use crate::json::{self, Kind};
use crate::provider::capability::bedrock::{Family, Reasoning};
use crate::provider::leftovers::{Leftovers, raw};
use crate::request::BadRequest;

/// Fields that only tune caching, billing or somebody's records.
const HARMLESS: [&str; 5] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
];

/// What was found, as it goes out.
#[derive(Default)]
pub(super) struct Fields<'r> {
    pub(super) guardrail_config: Option<&'r RawValue>,
    pub(super) performance_config: Option<&'r RawValue>,
    pub(super) request_metadata: Option<&'r RawValue>,
    pub(super) response_field_paths: Option<&'r RawValue>,
    pub(super) service_tier: Option<Cow<'r, RawValue>>,
}

/// Reads `request.other`, and `user`.
pub(super) fn read<'r>(
    request: &'r Request<'_>,
    family: &Family,
    model_fields: &mut ModelFields<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<Fields<'r>, BadRequest> {
    let mut fields = Fields::default();
    user(request, family, model_fields, leftovers)?;
    for (name, value) in &request.other {
        match name.as_ref() {
            "guardrail_config" | "guardrailConfig" => {
                once(&mut fields.guardrail_config, name, of_kind(name, value, Kind::Object)?)?;
            }
            "performance_config" | "performanceConfig" => {
                once(
                    &mut fields.performance_config,
                    name,
                    of_kind(name, value, Kind::Object)?,
                )?;
            }
            "request_metadata" | "requestMetadata" => {
                once(&mut fields.request_metadata, name, of_kind(name, value, Kind::Object)?)?;
            }
            "additional_model_response_field_paths" | "additionalModelResponseFieldPaths" => {
                once(
                    &mut fields.response_field_paths,
                    name,
                    of_kind(name, value, Kind::Array)?,
                )?;
            }
            "additional_model_request_fields" | "additionalModelRequestFields" => {
                model_fields.pass_all(name, value, leftovers)?;
            }
            "anthropic_beta" if matches!(family.reasoning, Reasoning::Claude | Reasoning::Any) => {
                model_fields.pass(Cow::Borrowed("anthropic_beta"), betas(value), leftovers)?;
            }
            "service_tier" | "serviceTier" => match tier(value) {
                Tier::Default => {}
                Tier::Named(tier) => once(&mut fields.service_tier, name, tier)?,
                Tier::Unknown => leftovers.drop(name),
            },
            "modalities" if is_text_alone(value) => {}
            "modalities" | "audio" | "web_search_options" => {
                let message = format!("`{name}` is not possible with this model's provider; leave it out");
                return Err(BadRequest::new("unsupported_parameter", Some(name), message));
            }
            "store" if value.get() == "false" => {}
            name if HARMLESS.contains(&name) => leftovers.drop(name),
            name => leftovers.parameter(name, Cow::Borrowed(*value))?,
        }
    }
    Ok(fields)
}

/// Claude is told who asks; other families have no word for it.
fn user<'r>(
    request: &Request<'_>,
    family: &Family,
    model_fields: &mut ModelFields<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(), BadRequest> {
    match request.user.as_deref() {
        None => Ok(()),
        Some(user) if family.reasoning == Reasoning::Claude => {
            model_fields.set("metadata", raw(json!({ "user_id": user }).to_string()));
            Ok(())
        }
        Some(user) => leftovers.parameter("user", raw(json!(user).to_string())),
    }
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), BadRequest> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadRequest::repeated(name)),
    }
}

fn of_kind<'r>(name: &str, value: &'r RawValue, wanted: Kind) -> Result<&'r RawValue, BadRequest> {
    let words = if wanted == Kind::Array { "an array" } else { "an object" };
    match json::kind(value.get().as_bytes()) {
        kind if kind == wanted => Ok(value),
        _ => Err(BadRequest::wrong_type(name, words)),
    }
}

/// A list of names; clients also write them as the header has them, in one text with commas.
fn betas(value: &RawValue) -> Cow<'_, RawValue> {
    match serde_json::from_str::<Cow<'_, str>>(value.get()) {
        Ok(text) => {
            let names: Vec<_> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            raw(json!(names).to_string())
        }
        Err(_) => Cow::Borrowed(value),
    }
}

enum Tier<'r> {
    /// As it is anyway.
    Default,
    Named(Cow<'r, RawValue>),
    Unknown,
}

/// `serviceTier`, an object; or `OpenAI`'s word for one.
fn tier(value: &RawValue) -> Tier<'_> {
    match value.get() {
        "\"auto\"" => Tier::Default,
        word @ ("\"default\"" | "\"flex\"" | "\"priority\"" | "\"reserved\"") => {
            Tier::Named(raw(format!("{{\"type\":{word}}}")))
        }
        object if json::kind(object.as_bytes()) == Kind::Object => Tier::Named(Cow::Borrowed(value)),
        _ => Tier::Unknown,
    }
}

/// `["text"]`, which is what comes anyway.
fn is_text_alone(value: &RawValue) -> bool {
    let bytes = value.get().bytes().filter(|byte| !byte.is_ascii_whitespace());
    bytes.eq(*b"[\"text\"]")
}
