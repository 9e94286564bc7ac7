//! `OpenAI`'s Responses: what its newer SDKs speak. Shapes are those of the types in the released `openai` SDK 3.57 for
//! Python (November 2026).
//!
//! Where the provider speaks it too, bodies and events pass as they are and are only read along the way: [`answer`] reads
//! whole answers, [`stream`] streams. Where it speaks something else, [`to_hub`] reads requests, [`render`] writes answers
//! and [`writer`] streams, both by way of [`draft`], so that a stream ends in the very answer that would have come whole.
//! [`usage`] and [`failure`] read what both need; [`proof`] carries other providers' signatures through clients.
//!
//! Nothing is stored: answers say so, and a request that refers to something stored is refused.

pub mod answer;
mod draft;
pub mod error;
mod events;
pub(crate) mod failure;
mod item;
pub(crate) mod proof;
mod render;
mod response;
pub mod stream;
mod to_hub;
pub mod usage;
mod writer;

use bytes::Bytes;

use crate::hub;
use crate::provider::AnswerContext;
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{Dialect, StreamWriter};

/// The dialect, for providers that speak something else.
#[derive(Clone, Copy, Debug)]
pub struct OpenAIResponses;

impl Dialect for OpenAIResponses {
    fn read<'r>(&self, request: &'r ModelRequest) -> Result<hub::Request<'r>, BadRequest> {
        to_hub::read(request)
    }

    fn answer(&self, answer: &hub::Answer, context: &AnswerContext<'_>) -> Bytes {
        render::body(answer, context)
    }

    fn writer(&self, context: &AnswerContext<'_>) -> Box<dyn StreamWriter> {
        Box::new(writer::Writer::new(context))
    }

    /// The hub's words for parameters are those of `OpenAI`'s chat.
    fn parameter(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "response_format" => "text.format",
            "verbosity" => "text.verbosity",
            "reasoning_effort" => "reasoning.effort",
            "logprobs" => "include",
            "max_completion_tokens" => "max_output_tokens",
            "tools[].function.strict" => "tools[].strict",
            _ => return None,
        })
    }
}
