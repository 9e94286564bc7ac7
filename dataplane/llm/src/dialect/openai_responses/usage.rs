//! Token counts. On the wire the details are parts of the two totals; here the classes are disjoint.

use serde::{Deserialize, Serialize};

use crate::dialect::openai_chat::usage::{Pot, count};
use crate::usage::Usage;

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

/// Reads the value of `usage`. `None`: not an object, or it counts neither input nor output; a reported zero is a report.
pub fn read(json: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice(json).ok()?;
    if wire.input_tokens.is_none() && wire.output_tokens.is_none() {
        return None;
    }
    let details = wire.input_tokens_details.unwrap_or_default();
    let mut input = Pot(wire.input_tokens.unwrap_or(0));
    let cached_input_tokens = input.take(details.cached_tokens);
    let cache_write_tokens = input.take(details.cache_write_tokens);
    let mut output = Pot(wire.output_tokens.unwrap_or(0));
    let reasoning_tokens = output.take(wire.output_tokens_details.and_then(|details| details.reasoning_tokens));
    Some(Usage {
        input_tokens: input.0,
        cached_input_tokens,
        cache_write_tokens,
        output_tokens: output.0,
        reasoning_tokens,
        ..Usage::default()
    })
}

/// Usage as it goes to the client.
#[derive(Serialize)]
pub(super) struct WireUsage {
    input_tokens: u64,
    input_tokens_details: WireInputDetails,
    output_tokens: u64,
    output_tokens_details: WireOutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct WireInputDetails {
    cache_write_tokens: u64,
    cached_tokens: u64,
}

#[derive(Serialize)]
struct WireOutputDetails {
    reasoning_tokens: u64,
}

impl WireUsage {
    pub(super) fn of(usage: &Usage) -> Self {
        let (input_tokens, output_tokens) = (usage.total_input_tokens(), usage.total_output_tokens());
        Self {
            input_tokens,
            input_tokens_details: WireInputDetails {
                cache_write_tokens: usage.total_cache_write_tokens(),
                cached_tokens: usage.cached_input_tokens,
            },
            output_tokens,
            output_tokens_details: WireOutputDetails {
                reasoning_tokens: usage.reasoning_tokens,
            },
            total_tokens: input_tokens + output_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_taken_out_of_the_totals_and_go_back_into_them() {
        let json = br#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},
            "output_tokens":50,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":150}"#;
        let usage = read(json).expect("usage");
        let expected = Usage {
            input_tokens: 30,
            cached_input_tokens: 60,
            cache_write_tokens: 10,
            output_tokens: 20,
            reasoning_tokens: 30,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        let written = serde_json::to_value(WireUsage::of(&usage)).expect("JSON");
        assert_eq!(
            written,
            serde_json::from_slice::<serde_json::Value>(json).expect("JSON")
        );
    }

    #[test]
    fn details_above_the_totals_are_cut_and_nothing_is_no_report() {
        let usage = read(br#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":18446744073709551615}}"#);
        let usage = usage.expect("usage");
        assert_eq!((usage.cached_input_tokens, usage.input_tokens), (5, 0));
        for nothing in ["{}", "null", "[]", r#"{"input_tokens":null}"#] {
            assert_eq!(read(nothing.as_bytes()), None, "{nothing}");
        }
        assert_eq!(read(br#"{"input_tokens":0}"#), Some(Usage::default()));
    }
}
