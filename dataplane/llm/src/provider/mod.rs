//! The providers: one file each, and [`of`], the only place that knows all of them.
//!
//! A provider says by which [`Service`] it serves an endpoint: natively where it speaks the client's dialect, so that
//! bodies pass as they are, else through the hub, by its [`crate::translate::Wire`]. Those that speak `OpenAI`'s dialects
//! share one adapter, `openai_shaped`, and differ in a list of rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::endpoint::Endpoint;
use crate::estimate::Size;
use crate::failure::Failure;
use crate::hub::{SignedTurn, SignedTurns};
use crate::pass_through::PassThrough;
use crate::request::{BadRequest, Field, ModelRequest};
use crate::service::Service;
use crate::splice::Edits;
use crate::translate::Wire;
use crate::usage::Usage;

mod anthropic;
mod azure;
mod bedrock;
pub(crate) mod capability;
mod cohere;
mod deepseek;
pub mod echo;
pub(crate) mod embedding;
mod gemini;
mod groq;
pub(crate) mod issuer;
pub(crate) mod leftovers;
mod mistral;
mod ollama;
mod ollama_native;
mod openai;
mod openai_compatible;
mod openai_responses;
mod openai_shaped;
pub(crate) mod overrides;
pub mod path;
mod together;
mod vertex;

/// The wire dialects that have an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OpenAI's own service.
    OpenAI,
    /// Any server that speaks `/chat/completions`.
    OpenAICompatible,
    /// Ollama's own API.
    Ollama,
    /// Ollama through its OpenAI layer.
    OllamaOpenAI,
    /// Anthropic's Messages API.
    Anthropic,
    /// Amazon Bedrock's Converse API.
    Bedrock,
    /// Gemini's API in AI Studio.
    Gemini,
    /// Groq.
    Groq,
    /// Mistral.
    Mistral,
    /// `DeepSeek`.
    DeepSeek,
    /// Together.
    Together,
    /// Cohere's v2 Chat API.
    Cohere,
    /// Azure `OpenAI`.
    AzureOpenAI,
    /// Vertex AI of Google Cloud.
    VertexAI,
    /// Answers from inside.
    Echo,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::OpenAI,
        Self::OpenAICompatible,
        Self::Ollama,
        Self::OllamaOpenAI,
        Self::Anthropic,
        Self::Gemini,
        Self::Bedrock,
        Self::Cohere,
        Self::Groq,
        Self::Mistral,
        Self::DeepSeek,
        Self::Together,
        Self::AzureOpenAI,
        Self::VertexAI,
        Self::Echo,
    ];
}

/// The adapter of a kind.
pub fn of(kind: Kind) -> &'static dyn Provider {
    match kind {
        Kind::OpenAI => &openai::OPENAI,
        Kind::OpenAICompatible => &openai_compatible::OPENAI_COMPATIBLE,
        Kind::Ollama => &Translated(ollama_native::OllamaNative),
        Kind::OllamaOpenAI => &ollama::OLLAMA,
        Kind::Anthropic => &anthropic::Anthropic,
        Kind::Bedrock => &Translated(bedrock::Bedrock),
        Kind::Gemini => &Translated(gemini::Gemini),
        Kind::Groq => &groq::GROQ,
        Kind::Mistral => &mistral::MISTRAL,
        Kind::DeepSeek => &deepseek::DEEPSEEK,
        Kind::Together => &together::TOGETHER,
        Kind::Cohere => &Translated(cohere::Cohere),
        Kind::AzureOpenAI => &azure::Azure,
        Kind::VertexAI => &vertex::Vertex,
        Kind::Echo => &echo::ECHO,
    }
}

