//! Reads `usage` into disjoint classes. On the wire the details are parts of the two totals, and the totals win: where
//! the details claim more than there is, they are cut, so that the sum of the classes is what the provider bills.

use serde::{Deserialize, Deserializer};

use crate::usage::Usage;

#[derive(Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    completion_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    total_tokens: Option<u64>,
    /// `DeepSeek`'s word for cached tokens, beside the details or in their place.
    #[serde(default, deserialize_with = "count")]
    prompt_cache_hit_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct PromptDetails {
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    audio_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct CompletionDetails {
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    audio_tokens: Option<u64>,
}

/// Reads the value of `usage`. `None`: not an object, or it counts neither input nor output; a reported zero is a report.
pub fn read(json: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice(json).ok()?;
    if wire.prompt_tokens.is_none() && wire.completion_tokens.is_none() {
        return None;
    }
    let prompt = wire.prompt_tokens.unwrap_or(0);
    let prompt_details = wire.prompt_tokens_details.unwrap_or_default();
    let details = wire.completion_tokens_details.unwrap_or_default();
    let reasoning = details.reasoning_tokens.unwrap_or(0);
    let mut completion = wire.completion_tokens.unwrap_or(0);
    if is_reasoning_beside(prompt, completion, reasoning, wire.total_tokens) {
        completion += reasoning;
    }

    let mut input = Pot(prompt);
    let cached_input_tokens = input.take(prompt_details.cached_tokens.or(wire.prompt_cache_hit_tokens));
    let cache_write_tokens = input.take(prompt_details.cache_write_tokens);
    let audio_input_tokens = input.take(prompt_details.audio_tokens);
    let mut output = Pot(completion);
    let reasoning_tokens = output.take(Some(reasoning));
    let audio_output_tokens = output.take(details.audio_tokens);
    Some(Usage {
        input_tokens: input.0,
        cached_input_tokens,
        cache_write_tokens,
        output_tokens: output.0,
        reasoning_tokens,
        audio_input_tokens,
        audio_output_tokens,
        ..Usage::default()
    })
}

/// `OpenAI` counts reasoning inside `completion_tokens`, xAI beside it; only the total tells which.
fn is_reasoning_beside(prompt: u64, completion: u64, reasoning: u64, total: Option<u64>) -> bool {
    let sum = prompt.saturating_add(completion).saturating_add(reasoning);
    reasoning > 0 && total == Some(sum)
}

/// What is left of a total after its parts were taken out.
pub(in crate::dialect) struct Pot(pub(in crate::dialect) u64);

impl Pot {
    pub(in crate::dialect) fn take(&mut self, tokens: Option<u64>) -> u64 {
        let taken = tokens.unwrap_or(0).min(self.0);
        self.0 -= taken;
        taken
    }
}

/// More than any answer has; above it a count is a mistake, and sums of such counts could overflow.
const COUNT_MAX: u64 = 1 << 40;

/// A count as servers write it: also as a float, or below zero for "unknown" (older Ollama).
pub(in crate::dialect) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be in range"
    )]
    let whole = |number: serde_json::Number| {
        let float = || {
            number
                .as_f64()
                .filter(|float| (0.0..1e12).contains(float))
                .map(|float| float as u64)
        };
        number.as_u64().or_else(float)
    };
    Ok(number.and_then(whole).map(|count| count.min(COUNT_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_taken_out_of_the_totals() {
        let usage = read(
            br#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10,"audio_tokens":5},
                "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":4,"accepted_prediction_tokens":0}}"#,
        );
        let expected = Usage {
            input_tokens: 25,
            cached_input_tokens: 60,
            cache_write_tokens: 10,
            audio_input_tokens: 5,
            output_tokens: 16,
            reasoning_tokens: 30,
            audio_output_tokens: 4,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn a_reported_zero_is_a_report_and_an_empty_object_is_none() {
        assert_eq!(
            read(br#"{"prompt_tokens":0,"completion_tokens":0}"#),
            Some(Usage::default())
        );
        for nothing in [
            "{}",
            "null",
            "3",
            "[]",
            r#"{"prompt_tokens":null}"#,
            r#"{"prompt_tokens":-1}"#,
        ] {
            assert_eq!(read(nothing.as_bytes()), None, "{nothing}");
        }
    }

    #[test]
    fn details_above_the_totals_are_cut() {
        let usage = read(
            br#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":7},
                "completion_tokens_details":{"reasoning_tokens":18446744073709551615}}"#,
        )
        .unwrap();
        assert_eq!((usage.total_input_tokens(), usage.total_output_tokens()), (10, 5));
        assert_eq!(
            (usage.cached_input_tokens, usage.audio_input_tokens, usage.input_tokens),
            (8, 2, 0)
        );
    }

    #[test]
    fn reasoning_beside_the_completion_is_added_when_the_total_says_so() {
        let read = |total: u64| {
            let json = format!(
                "{{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":{total},\
                 \"completion_tokens_details\":{{\"reasoning_tokens\":3}}}}"
            );
            read(json.as_bytes()).unwrap()
        };
        assert_eq!((read(15).output_tokens, read(15).reasoning_tokens), (2, 3));
        assert_eq!((read(18).output_tokens, read(18).reasoning_tokens), (5, 3));
    }

    #[test]
    fn counts_may_be_floats_and_details_null() {
        let usage = read(br#"{"prompt_tokens":12.0,"completion_tokens":3,"prompt_tokens_details":null}"#).unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (12, 3));
    }
}
