//! The admin listener: probes and metrics for everybody who can reach it, all else for the admin token or a loopback peer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use headgate_llm::endpoint::ErrorShape;

use crate::args::AdminToken;
use crate::auth::bearer;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::source::Standing;
use crate::trace::TraceId;
use crate::{probes, reply};

/// What the admin routes need.
#[derive(Clone)]
pub struct Admin {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Opens the guarded routes to peers beyond loopback; without it only loopback peers get in.
    pub token: Option<AdminToken>,
    /// What the source tells about itself.
    pub standing: watch::Receiver<Arc<Standing>>,
}

/// All that operations can reach.
pub fn router(admin: Admin) -> Router {
    let gateway = Arc::clone(&admin.gateway);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/snapshot", get(snapshot))
        .with_state(admin)
        .merge(probes::router().with_state(gateway))
        .fallback(async |headers: HeaderMap| {
            reply::refusal_only(&Refusal::NoSuchPath, ErrorShape::OpenAI, TraceId::of(&headers))
        })
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut response = Response::new(admin.gateway.metrics.render().into());
    let text = HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// What is in force, and what is wrong with what was asked for. No secrets: reports never hold any.
#[derive(Serialize)]
struct SnapshotView<'a> {
    version: Option<&'a str>,
    format: u32,
    #[serde(flatten)]
    standing: &'a Standing,
}

async fn snapshot(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    if !is_admin(peer.ip(), &headers, admin.token.as_ref()) {
        return reply::refusal_only(&Refusal::AdminOnly, ErrorShape::OpenAI, TraceId::of(&headers));
    }
    let runtime = admin.gateway.live.get();
    let standing = Arc::clone(&admin.standing.borrow());
    let view = SnapshotView {
        version: runtime.as_deref().map(|runtime| runtime.version.as_str()),
        format: headgate_snapshot::FORMAT,
        standing: &standing,
    };
    reply::json(Bytes::from(
        serde_json::to_vec_pretty(&view).expect("strings and numbers become JSON"),
    ))
}

/// A loopback peer counts as the host itself, unless it speaks for somebody else: a proxy on the same host must not lend
/// its address to the world.
fn is_admin(peer: IpAddr, headers: &HeaderMap, token: Option<&AdminToken>) -> bool {
    let is_forwarded = headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for");
    if peer.to_canonical().is_loopback() && !is_forwarded {
        return true;
    }
    let sent = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| bearer(value.as_bytes()));
    match (sent, token) {
        // Digests have one length, so that not even the token's length shows in the time this takes.
        (Some(sent), Some(token)) => Sha256::digest(sent).ct_eq(&Sha256::digest(token.expose())).into(),
        _ => false,
    }
}
