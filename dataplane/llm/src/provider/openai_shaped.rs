//! Servers that speak `OpenAI`'s dialects for chats and embeddings. The client speaks it too, so bodies and events pass byte for byte, save
//! for the edits made here: the model's name, fields that a route sets, `include_usage`, and what a server's [`Rules`]
//! ask for. Clients of other dialects get there through the hub (`wire`).

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::capability::openai::openai;
use super::issuer::Issuer;
use super::leftovers::Leftovers;
use super::openai_responses::Responses;
use super::overrides::{overridden, override_fields};
use super::{
    Account, AnswerContext, EncodeOptions, Encoded, ModelApi, Native, Provider, StreamDecoder, WholeAnswer, azure,
    bearer, json_string, name_model,
};
use crate::dialect::openai_chat::error::{self, FailedAnswer};
use crate::dialect::openai_chat::mend::Mend;
use crate::dialect::openai_chat::{answer, stream};
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::json::{self, Kind};
use crate::pass_through::{PassThrough, path_beside};
use crate::request::{BadRequest, Field, ModelRequest};
use crate::service::{Service, not_served};
use crate::splice::Edits;

mod completions;
mod embeddings;
mod messages;
mod request;
mod wire;

pub(super) use completions::Completions;
pub(super) use embeddings::{EmbeddingRules, Inputs};
pub(super) use messages::{MessageRules, Thoughts};
pub(super) use request::{Added, FieldRule, IsSent, RequestRules};
pub(super) use wire::{FromHub, History};

/// What one server does differently from the others.
#[derive(Debug)]
pub(super) struct Rules {
    /// Where it lives if the manifest does not say.
    pub(super) default_base_url: Option<&'static str>,
    /// Path of chat completions, behind the base URL.
    pub(super) chat_path: &'static str,
    /// By which of the two names it takes the cap on the output.
    pub(super) output_cap: OutputCap,
    /// Streams tell their usage when asked with `stream_options`; else they do so anyway, or never.
    pub(super) asks_for_usage: bool,
    /// Which endpoints it has beside those that are read, at paths beside that of its chat.
    pub(super) passes: &'static [PassThrough],
    /// What it wants otherwise in requests.
    pub(super) request: Option<&'static RequestRules>,
    /// What it says otherwise in answers.
    pub(super) answers: Option<&'static Mend>,
    /// Its legacy completions; absent: they are asked as chats.
    pub(super) completions: Option<&'static Completions>,
    /// What it wants in requests of clients of other dialects, beside all that.
    pub(super) from_hub: &'static FromHub,
    /// How it makes embeddings, where it does.
    pub(super) embeddings: Option<EmbeddingRules>,
    /// It speaks Responses, whatever is said of a model; others do where that is said.
    pub(super) has_responses: bool,
    /// How it speaks it.
    pub(super) responses: Responses,
}

/// The name of the cap on the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputCap {
    /// As the client writes it.
    AsWritten,
    /// `max_tokens`; the other one is ignored.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

impl Rules {
    /// A server that does as `OpenAI`.
    pub(super) const PLAIN: Self = Self {
        default_base_url: None,
        chat_path: "/chat/completions",
        output_cap: OutputCap::AsWritten,
        asks_for_usage: true,
        passes: &[],
        request: None,
        answers: None,
        completions: None,
        from_hub: &FromHub::UNKNOWN,
        embeddings: Some(EmbeddingRules::PLAIN),
        has_responses: false,
        responses: Responses {
            issuer: Issuer::Responses,
        },
    };
}

static FORWARDED_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("idempotency-key"),
];

impl Provider for Rules {
    fn default_base_url(&self) -> Option<&'static str> {
        self.default_base_url
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        &FORWARDED_HEADERS
    }

    fn usual_api(&self, upstream_model: &str) -> ModelApi {
        if self.has_responses {
            openai(upstream_model).api()
        } else {
            ModelApi::Chat
        }
    }

    fn serve(&'static self, endpoint: Endpoint, options: &EncodeOptions<'_>) -> Result<Service, BadRequest> {
        let by_responses = options.api == ModelApi::Responses;
        match (endpoint, self.completions) {
            (Endpoint::Responses, _) if self.has_responses || by_responses => Ok(Service::Native(&self.responses)),
            (Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Messages, _) if by_responses => {
                Service::translated(endpoint, &self.responses)
            }
            (Endpoint::ChatCompletions, _) => Ok(Service::Native(self)),
            (Endpoint::Embeddings, _) if self.embeddings.is_some() => Ok(Service::Native(self)),
            (Endpoint::Completions, Some(completions)) => Ok(Service::Native(completions)),
            (Endpoint::Completions | Endpoint::Responses | Endpoint::Messages | Endpoint::CountTokens, _) => {
                Service::translated(endpoint, self)
            }
            (Endpoint::Embeddings | Endpoint::PassThrough(_), _) => Err(not_served(endpoint)),
        }
    }

    fn pass_through(&self, what: PassThrough, _options: &EncodeOptions<'_>) -> Option<Cow<'static, str>> {
        let has_it = self.passes.contains(&what);
        has_it.then(|| path_beside(self.chat_path, what))
    }
}

