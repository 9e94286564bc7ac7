//! `countTokens`: what the input of a request comes to.

use bytes::Bytes;
use serde::Deserialize;

use crate::translate::WireFailure;

/// The question at AI Studio: the request as `generateContent` takes it, which then must name its model, in an envelope.
/// The contents alone would be counted without instructions and tools.
pub(super) fn body(model: &str, request: &Bytes) -> Bytes {
    let model = serde_json::to_string(model).expect("a string can always be written as JSON");
    let members = std::str::from_utf8(&request[1..]).expect("JSON is UTF-8");
    format!("{{\"generateContentRequest\":{{\"model\":{model},{members}}}").into()
}

/// The answer, at AI Studio and at Vertex AI.
pub(in crate::provider) fn read(body: &[u8]) -> Result<u64, WireFailure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        /// Absent: zero, as the provider writes its numbers.
        #[serde(default)]
        total_tokens: u64,
    }
    match serde_json::from_slice::<Count>(body) {
        Ok(count) => Ok(count.total_tokens),
        Err(_) => Err(WireFailure::protocol("the answer is no count of tokens")),
    }
}
