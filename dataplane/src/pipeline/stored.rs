//! The way of a call about stored objects: authenticate -> whose the id is -> plan -> relay, with ids exchanged both ways.
//!
//! The plan follows the id: an object is asked of the provider that made it. What was found out about an id that is not
//! the caller's is one and the same refusal, whether there is such an object or not.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header, request::Parts};

use headgate_llm::endpoint::Endpoint;
use headgate_llm::failure::Failure;
use headgate_llm::provider::SERVER_SENT_EVENTS;
use headgate_llm::request::BadRequest;
use headgate_llm::stored::batch::NewBatch;
use headgate_llm::stored::object::Object;
use headgate_llm::stored::{Action, Call, Family, Kind, Owner, file, response};

use super::{RequestBody, admit_caller, refuse_request_config, wanted_provider};
use crate::attempt::encode_options;
use crate::auth::Authenticated;
use crate::body::{check_form_head, check_head, discard_small, read_json};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::relay::{Passing, PassingBody, RelayBody, Relayed};
use crate::reply;
use crate::route::{Plan, plan_at, plan_without_model};
use crate::runtime::Runtime;
use crate::stored::events::OwnEvents;
use crate::stored::{Claimed, Ids};
use crate::trace::TraceId;
use crate::upload::{Form, Sought};
use crate::upstream::request_body::RequestBody as UpstreamBody;

mod list;

/// Objects are small; a page of a list and the longest response stay far below.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The member of a new batch that names its requests.
const INPUT_FILE: &str = "input_file_id";

/// A call about stored objects; `id` is what stands in the path.
pub async fn stored<B: RequestBody + 'static>(
    gateway: Arc<Gateway>,
    call: Call,
    id: Option<String>,
    trace_id: TraceId,
    request: Request<B>,
) -> Response {
    let endpoint = Endpoint::PassThrough(call.family.endpoint());
    let mut exchange = Exchange::open(Arc::clone(&gateway), endpoint, trace_id);
    let answered = tokio::select! {
        biased;
        answered = answer(&mut exchange, call, id.as_deref(), request) => answered,
        () = gateway.stopping.cancelled() => Err(Refusal::Stopping),
    };
    match answered {
        Ok(Answer::Whole(body)) => {
            exchange.first_byte();
            let head = reply::relayed_head(&exchange, HeaderMap::new());
            exchange.close_answered();
            head.map(|()| Body::from(body))
        }
        Ok(Answer::Passing(relayed)) => {
            exchange.first_byte();
            let head = reply::relayed_head(&exchange, relayed.headers.clone());
            head.map(|()| Body::new(RelayBody::new(exchange, *relayed)))
        }
        Err(refusal) => {
            let reply = reply::refused(&refusal, &exchange);
            exchange.close_refused(&refusal);
            reply
        }
    }
}

/// What goes back.
enum Answer {
    /// JSON of which ids were exchanged.
    Whole(Bytes),
    /// What a file holds, or the events of a response, as they arrive.
    Passing(Box<Relayed>),
}

async fn answer<B: RequestBody + 'static>(
    exchange: &mut Exchange,
    call: Call,
    id: Option<&str>,
    request: Request<B>,
) -> Result<Answer, Refusal> {
    let gateway = Arc::clone(exchange.gateway());
    let runtime = gateway.live.get().ok_or(Refusal::NotReady)?;
    let (head, body) = request.into_parts();
    let (caller, body) = admit_caller(exchange, &runtime, &head.headers, body, check_of(call)).await?;
    let mut stored = Stored {
        exchange,
        gateway: &gateway,
        caller: &caller,
        head: &head,
        call,
    };
    refuse_request_config(&head.headers)?;
    match (call.family, call.action) {
        (Family::File, Action::Create) => stored.upload(body, runtime).await,
        (Family::Batch, Action::Create) => stored.create_batch(body, runtime).await,
        _ => {
            let idle = gateway.bounds.body_idle_timeout;
            stored.exchange.is_body_unread = !discard_small(&head.headers, body, idle).await;
            match id {
                None => stored.list(runtime).await,
                Some(id) => stored.one(id, runtime).await,
            }
        }
    }
}

/// What a call's head must say of its body. Bodies of all others are not looked at.
fn check_of(call: Call) -> fn(&HeaderMap) -> Result<(), Refusal> {
    match (call.family, call.action) {
        (Family::File, Action::Create) => check_form_head,
        (_, Action::Create) => check_head,
        _ => |_| Ok(()),
    }
}

/// A call whose caller is known. The runtime is beside it: a plan holds what it needs of that, and an upload of minutes
/// must not keep an old one alive.
struct Stored<'a> {
    exchange: &'a mut Exchange,
    gateway: &'a Gateway,
    caller: &'a Authenticated,
    head: &'a Parts,
    call: Call,
}

