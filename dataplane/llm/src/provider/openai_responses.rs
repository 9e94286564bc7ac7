//! `OpenAI`'s Responses as a provider speaks it: natively for clients of the same dialect, and as a wire for clients of
//! others, since its newest reasoning models take function tools only there.
//!
//! Its oddities: nothing of a conversation is stored for us, so that thoughts come sealed and are wanted back in their
//! place; a schema that is not strict must say so; there is no `stop`, no seed and no second choice. Checked against the
//! types of the released `openai` SDK 3.57 for Python (November 2026).

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::issuer::Issuer;
use super::openai_shaped::path_of;
use super::{AnswerContext, EncodeOptions, Encoded, Native, StreamDecoder, WholeAnswer, bearer};
use crate::dialect::openai_chat::error::{self, FailedAnswer};
use crate::dialect::openai_responses::{answer, stream};
use crate::failure::Failure;
use crate::hub;
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{EventDecoder, Wire, WireFailure, WireRequest};

mod decode;
mod encode;
mod events;
mod fields;
mod input;
mod native;
mod signature;
mod tools;

/// The path behind the base URL.
pub(super) const PATH: &str = "/responses";

/// The Responses API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Responses {
    /// Who seals the thoughts.
    pub(super) issuer: Issuer,
}

impl Native for Responses {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        native::encode(request, options)
    }

    fn decode_whole(&self, body: Bytes, _context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        answer::read(body)
    }

    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        error::read(FailedAnswer {
            status,
            headers,
            body,
            credential,
            now,
        })
    }

    fn stream_decoder(&self, _context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Tap::default())
    }
}

impl Wire for Responses {
    fn default_base_url(&self) -> Option<&'static str> {
        None // that of the provider whose model it is
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options, self.issuer)?;
        Ok(WireRequest {
            path: path_of(PATH, options),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        decode::response(body, self.issuer)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        error::read_wire(status, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(events::Decoder::new(self.issuer))
    }
}
