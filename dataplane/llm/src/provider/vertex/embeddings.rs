//! Embeddings in Vertex AI, by three methods: Gemini's models and open ones embed a content, or several Gemini's alone;
//! Google's older ones predict; the one for pictures and films predicts in words of its own. Checked against the released
//! `google-genai` SDK 3.6 (November 2026).

use std::borrow::Cow;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::gemini::embeddings::{Content, Purpose};
use super::super::gemini::failure;
use super::super::leftovers::{Leftovers, Passed};
use super::super::{EncodeOptions, embedding};
use super::address;
use crate::hub::{EmbeddingAnswer, EmbeddingRequest};
use crate::request::BadRequest;
use crate::translate::{EmbeddingWire, WireFailure, WireRequest};
use crate::usage::Usage;

/// All three methods.
#[derive(Clone, Copy, Debug)]
pub(super) struct VertexEmbeddings;

/// How a model is asked.
#[derive(Clone, Copy)]
enum Method {
    /// `:embedContent`, one text at a time.
    EmbedOne,
    /// The same, and `:batchEmbedContents` for several.
    Embed,
    /// `:predict`.
    Predict,
    /// `:predict` of `multimodalembedding`.
    PredictMultimodal,
}

impl Method {
    /// As the SDK tells them apart.
    fn of(model: &str) -> Self {
        let id = model.rsplit('/').next().unwrap_or(model);
        if id.contains("gemini") {
            Self::Embed
        } else if id.contains("maas") {
            Self::EmbedOne
        } else if id.starts_with("multimodalembedding") {
            Self::PredictMultimodal
        } else {
            Self::Predict
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'r> {
    One {
        #[serde(flatten)]
        one: OneText<'r>,
        #[serde(flatten)]
        passed: Passed<'r>,
    },
    Several {
        requests: Vec<OneText<'r>>,
        #[serde(flatten)]
        passed: Passed<'r>,
    },
    Predict {
        instances: Vec<Instance<'r>>,
        #[serde(skip_serializing_if = "Parameters::is_empty")]
        parameters: Parameters<'r>,
        #[serde(flatten)]
        passed: Passed<'r>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneText<'r> {
    content: Content<'r>,
    #[serde(skip_serializing_if = "Config::is_empty")]
    embed_content_config: Config<'r>,
}

#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'r> {
    #[serde(flatten)]
    purpose: Purpose<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_truncate: Option<&'r RawValue>,
}

impl Config<'_> {
    fn is_empty(&self) -> bool {
        let Purpose { task_type, title } = self.purpose;
        task_type.is_none() && title.is_none() && self.output_dimensionality.is_none() && self.auto_truncate.is_none()
    }
}

/// A text that is predicted for; exactly one of the first two is set.
#[derive(Default, Serialize)]
struct Instance<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'r RawValue>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimension: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_truncate: Option<&'r RawValue>,
}

impl Parameters<'_> {
    fn is_empty(&self) -> bool {
        self.output_dimensionality.is_none() && self.dimension.is_none() && self.auto_truncate.is_none()
    }
}

/// Members that are written from others: a client's own would stand beside them.
const WRITTEN: [&str; 7] = [
    "content",
    "requests",
    "instances",
    "parameters",
    "embedContentConfig",
    "outputDimensionality",
    "dimension",
];