impl Stored<'_> {
    async fn upload<B: RequestBody + 'static>(&mut self, body: B, runtime: Arc<Runtime>) -> Result<Answer, Refusal> {
        let backend = self.backend_without_id(runtime)?;
        let idle = self.gateway.bounds.body_idle_timeout;
        let form = Form::read(&self.head.headers, body, idle, Sought::File).await?;
        let mark = file::mark(backend.ids.owner_tags().first().map_or("", String::as_str));
        let (upload, course) = form.into_marked_upload(&mark);
        let body = PassingBody::Upload(UpstreamBody::Upload(Box::pin(upload)), course);
        let answer = self.ask(&backend, None, "", body).await?;
        self.shown(&backend, answer, None).await
    }

    async fn create_batch<B: RequestBody + 'static>(
        &mut self,
        body: B,
        runtime: Arc<Runtime>,
    ) -> Result<Answer, Refusal> {
        if self.caller.record.models.is_some() || self.caller.record.routes.is_some() {
            return Err(Refusal::BatchForbidden);
        }
        let idle = self.gateway.bounds.body_idle_timeout;
        let bytes = read_json(&self.head.headers, body, idle).await?;
        self.exchange.is_body_unread = false;
        let batch = NewBatch::parse(bytes)?;
        let Some(claimed) = Claimed::read(&batch.input_file_id).filter(|claimed| claimed.kind == Kind::File) else {
            self.backend_without_id(runtime)?; // whatever is forbidden anyway is said first
            return Err(unknown(INPUT_FILE));
        };
        let backend = self.backend_of(&claimed, runtime)?.ok_or_else(|| unknown(INPUT_FILE))?;
        self.exchange.received(batch.length());
        let tags = backend.ids.owner_tags();
        let body = batch.encode(&claimed.id, tags.first().map_or("", String::as_str))?;
        let answer = self.ask(&backend, None, "", PassingBody::Whole(body)).await;
        let answer = answer.map_err(|refusal| in_the_clients_words(refusal, &claimed.id, &batch.input_file_id))?;
        self.shown(&backend, answer, None).await
    }

    async fn one(&mut self, id: &str, runtime: Arc<Runtime>) -> Result<Answer, Refusal> {
        let noun = self.call.family.noun();
        let none = || Refusal::NoSuchObject(noun);
        let claimed = Claimed::read(id).filter(|claimed| claimed.kind == self.call.family.kind());
        let claimed = claimed.ok_or_else(none)?;
        let backend = self.backend_of(&claimed, runtime)?.ok_or_else(none)?;
        let query = self.head.uri.query().unwrap_or_default();
        let query = match self.call.action {
            Action::InputItems => list::with_providers_place(query, &backend.ids)?,
            _ => query.to_owned(),
        };
        let answer = self
            .ask(&backend, Some(&claimed.id), &query, PassingBody::Whole(Bytes::new()))
            .await;
        let mut answer = answer.map_err(|refusal| match refusal {
            Refusal::Upstream(failure) if failure.status == Some(404) => none(),
            refusal => in_the_clients_words(refusal, &claimed.id, id),
        })?;
        match self.call.action {
            Action::Content => {
                show_own_name(&mut answer.headers);
                Ok(Answer::Passing(Box::new(answer)))
            }
            Action::Get if is_stream(&answer.headers) => {
                self.exchange.is_stream = true;
                reply::let_events_through(&mut answer.headers);
                let events = OwnEvents::of(Arc::new(backend.ids)).known(claimed.kind, &claimed.id, id);
                Ok(Answer::Passing(Box::new(answer.showing(events))))
            }
            Action::InputItems => {
                let body = answer.whole(ANSWER_BYTES_MAX).await?;
                Ok(Answer::Whole(
                    backend.ids.lend(|owner| response::shown_items(&body, owner))?,
                ))
            }
            _ => self.shown(&backend, answer, Some((&claimed, id))).await,
        }
    }

    /// The planned backend of a call that names no object.
    #[allow(clippy::needless_pass_by_value, reason = "it ends here")]
    fn backend_without_id(&mut self, runtime: Arc<Runtime>) -> Result<Backend, Refusal> {
        let plan = plan_without_model(&runtime, self.caller, wanted_provider(&self.head.headers)?)?;
        self.planned(plan)
    }

    /// The backend that made an object; `None`: the object is not the caller's.
    #[allow(clippy::needless_pass_by_value, reason = "it ends here")]
    fn backend_of(&mut self, claimed: &Claimed, runtime: Arc<Runtime>) -> Result<Option<Backend>, Refusal> {
        let wanted = wanted_provider(&self.head.headers)?;
        let Some(plan) = plan_at(&runtime, self.caller, &claimed.provider)? else {
            return Ok(None);
        };
        let provider = &plan.backend.provider;
        let ids = Ids::of(self.gateway, self.caller, provider)
            .ok_or_else(|| Refusal::StoredObjectsForbidden(provider.name.name.clone()))?;
        if !ids.hold(claimed) {
            return Ok(None);
        }
        if wanted.is_some_and(|wanted| wanted != provider.name.name) {
            return Err(Refusal::ProviderNotOnRoute);
        }
        self.planned(plan).map(Some)
    }

    fn planned(&mut self, plan: Plan) -> Result<Backend, Refusal> {
        let plan = Arc::new(plan);
        self.exchange.plan = Some(Arc::clone(&plan));
        let provider = &plan.backend.provider;
        let ids = Ids::of(self.gateway, self.caller, provider)
            .ok_or_else(|| Refusal::StoredObjectsForbidden(provider.name.name.clone()))?;
        let what = self.call.family.endpoint();
        let endpoint = provider.adapter.pass_through(what, &encode_options(&plan));
        let endpoint = endpoint.ok_or_else(|| not_kept(self.call.family))?.into_owned();
        Ok(Backend { plan, ids, endpoint })
    }

    async fn ask(
        &mut self,
        backend: &Backend,
        id: Option<&str>,
        query: &str,
        body: PassingBody,
    ) -> Result<Relayed, Refusal> {
        let has_body = self.call.action == Action::Create;
        let path = self.call.path(&backend.endpoint, id, query);
        let passing = Passing {
            what: self.call.family.endpoint(),
            method: self.call.method(),
            path: &path,
            content_type: self
                .head
                .headers
                .get(header::CONTENT_TYPE)
                .filter(|_| has_body)
                .cloned(),
            caller_headers: &self.head.headers,
            choices: 1,
        };
        passing.relay(&backend.plan, body, self.exchange).await
    }

    /// The object of an answer as its owner sees it; one that was asked for keeps the id by which it was.
    async fn shown(
        &mut self,
        backend: &Backend,
        answer: Relayed,
        asked: Option<(&Claimed, &str)>,
    ) -> Result<Answer, Refusal> {
        let body = answer.whole(ANSWER_BYTES_MAX).await?;
        let object = Object::read(self.call.family, body)?;
        let issue = |kind, id: &str| match asked {
            Some((claimed, text)) if (claimed.kind, claimed.id.as_str()) == (kind, id) => Some(text.to_owned()),
            _ => backend.ids.issue(kind, id),
        };
        let owner = Owner {
            issue: &issue,
            tags: &[],
        };
        Ok(Answer::Whole(object.edited(&owner)?))
    }
}

