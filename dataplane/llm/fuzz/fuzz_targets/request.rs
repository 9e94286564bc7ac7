//! Requests of every endpoint towards every provider: refused in words, or written as JSON without a name twice.

#![no_main]

use bytes::Bytes;
use headgate_llm::estimate;
use headgate_llm::json::{self, Repeats};
use headgate_llm::request::ModelRequest;
use headgate_llm_fuzz::Pair;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((pair, body)) = Pair::of(data) else { return };
    let Ok(request) = ModelRequest::parse(pair.endpoint, Bytes::copy_from_slice(body)) else {
        return;
    };
    estimate::input_tokens(&request);
    let Some(service) = pair.service() else { return };
    if service.estimate(&request).is_some() {
        return; // answered from inside: nothing is sent
    }
    match service.encode(&request, &pair.options()) {
        Ok(encoded) => {
            assert!(encoded.path.starts_with('/') && encoded.path.is_ascii());
            let found = json::find_fields(
                &encoded.body,
                &["model", "messages", "stream"],
                Repeats::Refuse,
                &mut [None, None, None],
            );
            assert!(found.is_ok(), "{}", String::from_utf8_lossy(&encoded.body));
        }
        Err(refusal) => assert!(!refusal.message.is_empty()),
    }
});
