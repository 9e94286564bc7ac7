//! A chat request as it arrived: the bytes, and where in them the few fields stand that the gateway reads.

use bytes::Bytes;

/// A parsed `POST /v1/chat/completions` body. Only the top-level fields below are read; all else stays bytes.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The body as received.
    pub body: Bytes,
    /// `model`, unescaped.
    pub model: String,
    /// `stream`.
    pub stream: bool,
    /// `stream_options.include_usage`.
    pub include_usage: bool,
    /// `max_completion_tokens`, else `max_tokens`.
    pub max_output_tokens: Option<u64>,
    /// `user`, unescaped.
    pub user: Option<String>,
}

impl ChatRequest {
    /// Checks the whole body (UTF-8, JSON grammar, depth) and finds the fields that the gateway reads.
    pub fn parse(_body: Bytes) -> Result<Self, BadRequest> {
        todo!()
    }
}

/// Why a request body is refused with 400. The words are for the client and never quote more than a field name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// A stable code: `invalid_json`, `invalid_utf8`, `json_too_deep`, `duplicate_field`, `missing_field`,
    /// `invalid_type`, `unsupported_parameter`.
    pub code: &'static str,
    /// The field at fault, if one is.
    pub param: Option<String>,
    /// One sentence that says what to do.
    pub message: String,
}