/// What the gateway decided about one attempt and the provider's adapter must write into the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncodeOptions<'a> {
    /// The name the provider knows the model by.
    pub upstream_model: &'a str,
    /// Top-level fields to set: name and JSON text, both in the client's dialect. `model`, `messages`, `stream` and
    /// `stream_options` are the gateway's and the caller's own; setting them is left out and reported in
    /// [`Encoded::dropped`].
    pub overrides: &'a [(String, String)],
    /// What happens with parameters that the provider does not have. A provider of the client's own dialect gets all.
    pub unsupported: UnsupportedParameters,
    /// The longest answer of the model in tokens, where it is declared: for providers that demand a cap.
    pub max_output_tokens_default: Option<u64>,
    /// By which of a provider's two dialects the model is asked, where it has both.
    pub api: ModelApi,
    /// What the manifest says of the account.
    pub account: Account<'a>,
    /// Who made the model, where the manifest says (`VertexAI`).
    pub publisher: Option<&'a str>,
    /// What the caller was given by this provider and model before, for clients that did not keep it.
    pub signed: Option<&'a dyn SignedTurns>,
    /// Whether requests may make and use what is stored in the account, which all callers share (`storedObjects`).
    pub allows_stored_objects: bool,
}

impl<'a> EncodeOptions<'a> {
    /// The name by which bodies and addresses know the model: where the account has deployments, that of its own.
    pub fn deployed_model(&self) -> &'a str {
        match self.account {
            Account::Azure { deployments, .. } => deployments
                .get(self.upstream_model)
                .map_or(self.upstream_model, String::as_str),
            Account::Plain | Account::Vertex { .. } => self.upstream_model,
        }
    }
}

/// By which dialect `OpenAI` and its like are asked for a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModelApi {
    /// Chat completions.
    #[default]
    Chat,
    /// Responses: the newest reasoning models take function tools only there.
    Responses,
}

/// What a manifest says of an account that stands in addresses.
#[derive(Clone, Copy, Debug, Default)]
pub enum Account<'a> {
    /// Nothing: the base URL says it all.
    #[default]
    Plain,
    /// `AzureOpenAI`.
    Azure {
        /// `apiVersion`: a date, or `v1` for the path without one.
        api_version: &'a str,
        /// Deployments by the upstream name of their model; a model without one is a deployment of its own name.
        deployments: &'a BTreeMap<String, String>,
    },
    /// `VertexAI`.
    Vertex {
        /// The project's id.
        project: &'a str,
        /// The region, or `global`, `us`, `eu`.
        location: &'a str,
    },
}

/// What happens with parameters that a provider does not have. Media, tools, output formats and several choices are not
/// among them: without those the answer would be another one, so they are always refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnsupportedParameters {
    /// Left out, and named in [`Encoded::dropped`].
    #[default]
    Drop,
    /// Sent as they are.
    Pass,
    /// Refused with 400.
    Reject,
}

/// A request in the provider's dialect, without its credential.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Appended to the provider's base URL, with a leading slash; percent-encoded, and possibly with a query.
    pub path: Cow<'static, str>,
    /// Headers of the dialect, such as `anthropic-version`; never a credential. What a manifest or the caller sets wins.
    pub headers: HeaderMap,
    /// The body; `content-type: application/json`.
    pub body: Bytes,
    /// The client did not ask for usage in its stream but we did: the stream decoder must take that event out.
    pub strip_usage: bool,
    /// Names of parameters that were left out.
    pub dropped: Vec<String>,
}

/// What an answer must be written with beside what the provider says. Where the dialect is the client's own, only
/// `strip_usage` is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerContext<'a> {
    /// The request that is answered: some dialects repeat parts of it. `None` only in tests.
    pub request: Option<&'a ModelRequest>,
    /// The request's id; an answer without an id of its own gets one made of it.
    pub id: &'a str,
    /// Now, Unix seconds; an answer without a time of its own gets this one.
    pub now_unix_seconds: u64,
    /// The model as the client named it.
    pub requested_model: &'a str,
    /// The model as it was asked of the provider.
    pub upstream_model: &'a str,
    /// The client wants usage in its stream.
    pub include_usage: bool,
    /// [`Encoded::strip_usage`].
    pub strip_usage: bool,
}

/// What a whole answer says beside its bytes, which go to the client as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeAnswer {
    /// The bytes for the client.
    pub body: Bytes,
    /// Tokens, if the provider reported them.
    pub usage: Option<Usage>,
}

