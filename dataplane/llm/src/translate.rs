//! Providers that do not speak the client's dialect: a request goes through the hub into the provider's words, the answer
//! through the hub into the client's.
//!
//! A provider's side is a [`Wire`], a client's a [`Dialect`]; [`crate::service::Service`] makes of a pair of them what the
//! data plane calls. A wire knows neither the client's dialect nor its errors' shape, and a dialect knows no provider:
//! each is written and tested once.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::openai_chat::error::{ErrorObject, scrub_strings};
use crate::failure::{Failure, FailureKind};
use crate::hub;
use crate::pass_through::PassThrough;
use crate::provider::{AnswerContext, EncodeOptions, Progress, SERVER_SENT_EVENTS};
use crate::request::{BadRequest, ModelRequest};
use crate::scrub::scrub;

/// A provider's own dialect, in terms of the hub. No IO and no clock.
pub trait Wire: Send + Sync + 'static {
    /// The base URL where the manifest gives none.
    fn default_base_url(&self) -> Option<&'static str>;

    /// The header that carries the credential; `None` for one that is empty or that no header can carry.
    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)>;

    /// Callers' headers that go to the provider; see [`crate::provider::Provider::forwarded_headers`].
    fn forwarded_headers(&self) -> &'static [HeaderName] {
        &[]
    }

    /// The `content-type` of its streams, without parameters.
    fn stream_content_type(&self) -> &'static str {
        SERVER_SENT_EVENTS
    }

    /// See [`crate::provider::Provider::pass_through`].
    fn pass_through(&self, _what: PassThrough, _options: &EncodeOptions<'_>) -> Option<Cow<'static, str>> {
        None
    }

    /// Writes a request. What the provider lacks is refused, or left out as `options` say.
    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest>;

    /// Reads a whole answer (status 2xx).
    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure>;

    /// Reads an answer that is not 2xx. `Retry-After` is read by the caller, here only what the body says about it.
    fn decode_failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> WireFailure;

    /// Reads a stream (status 2xx, [`Wire::stream_content_type`]).
    fn events(&self) -> Box<dyn EventDecoder>;

    /// Its dialect for embeddings, where it has them.
    fn embeddings(&self) -> Option<&'static dyn EmbeddingWire> {
        None
    }

    /// The provider's own counter of input tokens; without one they are estimated here.
    fn counter(&self) -> Option<&'static dyn CountWire> {
        None
    }
}

/// A provider's own dialect for embeddings, in terms of the hub. No IO and no clock.
pub trait EmbeddingWire: Send + Sync {
    /// Writes a request. What the provider lacks is refused, or left out as `options` say.
    fn encode(
        &self,
        request: &hub::EmbeddingRequest<'_>,
        options: &EncodeOptions<'_>,
    ) -> Result<WireRequest, BadRequest>;

    /// Reads an answer (status 2xx).
    fn decode(&self, body: &[u8]) -> Result<hub::EmbeddingAnswer, WireFailure>;

    /// Reads an answer that is not 2xx; see [`Wire::decode_failure`].
    fn decode_failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> WireFailure;
}

/// A provider's counter of input tokens, in terms of the hub. No IO and no clock. What goes wrong is read by the [`Wire`]
/// that it belongs to.
pub trait CountWire: Send + Sync + 'static {
    /// Writes the question what the input of `request` comes to.
    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest>;

    /// Reads the answer (status 2xx).
    fn decode(&self, body: &[u8]) -> Result<u64, WireFailure>;

    /// Whether an answer of this status (not 2xx) says that it counts for some models or accounts only, and not for this
    /// one: the tokens are then estimated.
    fn is_lacking(&self, _status: u16) -> bool {
        false
    }
}

