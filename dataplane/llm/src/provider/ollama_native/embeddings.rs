//! `/api/embed`: a list in, a vector for each text out. (`/api/embeddings`, its older one, takes a single text and counts
//! nothing.)

use std::borrow::Cow;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::decode::{self, COUNT_MAX};
use crate::hub::{EmbeddingAnswer, EmbeddingRequest};
use crate::provider::leftovers::{Leftovers, Passed};
use crate::provider::{EncodeOptions, embedding};
use crate::request::BadRequest;
use crate::translate::{EmbeddingWire, WireFailure, WireRequest};
use crate::usage::Usage;

/// Fields of `/api/embed` that go out as they came.
const NATIVE: [&str; 3] = ["keep_alive", "options", "truncate"];

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    input: Vec<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(Deserialize)]
struct Answer {
    model: Option<String>,
    embeddings: Vec<Box<RawValue>>,
    prompt_eval_count: Option<u64>,
}

/// `/api/embed`.
#[derive(Clone, Copy, Debug)]
pub(super) struct OllamaEmbeddings;

impl EmbeddingWire for OllamaEmbeddings {
    fn encode(&self, request: &EmbeddingRequest<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let mut leftovers = Leftovers::new(options.unsupported);
        embedding::leave_user_over(request, &mut leftovers)?;
        for (name, value) in &request.other {
            let value = Cow::Borrowed(*value);
            match name.as_ref() {
                name if NATIVE.contains(&name) => leftovers.passed.push((Cow::Borrowed(name), value)),
                name => leftovers.parameter(name, value)?,
            }
        }
        let body = Body {
            model: options.upstream_model,
            input: embedding::texts(request)?,
            dimensions: request.dimensions,
            passed: Passed(std::mem::take(&mut leftovers.passed)),
        };
        let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
        Ok(WireRequest {
            path: "/api/embed".into(),
            headers: HeaderMap::new(),
            body: json.into(),
            dropped: leftovers.dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<EmbeddingAnswer, WireFailure> {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            let unreadable = || WireFailure::protocol("the answer is not one of /api/embed");
            return Err(decode::unannounced_in(body).unwrap_or_else(unreadable));
        };
        let usage = answer.prompt_eval_count.map(|count| Usage {
            input_tokens: count.min(COUNT_MAX),
            ..Usage::default()
        });
        Ok(EmbeddingAnswer {
            model: answer.model,
            vectors: answer.embeddings,
            usage,
        })
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        decode::failure(status, body)
    }
}
