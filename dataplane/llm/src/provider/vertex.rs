//! Vertex AI: models of several publishers under one address and one kind of credential, a bearer token.
//!
//! Who publishes a model decides what is spoken: Google's Gemini as in AI Studio, Anthropic's Claude as at Anthropic,
//! Mistral's models as at Mistral, and all open models `OpenAI`'s chat completions. A manifest may name the publisher
//! (`publisher`), and so may a model's name (`meta/llama-…`); else `claude-*` is Anthropic's and everything is Google's. The
//! project and the place stand in each path, and they are the account's, whatever a name says. Checked against the released
//! `google-genai` SDK 3.6, `anthropic` 2.14 (`lib/vertex`) and `mistralai` 3.7 (`gcp`), November 2026.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::{EncodeOptions, Provider, bearer};
use crate::endpoint::Endpoint;
use crate::pass_through::PassThrough;
use crate::request::BadRequest;
use crate::service::Service;

mod address;
mod claude;
mod count;
mod embeddings;
mod gemini;
mod messages;
mod open;

use address::Name;

/// The service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vertex;

static FORWARDED_HEADERS: [HeaderName; 1] = [HeaderName::from_static("anthropic-beta")];

impl Provider for Vertex {
    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        &FORWARDED_HEADERS
    }

    fn serve(&'static self, endpoint: Endpoint, options: &EncodeOptions<'_>) -> Result<Service, BadRequest> {
        let (publisher, model) = match Name::of(options) {
            Name::Endpoint(_) => ("google", ""), // where tuned models are
            Name::Model { publisher, model } => (publisher, model),
        };
        let open = |open: &'static open::Open| match endpoint {
            Endpoint::ChatCompletions => Ok(Service::Native(open)),
            _ => Service::translated(endpoint, open),
        };
        match publisher {
            "anthropic" => match endpoint {
                Endpoint::Messages => Ok(Service::Native(&messages::Messages)),
                Endpoint::CountTokens => Ok(Service::Native(&messages::CountTokens)),
                _ => Service::translated(endpoint, &claude::VertexClaude),
            },
            "mistralai" => open(&open::Open::Mistral),
            "ai21" => Err(speaks_its_own()),
            // One way for whoever's models.
            _ if endpoint == Endpoint::Embeddings => Ok(Service::Embeddings(&embeddings::VertexEmbeddings)),
            // Google's own open models are served as those of others.
            "google" if !model.starts_with("gemma-") => Service::translated(endpoint, &gemini::VertexGemini),
            _ => open(&open::Open::Chat),
        }
    }

    fn pass_through(&self, _what: PassThrough, _options: &EncodeOptions<'_>) -> Option<Cow<'static, str>> {
        None
    }
}

fn speaks_its_own() -> BadRequest {
    let message = "the model's publisher has an API of its own, which is not spoken here; ask for a model of another \
                   publisher"
        .to_owned();
    BadRequest::new("unsupported_endpoint", Some("model"), message)
}