/// Who is asked, and whose ids are given out.
struct Backend {
    plan: Arc<Plan>,
    ids: Ids,
    endpoint: String,
}

/// An id in a body or a query that is none of the caller's.
pub(super) fn unknown(field: &str) -> Refusal {
    Refusal::BadRequest(BadRequest {
        code: "object_not_found",
        param: Some(field.to_owned()),
        message: format!(
            "`{field}` is no id that this gateway gave to this key; take the id from the answer that made the object"
        ),
    })
}

fn not_kept(family: Family) -> Refusal {
    Refusal::BadRequest(BadRequest {
        code: "unsupported_endpoint",
        param: None,
        message: format!(
            "the provider has nothing that answers {}; name another one in the header x-headgate-provider",
            family.endpoint().path()
        ),
    })
}

/// The client knows the object by another id than the one of which the provider speaks.
fn in_the_clients_words(refusal: Refusal, providers: &str, clients: &str) -> Refusal {
    let Refusal::Upstream(Failure { body: Some(body), .. }) = &refusal else {
        return refusal;
    };
    let Ok(text) = std::str::from_utf8(body) else {
        return refusal;
    };
    let text = text.replace(providers, clients);
    match refusal {
        Refusal::Upstream(failure) => Refusal::Upstream(Failure {
            body: Some(text.into()),
            ..failure
        }),
        refusal => refusal,
    }
}

/// Whether an answer is a stream of events.
fn is_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(SERVER_SENT_EVENTS.as_bytes()))
}

/// A download is called what its owner called the file.
fn show_own_name(headers: &mut HeaderMap) {
    let name = headers.get(header::CONTENT_DISPOSITION);
    let clean = name.and_then(|value| file::without_mark(value.to_str().ok()?));
    if let Some(value) = clean.and_then(|clean| HeaderValue::try_from(clean).ok()) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
}