impl EmbeddingWire for VertexEmbeddings {
    fn encode(&self, request: &EmbeddingRequest<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let mut leftovers = Leftovers::new(options.unsupported);
        let mut config = Config {
            output_dimensionality: request.dimensions,
            ..Config::default()
        };
        embedding::leave_user_over(request, &mut leftovers)?;
        for (name, value) in &request.other {
            match name.as_ref() {
                "auto_truncate" | "autoTruncate" => {
                    if config.auto_truncate.replace(value).is_some() {
                        return Err(BadRequest::repeated("auto_truncate"));
                    }
                }
                name if WRITTEN.contains(&name) => leftovers.value(name)?,
                name if config.purpose.take(name, value)? => {}
                name => leftovers.parameter(name, Cow::Borrowed(*value))?,
            }
        }
        let one = |text| OneText {
            content: Content::of(text),
            embed_content_config: config,
        };
        let passed = Passed(std::mem::take(&mut leftovers.passed));
        let (verb, body) = match Method::of(options.upstream_model) {
            Method::EmbedOne => {
                let one = one(embedding::only_text(request)?);
                (":embedContent", Body::One { one, passed })
            }
            Method::Embed => match &embedding::texts(request)?[..] {
                [text] => (":embedContent", Body::One { one: one(text), passed }),
                texts => {
                    let requests = texts.iter().map(|text| one(text)).collect();
                    (":batchEmbedContents", Body::Several { requests, passed })
                }
            },
            Method::Predict => (":predict", predict(&embedding::texts(request)?, false, config, passed)),
            Method::PredictMultimodal => (":predict", predict(&embedding::texts(request)?, true, config, passed)),
        };
        let json = serde_json::to_vec(&body).expect("structs with text for keys can always be written as JSON");
        Ok(WireRequest {
            path: address::path(options, verb).into(),
            headers: HeaderMap::new(),
            body: json.into(),
            dropped: leftovers.dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<EmbeddingAnswer, WireFailure> {
        let answer: Option<Answer> = serde_json::from_slice(body).ok();
        if let Some(read) = answer.and_then(Answer::read) {
            return Ok(read);
        }
        let unreadable = || WireFailure::protocol("the answer is not one of a model for embeddings");
        Err(failure::parse(body).map_or_else(unreadable, failure::unannounced))
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, body)
    }
}

fn predict<'r>(texts: &[&'r str], is_multimodal: bool, config: Config<'r>, passed: Passed<'r>) -> Body<'r> {
    let Config {
        purpose: Purpose { task_type, title },
        output_dimensionality: length,
        auto_truncate,
    } = config;
    let instance = |text: &&'r str| Instance {
        content: (!is_multimodal).then_some(*text),
        text: is_multimodal.then_some(*text),
        task_type,
        title,
    };
    Body::Predict {
        instances: texts.iter().map(instance).collect(),
        parameters: Parameters {
            output_dimensionality: length.filter(|_| !is_multimodal),
            dimension: length.filter(|_| is_multimodal),
            auto_truncate,
        },
        passed,
    }
}

/// The answers of all methods: each has members of its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    embedding: Option<Vector>,
    embeddings: Option<Vec<Vector>>,
    predictions: Option<Vec<Prediction>>,
    usage_metadata: Option<Counts>,
}

#[derive(Deserialize)]
struct Vector {
    values: Box<RawValue>,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    embeddings: Option<Vector>,
    text_embedding: Option<Box<RawValue>>,
}

/// What one text came to.
#[derive(Clone, Copy, Deserialize)]
struct Statistics {
    /// Some write it as `12.0`.
    #[serde(alias = "tokenCount")]
    token_count: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    prompt_token_count: Option<u64>,
}

/// More than any input has; above it a count is a mistake, and sums of such counts could overflow.
const COUNT_MAX: u64 = 1 << 40;

impl Answer {
    /// None: it is not one of embeddings.
    fn read(self) -> Option<EmbeddingAnswer> {
        let vectors = if let Some(vector) = self.embedding {
            vec![vector]
        } else if let Some(vectors) = self.embeddings {
            vectors
        } else {
            let vectors = self.predictions?.into_iter().map(Prediction::vector);
            vectors.collect::<Option<_>>()?
        };
        let counted = self.usage_metadata.and_then(|counts| counts.prompt_token_count);
        let tokens = counted.or_else(|| sum(&vectors));
        Some(EmbeddingAnswer {
            model: None, // it names none
            vectors: vectors.into_iter().map(|vector| vector.values).collect(),
            usage: tokens.map(|tokens| Usage {
                input_tokens: tokens.min(COUNT_MAX),
                ..Usage::default()
            }),
        })
    }
}

impl Prediction {
    fn vector(self) -> Option<Vector> {
        let multimodal = self.text_embedding.map(|values| Vector {
            values,
            statistics: None,
        });
        self.embeddings.or(multimodal)
    }
}

/// None: one of them has no count.
fn sum(vectors: &[Vector]) -> Option<u64> {
    let counts = vectors.iter().map(|vector| vector.statistics?.token_count);
    let sum: f64 = counts.sum::<Option<_>>()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers below zero become it, those too large the largest"
    )]
    Some(sum as u64)
}
