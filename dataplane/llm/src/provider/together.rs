//! Together. Its oddities: an answer that ended by itself says `eos`; thoughts are in `reasoning` with some models and in
//! `reasoning_content` with others; `logprobs` is a number and its answer of another shape; usage comes with the last event
//! unasked. No cap is written where the client set none. Checked against the released `together` SDK 3.1 (November 2026).

use super::openai_shaped::{
    Completions, EmbeddingRules, FieldRule, FromHub, History, Inputs, MessageRules, OutputCap, RequestRules, Rules,
    Thoughts,
};
use crate::dialect::openai_chat::mend::Mend;
use crate::pass_through::PassThrough;

pub(super) static TOGETHER: Rules = Rules {
    default_base_url: Some("https://api.together.xyz/v1"),
    output_cap: OutputCap::MaxTokens,
    asks_for_usage: false,
    request: Some(&RequestRules {
        fields: &[
            ("logprobs", FieldRule::Unsupported),
            ("top_logprobs", FieldRule::Unsupported),
            ("parallel_tool_calls", FieldRule::Unsupported),
        ],
        is_allow_list: false,
        added: None,
        messages: MessageRules {
            members: &[],
            thoughts: Thoughts::In("reasoning_content"),
            tool_id: None,
        },
        functions_need_parameters: false,
    }),
    answers: Some(&ANSWERS),
    completions: Some(&Completions {
        asks_for_usage: false,
        answers: Some(&ANSWERS),
        ..Completions::PLAIN
    }),
    from_hub: &FromHub {
        thoughts: History::In("reasoning_content"),
        models_of: "Together",
        off: Some(("reasoning", "{\"enabled\":false}")),
        takes_files: false,
        ..FromHub::UNKNOWN
    },
    passes: &[
        PassThrough::ImageGenerations,
        PassThrough::Speech,
        PassThrough::Transcriptions,
        PassThrough::Translations,
        PassThrough::Rerank,
    ],
    embeddings: Some(EmbeddingRules {
        inputs: Inputs::Text,
        request: Some(&RequestRules {
            fields: &[
                ("dimensions", FieldRule::Unsupported),
                ("encoding_format", FieldRule::Needless), // it writes numbers
                ("user", FieldRule::Unsupported),
            ],
            ..RequestRules::NONE
        }),
        ..EmbeddingRules::PLAIN
    }),
    ..Rules::PLAIN
};

static ANSWERS: Mend = Mend {
    signs: &["\"eos\"", "\"reasoning\""],
    finish_reasons: &[("eos", "stop")],
    failures: &[],
    usage_in: None,
};
