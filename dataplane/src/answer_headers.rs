//! The headers by which an answer says what happened. What is the same for each answer of a model is put together once,
//! when a runtime is prepared, and copied as one.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use headgate_llm::endpoint::ErrorShape;

use crate::account::price::NanoUsd;

// Parsed once: a name given as text is hashed and checked anew for each response.
static PROVIDER: HeaderName = HeaderName::from_static("x-headgate-provider");
static MODEL: HeaderName = HeaderName::from_static("x-headgate-model");
static COST_USD: HeaderName = HeaderName::from_static("x-headgate-cost-usd");
static CACHE: HeaderName = HeaderName::from_static("x-headgate-cache");
static ATTEMPTS: HeaderName = HeaderName::from_static("x-headgate-attempts");
static FALLBACK_INDEX: HeaderName = HeaderName::from_static("x-headgate-fallback-index");
static TRACE_ID: HeaderName = HeaderName::from_static("x-headgate-trace-id");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
static TOKEN_COUNT: HeaderName = HeaderName::from_static("x-headgate-token-count");
static DROPPED_PARAMETERS: HeaderName = HeaderName::from_static("x-headgate-dropped");

/// `content-type` of all that is not a stream.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What every whole answer of a model has.
pub fn of_model(provider: HeaderValue, upstream_model: &str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(&PROVIDER, provider);
    headers.insert(&CACHE, HeaderValue::from_static("off"));
    headers.insert(&FALLBACK_INDEX, HeaderValue::from_static("0"));
    headers.insert(&ATTEMPTS, FIRST_ATTEMPT);
    // Places that each answer fills, so that a copy need not grow.
    name_request(&mut headers, HeaderValue::from_static(""));
    headers.insert(&COST_USD, HeaderValue::from_static(""));
    name_model(&mut headers, upstream_model);
    headers
}

/// The upstream's name of the model; characters that a header cannot carry become `?`.
pub fn name_model(headers: &mut HeaderMap, upstream_model: &str) {
    let value = HeaderValue::from_str(upstream_model).unwrap_or_else(|_| {
        let visible: String = upstream_model
            .chars()
            .map(|c| if c.is_ascii_graphic() { c } else { '?' })
            .collect();
        HeaderValue::from_str(&visible).expect("only visible ASCII is left")
    });
    headers.insert(&MODEL, value);
}

/// The ids by which the request is found again.
pub fn name_request(headers: &mut HeaderMap, trace_id: HeaderValue) {
    headers.insert(&REQUEST_ID, trace_id.clone());
    headers.insert(&TRACE_ID, trace_id);
}

/// The same where a client looks for it that speaks Anthropic's dialect.
pub fn name_request_for(headers: &mut HeaderMap, shape: ErrorShape, trace_id: HeaderValue) {
    if shape == ErrorShape::Anthropic {
        headers.insert(&ANTHROPIC_REQUEST_ID, trace_id.clone());
    }
    name_request(headers, trace_id);
}

/// Tokens were counted here, and not by the provider.
pub fn name_estimate(headers: &mut HeaderMap) {
    headers.insert(&TOKEN_COUNT, HeaderValue::from_static("estimated"));
}

const FIRST_ATTEMPT: HeaderValue = HeaderValue::from_static("1");

/// How often the provider was called.
pub fn count_attempts(headers: &mut HeaderMap, attempts: u32) {
    if attempts != 1 {
        headers.insert(&ATTEMPTS, HeaderValue::from(attempts));
    }
}

/// What it cost, where that is known before the answer goes out.
pub fn name_cost(headers: &mut HeaderMap, cost: Option<NanoUsd>) {
    match cost {
        Some(cost) => {
            let value = HeaderValue::try_from(cost.to_string()).expect("digits and a point fit a header");
            headers.insert(&COST_USD, value);
        }
        None => {
            headers.remove(&COST_USD);
        }
    }
}

/// Parameters that were left out.
pub fn name_dropped(headers: &mut HeaderMap, parameters: &[String]) {
    if !parameters.is_empty()
        && let Ok(names) = HeaderValue::try_from(parameters.join(", "))
    {
        headers.insert(&DROPPED_PARAMETERS, names);
    }
}
