//! Any server that speaks `/chat/completions`: vLLM, llama.cpp, TGI, a proxy. What it understands is known to the caller
//! and not to us, so nothing is renamed.

use super::openai_shaped::Rules;

pub(super) static OPENAI_COMPATIBLE: Rules = Rules {
    default_base_url: None,
    chat_path: "/chat/completions",
    knows_only_max_tokens: false,
};
