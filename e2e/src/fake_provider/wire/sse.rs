//! Server-sent events, as each service frames them.

use serde_json::Value;

/// An event that is told from others by what it holds.
pub(super) fn unnamed(payload: &Value) -> Vec<u8> {
    format!("data: {payload}\n\n").into_bytes()
}

/// An event that says its `type` twice: in its head and in its payload.
pub(super) fn typed(payload: &Value) -> Vec<u8> {
    let name = payload["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {payload}\n\n").into_bytes()
}
