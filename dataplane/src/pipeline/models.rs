//! The models that a key may use.

use std::sync::Arc;
use std::time::SystemTime;

use axum::response::Response;
use http::HeaderMap;
use jiff::Timestamp;

use headgate_llm::dialect::anthropic_models::{self, LIMIT_DEFAULT, LIMIT_MAX, Page};
use headgate_llm::dialect::openai_models;
use headgate_llm::endpoint::ErrorShape;
use headgate_llm::request::BadRequest;

use crate::auth::{Authenticated, authenticate};
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::reply;
use crate::route::{plan, visible_models};
use crate::runtime::Runtime;

/// `GET /v1/models`: what this key may use, in the shape of the client's dialect. Anthropic's is asked for page by page.
pub fn list_models(
    gateway: &Gateway,
    headers: &HeaderMap,
    shape: ErrorShape,
    query: &str,
) -> Result<Response, Refusal> {
    let (runtime, caller) = authenticated(gateway, headers)?;
    let models = visible_models(&runtime, &caller);
    let body = match shape {
        ErrorShape::OpenAI => {
            let created = runtime.prepared_at_unix_seconds;
            let listed = models.iter();
            let listed = listed.map(|(id, provider)| openai_models::Model::new(id, created, provider));
            openai_models::list_body(&listed.collect::<Vec<_>>())
        }
        ErrorShape::Anthropic => {
            let page = page(query)?;
            let created = created_at(&runtime);
            let listed = models.iter();
            let listed = listed.map(|(id, _)| anthropic_models::Model::new(id, &created));
            page.body(&listed.collect::<Vec<_>>())
        }
    };
    Ok(reply::json(body))
}

/// `GET /v1/models/{id}`, where the id may hold slashes.
pub fn retrieve_model(
    gateway: &Gateway,
    headers: &HeaderMap,
    shape: ErrorShape,
    id: &str,
) -> Result<Response, Refusal> {
    let (runtime, caller) = authenticated(gateway, headers)?;
    let plan = plan(&runtime, &caller, id, None)?;
    Ok(reply::json(match shape {
        ErrorShape::OpenAI => {
            let provider = &plan.backend.provider.name.name;
            openai_models::Model::new(id, runtime.prepared_at_unix_seconds, provider).body()
        }
        ErrorShape::Anthropic => anthropic_models::Model::new(id, &created_at(&runtime)).body(),
    }))
}

/// The part of the list that a query asks for; what it says beside passes.
fn page(query: &str) -> Result<Page, Refusal> {
    let mut page = Page {
        limit: LIMIT_DEFAULT,
        after_id: None,
        before_id: None,
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                page.limit = limit.ok_or_else(wrong_limit)?;
            }
            "after_id" => page.after_id = Some(value.into_owned()),
            "before_id" => page.before_id = Some(value.into_owned()),
            _ => {}
        }
    }
    Ok(page)
}

fn wrong_limit() -> Refusal {
    Refusal::BadRequest(BadRequest {
        code: "invalid_value",
        param: Some("limit".to_owned()),
        message: format!("`limit` must be between 1 and {LIMIT_MAX}"),
    })
}

/// When the runtime was prepared, in RFC 3339: nobody knows when a model was made.
fn created_at(runtime: &Runtime) -> String {
    let seconds = i64::try_from(runtime.prepared_at_unix_seconds).unwrap_or_default();
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

fn authenticated(gateway: &Gateway, headers: &HeaderMap) -> Result<(Arc<Runtime>, Authenticated), Refusal> {
    let runtime = gateway.live.get().ok_or(Refusal::NotReady)?;
    let caller = authenticate(&runtime, headers, SystemTime::now())?;
    Ok((runtime, caller))
}
