//! Anthropic's Messages: what the `anthropic` SDKs speak.
//!
//! Where the provider speaks it too, bodies and events pass as they are (`provider/anthropic/native.rs`). Where it speaks
//! something else, [`to_hub`] reads requests, [`render`] writes answers, [`events`] streams and [`error`] errors.
//!
//! Decisions: thoughts of providers that do not sign them have an empty signature; proofs of calls travel in thoughts
//! (`signature.rs`); a picture, which the dialect has no block for, is a line of text that says so; a refusal's words are
//! text, and the reason is `refusal`.

pub mod error;
pub mod events;
pub mod render;
pub mod to_hub;

mod blocks;
mod signature;
mod words;

use bytes::Bytes;

use crate::hub;
use crate::provider::{AnswerContext, WholeAnswer};
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{Dialect, StreamWriter};
use crate::usage::Usage;

/// The answer to `count_tokens`. It is free: nothing was used.
pub(crate) fn counted(input_tokens: u64) -> WholeAnswer {
    WholeAnswer {
        body: format!("{{\"input_tokens\":{input_tokens}}}").into(),
        usage: Some(Usage::default()),
    }
}

/// The dialect, for providers that speak something else.
#[derive(Clone, Copy, Debug)]
pub struct AnthropicMessages;

impl Dialect for AnthropicMessages {
    fn read<'r>(&self, request: &'r ModelRequest) -> Result<hub::Request<'r>, BadRequest> {
        to_hub::read(request)
    }

    fn answer(&self, answer: &hub::Answer, context: &AnswerContext<'_>) -> Bytes {
        render::body(answer, context)
    }

    fn writer(&self, context: &AnswerContext<'_>) -> Box<dyn StreamWriter> {
        Box::new(events::Writer::new(context))
    }

    fn call_id(&self, request_id: &str, _choice: u32, index: usize) -> String {
        words::tool_use_id(request_id, index)
    }

    /// The hub's words for parameters are those of `OpenAI`'s chat.
    fn parameter(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "stop" => "stop_sequences",
            "user" => "metadata.user_id",
            "response_format" => "output_config.format",
            "reasoning_effort" => "output_config.effort",
            "parallel_tool_calls" => "tool_choice.disable_parallel_tool_use",
            "tools[].function.strict" => "tools[].strict",
            "max_completion_tokens" => "max_tokens",
            _ => return None,
        })
    }
}
