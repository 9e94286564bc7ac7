//! Gemini's `generateContent`, for clients that speak something else.
//!
//! Its oddities: the model stands in the path, and a stream has no last event, so that it is whole when it ends cleanly after
//! a finish reason; results of tools name their function; calls carry signatures that newer models want back; a thought
//! is limited by a level or a budget and never by both. What is Gemini's stands in the folder and serves Vertex AI as
//! well; address and credential, which are AI Studio's own, stand here. Checked against the types of the released
//! `google-genai` SDK 3.4 (November 2026).

use http::{HeaderMap, HeaderName, HeaderValue};

use super::issuer::Issuer;
use super::{EncodeOptions, path};
use crate::hub;
use crate::request::BadRequest;
use crate::translate::{CountWire, EmbeddingWire, EventDecoder, Wire, WireFailure, WireRequest};

pub(super) mod answer;
pub(super) mod count;
pub(super) mod embeddings;
pub(super) mod encode;
pub(super) mod failure;
mod fields;
mod generation;
mod media;
mod part;
mod signature;
pub(super) mod stream;
mod thinking;
mod tools;
mod usage;

/// The Gemini API of AI Studio.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

impl Wire for Gemini {
    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://generativelanguage.googleapis.com/v1beta")
    }

    /// A header, where others write the key into the URL: URLs end up in logs.
    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        if credential.is_empty() {
            return None;
        }
        let mut value = HeaderValue::from_str(credential).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_static("x-goog-api-key"), value))
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options, Issuer::AIStudio)?;
        Ok(WireRequest {
            path: format!("{}{}", model_path(options.upstream_model), method(request.stream)).into(),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        answer::read(body, Issuer::AIStudio)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::new(Issuer::AIStudio))
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingWire> {
        Some(&embeddings::GeminiEmbeddings)
    }

    fn counter(&self) -> Option<&'static dyn CountWire> {
        Some(&Self)
    }
}

impl CountWire for Gemini {
    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options, Issuer::AIStudio)?;
        let (collection, name) = resource(options.upstream_model);
        Ok(WireRequest {
            path: format!("{}:countTokens", model_path(options.upstream_model)).into(),
            body: count::body(&format!("{collection}/{name}"), &body),
            headers: HeaderMap::new(),
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<u64, WireFailure> {
        count::read(body)
    }
}

/// `/models/{name}`; a name may say its collection itself, as the provider's own lists do.
fn model_path(model: &str) -> String {
    let (collection, name) = resource(model);
    format!("/{collection}/{}", path::segment(name))
}

fn resource(model: &str) -> (&str, &str) {
    match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), name)) => (collection, name),
        _ => ("models", model),
    }
}

/// What is done with a model, behind its name.
pub(super) fn method(streams: bool) -> &'static str {
    if streams {
        ":streamGenerateContent?alt=sse" // without it the stream is one JSON array
    } else {
        ":generateContent"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_is_one_segment_of_the_path_whatever_it_holds() {
        assert_eq!(model_path("gemini-3.8-flash"), "/models/gemini-3.8-flash");
        assert_eq!(model_path("models/gemini-3.8-flash"), "/models/gemini-3.8-flash");
        assert_eq!(model_path("tunedModels/a b"), "/tunedModels/a%20b");
        assert_eq!(model_path("models/../x:y?z"), "/models/..%2Fx%3Ay%3Fz");
        assert_eq!(model_path("a/b"), "/models/a%2Fb");
    }
}
