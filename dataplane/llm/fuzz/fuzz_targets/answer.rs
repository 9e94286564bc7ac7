//! Whole answers and errors of every provider, for clients of every endpoint: JSON for the client, or a failure.

#![no_main]

use std::time::SystemTime;

use bytes::Bytes;
use headgate_llm::provider::AnswerContext;
use headgate_llm_fuzz::Pair;
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((pair, body)) = Pair::of(data) else { return };
    let Some(service) = pair.service() else { return };
    let body = Bytes::copy_from_slice(body);
    if let Ok(answer) = service.decode_whole(body.clone(), &AnswerContext::default()) {
        if answer.body != body {
            assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok());
        }
        if let Some(usage) = answer.usage {
            let _ = usage.total_input_tokens() + usage.total_output_tokens();
        }
    }
    for status in [301, 400, 401, 429, 500] {
        let failure = service.decode_failure(status, &HeaderMap::new(), &body, "secret", SystemTime::UNIX_EPOCH);
        let said = failure.body.unwrap_or_default();
        assert!(said.is_empty() || serde_json::from_slice::<serde_json::Value>(&said).is_ok());
    }
});
