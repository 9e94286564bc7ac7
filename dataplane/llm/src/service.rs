//! One endpoint at one provider: how a client's request is written for it, and its answer for the client.
//!
//! The data plane asks a provider once a request for a [`Service`] and knows no more: whether bytes pass as they are or
//! are translated through the hub is decided here.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;

use crate::dialect;
use crate::endpoint::Endpoint;
use crate::failure::{self, Failure, FailureKind};
use crate::hub;
use crate::provider::overrides::overridden;
use crate::provider::{
    AnswerContext, EncodeOptions, Encoded, Native, Progress, SERVER_SENT_EVENTS, StreamDecoder, WholeAnswer,
};
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{Dialect, EmbeddingWire, EventDecoder, StreamWriter, Wire, WireFailure};

mod embeddings;

/// One endpoint at one provider.
#[derive(Clone, Copy)]
pub enum Service {
    /// The provider speaks the client's dialect.
    Native(&'static dyn Native),
    /// The client's dialect and the provider's meet in the hub.
    Translated {
        /// The client's side.
        dialect: &'static dyn Dialect,
        /// The provider's side.
        wire: &'static dyn Wire,
    },
    /// Vectors of texts: the client speaks `OpenAI`'s dialect for them, and the provider its own.
    Embeddings(&'static dyn EmbeddingWire),
}

impl Service {
    /// A wire for clients of `endpoint`.
    pub(crate) fn translated(endpoint: Endpoint, wire: &'static dyn Wire) -> Result<Self, BadRequest> {
        if endpoint == Endpoint::Embeddings {
            return wire
                .embeddings()
                .map(Self::Embeddings)
                .ok_or_else(|| not_served(endpoint));
        }
        let dialect = dialect::of(endpoint).ok_or_else(|| not_served(endpoint))?;
        Ok(Self::Translated { dialect, wire })
    }

    /// The `content-type` of the provider's streams, without parameters.
    pub fn stream_content_type(self) -> &'static str {
        match self {
            Self::Native(native) => native.stream_content_type(),
            Self::Translated { wire, .. } => wire.stream_content_type(),
            Self::Embeddings(_) => SERVER_SENT_EVENTS, // they do not stream
        }
    }

    /// Writes a request.
    pub fn encode(self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let (dialect, wire) = match self {
            Self::Native(native) => return native.encode(request, options),
            Self::Translated { dialect, wire } => (dialect, wire),
            Self::Embeddings(wire) => return embeddings::encode(wire, request, options),
        };
        let (request, mut dropped) = overridden(request, options.overrides)?;
        let encoded = wire.encode(&dialect.read(&request)?, options)?;
        dropped.extend(encoded.dropped);
        Ok(Encoded {
            path: encoded.path,
            headers: encoded.headers,
            body: encoded.body,
            strip_usage: false,
            dropped,
        })
    }

    /// Reads a whole answer (status 2xx).
    pub fn decode_whole(self, body: Bytes, context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        match self {
            Self::Native(native) => native.decode_whole(body, context),
            Self::Translated { dialect, wire } => {
                let answer = wire.decode(&body).map_err(|failure| failure.into_failure(""))?;
                Ok(WholeAnswer {
                    body: dialect.answer(&answer, context),
                    usage: answer.usage,
                })
            }
            Self::Embeddings(wire) => embeddings::decode(wire, &body, context),
        }
    }

    /// Reads an answer that is not 2xx; see [`Native::decode_failure`].
    pub fn decode_failure(
        self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        let mut failure = match self {
            Self::Native(native) => return native.decode_failure(status, headers, body, credential, now),
            Self::Translated { wire, .. } => wire.decode_failure(status, headers, body),
            Self::Embeddings(wire) => wire.decode_failure(status, headers, body),
        };
        failure.status = Some(status);
        failure.retry_after = failure.retry_after.or_else(|| failure::retry_after(headers, now));
        failure.into_failure(credential)
    }

    /// Reads a stream (status 2xx, [`Service::stream_content_type`]).
    pub fn stream_decoder(self, context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        match self {
            Self::Native(native) => native.stream_decoder(context),
            Self::Translated { dialect, wire } => Box::new(TranslatedStream {
                decoder: wire.events(),
                writer: dialect.writer(context),
                events: Vec::new(),
                has_failed: false,
            }),
            Self::Embeddings(_) => Box::new(embeddings::NoStream::default()),
        }
    }
}

/// The refusal of an endpoint that a provider does not have.
pub fn not_served(endpoint: Endpoint) -> BadRequest {
    let message = format!(
        "the model's provider has nothing that answers {}; use another endpoint or another model",
        endpoint.path()
    );
    BadRequest::new("unsupported_endpoint", Some("model"), message)
}

/// A provider's stream on its way to a client of another dialect.
struct TranslatedStream {
    decoder: Box<dyn EventDecoder>,
    writer: Box<dyn StreamWriter>,
    events: Vec<hub::Event>, // empty between calls; kept for its memory
    has_failed: bool,
}

impl StreamDecoder for TranslatedStream {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        if self.has_failed || self.progress().is_complete {
            return Ok(());
        }
        let result = self.decoder.push(&bytes, &mut self.events);
        self.write(result, out)
    }

    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        if !self.has_failed && !self.progress().is_complete {
            let result = self.decoder.finish(&mut self.events);
            self.write(result, out)?;
        }
        if self.progress().is_complete {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Cut, "the stream ended before its last event"))
    }

    fn progress(&self) -> &Progress {
        self.writer.progress()
    }
}

impl TranslatedStream {
    fn write(&mut self, result: Result<(), WireFailure>, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        let written = self.writer.write(&mut self.events, out);
        let result = written.and(result);
        self.has_failed |= result.is_err();
        result.map_err(|failure| failure.into_failure(""))
    }
}
