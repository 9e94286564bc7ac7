//! Clients of the Messages API that ask for Claude in Vertex AI: bodies and events pass as they do at Anthropic, but the
//! model stands in the path. Its counter of tokens is a model of its own, and not every place has it.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;

use super::super::anthropic::encode::VERTEX_VERSION;
use super::super::anthropic::native::{self, Envelope};
use super::super::gemini::failure;
use super::super::{AnswerContext, EncodeOptions, Encoded, Native, StreamDecoder, WholeAnswer};
use super::address::{self, Name};
use super::claude::verb;
use crate::failure::{self as failures, Failure};
use crate::request::{BadRequest, ModelRequest};

/// `POST /v1/messages`.
pub(super) struct Messages;

/// `POST /v1/messages/count_tokens`.
pub(super) struct CountTokens;

impl Native for Messages {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let path = address::path(options, verb(request.stream));
        encoded(path, request, options, false)
    }

    fn decode_whole(&self, body: Bytes, _context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        native::whole(body)
    }

    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        failed(status, headers, body, credential, now)
    }

    fn stream_decoder(&self, _context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        native::tap()
    }
}

impl Native for CountTokens {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let upstream_model = match Name::of(options) {
            Name::Model { model, .. } => model,
            Name::Endpoint(_) => options.upstream_model,
        };
        let named = EncodeOptions {
            upstream_model,
            ..*options
        };
        encoded(address::claude_count_tokens(options.account), request, &named, true)
    }

    fn decode_whole(&self, body: Bytes, _context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        native::counted(body)
    }

    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        failed(status, headers, body, credential, now)
    }

    /// There is none: the dialect's request cannot ask for it.
    fn stream_decoder(&self, _context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        native::tap()
    }

    /// (<https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens>)
    fn lacks_counter(&self, status: u16) -> bool {
        matches!(status, 400 | 403 | 404)
    }
}

fn encoded(
    path: String,
    request: &ModelRequest,
    options: &EncodeOptions<'_>,
    names_model: bool,
) -> Result<Encoded, BadRequest> {
    let envelope = Envelope {
        names_model,
        version: Some(VERTEX_VERSION),
    };
    let (body, dropped) = native::body(request, options, envelope)?;
    Ok(Encoded {
        path: path.into(),
        headers: HeaderMap::new(),
        body,
        strip_usage: false,
        dropped,
    })
}

/// Errors are Google's before Claude is reached.
fn failed(status: u16, headers: &HeaderMap, body: &[u8], credential: &str, now: SystemTime) -> Failure {
    if !failure::is_googles(body) {
        return native::failed(status, headers, body, credential, now);
    }
    let mut read = failure::read(status, body);
    read.retry_after = read.retry_after.or_else(|| failures::retry_after(headers, now));
    read.into_failure(credential)
}
