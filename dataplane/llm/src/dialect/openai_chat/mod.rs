//! `OpenAI`'s chat completions: what most clients speak and most servers answer in.
//!
//! Where both sides speak it, bodies and events pass as they are and are only read along the way: [`answer`] reads whole
//! answers, [`stream`] streams, [`usage`] token counts, [`error`] reads and writes error objects, [`mend`] puts right what a server says in words of its own. Where the provider speaks
//! something else, [`to_hub`] reads requests, [`render`] writes answers and [`chunks`] streams. Where the client speaks
//! something else, `from_hub` writes requests and `answer_to_hub` reads answers and streams.

pub mod answer;
pub(crate) mod answer_to_hub;
pub mod chunks;
pub mod error;
pub(crate) mod from_hub;
pub mod mend;
pub mod render;
pub mod stream;
pub mod to_hub;
pub mod usage;

use bytes::Bytes;

use crate::hub;
use crate::provider::AnswerContext;
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{Dialect, StreamWriter};

/// The dialect, for providers that speak something else.
#[derive(Clone, Copy, Debug)]
pub struct OpenAIChat;

impl Dialect for OpenAIChat {
    fn read<'r>(&self, request: &'r ModelRequest) -> Result<hub::Request<'r>, BadRequest> {
        to_hub::read(request)
    }

    fn answer(&self, answer: &hub::Answer, context: &AnswerContext<'_>) -> Bytes {
        render::body(answer, context)
    }

    fn writer(&self, context: &AnswerContext<'_>) -> Box<dyn StreamWriter> {
        Box::new(chunks::Writer::new(context))
    }
}
