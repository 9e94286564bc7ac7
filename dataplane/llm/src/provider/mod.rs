//! The providers: one file each, and [`of`], the only place that knows all of them.
//!
//! Those that speak `OpenAI`'s chat dialect share one adapter, `openai_shaped`, and differ in a list of rules.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::chat::{BadRequest, ChatRequest};
use crate::estimate::Size;
use crate::failure::Failure;
use crate::usage::Usage;

pub mod echo;
mod ollama;
mod openai;
mod openai_compatible;
mod openai_shaped;

/// The wire dialects that have an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OpenAI's own service.
    OpenAI,
    /// Any server that speaks `/chat/completions`.
    OpenAICompatible,
    /// Ollama through its OpenAI layer.
    Ollama,
    /// Answers from inside.
    Echo,
}

/// The adapter of a kind.
pub fn of(kind: Kind) -> &'static dyn Provider {
    match kind {
        Kind::OpenAI => &openai::OPENAI,
        Kind::OpenAICompatible => &openai_compatible::OPENAI_COMPATIBLE,
        Kind::Ollama => &ollama::OLLAMA,
        Kind::Echo => &echo::ECHO,
    }
}

/// What the gateway decided about one attempt and the provider's adapter must write into the request.
#[derive(Clone, Copy, Debug)]
pub struct EncodeOptions<'a> {
    /// The name the provider knows the model by.
    pub upstream_model: &'a str,
    /// Top-level fields to set: name and JSON text. `model`, `messages`, `stream` and `stream_options` are the gateway's
    /// and the caller's own; setting them is left out and reported in [`Encoded::dropped`].
    pub overrides: &'a [(String, String)],
}

/// A request in the provider's dialect, without its credential.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Appended to the provider's base URL, with a leading slash.
    pub path: &'static str,
    /// The body; `content-type: application/json`.
    pub body: Bytes,
    /// The client did not ask for usage in its stream but we did: the stream decoder must take that event out.
    pub strip_usage: bool,
    /// Names of parameters that were left out.
    pub dropped: Vec<String>,
}

/// What a whole answer says beside its bytes, which go to the client as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeAnswer {
    /// The bytes for the client.
    pub body: Bytes,
    /// Tokens, if the provider reported them.
    pub usage: Option<Usage>,
}

/// One provider dialect. No IO and no clock.
pub trait Provider: Send + Sync {
    /// The base URL where the manifest gives none.
    fn default_base_url(&self) -> Option<&'static str>;

    /// The header that carries the credential.
    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)>;

    /// Writes a chat request.
    fn encode_chat(&self, request: &ChatRequest, options: EncodeOptions<'_>) -> Result<Encoded, BadRequest>;

    /// Reads a whole answer (status 2xx).
    fn decode_whole(&self, body: Bytes) -> Result<WholeAnswer, Failure>;

    /// Reads an answer that is not 2xx. `credential` is what was sent (empty: none) and is removed from all words;
    /// `now` is needed for a `Retry-After` that names a date.
    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure;

    /// Reads a stream (status 2xx, `text/event-stream`).
    fn stream_decoder(&self, strip_usage: bool) -> Box<dyn StreamDecoder>;
}

/// Bytes of a provider's stream in, bytes of the client's stream out.
pub trait StreamDecoder: Send {
    /// Takes what arrived; appends to `out` the bytes that may go to the client now (whole events only, unchanged where
    /// the dialect is the same; slices of `bytes`, not copies). `Err`: an error event of the provider, or an event above
    /// the bound; nothing after it is read.
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Failure>;

    /// The provider closed the stream. `Err(Cut)`: before its end. What is still to be sent is appended to `out` also
    /// then; a stream that was complete without its dialect's last event gets it here.
    fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), Failure>;

    /// What was seen so far.
    fn progress(&self) -> &Progress;
}

/// What a stream has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Content, a tool call or a terminal event was seen: from here on no retry is possible.
    pub has_content: bool,
    /// The terminal event was seen; what follows is not needed.
    pub is_complete: bool,
    /// Tokens, once reported.
    pub usage: Option<Usage>,
    /// Bytes of output text seen, for an estimate.
    pub output_bytes: u64,
    /// Those of them outside ASCII.
    pub output_other_bytes: u64,
    /// The first finish reason seen.
    pub finish_reason: Option<String>,
}

impl Progress {
    /// Tokens of the output seen so far, counted here.
    pub fn estimated_output_tokens(&self) -> u64 {
        let ascii_bytes = self.output_bytes - self.output_other_bytes;
        Size {
            ascii_bytes,
            other_bytes: self.output_other_bytes,
        }
        .tokens()
    }
}
