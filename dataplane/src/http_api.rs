//! The data listener's routes: `/v1/*` and the probes, nothing else.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{MethodFilter, get, on, post};
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request};
use tower::Service;

use headgate_llm::endpoint::{Endpoint, ErrorShape};
use headgate_llm::pass_through::PassThrough;
use headgate_llm::stored::Call;

use crate::gateway::Gateway;
use crate::pipeline::RequestBody;
use crate::refusal::Refusal;
use crate::trace::TraceId;
use crate::{answer_headers, pipeline, probes, reply};

/// All that clients can reach.
#[derive(Clone)]
pub struct DataRoutes {
    gateway: Arc<Gateway>,
    router: Router,
}

impl DataRoutes {
    /// The routes of a gateway.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let router = Endpoint::ALL.into_iter().fold(Router::new(), |router, endpoint| {
            let ask = async move |State(gateway), request| ask_model(gateway, endpoint, request).await;
            router.route(endpoint.path(), post(ask))
        });
        let router = PassThrough::OF_MODELS.into_iter().fold(router, |router, what| {
            let pass = async move |State(gateway), request| pass_through(gateway, what, request).await;
            router.route(what.path(), post(pass))
        });
        let router = Call::ALL.into_iter().fold(router, |router, call| {
            let pass = async move |State(gateway), id: Result<Option<Path<String>>, PathRejection>, request| {
                stored(gateway, call, id, request).await
            };
            let method = MethodFilter::try_from(call.method()).expect("a method of HTTP's own");
            router.route(&call.pattern(), on(method, pass))
        });
        let router = router
            .route("/v1/models", get(list_models))
            .route("/v1/models/{*id}", get(retrieve_model))
            .merge(probes::router())
            .fallback(async |request: Request<Body>| refuse(&Refusal::NoSuchPath, request.headers()))
            .method_not_allowed_fallback(async |request: Request<Body>| {
                refuse(&Refusal::MethodNotAllowed, request.headers())
            })
            .with_state(Arc::clone(&gateway));
        Self { gateway, router }
    }

    /// Answers one request. The one route that is nearly all of the traffic goes past the router, which boxes the body and
    /// the answer's future and copies both: a twentieth of what a request costs here.
    pub async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: RequestBody + 'static,
        B::Error: Into<axum::BoxError>,
    {
        const CHAT: Endpoint = Endpoint::ChatCompletions;
        if request.method() == Method::POST && request.uri().path() == CHAT.path() {
            return ask_model(Arc::clone(&self.gateway), CHAT, request).await;
        }
        let Ok(response) = self.router.clone().call(request.map(Body::new)).await;
        response
    }
}

async fn ask_model<B: RequestBody>(gateway: Arc<Gateway>, endpoint: Endpoint, request: Request<B>) -> Response {
    let trace_id = TraceId::of(request.headers());
    let asked = pipeline::ask_model(Arc::clone(&gateway), endpoint, trace_id, request);
    caught(&gateway, endpoint.error_shape(), trace_id, asked).await
}

async fn pass_through(gateway: Arc<Gateway>, what: PassThrough, request: Request<Body>) -> Response {
    let trace_id = TraceId::of(request.headers());
    let shape = Endpoint::PassThrough(what).error_shape();
    // Boxed: it is large, and not what most requests go through.
    let passed = Box::pin(pipeline::pass_through(Arc::clone(&gateway), what, trace_id, request));
    caught(&gateway, shape, trace_id, passed).await
}

async fn stored(
    gateway: Arc<Gateway>,
    call: Call,
    id: Result<Option<Path<String>>, PathRejection>,
    request: Request<Body>,
) -> Response {
    // What is not text is the id of nothing, and is told so as any other.
    let id = id.map_or_else(|_| Some(String::new()), |id| id.map(|Path(id)| id));
    let trace_id = TraceId::of(request.headers());
    let passed = Box::pin(pipeline::stored(Arc::clone(&gateway), call, id, trace_id, request));
    caught(&gateway, ErrorShape::OpenAI, trace_id, passed).await
}

/// A panic costs its own request: the record closes by being dropped, the client gets a 500, the connection lives on.
async fn caught(
    gateway: &Gateway,
    shape: ErrorShape,
    trace_id: TraceId,
    answering: impl Future<Output = Response>,
) -> Response {
    AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
        gateway.metrics.panics.inc();
        tracing::error!(
            trace_id = trace_id.as_str(),
            "a panic was caught; this is a defect of the gateway"
        );
        reply::refusal_only(&Refusal::Internal, shape, trace_id)
    })
}

async fn list_models(State(gateway): State<Arc<Gateway>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let shape = shape_of(&headers);
    let query = query.unwrap_or_default();
    named(pipeline::list_models(&gateway, &headers, shape, &query), &headers)
}

async fn retrieve_model(
    State(gateway): State<Arc<Gateway>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    // What is not text is the name of no model.
    let found = id.map_err(|_| Refusal::NoSuchPath);
    named(
        found.and_then(|Path(id)| pipeline::retrieve_model(&gateway, &headers, shape_of(&headers), &id)),
        &headers,
    )
}

/// An answer with the ids by which its request is found again.
fn named(answered: Result<Response, Refusal>, headers: &HeaderMap) -> Response {
    match answered {
        Ok(mut response) => {
            let id = TraceId::of(headers).header();
            answer_headers::name_request_for(response.headers_mut(), shape_of(headers), id);
            response
        }
        Err(refusal) => refuse(&refusal, headers),
    }
}

/// A refusal outside of all endpoints.
fn refuse(refusal: &Refusal, headers: &HeaderMap) -> Response {
    reply::refusal_only(refusal, shape_of(headers), TraceId::of(headers))
}

/// A client that names a version of Anthropic's dialect speaks it.
fn shape_of(headers: &HeaderMap) -> ErrorShape {
    if headers.contains_key("anthropic-version") {
        ErrorShape::Anthropic
    } else {
        ErrorShape::OpenAI
    }
}
