//! Embeddings by `InvokeModel`, whose bodies are each maker's own: Amazon's Titan takes one text at a time, Cohere's models
//! a list. Checked against the user guide of the service, "Inference request parameters" (November 2026).

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::failure;
use crate::hub::{EmbeddingAnswer, EmbeddingRequest};
use crate::provider::cohere::embeddings::{Asked, vectors};
use crate::provider::leftovers::{Leftovers, Passed, raw};
use crate::provider::{EncodeOptions, embedding, path};
use crate::request::BadRequest;
use crate::translate::{EmbeddingWire, WireFailure, WireRequest};
use crate::usage::Usage;

/// Who made a model, by its id or what an ARN or a profile says of it.
enum Maker {
    /// Amazon: `titan-embed-text`.
    Titan {
        /// The first of them makes vectors of one length only.
        has_dimensions: bool,
    },
    /// Cohere: `embed`.
    Cohere {
        /// The third version does as well.
        has_dimensions: bool,
    },
}

impl Maker {
    fn of(model: &str) -> Result<Self, BadRequest> {
        if model.contains("titan-embed-text") || model.contains("titan-embed-g1") {
            let has_dimensions = model.contains("titan-embed-text-v") && !model.contains("titan-embed-text-v1");
            return Ok(Self::Titan { has_dimensions });
        }
        if model.contains("cohere.embed") {
            let has_dimensions = !model.contains("-v3");
            return Ok(Self::Cohere { has_dimensions });
        }
        let message =
            "the model is none of amazon.titan-embed-text and cohere.embed, which are those whose embeddings are \
                       known; ask for one of them"
                .to_owned();
        Err(BadRequest::new("unsupported_endpoint", Some("model"), message))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TitanBody<'r> {
    input_text: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    #[serde(flatten)]
    passed: Passed<'r>,
}

/// Both makers' answers: each has members of its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    embedding: Option<Box<RawValue>>,
    input_text_token_count: Option<u64>,
    embeddings: Option<Box<RawValue>>,
}

/// More than any input has; above it a count is a mistake.
const COUNT_MAX: u64 = 1 << 40;

/// `InvokeModel`.
#[derive(Clone, Copy, Debug)]
pub(super) struct BedrockEmbeddings;

impl EmbeddingWire for BedrockEmbeddings {
    fn encode(&self, request: &EmbeddingRequest<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let leftovers = Leftovers::new(options.unsupported);
        let (body, dropped) = match Maker::of(options.upstream_model)? {
            Maker::Titan { has_dimensions } => titan(request, has_dimensions, leftovers)?,
            Maker::Cohere { has_dimensions } => cohere(request, has_dimensions, leftovers)?,
        };
        Ok(WireRequest {
            path: format!("/model/{}/invoke", path::segment(options.upstream_model)).into(),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<EmbeddingAnswer, WireFailure> {
        let answer: Option<Answer> = serde_json::from_slice(body).ok();
        let read = answer.and_then(|answer| {
            let vectors = match answer.embedding {
                Some(vector) => vec![vector],
                None => vectors(&answer.embeddings?)?,
            };
            Some((vectors, answer.input_text_token_count))
        });
        let (vectors, tokens) =
            read.ok_or_else(|| WireFailure::protocol("the answer is not one of a model for embeddings"))?;
        Ok(EmbeddingAnswer {
            model: None, // it names none
            vectors,
            usage: tokens.map(|tokens| Usage {
                input_tokens: tokens.min(COUNT_MAX),
                ..Usage::default()
            }),
        })
    }

    fn decode_failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, headers, body)
    }
}

/// The body for Titan, and the names of what was left out.
fn titan<'r>(
    request: &'r EmbeddingRequest<'_>,
    has_dimensions: bool,
    mut leftovers: Leftovers<'r>,
) -> Result<(Bytes, Vec<String>), BadRequest> {
    embedding::leave_user_over(request, &mut leftovers)?;
    leave_dimensions_over(request, has_dimensions, &mut leftovers)?;
    for (name, value) in &request.other {
        match name.as_ref() {
            name @ "normalize" => leftovers.passed.push((Cow::Borrowed(name), Cow::Borrowed(*value))),
            name @ ("embeddingTypes" | "inputText") => leftovers.value(name)?,
            name => leftovers.parameter(name, Cow::Borrowed(*value))?,
        }
    }
    let body = TitanBody {
        input_text: embedding::only_text(request)?,
        dimensions: request.dimensions.filter(|_| has_dimensions),
        passed: Passed(std::mem::take(&mut leftovers.passed)),
    };
    Ok((written(&body), leftovers.dropped))
}

/// The body for a model of Cohere's, and the names of what was left out.
fn cohere<'r>(
    request: &'r EmbeddingRequest<'_>,
    has_dimensions: bool,
    mut leftovers: Leftovers<'r>,
) -> Result<(Bytes, Vec<String>), BadRequest> {
    leave_dimensions_over(request, has_dimensions, &mut leftovers)?;
    let dimensions = request.dimensions.filter(|_| has_dimensions);
    let (asked, dropped) = Asked::of(request, dimensions, leftovers)?;
    Ok((written(&asked), dropped))
}

fn leave_dimensions_over(
    request: &EmbeddingRequest<'_>,
    has_dimensions: bool,
    leftovers: &mut Leftovers<'_>,
) -> Result<(), BadRequest> {
    match request.dimensions.filter(|_| !has_dimensions) {
        Some(dimensions) => leftovers.parameter("dimensions", raw(dimensions.to_string())),
        None => Ok(()),
    }
}

fn written(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body)
        .expect("structs with text for keys can always be written as JSON")
        .into()
}
