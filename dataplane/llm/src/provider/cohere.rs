//! Cohere's v2 Chat API, for clients that speak chat completions.
//!
//! Its oddities: a turn that calls tools has a plan where others have text; there is no forcing of one tool among several;
//! an answer that failed on its way ends with a finish reason under status 200; what it counts includes tokens of its own
//! that it does not bill; it names no model in its answers. Checked against the types of the released `cohere` SDK 7.3.1
//! (November 2026).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{EncodeOptions, bearer};
use crate::hub;
use crate::pass_through::PassThrough;
use crate::request::BadRequest;
use crate::translate::{EmbeddingWire, EventDecoder, Wire, WireFailure, WireRequest};

mod decode;
pub(super) mod embeddings;
mod encode;
mod failure;
mod fields;
mod message;
mod stream;
mod tools;
mod usage;

/// `/v2/chat`.
#[derive(Clone, Copy, Debug)]
pub struct Cohere;

impl Wire for Cohere {
    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.cohere.com/v2")
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    /// Reranking, in the words that everybody took over from here.
    fn pass_through(&self, what: PassThrough, _options: &EncodeOptions<'_>) -> Option<Cow<'static, str>> {
        (what == PassThrough::Rerank).then(|| what.tail().into())
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options)?;
        Ok(WireRequest {
            path: "/chat".into(),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        decode::answer(body)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingWire> {
        Some(&embeddings::CohereEmbeddings)
    }
}
