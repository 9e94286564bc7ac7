//! `DeepSeek`. Its oddities: turns in which tools were called need their `reasoning_content` back, else the next request is
//! refused; a server without resources ends its answer with a finish reason and not with an error; several choices and
//! schemas are not to be had. Unknown fields are ignored, so they pass.
//!
//! Legacy completions are asked as chats: the service has them only at another base URL (`/beta`), for filling gaps. Whoever
//! wants those declares an `OpenAICompatible` provider with that URL.

use super::openai_shaped::{FieldRule, FromHub, History, MessageRules, OutputCap, RequestRules, Rules, Thoughts};
use crate::dialect::openai_chat::mend::Mend;

pub(super) static DEEPSEEK: Rules = Rules {
    default_base_url: Some("https://api.deepseek.com/v1"),
    output_cap: OutputCap::MaxTokens,
    request: Some(&RequestRules {
        fields: &[
            ("n", FieldRule::RefusedIf(|json| json != "1" && json != "null")),
            (
                "response_format",
                FieldRule::RefusedIf(|json| json.contains("\"json_schema\"")),
            ),
            ("logit_bias", FieldRule::Unsupported),
            ("seed", FieldRule::Unsupported),
            ("top_k", FieldRule::Unsupported),
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
    answers: Some(&Mend {
        signs: &["\"insufficient_system_resource\""],
        finish_reasons: &[],
        failures: &["insufficient_system_resource"],
        usage_in: None,
    }),
    from_hub: &FromHub {
        thoughts: History::Needed,
        off: Some(("thinking", "{\"type\":\"disabled\"}")),
        takes_files: false,
        ..FromHub::UNKNOWN
    },
    embeddings: None,
    ..Rules::PLAIN
};
