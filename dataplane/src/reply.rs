//! Responses: the answer's bytes, or a refusal in the client's dialect, and the headers that say what happened.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use headgate_llm::dialect::anthropic_messages::error as anthropic;
use headgate_llm::dialect::openai_chat::error::{self as openai, ErrorObject};
use headgate_llm::dialect::openai_responses;
use headgate_llm::endpoint::{Endpoint, ErrorShape};
use headgate_llm::failure::Failure;

use crate::account::price::NanoUsd;
use crate::answer_headers::{self, JSON};
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::trace::TraceId;

/// A whole answer.
pub fn whole(exchange: &Exchange, passing: HeaderMap, dropped: &[String], body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    // The usage is known now; that of a stream is known only at its end.
    *response.headers_mut() = answer_headers(exchange, exchange.cost(), passing, dropped);
    response
}

/// The head of an answer that passes as it is.
pub fn relayed_head(exchange: &Exchange, passing: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    let cost = exchange.usage.and_then(|_| exchange.cost());
    *response.headers_mut() = answer_headers(exchange, cost, passing, &[]);
    response
}

/// The head of a stream.
pub fn stream_head(exchange: &Exchange, passing: HeaderMap, dropped: &[String]) -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = answer_headers(exchange, None, passing, dropped);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    let_events_through(headers);
    response
}

/// Says that events must be neither kept nor held back.
pub fn let_events_through(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and ingresses built on it would hold events back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

/// Everything that is known when the answer begins; `passing` are the provider's headers that may pass.
fn answer_headers(exchange: &Exchange, cost: Option<NanoUsd>, passing: HeaderMap, dropped: &[String]) -> HeaderMap {
    let mut headers = exchange
        .plan
        .as_ref()
        .map_or_else(HeaderMap::new, |plan| plan.backend.answer_headers());
    headers.extend(passing);
    let shape = exchange.endpoint.error_shape();
    answer_headers::name_request_for(&mut headers, shape, exchange.trace_id.header());
    answer_headers::count_attempts(&mut headers, exchange.attempts);
    answer_headers::name_cost(&mut headers, cost);
    answer_headers::name_dropped(&mut headers, dropped);
    headers
}

/// A refusal of a request that has a record.
pub fn refused(refusal: &Refusal, exchange: &Exchange) -> Response {
    let mut response = refusal_only(refusal, exchange.endpoint.error_shape(), exchange.trace_id);
    if exchange.is_body_unread {
        // hyper closes such a connection; a client that is not told would run into that with its next request.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if exchange.plan.is_some() {
        response
            .headers_mut()
            .extend(answer_headers(exchange, None, HeaderMap::new(), &[]));
    }
    response
}

/// A refusal outside the pipeline.
pub fn refusal_only(refusal: &Refusal, shape: ErrorShape, trace_id: TraceId) -> Response {
    let mut response = Response::new(Body::from(error_body(refusal, shape, trace_id)));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    answer_headers::name_request_for(headers, shape, trace_id.header());
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

/// A refusal in the middle of a stream, behind so many events.
pub fn error_event(refusal: &Refusal, endpoint: Endpoint, trace_id: TraceId, events: u64) -> Bytes {
    let body = error_body(refusal, endpoint.error_shape(), trace_id);
    match endpoint {
        Endpoint::Messages | Endpoint::CountTokens => anthropic::event(&body),
        Endpoint::Responses => openai_responses::error::event(&body, events),
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings | Endpoint::PassThrough(_) => {
            openai::event(&body)
        }
    }
}

/// What goes out when a stream was silent for long: a comment, or the event that the dialect has for it.
pub fn keep_alive_event(endpoint: Endpoint) -> &'static [u8] {
    match endpoint {
        Endpoint::Messages => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
        _ => b": keep-alive\n\n",
    }
}

/// Any JSON with status 200.
pub fn json(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The error in the form that the client's SDK reads.
fn error_body(refusal: &Refusal, shape: ErrorShape, trace_id: TraceId) -> Bytes {
    let body = openai_body(refusal);
    match shape {
        ErrorShape::OpenAI => body,
        ErrorShape::Anthropic => anthropic::body(&body, refusal.status().as_u16(), trace_id.as_str()),
    }
}

/// The provider's own error body where it may be seen, ours elsewhere.
fn openai_body(refusal: &Refusal) -> Bytes {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_that_stays_one_tells_sdks_not_to_try_again() {
        let trace_id = TraceId::of(&HeaderMap::new());
        let header = |refusal: &Refusal| {
            let response = refusal_only(refusal, ErrorShape::OpenAI, trace_id);
            response.headers().get("x-should-retry").cloned()
        };
        let no = Some(HeaderValue::from_static("false"));
        assert_eq!(header(&Refusal::KeySuspended), no);
        assert_eq!(header(&Refusal::KeyRefused("a budget".to_owned())), no);
        assert_eq!(header(&Refusal::NotReady), None);
        assert_eq!(header(&Refusal::Stopping), None);
    }
}
