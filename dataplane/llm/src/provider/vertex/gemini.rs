//! Gemini in Vertex AI: what AI Studio speaks, at other addresses and with proofs of its own.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::gemini::{answer, encode, failure, method, stream};
use super::super::issuer::Issuer;
use super::super::{EncodeOptions, bearer};
use super::address;
use super::count::CountTokens;
use super::embeddings::VertexEmbeddings;
use crate::hub;
use crate::request::BadRequest;
use crate::translate::{CountWire, EmbeddingWire, EventDecoder, Wire, WireFailure, WireRequest};

pub(super) struct VertexGemini;

impl Wire for VertexGemini {
    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options, Issuer::Vertex)?;
        Ok(WireRequest {
            path: address::path(options, method(request.stream)).into(),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        answer::read(body, Issuer::Vertex)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, body)
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingWire> {
        Some(&VertexEmbeddings)
    }

    fn counter(&self) -> Option<&'static dyn CountWire> {
        Some(&CountTokens)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::new(Issuer::Vertex))
    }
}
