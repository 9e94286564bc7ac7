//! Tries the planned backend until it answers, or until no try is left. An attempt commits when the answer's beginning is
//! certain: a whole answer read to its end, a stream at its first content. Before that nothing reaches the client, so a
//! failure can be tried again; after it nothing is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use headgate_llm::endpoint::Endpoint;
use headgate_llm::estimate;
use headgate_llm::failure::{Failure, FailureKind};
use headgate_llm::hub::SignedTurns;
use headgate_llm::provider::{AnswerContext, EncodeOptions, Encoded, ModelApi, StreamDecoder, WholeAnswer, echo};
use headgate_llm::request::{BadRequest, ModelRequest};
use headgate_llm::service::Service;
use headgate_llm::stored::response;

use crate::answer::{Answer, BegunStream, WholeBody, cut};
use crate::answer_headers;
use crate::deadline::MovingDeadline;
use crate::exchange::Exchange;
use crate::outgoing::{self, Outgoing};
use crate::refusal::Refusal;
use crate::route::{Plan, PlannedBackend, retry};
use crate::runtime::provider::PreparedProvider;
use crate::stored::Ids;
use crate::stored::events::OwnStream;
use crate::upstream::Lease;
use crate::upstream::body::AnswerBody;
use crate::upstream::request_body::RequestBody;

/// How large a whole answer may be, decoded.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How much of an error answer is read: error objects are small, error pages of proxies are not.
pub(crate) const ERROR_BYTES_MAX: usize = 64 * 1024;
/// How much of a stream may come before its first content.
const PRELUDE_BYTES_MAX: usize = 64 * 1024;
/// How often a stream of Responses repeats instructions and tools before that (`response.created`, `queued` and
/// `in_progress`), twice as long where a provider escapes what the client did not.
const PRELUDE_REPEATS: usize = 6;
/// Providers' headers that go back to the client; all others (cookies, organisations, limits of our account) stay here.
static ANSWER_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];

/// An answer, and which of the provider's headers go with it.
pub struct Attempted {
    /// The answer.
    pub answer: Answer,
    /// Headers that pass.
    pub headers: HeaderMap,
    /// Parameters that the provider cannot take and that were left out.
    pub dropped: Vec<String>,
}

impl Attempted {
    /// A count of tokens that no provider made.
    fn estimate(answer: WholeAnswer, request: &ModelRequest, dropped: Vec<String>) -> Self {
        let mut headers = HeaderMap::new();
        answer_headers::name_estimate(&mut headers);
        Self {
            answer: Answer::Whole(WholeBody::of(answer, Vec::new(), request)),
            headers,
            dropped,
        }
    }
}

/// Asks the planned backend.
pub async fn attempt(
    plan: &Plan,
    request: &ModelRequest,
    caller_headers: &HeaderMap,
    exchange: &mut Exchange,
) -> Result<Attempted, Refusal> {
    let backend = &plan.backend;
    let (service, encoded) = encode(plan, request, exchange)?;
    if let Some(answer) = service.estimate(request) {
        return Ok(Attempted::estimate(answer, request, encoded.dropped));
    }
    let ids = ids_of(plan, request, service, exchange);
    let until = Instant::now() + plan.timeouts.total;
    let mut retries_done = 0;
    loop {
        exchange.attempts += 1;
        let started = Instant::now();
        let call = Call {
            plan,
            request,
            service,
            encoded: &encoded,
            context: AnswerContext {
                request: Some(request),
                id: exchange.trace_id.as_str(),
                now_unix_seconds: unix_seconds(),
                requested_model: &request.model,
                upstream_model: backend.upstream_model(),
                include_usage: request.include_usage,
                strip_usage: encoded.strip_usage,
            },
            caller_headers,
            ids: ids.as_ref(),
            until,
        };
        let failure = match call.answer().await {
            Ok((answer, headers)) => {
                exchange.attempted(started.into_std(), Ok(()));
                return Ok(Attempted {
                    answer,
                    headers,
                    dropped: encoded.dropped,
                });
            }
            Err(failure) => backend.provider.scrub(failure),
        };
        exchange.attempted(started.into_std(), Err(&failure));
        if let Some(answer) = service.estimate_instead(&failure, request) {
            return Ok(Attempted::estimate(answer, request, encoded.dropped));
        }
        let wait = retry::wait_before_next(&plan.retry, &failure, retries_done, fastrand::f64());
        match wait {
            Some(wait) if Instant::now() + wait < until => tokio::time::sleep(wait).await,
            _ => return Err(Refusal::Upstream(failure)),
        }
        retries_done += 1;
    }
}

