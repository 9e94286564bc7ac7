//! `/v2/embed`.
//!
//! Its oddities: newer models must be told what a vector is for, which the client's dialect has no word for; vectors come
//! in a list for each type of number. Asked are documents of a search unless the client says otherwise in `input_type`.
//! Amazon Bedrock takes the same, less the model's name.

use std::borrow::Cow;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::failure;
use super::usage::WireUsage;
use crate::hub::{EmbeddingAnswer, EmbeddingRequest};
use crate::json::{self, Kind};
use crate::provider::leftovers::{Leftovers, Passed, raw};
use crate::provider::{EncodeOptions, embedding};
use crate::request::BadRequest;
use crate::translate::{EmbeddingWire, WireFailure, WireRequest};

/// Fields of `/v2/embed` that go out as they came.
const NATIVE: [&str; 3] = ["max_tokens", "priority", "truncate"];
/// Fields that this file writes from others, or whose answer the client's dialect has no place for.
const WRITTEN: [&str; 5] = ["embedding_types", "images", "inputs", "output_dimension", "texts"];

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    #[serde(flatten)]
    asked: Asked<'r>,
}

/// What is asked of a model.
#[derive(Serialize)]
pub(in crate::provider) struct Asked<'r> {
    texts: Vec<&'r str>,
    input_type: Cow<'r, RawValue>,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u32>,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(Deserialize)]
struct Answer {
    embeddings: Box<RawValue>,
    meta: Option<WireUsage>,
}

/// Vectors by the type of their numbers.
#[derive(Deserialize)]
struct ByType {
    float: Vec<Box<RawValue>>,
}

impl<'r> Asked<'r> {
    /// Reads a request; `dimensions` as far as the model has a word for them.
    pub(in crate::provider) fn of(
        request: &'r EmbeddingRequest<'_>,
        dimensions: Option<u32>,
        mut leftovers: Leftovers<'r>,
    ) -> Result<(Self, Vec<String>), BadRequest> {
        embedding::leave_user_over(request, &mut leftovers)?;
        let mut input_type = None;
        for (name, value) in &request.other {
            match name.as_ref() {
                "input_type" => input_type = Some(Cow::Borrowed(*value)),
                name if NATIVE.contains(&name) => leftovers.passed.push((Cow::Borrowed(name), Cow::Borrowed(*value))),
                name if WRITTEN.contains(&name) => leftovers.value(name)?,
                name => leftovers.parameter(name, Cow::Borrowed(*value))?,
            }
        }
        let asked = Self {
            texts: embedding::texts(request)?,
            input_type: input_type.unwrap_or_else(|| raw("\"search_document\"".to_owned())),
            embedding_types: ["float"],
            output_dimension: dimensions,
            passed: Passed(leftovers.passed),
        };
        Ok((asked, leftovers.dropped))
    }
}

/// The vectors in `embeddings`, which is a list of them where no type was asked for.
pub(in crate::provider) fn vectors(embeddings: &RawValue) -> Option<Vec<Box<RawValue>>> {
    match json::kind(embeddings.get().as_bytes()) {
        Kind::Array => serde_json::from_str(embeddings.get()).ok(),
        Kind::Object => serde_json::from_str(embeddings.get())
            .ok()
            .map(|ByType { float }| float),
        _ => None,
    }
}

/// `/v2/embed`.
#[derive(Clone, Copy, Debug)]
pub(super) struct CohereEmbeddings;

impl EmbeddingWire for CohereEmbeddings {
    fn encode(&self, request: &EmbeddingRequest<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let leftovers = Leftovers::new(options.unsupported);
        let (asked, dropped) = Asked::of(request, request.dimensions, leftovers)?;
        let body = Body {
            model: options.upstream_model,
            asked,
        };
        let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
        Ok(WireRequest {
            path: "/embed".into(),
            headers: HeaderMap::new(),
            body: json.into(),
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<EmbeddingAnswer, WireFailure> {
        let answer = serde_json::from_slice::<Answer>(body).ok();
        let Some((vectors, meta)) = answer.and_then(|answer| Some((vectors(&answer.embeddings)?, answer.meta))) else {
            let unreadable = || WireFailure::protocol("the answer is not one of /v2/embed");
            return Err(failure::unannounced(body).unwrap_or_else(unreadable));
        };
        Ok(EmbeddingAnswer {
            model: None, // it names none
            vectors,
            usage: meta.and_then(|usage| usage.read()),
        })
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, body)
    }
}
