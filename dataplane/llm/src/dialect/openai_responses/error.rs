//! The error event of a Responses stream.

use bytes::Bytes;
use serde_json::{Map, Value};

/// The event that ends a stream with an error; `body` is that of an error answer, `sequence_number` the number of events
/// before it. The members of the error stand at the top, as the dialect has them, and also in `error`: released SDKs
/// raise on that and would hand a plain event on.
pub fn event(body: &[u8], sequence_number: u64) -> Bytes {
    let mut members = match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let error = members.remove("error").unwrap_or_default();
    let mut event = Map::new();
    event.insert("type".into(), "error".into());
    event.insert("sequence_number".into(), sequence_number.into());
    for key in ["code", "message", "param"] {
        event.insert(key.into(), error.get(key).cloned().unwrap_or_default());
    }
    event.insert("error".into(), error);
    let event = Value::Object(event);
    format!("event: error\ndata: {event}\n\n").into()
}
