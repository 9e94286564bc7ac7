//! Groq. Its oddities: thoughts are in `reasoning`, in answers and in history, and stand apart from the text only if
//! asked for so; usage of a stream is in `x_groq`; a message with a member it does not know is refused whole, as are
//! `logprobs`, `logit_bias` and a second choice. Checked against the released `groq` SDK 1.7 (November 2026).

use super::openai_shaped::{
    Added, FieldRule, FromHub, History, IsSent, MessageRules, OutputCap, RequestRules, Rules, Thoughts,
};
use crate::dialect::openai_chat::mend::Mend;
use crate::pass_through::PassThrough;

pub(super) static GROQ: Rules = Rules {
    default_base_url: Some("https://api.groq.com/openai/v1"),
    output_cap: OutputCap::MaxCompletionTokens, // the other one is deprecated
    asks_for_usage: false,
    request: Some(&RequestRules {
        fields: &[
            ("n", FieldRule::RefusedIf(|json| json != "1" && json != "null")),
            ("logprobs", FieldRule::Unsupported),
            ("top_logprobs", FieldRule::Unsupported),
            ("logit_bias", FieldRule::Unsupported),
            ("top_k", FieldRule::Unsupported),
            ("reasoning_effort", FieldRule::Word("\"minimal\"", "\"low\"")),
            ("service_tier", FieldRule::Word("\"default\"", "\"on_demand\"")),
            ("stream_options", FieldRule::Needless),
        ],
        is_allow_list: false,
        added: Some(Added {
            name: "\"reasoning_format\"",
            value: "\"parsed\"",
            is_due: wants_thoughts_apart,
        }),
        messages: MessageRules {
            members: &["role", "content", "tool_calls", "tool_call_id"],
            thoughts: Thoughts::In("reasoning"),
            tool_id: None,
        },
        functions_need_parameters: false,
    }),
    answers: Some(&Mend {
        signs: &["\"reasoning\"", "\"x_groq\""],
        finish_reasons: &[],
        failures: &[],
        usage_in: Some("x_groq"),
    }),
    from_hub: &FromHub {
        thoughts: History::In("reasoning_content"), // which its rules rename
        models_of: "Groq",
        added: thoughts_apart,
        takes_files: false,
        knows: &["reasoning_format", "include_reasoning"],
        ..FromHub::UNKNOWN
    },
    passes: &[
        PassThrough::Speech,
        PassThrough::Transcriptions,
        PassThrough::Translations,
        PassThrough::Files,
        PassThrough::Batches,
    ],
    embeddings: None,
    ..Rules::PLAIN
};

/// Thoughts stand in the text, between tags, unless told otherwise. Models that do not think refuse to be told, and
/// `gpt-oss` keeps them apart anyway, so that it is said only where the client asks for thoughts.
fn wants_thoughts_apart(model: &str, is_sent: &IsSent<'_>) -> bool {
    let is_told = is_sent("reasoning_format") || is_sent("include_reasoning");
    is_sent("reasoning_effort") && !is_told && !model.contains("gpt-oss")
}

/// The same for clients of other dialects, who have a place for thoughts and none for tags. These models think unasked.
fn thoughts_apart(model: &str) -> Option<(&'static str, &'static str)> {
    model.contains("qwen3").then_some(("reasoning_format", "\"parsed\""))
}
