//! The probes, on both listeners.
//!
//! Liveness is shallow on purpose: restarting a pod cures nothing that is wrong with a store, a provider or the API server.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::StatusCode;

use crate::gateway::Gateway;
use crate::reply;

/// `/health`, `/livez`, `/readyz`.
pub fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/health", get(health))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
}

async fn health() -> Response {
    reply::json(Bytes::from_static(
        concat!(r#"{"status":"healthy","version":""#, env!("CARGO_PKG_VERSION"), "\"}\n").as_bytes(),
    ))
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, &'static str) {
    if gateway.is_ready() {
        (StatusCode::OK, "ok\n")
    } else if gateway.draining.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no snapshot is live yet\n")
    }
}
