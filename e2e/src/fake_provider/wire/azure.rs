//! What Azure does otherwise than `OpenAI`: the model stands in the path, and a content filter speaks beside it.

use serde_json::{Value, json};

/// `/openai/deployments/NAME/…`.
pub(super) fn deployment(path: &str) -> Option<String> {
    let (name, _) = path.strip_prefix("/openai/deployments/")?.split_once('/')?;
    Some(super::decoded(name))
}

/// The filter found nothing.
pub(super) fn harmless() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}

/// A stream begins with what the filter says of the prompt: an event without choices that is not the usage.
pub(super) fn first_event() -> Value {
    json!({"id": "", "object": "", "created": 0, "model": "", "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": harmless()}]})
}
