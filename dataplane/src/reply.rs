//! Responses: the answer's bytes, or a refusal in the client's dialect, and the headers that say what happened.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use headgate_llm::dialect::openai_chat::error::{ErrorObject, event};
use headgate_llm::dialect::openai_models::{Model, list_body};
use headgate_llm::failure::Failure;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::trace::TraceId;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

// Parsed once: a name given as text is hashed and checked anew for each response.
static PROVIDER: HeaderName = HeaderName::from_static("x-headgate-provider");
static MODEL: HeaderName = HeaderName::from_static("x-headgate-model");
static COST_USD: HeaderName = HeaderName::from_static("x-headgate-cost-usd");
static CACHE: HeaderName = HeaderName::from_static("x-headgate-cache");
static ATTEMPTS: HeaderName = HeaderName::from_static("x-headgate-attempts");
static FALLBACK_INDEX: HeaderName = HeaderName::from_static("x-headgate-fallback-index");
static TRACE_ID: HeaderName = HeaderName::from_static("x-headgate-trace-id");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static DROPPED: HeaderName = HeaderName::from_static("x-headgate-dropped-parameters");

/// A whole answer.
pub fn whole(exchange: &Exchange, headers: HeaderMap, dropped: &[String], body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = headers;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    say_what_happened(response.headers_mut(), exchange, dropped);
    if let Some(cost) = exchange.cost() {
        // The price is known now; a stream's is known only at its end.
        let value = HeaderValue::try_from(cost.to_string()).expect("digits and a point fit a header");
        response.headers_mut().insert(&COST_USD, value);
    }
    response
}

/// The head of a stream.
pub fn stream_head(exchange: &Exchange, headers: HeaderMap, dropped: &[String]) -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and ingresses built on it would hold events back otherwise.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    say_what_happened(response.headers_mut(), exchange, dropped);
    response
}

/// A refusal of a request that has a record.
pub fn refused(refusal: &Refusal, exchange: &Exchange) -> Response {
    let mut response = refusal_only(refusal, exchange.trace_id);
    if exchange.plan.is_some() {
        say_what_happened(response.headers_mut(), exchange, &[]);
    }
    response
}

/// A refusal outside the pipeline.
pub fn refusal_only(refusal: &Refusal, trace_id: TraceId) -> Response {
    let mut response = Response::new(Body::from(error_body(refusal)));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    insert_ids(headers, trace_id);
    if let Some(wait) = refusal.retry_after() {
        // Whole seconds, rounded up: a client that comes back early would be refused again.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.forbids_retry() {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    if refusal.status() == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A refusal in the middle of a stream.
pub fn error_event(refusal: &Refusal) -> Bytes {
    event(&error_body(refusal))
}

/// The list of models: names and who serves them.
pub fn models(models: &[(&str, String)], created_unix_seconds: u64) -> Response {
    let listed: Vec<_> = models
        .iter()
        .map(|(id, provider)| Model::new(id, created_unix_seconds, provider))
        .collect();
    json(list_body(&listed))
}

/// One model.
pub fn model(id: &str, owned_by: &str, created_unix_seconds: u64) -> Response {
    json(Model::new(id, created_unix_seconds, owned_by).body())
}

/// Any JSON with status 200.
pub fn json(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The provider's own error body where it may be seen, ours elsewhere.
fn error_body(refusal: &Refusal) -> Bytes {
    if let Refusal::Upstream(Failure { body: Some(body), .. }) = refusal {
        return body.clone();
    }
    let message = refusal.message();
    ErrorObject {
        message: &message,
        r#type: refusal.error_type(),
        param: refusal.param(),
        code: Some(refusal.code()),
    }
    .body()
}

fn insert_ids(headers: &mut HeaderMap, trace_id: TraceId) {
    let id = trace_id.header();
    headers.insert(&REQUEST_ID, id.clone());
    headers.insert(&TRACE_ID, id);
}

fn say_what_happened(headers: &mut HeaderMap, exchange: &Exchange, dropped: &[String]) {
    insert_ids(headers, exchange.trace_id);
    let Some(plan) = &exchange.plan else { return };
    headers.insert(&PROVIDER, plan.backend.provider.name_header.clone());
    headers.insert(&MODEL, plan.backend.upstream_model_header());
    headers.insert(&CACHE, HeaderValue::from_static("off"));
    headers.insert(&ATTEMPTS, HeaderValue::from(exchange.attempts));
    headers.insert(&FALLBACK_INDEX, HeaderValue::from_static("0"));
    if !dropped.is_empty()
        && let Ok(names) = HeaderValue::try_from(dropped.join(", "))
    {
        headers.insert(&DROPPED, names);
    }
}
