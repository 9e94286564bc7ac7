//! Ollama's own API, `/api/chat`, for clients that speak chat completions. The base URL is the server's root.
//!
//! Its oddities: it streams unless told not to, in lines of JSON; pictures stand beside the text, as bytes only; arguments of
//! tool calls are objects and come whole; a result names its function and not its call; counts of a cached prompt may be
//! absent. Checked against the types of the released `ollama` client 0.6 (November 2026).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{EncodeOptions, bearer};
use crate::hub;
use crate::request::BadRequest;
use crate::translate::{EmbeddingWire, EventDecoder, Wire, WireFailure, WireRequest};

mod decode;
mod embeddings;
mod encode;

/// `/api/chat`.
#[derive(Clone, Copy, Debug)]
pub struct OllamaNative;

impl Wire for OllamaNative {
    fn default_base_url(&self) -> Option<&'static str> {
        Some("http://localhost:11434")
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn stream_content_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options)?;
        Ok(WireRequest {
            path: "/api/chat".into(),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        decode::answer(body)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        decode::failure(status, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(decode::Lines::default())
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingWire> {
        Some(&embeddings::OllamaEmbeddings)
    }
}
