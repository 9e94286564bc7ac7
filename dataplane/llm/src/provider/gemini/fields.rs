//! Fields that the hub has no place for: those of Gemini's own are taken in the spelling of either dialect, the rest is left
//! over.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::hub::Request;
use crate::json::{self, Kind};
use crate::provider::leftovers::{Leftovers, raw};
use crate::request::BadRequest;

/// Fields that only tune caching, billing or the provider's own records.
const HARMLESS: [&str; 4] = [
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
];
/// Fields that the adapter writes from others, in both spellings that the provider reads: a client's own would stand
/// beside them.
const WRITTEN: [&str; 9] = [
    "contents",
    "systemInstruction",
    "system_instruction",
    "toolConfig",
    "tool_config",
    "generationConfig",
    "generation_config",
    "serviceTier",
    "model",
];

/// What was found.
#[derive(Default)]
pub(super) struct Fields<'r> {
    pub(super) safety_settings: Option<&'r RawValue>,
    pub(super) cached_content: Option<&'r RawValue>,
    pub(super) labels: Option<&'r RawValue>,
    pub(super) service_tier: Option<&'static str>,
    pub(super) generation: GenerationFields<'r>,
}

/// What belongs into `generationConfig`.
#[derive(Default)]
pub(super) struct GenerationFields<'r> {
    pub(super) modalities: Vec<&'static str>,
    pub(super) media_resolution: Option<&'r RawValue>,
    pub(super) image_config: Option<ImageConfig<'r>>,
}

/// `image_config`, in either spelling in, in the provider's out.
#[derive(Deserialize, serde::Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
pub(super) struct ImageConfig<'r> {
    #[serde(borrow, alias = "aspectRatio", skip_serializing_if = "Option::is_none")]
    aspect_ratio: Option<&'r RawValue>,
    #[serde(borrow, alias = "imageSize", skip_serializing_if = "Option::is_none")]
    image_size: Option<&'r RawValue>,
}

/// Reads `request.other`, and `user`, which the provider has no word for.
pub(super) fn read<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'r>) -> Result<Fields<'r>, BadRequest> {
    let mut fields = Fields::default();
    for (name, value) in &request.other {
        match name.as_ref() {
            "safety_settings" | "safetySettings" => once(&mut fields.safety_settings, name, value)?,
            "cached_content" | "cachedContent" => once(&mut fields.cached_content, name, value)?,
            "labels" => once(&mut fields.labels, name, value)?,
            "media_resolution" | "mediaResolution" => once(&mut fields.generation.media_resolution, name, value)?,
            "image_config" | "imageConfig" => {
                let config = serde_json::from_str(value.get()).ok();
                let config = config.filter(|_| json::kind(value.get().as_bytes()) == Kind::Object);
                let config = config.ok_or_else(|| BadRequest::wrong_type(name, "an object"))?;
                once(&mut fields.generation.image_config, name, config)?;
            }
            "modalities" => fields.generation.modalities = modalities(value)?,
            "audio" | "web_search_options" => return Err(impossible(name)),
            "service_tier" => match value.get() {
                "\"auto\"" => {}
                "\"default\"" | "\"standard\"" => fields.service_tier = Some("standard"),
                "\"flex\"" => fields.service_tier = Some("flex"),
                "\"priority\"" => fields.service_tier = Some("priority"),
                _ => leftovers.drop(name),
            },
            "store" if value.get() == "false" => {}
            name if HARMLESS.contains(&name) => leftovers.drop(name),
            name if WRITTEN.contains(&name) => leftovers.value(name)?,
            name => leftovers.parameter(name, Cow::Borrowed(*value))?,
        }
    }
    if let Some(user) = request.user.as_deref() {
        let user = serde_json::to_string(user).expect("a string can always be written as JSON");
        leftovers.parameter("user", raw(user))?;
    }
    Ok(fields)
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), BadRequest> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadRequest::repeated(name)),
    }
}

/// What may come out. Text alone is what comes anyway. Sound would come in a form that the client's dialect has no place
/// for, so it is refused.
fn modalities(value: &RawValue) -> Result<Vec<&'static str>, BadRequest> {
    let wanted = "an array of text and image";
    let names: Vec<Cow<'_, str>> =
        serde_json::from_str(value.get()).map_err(|_| BadRequest::wrong_type("modalities", wanted))?;
    let mut modalities = Vec::with_capacity(names.len());
    for name in &names {
        modalities.push(match name.to_ascii_lowercase().as_str() {
            "text" => "TEXT",
            "image" => "IMAGE",
            "audio" => return Err(impossible("modalities")),
            _ => {
                return Err(BadRequest::invalid(
                    "modalities",
                    format!("`modalities` must be {wanted}"),
                ));
            }
        });
    }
    if modalities == ["TEXT"] {
        modalities.clear();
    }
    Ok(modalities)
}

fn impossible(name: &str) -> BadRequest {
    let message = format!("`{name}` as it is asked for is not possible with this model's provider; leave it out");
    BadRequest::new("unsupported_parameter", Some(name), message)
}
