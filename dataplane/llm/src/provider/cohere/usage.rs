//! Token counts.

use serde::Deserialize;

use crate::usage::Usage;

/// `usage`. `tokens` are what the model read and wrote, the provider's own template and the cache included;
/// `billed_units` are what an invoice counts, and stand in where `tokens` are missing. Counts are written as fractions.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    tokens: Option<Counts>,
    billed_units: Option<Counts>,
    cached_tokens: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counts {
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
}

/// More than any answer has; above it a count is a mistake, and sums of such counts could overflow.
const COUNT_MAX: u64 = 1 << 40;

impl WireUsage {
    /// The same in disjoint classes; `None` where nothing was counted. Thoughts are not counted apart from the rest.
    pub(super) fn read(&self) -> Option<Usage> {
        let pick = |of: fn(Counts) -> Option<f64>| {
            let tokens = self.tokens.and_then(of);
            tokens.or_else(|| self.billed_units.and_then(of)).map(count)
        };
        let (input, output) = (pick(|counts| counts.input_tokens), pick(|counts| counts.output_tokens));
        input.or(output)?;
        let input = input.unwrap_or(0);
        let cached = self.cached_tokens.map_or(0, count).min(input);
        Some(Usage {
            input_tokens: input - cached,
            cached_input_tokens: cached,
            output_tokens: output.unwrap_or(0),
            ..Usage::default()
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float stops at the bounds of the integer, and fractions of tokens are none"
)]
fn count(number: f64) -> u64 {
    (number as u64).min(COUNT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(json).unwrap().read()
    }

    #[test]
    fn the_cache_is_a_part_of_the_tokens_and_billed_units_are_the_second_choice() {
        let usage = read(
            r#"{"billed_units":{"input_tokens":5,"output_tokens":2},"tokens":{"input_tokens":500.0,"output_tokens":5},
                "cached_tokens":448}"#,
        );
        let usage = usage.unwrap();
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (52, 448));
        assert_eq!(usage.total_input_tokens() + usage.total_output_tokens(), 505);

        let billed = read(r#"{"billed_units":{"input_tokens":5,"output_tokens":2},"tokens":null}"#).unwrap();
        assert_eq!((billed.input_tokens, billed.output_tokens), (5, 2));
        assert_eq!(read(r#"{"billed_units":{"search_units":1}}"#), None);
    }

    #[test]
    fn counts_that_make_no_sense_do_not_overflow() {
        let usage = read(r#"{"tokens":{"input_tokens":1e300,"output_tokens":-3},"cached_tokens":1e301}"#).unwrap();
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (0, COUNT_MAX));
        assert_eq!(usage.output_tokens, 0);
    }
}
