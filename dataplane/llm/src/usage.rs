//! Token usage in disjoint classes: a token is counted in exactly one of them, so that a price is a plain sum.

/// Tokens of one answer by class. The classes are disjoint; decoders subtract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Uncached text input.
    pub input_tokens: u64,
    /// Input read from the provider's prompt cache.
    pub cached_input_tokens: u64,
    /// Input written to the provider's prompt cache.
    pub cache_write_tokens: u64,
    /// Visible output.
    pub output_tokens: u64,
    /// Reasoning output.
    pub reasoning_tokens: u64,
    /// Audio input.
    pub audio_input_tokens: u64,
    /// Audio output.
    pub audio_output_tokens: u64,
    /// Counted here instead of reported by the provider (a hang-up, a provider that reports none).
    pub is_estimated: bool,
}

impl Usage {
    /// All input classes together.
    pub fn total_input_tokens(&self) -> u64 {
        self.input_tokens + self.cached_input_tokens + self.cache_write_tokens + self.audio_input_tokens
    }

    /// All output classes together.
    pub fn total_output_tokens(&self) -> u64 {
        self.output_tokens + self.reasoning_tokens + self.audio_output_tokens
    }
}
