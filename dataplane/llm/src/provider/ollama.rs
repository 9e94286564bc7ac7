//! Ollama through its `OpenAI` layer. The base URL is the server's root, where its own API lives too.
//!
//! Its oddity: `max_completion_tokens` is accepted and ignored (<https://github.com/ollama/ollama/issues/7125>), so that
//! an answer would have no bound; it goes out as `max_tokens`.

use super::openai_shaped::{Completions, EmbeddingRules, FromHub, History, Inputs, OutputCap, Rules};

pub(super) static OLLAMA: Rules = Rules {
    default_base_url: Some("http://localhost:11434"),
    chat_path: "/v1/chat/completions",
    output_cap: OutputCap::MaxTokens,
    completions: Some(&Completions {
        path: "/v1/completions",
        ..Completions::PLAIN
    }),
    from_hub: &FromHub {
        thoughts: History::In("reasoning"),
        models_of: "Ollama",
        takes_files: false,
        lacks: &["n", "user", "top_k", "logit_bias", "tool_choice", "parallel_tool_calls"],
        ..FromHub::UNKNOWN
    },
    embeddings: Some(EmbeddingRules {
        path: "/v1/embeddings",
        inputs: Inputs::Text,
        ..EmbeddingRules::PLAIN
    }),
    ..Rules::PLAIN
};
