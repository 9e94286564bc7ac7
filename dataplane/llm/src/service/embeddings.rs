//! Embeddings at a provider with a dialect of its own for them.

use bytes::Bytes;

use crate::dialect::openai_embeddings;
use crate::failure::{Failure, FailureKind};
use crate::provider::overrides::overridden;
use crate::provider::{AnswerContext, EncodeOptions, Encoded, Progress, StreamDecoder, WholeAnswer};
use crate::request::{BadRequest, ModelRequest};
use crate::translate::EmbeddingWire;

pub(super) fn encode(
    wire: &dyn EmbeddingWire,
    request: &ModelRequest,
    options: &EncodeOptions<'_>,
) -> Result<Encoded, BadRequest> {
    let (request, mut dropped) = overridden(request, options.overrides)?;
    let encoded = wire.encode(&openai_embeddings::read(&request)?, options)?;
    dropped.extend(encoded.dropped);
    Ok(Encoded {
        path: encoded.path,
        headers: encoded.headers,
        body: encoded.body,
        strip_usage: false,
        dropped,
    })
}

pub(super) fn decode(
    wire: &dyn EmbeddingWire,
    body: &[u8],
    context: &AnswerContext<'_>,
) -> Result<WholeAnswer, Failure> {
    let answer = wire
        .decode(body)
        .and_then(|answer| openai_embeddings::answer(&answer, context));
    answer.map_err(|failure| failure.into_failure(""))
}

/// What reads the stream of an endpoint that has none.
#[derive(Debug, Default)]
pub(super) struct NoStream(Progress);

impl StreamDecoder for NoStream {
    fn push(&mut self, _bytes: Bytes, _out: &mut Vec<Bytes>) -> Result<(), Failure> {
        Err(Failure::new(
            FailureKind::Protocol,
            "an endpoint without streams was sent one",
        ))
    }

    fn finish(&mut self, _out: &mut Vec<Bytes>) -> Result<(), Failure> {
        Err(Failure::new(
            FailureKind::Protocol,
            "an endpoint without streams was sent one",
        ))
    }

    fn progress(&self) -> &Progress {
        &self.0
    }
}
