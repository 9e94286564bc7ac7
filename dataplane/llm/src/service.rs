//! One endpoint at one provider: how a client's request is written for it, and its answer for the client.
//!
//! The data plane asks a provider once a request for a [`Service`] and knows no more: whether bytes pass as they are or
//! are translated through the hub is decided here.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;

use crate::dialect;
use crate::dialect::anthropic_messages::{self, AnthropicMessages};
use crate::endpoint::Endpoint;
use crate::estimate;
use crate::failure::{self, Failure, FailureKind};
use crate::hub::signed::{self, Gatherer};
use crate::hub::{self, Answer, Delta, Event, Output, SignedTurn};
use crate::provider::leftovers::Leftovers;
use crate::provider::overrides::overridden;
use crate::provider::{
    AnswerContext, EncodeOptions, Encoded, Native, Progress, SERVER_SENT_EVENTS, StreamDecoder, WholeAnswer,
};
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{CountWire, Dialect, EmbeddingWire, EventDecoder, StreamWriter, Wire, WireFailure, WireRequest};

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
    /// The provider counts the tokens of an input for a client that has words of its own.
    Counted {
        /// The counter.
        counter: &'static dyn CountWire,
        /// What its provider speaks.
        wire: &'static dyn Wire,
    },
    /// The tokens of an input are estimated without a call; see [`Service::estimate`].
    Estimated,
}

/// The dialect in which counts are asked for.
static COUNTED: AnthropicMessages = AnthropicMessages;

impl Service {
    /// A wire for clients of `endpoint`.
    pub(crate) fn translated(endpoint: Endpoint, wire: &'static dyn Wire) -> Result<Self, BadRequest> {
        if endpoint == Endpoint::Embeddings {
            return wire
                .embeddings()
                .map(Self::Embeddings)
                .ok_or_else(|| not_served(endpoint));
        }
        if endpoint == Endpoint::CountTokens {
            let counted = |counter| Self::Counted { counter, wire };
            return Ok(wire.counter().map_or(Self::Estimated, counted));
        }
        let dialect = dialect::of(endpoint).ok_or_else(|| not_served(endpoint))?;
        Ok(Self::Translated { dialect, wire })
    }

    /// The `content-type` of the provider's streams, without parameters.
    pub fn stream_content_type(self) -> &'static str {
        match self {
            Self::Native(native) => native.stream_content_type(),
            Self::Translated { wire, .. } => wire.stream_content_type(),
            Self::Embeddings(_) | Self::Counted { .. } | Self::Estimated => SERVER_SENT_EVENTS, // they do not stream
        }
    }

    /// Writes a request.
    pub fn encode(self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let encoded = match self {
            Self::Native(native) => return native.encode(request, options),
            Self::Embeddings(wire) => return embeddings::encode(wire, request, options),
            Self::Translated { dialect, wire } => {
                translated(dialect, request, options, |request| wire.encode(request, options))?
            }
            Self::Counted { counter, .. } => {
                translated(&COUNTED, request, options, |request| counter.encode(request, options))?
            }
            Self::Estimated => translated(&COUNTED, request, options, |_| Ok(WireRequest::nothing()))?,
        };
        Ok(Encoded {
            path: encoded.path,
            headers: encoded.headers,
            body: encoded.body,
            strip_usage: false,
            dropped: encoded.dropped,
        })
    }

    /// An answer that needs no call to the provider: an estimate of the input's tokens. The request was encoded before,
    /// which finds what is wrong with it.
    pub fn estimate(self, request: &ModelRequest) -> Option<WholeAnswer> {
        matches!(self, Self::Estimated).then(|| anthropic_messages::counted(estimate::input_tokens(request)))
    }

    /// The same after a provider's counter has failed, where it has no count for this model or account.
    pub fn estimate_instead(self, failure: &Failure, request: &ModelRequest) -> Option<WholeAnswer> {
        let is_lacking = failure.status.is_some_and(|status| match self {
            Self::Counted { counter, .. } => counter.is_lacking(status),
            Self::Native(native) => native.lacks_counter(status),
            _ => false,
        });
        is_lacking.then(|| Self::Estimated.estimate(request)).flatten()
    }

    /// Reads a whole answer (status 2xx).
    pub fn decode_whole(self, body: Bytes, context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        Ok(self.decode_signed(body, context)?.0)
    }

    /// Reads a whole answer (status 2xx), and what its calls of tools must come back with.
    pub fn decode_signed(
        self,
        body: Bytes,
        context: &AnswerContext<'_>,
    ) -> Result<(WholeAnswer, Vec<SignedTurn>), Failure> {
        match self {
            Self::Native(native) => Ok((native.decode_whole(body, context)?, Vec::new())),
            Self::Translated { dialect, wire } => {
                let mut answer = wire.decode(&body).map_err(|failure| failure.into_failure(""))?;
                name_calls(&mut answer, dialect, context.id);
                let signed = signed::of_answer(&answer);
                let whole = WholeAnswer {
                    body: dialect.answer(&answer, context),
                    usage: answer.usage,
                };
                Ok((whole, signed))
            }
            Self::Embeddings(wire) => Ok((embeddings::decode(wire, &body, context)?, Vec::new())),
            Self::Counted { counter, .. } => {
                let tokens = counter.decode(&body).map_err(|failure| failure.into_failure(""))?;
                Ok((anthropic_messages::counted(tokens), Vec::new()))
            }
            Self::Estimated => Err(Failure::new(FailureKind::Protocol, "an estimate needs no answer")),
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
            Self::Translated { wire, .. } | Self::Counted { wire, .. } => wire.decode_failure(status, headers, body),
            Self::Embeddings(wire) => wire.decode_failure(status, headers, body),
            Self::Estimated => WireFailure::new(FailureKind::of_status(status), "an estimate needs no answer"),
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
                dialect,
                request_id: context.id.to_owned(),
                events: Vec::new(),
                signed: Gatherer::default(),
                has_failed: false,
            }),
            Self::Embeddings(_) | Self::Counted { .. } | Self::Estimated => Box::new(embeddings::NoStream::default()),
        }
    }
}

