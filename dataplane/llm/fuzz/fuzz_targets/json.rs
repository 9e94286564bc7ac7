//! The JSON scan. What it takes for a document is one to `serde_json`, and no other parser is asked before a request goes
//! on; `serde_json` takes deeper nesting and nothing else besides.

#![no_main]

use std::ops::ControlFlow;

use headgate_llm::json::{self, Kind, Problem};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let mut members = Vec::new();
    let walked = json::walk(text, |member| {
        members.push(member);
        ControlFlow::Continue(())
    });
    let parsed = serde_json::from_slice::<serde_json::Value>(text);
    match walked {
        Ok(kind) => {
            // A number may be too large for serde's types and is none the less one.
            assert!(parsed.is_ok() || parsed.is_err_and(|error| error.to_string().contains("number out of range")));
            for member in members {
                // An item of an array has none.
                assert_eq!(json::string_value(&text[member.key]).is_some(), kind == Kind::Object);
                assert!(!text[member.value].is_empty());
            }
        }
        Err(error) => assert!(parsed.is_err() || error.problem == Problem::TooDeep),
    }
});
