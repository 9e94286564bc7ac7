//! The models that a key may use.

use std::sync::Arc;
use std::time::SystemTime;

use axum::response::Response;
use http::HeaderMap;

use crate::auth::{Authenticated, authenticate};
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::reply;
use crate::route::{plan, visible_models};
use crate::runtime::Runtime;

/// `GET /v1/models`: what this key may use.
pub fn list_models(gateway: &Gateway, headers: &HeaderMap) -> Result<Response, Refusal> {
    let (runtime, caller) = authenticated(gateway, headers)?;
    let models = visible_models(&runtime, &caller);
    Ok(reply::models(&models, runtime.prepared_at_unix_seconds))
}

/// `GET /v1/models/{id}`, where the id may hold slashes.
pub fn retrieve_model(gateway: &Gateway, headers: &HeaderMap, id: &str) -> Result<Response, Refusal> {
    let (runtime, caller) = authenticated(gateway, headers)?;
    let plan = plan(&runtime, &caller, id, None)?;
    Ok(reply::model(
        id,
        &plan.backend.provider.name.name,
        runtime.prepared_at_unix_seconds,
    ))
}

fn authenticated(gateway: &Gateway, headers: &HeaderMap) -> Result<(Arc<Runtime>, Authenticated), Refusal> {
    let runtime = gateway.live.get().ok_or(Refusal::NotReady)?;
    let caller = authenticate(&runtime, headers, SystemTime::now())?;
    Ok((runtime, caller))
}
