//! What the provider has no word for, and the fields of its own that a chat client may set.

use std::borrow::Cow;

use serde_json::json;

use crate::hub::Request;
use crate::provider::leftovers::{Leftovers, raw};
use crate::request::BadRequest;

/// Fields of `/v2/chat` that go out as they came; the gateway writes none of them itself, but the last where every
/// function asks for it.
const NATIVE: [&str; 5] = ["citation_options", "documents", "priority", "safety_mode", STRICT_TOOLS];
/// The one of them that `tools` may write.
pub(super) const STRICT_TOOLS: &str = "strict_tools";
/// Fields that only tune caching, billing or the provider's own records.
const HARMLESS: [&str; 5] = [
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
];
/// Fields that the adapter writes from others: a client's own would stand beside them.
const WRITTEN: [&str; 3] = ["k", "p", "stop_sequences"];

/// Treats everything that no other file of the adapter writes.
pub(super) fn leave_over<'r>(request: &'r Request<'_>, leftovers: &mut Leftovers<'r>) -> Result<(), BadRequest> {
    if let Some(user) = request.user.as_deref() {
        leftovers.parameter("user", raw(json!(user).to_string()))?;
    }
    if let Some(bias) = request.tuning.logit_bias {
        leftovers.parameter("logit_bias", Cow::Borrowed(bias))?;
    }
    if let Some(count) = request.tuning.top_logprobs.filter(|count| *count > 0) {
        leftovers.parameter("top_logprobs", raw(count.to_string()))?;
    }
    if request.parallel_tool_calls == Some(false) {
        leftovers.parameter("parallel_tool_calls", raw("false".to_owned()))?;
    }
    for (name, value) in &request.other {
        let is_text = || serde_json::from_str(value.get()).ok() == Some(json!(["text"]));
        match name.as_ref() {
            "modalities" if is_text() => {}
            "modalities" | "audio" | "web_search_options" => {
                let message = format!("`{name}` is not possible with this model's provider; leave it out");
                return Err(BadRequest::new("unsupported_parameter", Some(name), message));
            }
            "store" if value.get() == "false" => {}
            name if HARMLESS.contains(&name) => leftovers.drop(name),
            name if NATIVE.contains(&name) => leftovers.passed.push((Cow::Borrowed(name), Cow::Borrowed(*value))),
            name if WRITTEN.contains(&name) => leftovers.value(name)?,
            name => leftovers.parameter(name, Cow::Borrowed(*value))?,
        }
    }
    Ok(())
}