impl Native for Rules {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        if let Some(rules) = self.embeddings_for(request.endpoint) {
            return embeddings::encode(self, rules, request, options);
        }
        if self.output_cap == OutputCap::AsWritten && self.request.is_none() {
            return self.encode_plainly(request, options);
        }
        let (request, mut dropped) = overridden(request, options.overrides)?;
        let mut edits = Edits::default();
        let mut leftovers = Leftovers::new(options.unsupported);
        name_model(&request, options.deployed_model(), &mut edits);
        let surplus_cap = self.output_cap.edit(&request, &mut edits);
        if let Some(rules) = self.request {
            let model = options.upstream_model;
            request::edit(&request, rules, model, surplus_cap, &mut edits, &mut leftovers)?;
        }
        dropped.append(&mut leftovers.dropped);
        Ok(self.encoded(&request, self.chat_path, options, edits, dropped))
    }

    fn decode_whole(&self, body: Bytes, context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        if let Some(request) = context
            .request
            .filter(|request| request.endpoint == Endpoint::Embeddings)
        {
            return embeddings::decode(body, request);
        }
        let body = match self.answers {
            Some(mend) => mend.answer(body)?,
            None => body,
        };
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

    fn stream_decoder(&self, context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Tap::mending(context.strip_usage, self.answers))
    }
}

impl Rules {
    fn encode_plainly(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let mut edits = Edits::default();
        name_model(request, options.deployed_model(), &mut edits);
        let dropped = override_fields(request, options.overrides, &mut edits, |name| name)?;
        Ok(self.encoded(request, self.chat_path, options, edits, dropped))
    }

    fn embeddings_for(&self, endpoint: Endpoint) -> Option<&EmbeddingRules> {
        self.embeddings.as_ref().filter(|_| endpoint == Endpoint::Embeddings)
    }

    fn encoded(
        &self,
        request: &ModelRequest,
        path: &'static str,
        options: &EncodeOptions<'_>,
        mut edits: Edits<'_>,
        dropped: Vec<String>,
    ) -> Encoded {
        let strip_usage = self.asks_for_usage && request.stream && !request.include_usage;
        if strip_usage {
            ask_for_usage(request, &mut edits);
        }
        Encoded {
            path: path_of(path, options),
            headers: HeaderMap::new(),
            body: edits.apply(&request.body),
            strip_usage,
            dropped,
        }
    }
}

/// Where an endpoint is behind the base URL, by the path that the server has for it.
pub(super) fn path_of(tail: &'static str, options: &EncodeOptions<'_>) -> Cow<'static, str> {
    match options.account {
        Account::Azure { .. } => azure::path(tail, options).into(),
        Account::Plain | Account::Vertex { .. } => tail.into(),
    }
}

impl OutputCap {
    /// Writes the cap that the request was counted by where the server looks for it. Without this the server would
    /// answer without a bound, and a budget would be overspent.
    /// Returns the name of the one that says nothing beside it.
    fn edit(self, request: &ModelRequest, edits: &mut Edits<'_>) -> Option<&'static str> {
        const TOKENS: &str = "max_tokens";
        const COMPLETION_TOKENS: &str = "max_completion_tokens";
        let ((from, own), (to, name)) = match self {
            Self::AsWritten => return None,
            Self::MaxTokens => (
                (Field::MaxCompletionTokens, COMPLETION_TOKENS),
                (Field::MaxTokens, TOKENS),
            ),
            Self::MaxCompletionTokens => (
                (Field::MaxTokens, TOKENS),
                (Field::MaxCompletionTokens, COMPLETION_TOKENS),
            ),
        };
        let cap = request.member(from)?;
        let Some(other) = request.member(to) else {
            edits.replace(cap.key.clone(), json_string(name));
            return None;
        };
        if let Some(tokens) = request.max_output_tokens {
            edits.replace(other.value.clone(), tokens.to_string());
        }
        Some(own)
    }
}

/// Merges `include_usage: true` into `stream_options`, whose other members stay.
fn ask_for_usage(request: &ModelRequest, edits: &mut Edits<'_>) {
    const ASK: &str = "{\"include_usage\":true}";
    if let Some(value) = request.include_usage_value() {
        return edits.replace(value, "true");
    }
    let Some(options) = request.member(Field::StreamOptions) else {
        return edits.insert_field(request.inside(), "\"stream_options\"", ASK, false);
    };
    let text = &request.body[options.value.clone()];
    if json::kind(text) == Kind::Null {
        return edits.replace(options.value.clone(), ASK);
    }
    let is_empty = text[1..].trim_ascii_start().starts_with(b"}");
    edits.insert_field(options.value.start + 1, "\"include_usage\"", "true", is_empty);
}
