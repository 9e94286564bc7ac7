//! `OpenAI`'s own service. It defines the dialect, so it needs no rules: `max_tokens` passes as it is, and a model that
//! wants `max_completion_tokens` says so itself.

use super::openai_shaped::Rules;
use crate::pass_through::PassThrough;

pub(super) static OPENAI: Rules = Rules {
    default_base_url: Some("https://api.openai.com/v1"),
    passes: &[
        PassThrough::ImageGenerations,
        PassThrough::ImageEdits,
        PassThrough::ImageVariations,
        PassThrough::Speech,
        PassThrough::Transcriptions,
        PassThrough::Translations,
        PassThrough::Moderations,
    ],
    ..Rules::PLAIN
};
