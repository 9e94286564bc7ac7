//! The life of a request: READ THIS FIRST.
//!
//! authenticate -> plan -> attempt -> answer. Plain functions in that order; each takes what the one before returned
//! (`Authenticated`, `Plan`, `Answer`), so a step can be neither skipped nor swapped. Only this file knows the order, and
//! only this file writes the `Exchange`.
//!
//! What asks no model, or passes unread, has shorter ways in `pipeline/`.
//!
//! To come, each at its place: admit (limits and budgets) after the plan, screening before and after the attempt, the
//! cache around it.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request};

use headgate_llm::endpoint::Endpoint;
use headgate_llm::request::ModelRequest;

use crate::answer::{Answer, StreamBody};
use crate::attempt::{Attempted, attempt};
use crate::auth::{Authenticated, authenticate};
use crate::body::{check_head, discard_small, read_json};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::metadata;
use crate::refusal::Refusal;
use crate::reply;
use crate::route::{Plan, plan};
use crate::runtime::Runtime;
use crate::trace::TraceId;

mod models;
mod pass_through;
mod references;
mod stored;

pub use models::{list_models, retrieve_model};
pub use pass_through::pass_through;
pub use stored::stored;

use references::Asker;

/// A body as a client sends it, or as a test makes it.
pub trait RequestBody: http_body::Body<Data = Bytes> + Send + Unpin {}

impl<B: http_body::Body<Data = Bytes> + Send + Unpin> RequestBody for B {}

/// A request to a model, by whichever endpoint.
pub async fn ask_model<B: RequestBody>(
    gateway: Arc<Gateway>,
    endpoint: Endpoint,
    trace_id: TraceId,
    request: Request<B>,
) -> Response {
    let mut exchange = Exchange::open(gateway, endpoint, trace_id);
    match answer(&mut exchange, request).await {
        Ok(attempted) => deliver(exchange, attempted),
        Err(refusal) => {
            let reply = reply::refused(&refusal, &exchange);
            exchange.close_refused(&refusal);
            reply
        }
    }
}

async fn answer<B: RequestBody>(exchange: &mut Exchange, request: Request<B>) -> Result<Attempted, Refusal> {
    let gateway = Arc::clone(exchange.gateway());
    let runtime = gateway.live.get().ok_or(Refusal::NotReady)?;
    let (head, body) = request.into_parts();
    let (caller, body) = admit_caller(exchange, &runtime, &head.headers, body, check_head).await?;

    let bytes = read_json(&head.headers, body, gateway.bounds.body_idle_timeout).await?;
    exchange.is_body_unread = false;
    let (plan, request) = planned(exchange, &runtime, &caller, &head.headers, bytes)?;
    drop(runtime); // the plan holds what it needs; a stream of minutes must not keep an old runtime alive
    exchange.plan = Some(Arc::clone(&plan));
    exchange.received(request.body.len());

    exchange.in_work = Some(Arc::clone(&request));
    let attempted = tokio::select! {
        biased;
        attempted = attempt(&plan, &request, &head.headers, exchange) => attempted,
        () = gateway.stopping.cancelled() => Err(Refusal::Stopping),
    };
    exchange.in_work = None;
    attempted
}

/// What is asked, and who may answer it. Apart from `answer`, so that only two pointers of it live as long as the answer.
fn planned(
    exchange: &mut Exchange,
    runtime: &Runtime,
    caller: &Authenticated,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<(Arc<Plan>, Arc<ModelRequest>), Refusal> {
    let request = ModelRequest::parse(exchange.endpoint, body)?;
    exchange.is_stream = request.stream;
    refuse_request_config(headers)?;
    exchange.wants_metadata = metadata::is_wanted(headers);
    let asker = Asker {
        gateway: exchange.gateway(),
        runtime,
        caller,
        wanted_provider: wanted_provider(headers)?,
    };
    let plan = plan(runtime, caller, &request.model, asker.wanted_provider)?;
    let (plan, request) = asker.exchange_ids(plan, request)?;
    Ok((Arc::new(plan), Arc::new(request)))
}

/// Who sends this, if a key opens for it and `check` finds nothing wrong with the head. A small body of a refused request
/// is read to its end.
async fn admit_caller<B: RequestBody>(
    exchange: &mut Exchange,
    runtime: &Runtime,
    headers: &HeaderMap,
    body: B,
    check: fn(&HeaderMap) -> Result<(), Refusal>,
) -> Result<(Authenticated, B), Refusal> {
    let authenticated = authenticate(runtime, headers, SystemTime::now());
    exchange.caller = authenticated.as_ref().ok().cloned();
    match authenticated.and_then(|caller| check(headers).map(|()| caller)) {
        Ok(caller) => Ok((caller, body)),
        Err(refusal) => {
            let idle = exchange.gateway().bounds.body_idle_timeout;
            exchange.is_body_unread = !discard_small(headers, body, idle).await;
            Err(refusal)
        }
    }
}

fn deliver(mut exchange: Exchange, attempted: Attempted) -> Response {
    let Attempted {
        answer,
        headers,
        dropped,
    } = attempted;
    exchange.first_byte();
    match answer {
        Answer::Whole(whole) => {
            exchange.usage = Some(whole.usage);
            exchange.keep_signed(whole.signed);
            let body = if exchange.wants_metadata {
                metadata::add_to_whole(whole.body, &exchange)
            } else {
                whole.body
            };
            let reply = reply::whole(&exchange, headers, &dropped, body);
            exchange.close_answered();
            reply
        }
        Answer::Stream(begun) => {
            let head = reply::stream_head(&exchange, headers, &dropped);
            head.map(|()| Body::new(StreamBody::new(exchange, begun)))
        }
    }
}

/// `x-headgate-provider`; one that is not text names no provider.
fn wanted_provider(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    static WANTED_PROVIDER: HeaderName = HeaderName::from_static("x-headgate-provider");
    let value = headers.get(&WANTED_PROVIDER);
    value
        .map(|value| value.to_str().map_err(|_| Refusal::ProviderNotOnRoute))
        .transpose()
}

/// A request must not bring its own routing: `requestConfig: Allow` comes later, and ignoring the header would send the
/// request elsewhere than its author wants.
fn refuse_request_config(headers: &HeaderMap) -> Result<(), Refusal> {
    static CONFIG_HEADERS: [HeaderName; 2] = [
        HeaderName::from_static("x-portkey-config"),
        HeaderName::from_static("x-headgate-config"),
    ];
    let brings_one = CONFIG_HEADERS.iter().any(|name| headers.contains_key(name));
    if brings_one {
        Err(Refusal::RequestConfigForbidden)
    } else {
        Ok(())
    }
}
