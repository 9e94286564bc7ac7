//! Usage in disjoint classes: a token is counted in exactly one of them, so that a price is a plain sum.

/// Tokens of one answer by class, and what else is sold. The classes are disjoint; decoders subtract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Uncached text input.
    pub input_tokens: u64,
    /// Input read from the provider's prompt cache.
    pub cached_input_tokens: u64,
    /// Input written to the provider's prompt cache, for minutes.
    pub cache_write_tokens: u64,
    /// Input written to the provider's prompt cache for an hour.
    pub cache_write_1h_tokens: u64,
    /// Visible output.
    pub output_tokens: u64,
    /// Reasoning output.
    pub reasoning_tokens: u64,
    /// Audio input.
    pub audio_input_tokens: u64,
    /// Audio output.
    pub audio_output_tokens: u64,
    /// Pictures made, where they are sold by the piece.
    pub images: u64,
    /// Counted here instead of reported by the provider (a hang-up, a provider that reports none).
    pub is_estimated: bool,
}

impl Usage {
    /// Usage that nobody reported; see `estimate` for how it is counted.
    pub fn estimated(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens,
            output_tokens,
            is_estimated: true,
            ..Self::default()
        }
    }

    /// What an answer that broke off is charged for: what was reported, raised to what was seen. A report in the middle
    /// of a stream may count less than was received; its classes are kept and only the shortfall is added.
    #[must_use]
    pub fn at_least(self, seen_input_tokens: u64, seen_output_tokens: u64) -> Self {
        let missing_input = seen_input_tokens.saturating_sub(self.total_input_tokens());
        let missing_output = seen_output_tokens.saturating_sub(self.total_output_tokens());
        Self {
            input_tokens: self.input_tokens + missing_input,
            output_tokens: self.output_tokens + missing_output,
            is_estimated: self.is_estimated || missing_input + missing_output > 0,
            ..self
        }
    }

    /// All input classes together.
    pub fn total_input_tokens(&self) -> u64 {
        self.input_tokens + self.cached_input_tokens + self.total_cache_write_tokens() + self.audio_input_tokens
    }

    /// Input written to the provider's prompt cache, for however long.
    pub fn total_cache_write_tokens(&self) -> u64 {
        self.cache_write_tokens + self.cache_write_1h_tokens
    }

    /// All output classes together.
    pub fn total_output_tokens(&self) -> u64 {
        self.output_tokens + self.reasoning_tokens + self.audio_output_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_covers_what_was_seen_stays_a_report() {
        let reported = Usage {
            input_tokens: 5,
            cached_input_tokens: 5,
            output_tokens: 3,
            ..Usage::default()
        };
        assert_eq!(reported.at_least(10, 3), reported);
    }

    #[test]
    fn a_report_below_what_was_seen_is_raised_and_marked() {
        let reported = Usage {
            input_tokens: 5,
            cached_input_tokens: 5,
            reasoning_tokens: 3,
            ..Usage::default()
        };
        let raised = reported.at_least(12, 7);
        assert_eq!((raised.input_tokens, raised.cached_input_tokens), (7, 5));
        assert_eq!(
            (raised.output_tokens, raised.reasoning_tokens, raised.is_estimated),
            (4, 3, true)
        );
        assert_eq!(Usage::default().at_least(2, 1), Usage::estimated(2, 1));
    }
}
