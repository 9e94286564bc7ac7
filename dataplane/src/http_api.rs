//! The data listener's routes: `/v1/*` and the probes, nothing else.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::FutureExt;
use http::{HeaderMap, Request};

use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::trace::TraceId;
use crate::{pipeline, probes, reply};

/// All that clients can reach.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/models", get(list_models))
        .route("/v1/models/{*id}", get(retrieve_model))
        .merge(probes::router())
        .fallback(async |request: Request<Body>| refuse(&Refusal::NoSuchPath, request.headers()))
        .method_not_allowed_fallback(async |request: Request<Body>| {
            refuse(&Refusal::MethodNotAllowed, request.headers())
        })
        .with_state(gateway)
}

/// A panic costs its own request: the record closes by being dropped, the client gets a 500, the connection lives on.
async fn chat_completions(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response {
    let trace_id = TraceId::of(request.headers());
    let answered = AssertUnwindSafe(pipeline::chat_completions(Arc::clone(&gateway), trace_id, request)).catch_unwind();
    answered.await.unwrap_or_else(|_| {
        gateway.metrics.panics.inc();
        tracing::error!(
            trace_id = trace_id.as_str(),
            "a panic was caught; this is a defect of the gateway"
        );
        reply::refusal_only(&Refusal::Internal, trace_id)
    })
}

async fn list_models(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    pipeline::list_models(&gateway, &headers).unwrap_or_else(|refusal| refuse(&refusal, &headers))
}

async fn retrieve_model(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    pipeline::retrieve_model(&gateway, &headers, &id).unwrap_or_else(|refusal| refuse(&refusal, &headers))
}

fn refuse(refusal: &Refusal, headers: &HeaderMap) -> Response {
    reply::refusal_only(refusal, TraceId::of(headers))
}
