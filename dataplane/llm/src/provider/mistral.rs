//! Mistral. Its oddities: a field it does not know is refused with 422, so that only those pass which it has; a seed is
//! `random_seed`, `required` is `any`; ids of tool calls are nine letters and digits; thoughts are parts of `content`;
//! usage comes with the last event unasked. Checked against the released `mistralai` SDK 3.7 (November 2026).

use super::openai_shaped::{
    EmbeddingRules, FieldRule, FromHub, History, Inputs, MessageRules, OutputCap, RequestRules, Rules, Thoughts,
};
use crate::dialect::openai_chat::mend::Mend;
use crate::pass_through::PassThrough;

pub(super) static MISTRAL: Rules = Rules {
    default_base_url: Some("https://api.mistral.ai/v1"),
    output_cap: OutputCap::MaxTokens,
    asks_for_usage: false,
    request: Some(&RequestRules {
        fields: &[
            ("model", FieldRule::Pass),
            ("messages", FieldRule::Pass),
            ("stream", FieldRule::Pass),
            ("stream_options", FieldRule::Needless),
            ("temperature", FieldRule::AtMost(1.5)),
            ("top_p", FieldRule::Pass),
            ("top_k", FieldRule::Pass),
            ("min_tokens", FieldRule::Pass),
            ("stop", FieldRule::Pass),
            ("seed", FieldRule::Rename("random_seed")),
            ("random_seed", FieldRule::Pass),
            ("presence_penalty", FieldRule::Pass),
            ("frequency_penalty", FieldRule::Pass),
            ("repetition_penalty", FieldRule::Pass),
            ("n", FieldRule::Pass),
            ("logprobs", FieldRule::Pass),
            ("top_logprobs", FieldRule::Pass),
            ("prompt_logprobs", FieldRule::Pass),
            ("top_prompt_logprobs", FieldRule::Pass),
            ("tools", FieldRule::Pass),
            ("tool_choice", FieldRule::Word("\"required\"", "\"any\"")),
            ("parallel_tool_calls", FieldRule::Pass),
            ("response_format", FieldRule::Pass),
            ("prediction", FieldRule::Pass),
            ("reasoning_effort", FieldRule::Pass),
            ("prompt_mode", FieldRule::Pass),
            ("metadata", FieldRule::Pass),
            ("guardrails", FieldRule::Pass),
            ("prompt_cache_key", FieldRule::Pass),
            ("service_tier", FieldRule::Pass),
            ("safe_prompt", FieldRule::Pass),
        ],
        is_allow_list: true,
        added: None,
        messages: MessageRules {
            members: &["role", "content", "name", "tool_calls", "tool_call_id", "prefix"],
            thoughts: Thoughts::AsPart,
            tool_id: Some(nine_alphanumerics),
        },
        functions_need_parameters: true,
    }),
    answers: Some(&Mend {
        signs: &[
            "\"thinking\"",
            "\"content\":[",
            "\"content\": [",
            "\"model_length\"",
            "\"error\"",
        ],
        finish_reasons: &[("model_length", "length")],
        failures: &["error"],
        usage_in: None,
    }),
    from_hub: &FromHub {
        thoughts: History::In("reasoning_content"), // which its rules make a part
        models_of: "Mistral",
        takes_files: false,
        has_strict_order: true,
        ..FromHub::UNKNOWN
    },
    passes: &[PassThrough::Moderations, PassThrough::Transcriptions],
    embeddings: Some(EmbeddingRules {
        inputs: Inputs::Text,
        request: Some(&RequestRules {
            fields: &[
                ("model", FieldRule::Pass),
                ("input", FieldRule::Pass),
                ("dimensions", FieldRule::Rename("output_dimension")),
                ("output_dimension", FieldRule::Pass),
                ("output_dtype", FieldRule::Pass),
                ("encoding_format", FieldRule::Pass),
                ("metadata", FieldRule::Pass),
            ],
            is_allow_list: true,
            ..RequestRules::NONE
        }),
        ..EmbeddingRules::PLAIN
    }),
    ..Rules::PLAIN
};

/// Length of the ids that the service makes and takes.
const TOOL_ID_LENGTH: usize = 9;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The same nine characters for the same id, whichever message it stands in; `None`: it may stay. Nothing is mapped back,
/// since the service never repeats an id that it was sent: its answers bring ids of its own, which stay.
pub(super) fn nine_alphanumerics(id: &str) -> Option<String> {
    if id.len() == TOOL_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    // FNV-1a: two of the few ids of one conversation meet once in some 2^50, and a client that makes them meet confuses
    // nobody but its own model.
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut mapped = String::with_capacity(TOOL_ID_LENGTH);
    for _ in 0..TOOL_ID_LENGTH {
        let digit = usize::try_from(hash % 62).expect("below 62");
        mapped.push(char::from(ALPHABET[digit]));
        hash /= 62;
    }
    Some(mapped)
}
