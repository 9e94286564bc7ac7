//! What a token costs. All prices are integers: nano-USD per million tokens, so `$2.50` per million is 2,500,000,000.

use serde::{Deserialize, Serialize};

/// Prices of one model in nano-USD per million tokens (`image`: nano-USD per image). `None` is "not stated", which
/// differs from zero: a local model is free on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    /// Uncached input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from the provider's prompt cache; `None` costs what input costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<u64>,
    /// Input tokens written to the provider's prompt cache; `None` costs what input costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// The same with a lifetime of one hour; `None` costs what a cache write costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    /// Reasoning tokens; `None` costs what output costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// Audio input tokens; `None` costs what input costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<u64>,
    /// Audio output tokens; `None` costs what output costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<u64>,
    /// One image, in nano-USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<u64>,
}
