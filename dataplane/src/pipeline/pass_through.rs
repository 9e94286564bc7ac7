//! The way of a request whose bodies pass unread: authenticate -> read as far as the model -> plan -> relay.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, header};

use headgate_llm::endpoint::Endpoint;
use headgate_llm::pass_through::{self, PassThrough};
use headgate_llm::request::ModelRequest;
use headgate_llm::service::not_served;

use super::references::Asker;
use super::{RequestBody, admit_caller, refuse_request_config, wanted_provider};
use crate::attempt::encode_options;
use crate::body::{check_head, check_passing_head, read_json};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::relay::{Passing, PassingBody, RelayBody, Relayed};
use crate::reply;
use crate::route::{plan, plan_without_model};
use crate::trace::TraceId;
use crate::upload::{Form, Sought};
use crate::upstream::request_body::RequestBody as UpstreamBody;

/// A request whose bodies pass unread.
pub async fn pass_through<B: RequestBody + 'static>(
    gateway: Arc<Gateway>,
    what: PassThrough,
    trace_id: TraceId,
    request: Request<B>,
) -> Response {
    let mut exchange = Exchange::open(gateway, Endpoint::PassThrough(what), trace_id);
    match relay(&mut exchange, what, request).await {
        Ok(relayed) => {
            exchange.first_byte();
            exchange.usage = relayed.usage;
            let head = reply::relayed_head(&exchange, relayed.headers.clone());
            head.map(|()| Body::new(RelayBody::new(exchange, relayed)))
        }
        Err(refusal) => {
            let reply = reply::refused(&refusal, &exchange);
            exchange.close_refused(&refusal);
            reply
        }
    }
}

async fn relay<B: RequestBody + 'static>(
    exchange: &mut Exchange,
    what: PassThrough,
    request: Request<B>,
) -> Result<Relayed, Refusal> {
    let gateway = Arc::clone(exchange.gateway());
    let runtime = gateway.live.get().ok_or(Refusal::NotReady)?;
    let (head, body) = request.into_parts();
    let headers = &head.headers;
    let (caller, body) = admit_caller(exchange, &runtime, headers, body, check_passing_head).await?;
    let idle = gateway.bounds.body_idle_timeout;
    let asked = if check_head(headers).is_ok() {
        let bytes = read_json(headers, body, idle).await?;
        exchange.is_body_unread = false;
        Asked::Json(ModelRequest::parse(exchange.endpoint, bytes)?)
    } else {
        let sought = if what.has_default_model() {
            Sought::Nothing
        } else {
            Sought::Model
        };
        Asked::Form(Form::read(headers, body, idle, sought).await?)
    };
    refuse_request_config(headers)?;
    let wanted = wanted_provider(headers)?;
    let plan = match asked.model() {
        "" => plan_without_model(&runtime, &caller, wanted)?,
        model => plan(&runtime, &caller, model, wanted)?,
    };
    let (plan, asked) = match asked {
        Asked::Json(request) => {
            let asker = Asker {
                gateway: &gateway,
                runtime: &runtime,
                caller: &caller,
                wanted_provider: wanted,
            };
            let (plan, request) = asker.exchange_ids(plan, request)?;
            (plan, Asked::Json(request))
        }
        form @ Asked::Form(_) => (plan, form),
    };
    let plan = Arc::new(plan);
    drop(runtime);
    exchange.plan = Some(Arc::clone(&plan));
    let options = encode_options(&plan);
    let path = plan.backend.provider.adapter.pass_through(what, &options);
    let path = path.ok_or_else(|| not_served(exchange.endpoint))?;
    let (body, choices) = match asked {
        Asked::Json(request) => {
            exchange.received(request.body.len());
            (
                PassingBody::Whole(pass_through::encode(&request, &options)?.0),
                request.choices,
            )
        }
        Asked::Form(form) => {
            let (upload, course) = form.into_upload(options.deployed_model());
            (PassingBody::Upload(UpstreamBody::Upload(Box::pin(upload)), course), 1)
        }
    };
    let passing = Passing {
        what,
        method: Method::POST,
        path: &path,
        content_type: headers.get(header::CONTENT_TYPE).cloned(),
        caller_headers: headers,
        choices,
    };
    tokio::select! {
        biased;
        relayed = passing.relay(&plan, body, exchange) => relayed,
        () = gateway.stopping.cancelled() => Err(Refusal::Stopping),
    }
}

/// What is passed through, as far as it was read.
enum Asked<B> {
    Json(ModelRequest),
    Form(Form<B>),
}

impl<B> Asked<B> {
    fn model(&self) -> &str {
        match self {
            Self::Json(request) => &request.model,
            Self::Form(form) => &form.model,
        }
    }
}