/// A client's dialect, in terms of the hub. No IO and no clock.
pub trait Dialect: Send + Sync {
    /// Reads a request that was parsed.
    fn read<'r>(&self, request: &'r ModelRequest) -> Result<hub::Request<'r>, BadRequest>;

    /// Writes a whole answer.
    fn answer(&self, answer: &hub::Answer, context: &AnswerContext<'_>) -> Bytes;

    /// Writes a stream.
    fn writer(&self, context: &AnswerContext<'_>) -> Box<dyn StreamWriter>;

    /// The client's name of a parameter that adapters name in the hub's words, where it differs.
    fn parameter(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// The id of a call of a tool whose provider gave none: the `index`th of a choice in the answer to the request of that
    /// id. Clients send it back with the result, so it is unique in one conversation: the request is part of it.
    fn call_id(&self, request_id: &str, choice: u32, index: usize) -> String {
        let request_id = request_id.strip_prefix("chatcmpl-").unwrap_or(request_id);
        format!("call_{request_id}_{choice}_{index}")
    }
}

/// Events of the hub in, bytes of the client's stream out.
pub trait StreamWriter: Send {
    /// Writes what the events say, at most as one piece, and empties `events`; what stands behind
    /// [`hub::Event::End`] is not written. `Err`: they break the order that [`hub::Event`] promises.
    fn write(&mut self, events: &mut Vec<hub::Event>, out: &mut Vec<Bytes>) -> Result<(), WireFailure>;

    /// What was seen so far.
    fn progress(&self) -> &Progress;
}

/// Bytes of a provider's stream in, events of the hub out.
pub trait EventDecoder: Send {
    /// Takes what arrived, however it was cut; appends what it says to `events`, also where it then fails. Nothing is
    /// read behind [`hub::Event::End`] or an error.
    fn push(&mut self, bytes: &[u8], events: &mut Vec<hub::Event>) -> Result<(), WireFailure>;

    /// The provider closed the stream. A dialect without a last event of its own appends `End` here if all was said;
    /// a stream that ends without one is cut, which the caller sees to.
    fn finish(&mut self, events: &mut Vec<hub::Event>) -> Result<(), WireFailure>;
}

/// A request as the provider gets it.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// See [`crate::provider::Encoded::path`].
    pub path: Cow<'static, str>,
    /// See [`crate::provider::Encoded::headers`].
    pub headers: HeaderMap,
    /// JSON.
    pub body: Bytes,
    /// Names of parameters that were left out, as the client knows them.
    pub dropped: Vec<String>,
}

impl WireRequest {
    /// What is asked of nobody.
    pub(crate) fn nothing() -> Self {
        Self {
            path: Cow::Borrowed(""),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            dropped: Vec::new(),
        }
    }
}

/// What went wrong, in words of no dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireFailure {
    /// What kind of trouble it is.
    pub kind: FailureKind,
    /// The HTTP status, or the one that an error under status 200 stands for.
    pub status: Option<u16>,
    /// The provider's words for the client, not yet scrubbed; `None`: ours are made from `kind`.
    pub message: Option<Box<str>>,
    /// The provider's family of the error, as in `overloaded_error`.
    pub error_type: Option<Box<str>>,
    /// The provider's code for programs; absent: the kind's, where programs look for one.
    pub code: Option<Box<str>>,
    /// The field at fault.
    pub param: Option<Box<str>>,
    /// What the provider says beside it to programs, not yet scrubbed; small, as an error body is.
    pub details: Option<Box<serde_json::Value>>,
    /// How long the provider asked to wait, if its body says.
    pub retry_after: Option<Duration>,
    /// For logs only: what happened, without bodies or credentials.
    pub detail: String,
}

impl WireFailure {
    /// A failure of which nothing is known but its kind and what to write into the log.
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            message: None,
            error_type: None,
            code: None,
            param: None,
            details: None,
            retry_after: None,
            detail: detail.into(),
        }
    }

    /// The answer is not what the dialect promises.
    pub fn protocol(detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Protocol, detail)
    }

    /// The same with a body in `OpenAI`'s shape, scrubbed of `credential` and of what looks like one.
    pub(crate) fn into_failure(mut self, credential: &str) -> Failure {
        // The caller's key is fine when ours is refused, and a broken answer is no news for the client.
        let is_for_client = !matches!(
            self.kind,
            FailureKind::Auth | FailureKind::Protocol | FailureKind::Cut | FailureKind::Connection
        );
        let code = self.code.as_deref().or(match self.kind {
            FailureKind::ContextLength => Some("context_length_exceeded"),
            FailureKind::ContentFilter => Some("content_filter"),
            _ => None,
        });
        if let Some(details) = &mut self.details {
            scrub_strings(details, credential);
        }
        let body = self.message.as_deref().filter(|_| is_for_client).map(|message| {
            let clean = |text| scrub(text, credential);
            let (error_type, code) = (self.error_type.as_deref().map(clean), code.map(clean));
            ErrorObject {
                message: &clean(message),
                r#type: error_type.as_deref().unwrap_or("api_error"),
                param: self.param.as_deref(),
                code: code.as_deref(),
            }
            .body_with(self.details.as_deref())
        });
        Failure {
            kind: self.kind,
            status: self.status,
            retry_after: self.retry_after,
            detail: self.detail,
            body,
        }
        .scrubbed(credential)
    }
}

impl From<Failure> for WireFailure {
    /// One that a reader of bytes found (an event above the bound): it has no words of a provider.
    fn from(failure: Failure) -> Self {
        Self {
            status: failure.status,
            retry_after: failure.retry_after,
            ..Self::new(failure.kind, failure.detail)
        }
    }
}
