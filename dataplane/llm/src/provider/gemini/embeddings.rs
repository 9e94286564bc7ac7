//! `batchEmbedContents`: a request for each text. (`embedContent` makes one vector of all the parts that it is given, so
//! that a list of texts would come back as one.)

use std::borrow::Cow;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::usage::WireUsage;
use super::{failure, model_path};
use crate::hub::{EmbeddingAnswer, EmbeddingRequest};
use crate::provider::leftovers::{Leftovers, Passed};
use crate::provider::{EncodeOptions, embedding};
use crate::request::BadRequest;
use crate::translate::{EmbeddingWire, WireFailure, WireRequest};

#[derive(Serialize)]
struct Body<'r> {
    requests: Vec<OneText<'r>>,
    #[serde(flatten)]
    passed: Passed<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneText<'r> {
    model: Cow<'r, str>,
    content: Content<'r>,
    #[serde(flatten)]
    purpose: Purpose<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
}

/// A text as Gemini's models read it.
#[derive(Serialize)]
pub(in crate::provider) struct Content<'r> {
    role: &'static str,
    parts: [TextPart<'r>; 1],
}

#[derive(Serialize)]
struct TextPart<'r> {
    text: &'r str,
}

/// What the vectors are for: fields of Gemini's that the client's dialect has no word for.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::provider) struct Purpose<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::provider) task_type: Option<&'r RawValue>,
    /// Of a document, for those that are searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::provider) title: Option<&'r RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    embeddings: Vec<Values>,
    usage_metadata: Option<WireUsage>,
}

/// A vector.
#[derive(Deserialize)]
pub(in crate::provider) struct Values {
    pub(in crate::provider) values: Box<RawValue>,
}

impl<'r> Content<'r> {
    pub(in crate::provider) fn of(text: &'r str) -> Self {
        Self {
            role: "user",
            parts: [TextPart { text }],
        }
    }
}

impl<'r> Purpose<'r> {
    /// Takes a field that says it; false: this is another one.
    pub(in crate::provider) fn take(&mut self, name: &str, value: &'r RawValue) -> Result<bool, BadRequest> {
        let (place, name) = match name {
            "task_type" | "taskType" => (&mut self.task_type, "task_type"),
            "title" => (&mut self.title, "title"),
            _ => return Ok(false),
        };
        match place.replace(value) {
            None => Ok(true),
            Some(_) => Err(BadRequest::repeated(name)),
        }
    }
}

/// `batchEmbedContents`.
#[derive(Clone, Copy, Debug)]
pub(super) struct GeminiEmbeddings;

impl EmbeddingWire for GeminiEmbeddings {
    fn encode(&self, request: &EmbeddingRequest<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let mut leftovers = Leftovers::new(options.unsupported);
        let mut purpose = Purpose::default();
        embedding::leave_user_over(request, &mut leftovers)?;
        for (name, value) in &request.other {
            if name == "requests" {
                leftovers.value(name)?; // a client's own would stand beside ours
            } else if !purpose.take(name, value)? {
                leftovers.parameter(name.as_ref(), Cow::Borrowed(*value))?;
            }
        }
        let one = |text| OneText {
            model: model_name(options.upstream_model),
            content: Content::of(text),
            purpose,
            output_dimensionality: request.dimensions,
        };
        let body = Body {
            requests: embedding::texts(request)?.into_iter().map(one).collect(),
            passed: Passed(std::mem::take(&mut leftovers.passed)),
        };
        let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
        Ok(WireRequest {
            path: format!("{}:batchEmbedContents", model_path(options.upstream_model)).into(),
            headers: HeaderMap::new(),
            body: json.into(),
            dropped: leftovers.dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<EmbeddingAnswer, WireFailure> {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            let unreadable = || WireFailure::protocol("the answer is not one of batchEmbedContents");
            return Err(failure::parse(body).map_or_else(unreadable, failure::unannounced));
        };
        Ok(EmbeddingAnswer {
            model: None, // it names none
            vectors: answer.embeddings.into_iter().map(|vector| vector.values).collect(),
            usage: answer.usage_metadata.map(|usage| usage.read()),
        })
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, body)
    }
}

/// `models/{name}`; a name may say its collection itself.
fn model_name(model: &str) -> Cow<'_, str> {
    match model.split_once('/') {
        Some(("models" | "tunedModels", _)) => Cow::Borrowed(model),
        _ => Cow::Owned(format!("models/{model}")),
    }
}
