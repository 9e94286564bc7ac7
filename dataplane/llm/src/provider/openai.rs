//! `OpenAI`'s own service. It defines the dialect, so it needs no rules: `max_tokens` passes as it is, and a model that
//! wants `max_completion_tokens` says so itself.

use super::issuer::Issuer;
use super::openai_responses::Responses;
use super::openai_shaped::{Completions, FromHub, History, Rules};
use crate::pass_through::PassThrough;

/// What its models take, wherever they are served.
pub(super) const FROM_HUB: FromHub = FromHub {
    is_original: true,
    instructor: "developer",
    thoughts: History::Refused,
    models_of: "OpenAI",
    lacks: &["top_k"],
    knows: &[
        "metadata",
        "moderation",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "verbosity",
    ],
    ..FromHub::UNKNOWN
};

pub(super) static OPENAI: Rules = Rules {
    default_base_url: Some("https://api.openai.com/v1"),
    completions: Some(&Completions::PLAIN),
    from_hub: &FROM_HUB,
    passes: &[
        PassThrough::ImageGenerations,
        PassThrough::ImageEdits,
        PassThrough::ImageVariations,
        PassThrough::Speech,
        PassThrough::Transcriptions,
        PassThrough::Translations,
        PassThrough::Moderations,
        PassThrough::Files,
        PassThrough::Batches,
        PassThrough::StoredResponses,
    ],
    has_responses: true,
    responses: Responses { issuer: Issuer::OpenAI },
    ..Rules::PLAIN
};