/// Reads a request and has it written; what is left out or refused is named in the client's words.
fn translated(
    dialect: &dyn Dialect,
    request: &ModelRequest,
    options: &EncodeOptions<'_>,
    write: impl FnOnce(&hub::Request<'_>) -> Result<WireRequest, BadRequest>,
) -> Result<WireRequest, BadRequest> {
    let (request, mut dropped) = overridden(request, options.overrides)?;
    let mut request = dialect.read(&request)?;
    if let Some(signed) = options.signed {
        signed::fill(&mut request, signed);
    }
    let mut leftovers = Leftovers::new(options.unsupported);
    for name in &request.left_out {
        leftovers.value(name)?;
    }
    let mut encoded = write(&request).map_err(|refusal| in_words_of(dialect, refusal))?;
    for name in &mut encoded.dropped {
        if let Some(own) = dialect.parameter(name) {
            own.clone_into(name);
        }
    }
    dropped.append(&mut leftovers.dropped);
    dropped.append(&mut encoded.dropped);
    dropped.dedup(); // two of the hub's may be one of the client's
    encoded.dropped = dropped;
    Ok(encoded)
}

fn in_words_of(dialect: &dyn Dialect, mut refusal: BadRequest) -> BadRequest {
    if let Some(name) = refusal.param.as_deref()
        && let Some(own) = dialect.parameter(name)
    {
        refusal.message = refusal.message.replace(&format!("`{name}`"), &format!("`{own}`"));
        refusal.param = Some(own.to_owned());
    }
    refusal
}

/// The refusal of an endpoint that a provider does not have.
pub fn not_served(endpoint: Endpoint) -> BadRequest {
    let message = format!(
        "the model's provider has nothing that answers {}; use another endpoint or another model",
        endpoint.path()
    );
    BadRequest::new("unsupported_endpoint", Some("model"), message)
}

/// Gives ids to the calls whose provider gave none, so that all that is said of them later names the same.
fn name_calls(answer: &mut Answer, dialect: &dyn Dialect, request_id: &str) {
    for choice in &mut answer.choices {
        let calls = choice.output.iter_mut().filter_map(|output| match output {
            Output::ToolCall { id, .. } => Some(id),
            _ => None,
        });
        for (index, id) in calls.enumerate().filter(|(_, id)| id.is_empty()) {
            *id = dialect.call_id(request_id, choice.index, index);
        }
    }
}

/// A provider's stream on its way to a client of another dialect.
struct TranslatedStream {
    decoder: Box<dyn EventDecoder>,
    writer: Box<dyn StreamWriter>,
    dialect: &'static dyn Dialect,
    request_id: String,
    events: Vec<hub::Event>, // empty between calls; kept for its memory
    signed: Gatherer,
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

    fn take_signed(&mut self) -> Vec<SignedTurn> {
        std::mem::take(&mut self.signed.done)
    }
}

impl TranslatedStream {
    fn write(&mut self, result: Result<(), WireFailure>, out: &mut Vec<Bytes>) -> Result<(), Failure> {
        for event in &mut self.events {
            if let Event::Delta { choice, delta } = event
                && let Delta::ToolCallStart { index, id, .. } = delta
                && id.is_empty()
            {
                *id = self.dialect.call_id(&self.request_id, *choice, *index as usize);
            }
            self.signed.see(event);
        }
        let written = self.writer.write(&mut self.events, out);
        let result = if self.progress().is_complete {
            written // what is wrong behind the last event is nobody's trouble
        } else {
            written.and(result)
        };
        self.has_failed |= result.is_err();
        result.map_err(|failure| failure.into_failure(""))
    }
}