/// The stream that most providers answer with.
pub const SERVER_SENT_EVENTS: &str = "text/event-stream";

/// One provider. No IO and no clock.
pub trait Provider: Send + Sync {
    /// The base URL where the manifest gives none.
    fn default_base_url(&self) -> Option<&'static str>;

    /// The header that carries the credential.
    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)>;

    /// Callers' headers that go to the provider: features of its dialect, and the key by which it recognises a repeated
    /// call. They win over [`Encoded::headers`].
    fn forwarded_headers(&self) -> &'static [HeaderName];

    /// By which dialect a model is asked where the manifest does not say.
    fn usual_api(&self, _upstream_model: &str) -> ModelApi {
        ModelApi::Chat
    }

    /// How it serves an endpoint. `Err`: not at all.
    fn serve(&'static self, endpoint: Endpoint, options: &EncodeOptions<'_>) -> Result<Service, BadRequest>;

    /// The path behind the base URL at which it has an endpoint whose bodies pass unread; `None`: it does not.
    fn pass_through(&self, what: PassThrough, options: &EncodeOptions<'_>) -> Option<Cow<'static, str>>;
}

/// A provider that speaks no client's dialect: every endpoint goes through the hub.
struct Translated<W>(W);

impl<W: Wire> Provider for Translated<W> {
    fn default_base_url(&self) -> Option<&'static str> {
        self.0.default_base_url()
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        self.0.credential_header(credential)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        self.0.forwarded_headers()
    }

    fn serve(&'static self, endpoint: Endpoint, _options: &EncodeOptions<'_>) -> Result<Service, BadRequest> {
        Service::translated(endpoint, &self.0)
    }

    fn pass_through(&self, what: PassThrough, options: &EncodeOptions<'_>) -> Option<Cow<'static, str>> {
        self.0.pass_through(what, options)
    }
}

/// An endpoint of a provider that speaks the client's dialect. No IO and no clock.
pub trait Native: Send + Sync {
    /// The `content-type` of its streams, without parameters.
    fn stream_content_type(&self) -> &'static str {
        SERVER_SENT_EVENTS
    }

    /// Writes a request.
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest>;

    /// Reads a whole answer (status 2xx).
    fn decode_whole(&self, body: Bytes, context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure>;

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

    /// Reads a stream (status 2xx, [`Native::stream_content_type`]).
    fn stream_decoder(&self, context: &AnswerContext<'_>) -> Box<dyn StreamDecoder>;

    /// Whether an answer of this status (not 2xx) says that tokens are not counted there: they are then estimated.
    fn lacks_counter(&self, _status: u16) -> bool {
        false
    }
}

/// `Authorization: Bearer`; `None` for a credential that is empty or that no header can carry.
fn bearer(credential: &str) -> Option<(HeaderName, HeaderValue)> {
    if credential.is_empty() {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {credential}")).ok()?;
    value.set_sensitive(true);
    Some((header::AUTHORIZATION, value))
}

/// Writes the name by which the provider knows the model.
pub(crate) fn name_model(request: &ModelRequest, upstream_model: &str, edits: &mut Edits<'_>) {
    if request.model != upstream_model {
        let model = request
            .member(Field::Model)
            .expect("parse refuses a request without a model");
        edits.replace(model.value.clone(), json_string(upstream_model));
    }
}

/// A string as JSON.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string can always be written as JSON")
}

/// A credential as it is, in a header of its own; `None` as for [`bearer`].
fn key_in(header: HeaderName, credential: &str) -> Option<(HeaderName, HeaderValue)> {
    if credential.is_empty() {
        return None;
    }
    let mut value = HeaderValue::from_str(credential).ok()?;
    value.set_sensitive(true);
    Some((header, value))
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

    /// What calls of tools must come back with, of the choices that have finished since it was last asked.
    fn take_signed(&mut self) -> Vec<SignedTurn> {
        Vec::new()
    }
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
    /// Events that went out, where the dialect numbers them: the number of the next one.
    pub events: u64,
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