/// Writes the request for the planned backend, with what the caller's client did not keep.
fn encode(plan: &Plan, request: &ModelRequest, exchange: &Exchange) -> Result<(Service, Encoded), BadRequest> {
    let store = &exchange.gateway().signed_turns;
    let given = exchange
        .owner()
        .map(|owner| store.given(owner, Instant::now().into_std()));
    let options = EncodeOptions {
        signed: given.as_ref().map(|given| given as &dyn SignedTurns),
        ..encode_options(plan)
    };
    let service = plan.backend.provider.adapter.serve(request.endpoint, &options)?;
    Ok((service, service.encode(request, &options)?))
}

/// What the plan decided and the provider's adapter must write into a request.
pub(crate) fn encode_options(plan: &Plan) -> EncodeOptions<'_> {
    let backend = &plan.backend;
    EncodeOptions {
        upstream_model: backend.upstream_model(),
        overrides: &backend.overrides,
        unsupported: backend.provider.unsupported_parameters,
        max_output_tokens_default: backend.model.max_output_tokens,
        api: api_of(backend),
        account: backend.provider.account(&backend.model),
        publisher: backend.model.publisher.as_deref(),
        allows_stored_objects: backend.provider.stored_objects.is_some(),
        ..EncodeOptions::default()
    }
}

/// What exchanges ids in the answer: where it is stored, and passes in the provider's own words.
fn ids_of(plan: &Plan, request: &ModelRequest, service: Service, exchange: &Exchange) -> Option<Arc<Ids>> {
    if request.endpoint != Endpoint::Responses || !matches!(service, Service::Native(_)) {
        return None;
    }
    Ids::of(exchange.gateway(), exchange.caller.as_ref()?, &plan.backend.provider).map(Arc::new)
}

/// By which of its provider's APIs a model is asked.
fn api_of(backend: &PlannedBackend) -> ModelApi {
    let usual = || backend.provider.adapter.usual_api(backend.upstream_model());
    backend.model.api.unwrap_or_else(usual)
}

/// One try.
struct Call<'a> {
    plan: &'a Plan,
    request: &'a ModelRequest,
    service: Service,
    encoded: &'a Encoded,
    context: AnswerContext<'a>,
    caller_headers: &'a HeaderMap,
    ids: Option<&'a Arc<Ids>>,
    until: Instant,
}

