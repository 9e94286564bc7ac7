//! What clients speak. A dialect reads and writes bytes; which provider answers in it, is for `provider` to know.

use crate::endpoint::Endpoint;
use crate::translate::Dialect;

pub mod anthropic_messages;
pub mod anthropic_models;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_embeddings;
pub mod openai_models;
pub mod openai_responses;

/// The dialect of an endpoint whose answers are a model's words; `None` for those that ask for something else.
pub fn of(endpoint: Endpoint) -> Option<&'static dyn Dialect> {
    match endpoint {
        Endpoint::ChatCompletions => Some(&openai_chat::OpenAIChat),
        Endpoint::Completions => Some(&openai_completions::OpenAICompletions),
        Endpoint::Responses => Some(&openai_responses::OpenAIResponses),
        Endpoint::Messages => Some(&anthropic_messages::AnthropicMessages),
        Endpoint::Embeddings | Endpoint::CountTokens | Endpoint::PassThrough(_) => None,
    }
}
