//! Fields that the hub has no place for: those that this dialect has in common with chat pass, or stand elsewhere.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::leftovers::Leftovers;
use crate::hub::Request;
use crate::json::{self, Kind};
use crate::request::BadRequest;

/// Fields of the same name and meaning, in both dialects or in this one alone; the gateway writes none of them itself.
const NATIVE: [&str; 11] = [
    "access_programs",
    "image",
    "max_tool_calls",
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "truncation",
];
/// Fields that this adapter writes from others, or that would refer to what is stored.
const WRITTEN: [&str; 9] = [
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "previous_response_id",
    "prompt",
    "text",
];

/// What was found.
#[derive(Default)]
pub(super) struct Fields<'r> {
    pub(super) verbosity: Option<&'r RawValue>,
    /// `reasoning` in this dialect's own words.
    pub(super) reasoning: Option<&'r RawValue>,
}

/// Reads `request.other`.
pub(super) fn read<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'r>) -> Result<Fields<'r>, BadRequest> {
    let mut fields = Fields::default();
    for (name, value) in &request.other {
        let value: &'r RawValue = value;
        match name.as_ref() {
            "verbosity" => fields.verbosity = Some(value),
            "reasoning" if json::kind(value.get().as_bytes()) == Kind::Object => fields.reasoning = Some(value),
            "reasoning" => return Err(BadRequest::wrong_type(name, "an object")),
            "modalities" if is_text_alone(value) => {}
            "modalities" | "audio" | "web_search_options" => {
                let message = format!("`{name}` is not possible with this model; leave it out");
                return Err(BadRequest::new("unsupported_parameter", Some(name), message));
            }
            "store" if value.get() == "false" => {}
            "store" => leftovers.value(name)?, // what is stored by one caller could be read by all
            name if NATIVE.contains(&name) => leftovers.passed.push((Cow::Borrowed(name), Cow::Borrowed(value))),
            name if WRITTEN.contains(&name) => leftovers.value(name)?,
            name => leftovers.parameter(name, Cow::Borrowed(value))?,
        }
    }
    Ok(fields)
}

fn is_text_alone(modalities: &RawValue) -> bool {
    let written = modalities.get().bytes().filter(|byte| !byte.is_ascii_whitespace());
    written.eq(*b"[\"text\"]")
}