impl Call<'_> {
    async fn answer(&self) -> Result<(Answer, HeaderMap), Failure> {
        if self.provider().is_echo {
            return self.answer_from_inside().await;
        }
        // One timer for the head and, in a stream, for all that comes before its first content.
        let first_token = (Instant::now() + self.plan.timeouts.first_token).min(self.until);
        let mut request = self.request_to_provider()?;
        outgoing::prove(self.provider(), &mut request, first_token).await?;
        let call = self.provider().pool.upstream.send(request);
        let (response, lease) = within(first_token, call).await?;
        let headers = passing_headers(response.headers());
        if response.status() != StatusCode::OK {
            return Err(self.failure(response, lease).await);
        }
        if self.request.stream {
            let body = self.stream_body(response, lease)?;
            let begun = within(first_token, self.begin(body)).await?;
            Ok((Answer::Stream(Box::new(begun)), headers))
        } else {
            let body = self.answer_body(response, lease)?.collect(ANSWER_BYTES_MAX).await?;
            Ok((self.whole(body)?, headers))
        }
    }

    fn provider(&self) -> &PreparedProvider {
        &self.plan.backend.provider
    }

    async fn answer_from_inside(&self) -> Result<(Answer, HeaderMap), Failure> {
        // What Echo gets is a chat, whatever the client speaks, or texts to embed.
        let translated = match self.request.endpoint {
            Endpoint::ChatCompletions | Endpoint::Embeddings => None,
            _ => Some(ModelRequest::parse(
                Endpoint::ChatCompletions,
                self.encoded.body.clone(),
            )),
        };
        let unreadable = |_| protocol("what Echo was sent is no chat");
        let translated = translated.transpose().map_err(unreadable)?;
        let request = translated.as_ref().unwrap_or(self.request);
        let made = echo::answer(request, self.context.id, self.context.now_unix_seconds);
        let answer = match made {
            echo::EchoAnswer::Whole(body) => self.whole(body)?,
            echo::EchoAnswer::Stream(events) => {
                Answer::Stream(Box::new(self.begin(AnswerBody::inside(VecDeque::from(events))).await?))
            }
        };
        Ok((answer, HeaderMap::new()))
    }

    fn request_to_provider(&self) -> Result<Request<RequestBody>, Failure> {
        let outgoing = Outgoing {
            method: Method::POST,
            path: &self.encoded.path,
            headers: &self.encoded.headers,
            caller_headers: self.caller_headers,
        };
        outgoing.request(self.provider(), RequestBody::whole(self.encoded.body.clone()))
    }

    fn whole(&self, body: Bytes) -> Result<Answer, Failure> {
        let (mut answer, signed) = self.service.decode_signed(body, &self.context)?;
        if let Some(ids) = self.ids {
            answer.body = ids.lend(|owner| response::shown(&answer.body, owner))?;
        }
        Ok(Answer::Whole(WholeBody::of(answer, signed, self.request)))
    }

    fn answer_body(&self, response: Response<Incoming>, lease: Lease) -> Result<AnswerBody, Failure> {
        let (parts, body) = response.into_parts();
        AnswerBody::of_provider(
            body,
            lease,
            &parts.headers,
            MovingDeadline::new(self.plan.timeouts.idle, Some(self.until)),
        )
    }

    fn stream_body(&self, response: Response<Incoming>, lease: Lease) -> Result<AnswerBody, Failure> {
        let content_type = response
            .headers()
            .get(header::CONTENT_TYPE)
            .map_or(&b""[..], |value| value.as_bytes());
        let wanted = self.service.stream_content_type().as_bytes();
        if !content_type
            .get(..wanted.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(wanted))
        {
            return Err(protocol("a stream was asked for, and the answer is none"));
        }
        self.answer_body(response, lease)
    }

    fn begun(&self, body: AnswerBody, decoder: Box<dyn StreamDecoder>, ready: Vec<Bytes>) -> BegunStream {
        BegunStream {
            body,
            decoder,
            ready,
            estimated_input_tokens: estimate::input_tokens(self.request),
        }
    }

    /// Reads until the first content, so that a stream which fails before it can be tried again.
    async fn begin(&self, mut body: AnswerBody) -> Result<BegunStream, Failure> {
        let mut decoder = self.service.stream_decoder(&self.context);
        if let Some(ids) = self.ids {
            decoder = Box::new(OwnStream::of(decoder, Arc::clone(ids)));
        }
        let mut ready = Vec::with_capacity(2);
        let mut read = 0;
        loop {
            let Some(bytes) = body.next().await.transpose()? else {
                decoder.finish(&mut ready)?;
                return if decoder.progress().is_complete {
                    Ok(self.begun(body, decoder, ready))
                } else {
                    Err(cut())
                };
            };
            read += bytes.len();
            decoder.push(bytes, &mut ready)?;
            if decoder.progress().has_content || decoder.progress().is_complete {
                return Ok(self.begun(body, decoder, ready));
            }
            if read > self.prelude_bytes_max() {
                return Err(protocol("the stream shows no content in all that came so far"));
            }
        }
    }

    fn prelude_bytes_max(&self) -> usize {
        match self.request.endpoint {
            Endpoint::Responses => PRELUDE_BYTES_MAX + PRELUDE_REPEATS * self.request.body.len(),
            _ => PRELUDE_BYTES_MAX,
        }
    }

    async fn failure(&self, response: Response<Incoming>, lease: Lease) -> Failure {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        self.provider().answered(response.status(), SystemTime::now());
        let body = match self.answer_body(response, lease) {
            Ok(body) => body.collect(ERROR_BYTES_MAX).await.unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        let credential = self.provider().credential_text();
        self.service
            .decode_failure(status, &headers, &body, credential, SystemTime::now())
    }
}

pub(crate) async fn within<T>(deadline: Instant, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout_at(deadline, call).await.unwrap_or_else(|_| {
        Err(Failure::new(
            FailureKind::Timeout,
            "the provider did not begin to answer in time",
        ))
    })
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

pub(crate) fn passing_headers(headers: &HeaderMap) -> HeaderMap {
    let mut passing = HeaderMap::new();
    for name in &ANSWER_HEADERS {
        if let Some(value) = headers.get(name) {
            passing.insert(name, value.clone());
        }
    }
    passing
}

fn protocol(detail: &str) -> Failure {
    Failure::new(FailureKind::Protocol, detail)
}
