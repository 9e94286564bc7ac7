//! `OpenAI`'s legacy completions: a prompt instead of messages, and text instead of a message.
//!
//! Where the provider has them too, bodies and events pass as they are. Elsewhere one prompt becomes one user's message:
//! [`to_hub`] reads requests, [`render`] writes answers and [`chunks`] streams. What only a completion can be asked (a text
//! behind the gap, the best of several, the prompt again) is refused there. Thoughts and pictures have no place in an
//! answer and are left out; tools are never called.

pub mod chunks;
pub mod logprobs;
pub mod render;
pub mod to_hub;

use bytes::Bytes;

use crate::hub;
use crate::provider::AnswerContext;
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{Dialect, StreamWriter};

/// The dialect, for providers that speak something else.
#[derive(Clone, Copy, Debug)]
pub struct OpenAICompletions;

impl Dialect for OpenAICompletions {
    fn read<'r>(&self, request: &'r ModelRequest) -> Result<hub::Request<'r>, BadRequest> {
        to_hub::read(request)
    }

    fn answer(&self, answer: &hub::Answer, context: &AnswerContext<'_>) -> Bytes {
        render::body(answer, context)
    }

    fn writer(&self, context: &AnswerContext<'_>) -> Box<dyn StreamWriter> {
        Box::new(chunks::Writer::new(context))
    }

    /// The hub's words for parameters are those of chats.
    fn parameter(&self, name: &str) -> Option<&'static str> {
        match name {
            "top_logprobs" => Some("logprobs"),
            _ => None,
        }
    }
}
