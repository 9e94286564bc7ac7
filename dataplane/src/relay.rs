//! Endpoints whose bodies pass unread: the request goes on as it came but for the model's name, the answer as the provider
//! gave it, whatever its form, while it arrives.
//!
//! A request that is here whole is tried again as any other; an upload is not, since it is gone once it was sent. A small
//! JSON answer is read before it goes out, so that its cost stands in a header; of all others the end is kept, where the
//! usage stands.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use headgate_llm::dialect::openai_chat::error::{self, FailedAnswer};
use headgate_llm::failure::Failure;
use headgate_llm::pass_through::{self, PassThrough};
use headgate_llm::usage::Usage;

use crate::answer::BrokenOff;
use crate::attempt::{ERROR_BYTES_MAX, passing_headers, within};
use crate::deadline::MovingDeadline;
use crate::exchange::Exchange;
use crate::outgoing::{self, Outgoing};
use crate::refusal::Refusal;
use crate::route::{Plan, retry};
use crate::stored::events::OwnEvents;
use crate::upload::Course;
use crate::upstream::Lease;
use crate::upstream::body::AnswerBody;
use crate::upstream::request_body::RequestBody;

/// A JSON answer of at most so many bytes is read whole before it goes out.
const SMALL_BYTES_MAX: u64 = 64 * 1024;
/// How much of the end of an answer is kept to find its usage in.
const END_BYTES_MAX: usize = 16 * 1024;
/// What a client must know of the answer's body.
static BODY_HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ETAG,
];

/// A request that passes.
pub struct Passing<'a> {
    /// What was called.
    pub what: PassThrough,
    /// The method.
    pub method: Method,
    /// Behind the base URL.
    pub path: &'a str,
    /// Its `content-type`; `None`: it has no body.
    pub content_type: Option<HeaderValue>,
    /// The caller's headers.
    pub caller_headers: &'a HeaderMap,
    /// How many pictures it asks for.
    pub choices: u32,
}

/// The body of a request that passes.
pub enum PassingBody {
    /// Here whole.
    Whole(Bytes),
    /// It arrives while it is sent; why it broke off, if it does.
    Upload(RequestBody, Course),
}

/// An answer that passes.
pub struct Relayed {
    /// The provider's headers that go with it.
    pub headers: HeaderMap,
    /// What it used, where that is known before it goes out.
    pub usage: Option<Usage>,
    body: AnswerBody,
    what: PassThrough,
    choices: u32,
    is_json: bool,
    events: Option<OwnEvents>,
}

impl Relayed {
    /// The same, a stream of events, with ids exchanged.
    #[must_use]
    pub fn showing(self, events: OwnEvents) -> Self {
        Self {
            events: Some(events),
            ..self
        }
    }

    /// All of it, of at most so many bytes.
    pub async fn whole(self, bytes_max: usize) -> Result<Bytes, Failure> {
        self.body.collect(bytes_max).await
    }
}

impl Passing<'_> {
    /// Asks the planned backend.
    pub async fn relay(&self, plan: &Plan, body: PassingBody, exchange: &mut Exchange) -> Result<Relayed, Refusal> {
        let until = Instant::now() + plan.timeouts.total;
        let bytes = match body {
            PassingBody::Whole(bytes) => bytes,
            PassingBody::Upload(body, course) => {
                let relayed = self.try_once(plan, body, Some(&course), until, exchange).await;
                return relayed.map_err(|failure| course.take_refusal().unwrap_or(Refusal::Upstream(failure)));
            }
        };
        let mut retries_done = 0;
        loop {
            let tried = self
                .try_once(plan, RequestBody::whole(bytes.clone()), None, until, exchange)
                .await;
            let failure = match tried {
                Ok(relayed) => return Ok(relayed),
                Err(failure) => failure,
            };
            match retry::wait_before_next(&plan.retry, &failure, retries_done, fastrand::f64()) {
                Some(wait) if Instant::now() + wait < until => tokio::time::sleep(wait).await,
                _ => return Err(Refusal::Upstream(failure)),
            }
            retries_done += 1;
        }
    }

    async fn try_once(
        &self,
        plan: &Plan,
        body: RequestBody,
        course: Option<&Course>,
        until: Instant,
        exchange: &mut Exchange,
    ) -> Result<Relayed, Failure> {
        exchange.attempts += 1;
        let started = Instant::now();
        let answered = self.ask(plan, body, course, until).await;
        let answered = answered.map_err(|failure| plan.backend.provider.scrub(failure));
        exchange.attempted(started.into_std(), answered.as_ref().map(|_| ()));
        answered
    }

    async fn ask(
        &self,
        plan: &Plan,
        body: RequestBody,
        course: Option<&Course>,
        until: Instant,
    ) -> Result<Relayed, Failure> {
        let provider = &plan.backend.provider;
        let headers = HeaderMap::new();
        let asked = Outgoing {
            method: self.method.clone(),
            path: self.path,
            headers: &headers,
            caller_headers: self.caller_headers,
        };
        let is_empty = body.is_end_stream();
        let mut request = asked.request(provider, body)?;
        if is_empty && self.method == Method::POST {
            // Servers and what stands before them ask for a length here, and hyper writes none of an absent body.
            request
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
        match &self.content_type {
            Some(content_type) => drop(request.headers_mut().insert(header::CONTENT_TYPE, content_type.clone())),
            None => drop(request.headers_mut().remove(header::CONTENT_TYPE)),
        }
        let first_token = (Instant::now() + plan.timeouts.first_token).min(until);
        outgoing::prove(provider, &mut request, first_token).await?;
        let head = provider.pool.upstream.send(request);
        let (response, lease) = match course {
            None => within(first_token, head).await?,
            Some(course) => behind_upload(course, plan.timeouts.first_token, until, head).await?,
        };
        let deadline = MovingDeadline::new(plan.timeouts.idle, Some(until));
        if !response.status().is_success() {
            provider.answered(response.status(), SystemTime::now());
            return Err(failure(response, lease, deadline, provider.credential_text()).await);
        }
        self.relayed(response, lease, deadline).await
    }

    async fn relayed(
        &self,
        response: Response<Incoming>,
        lease: Lease,
        deadline: MovingDeadline,
    ) -> Result<Relayed, Failure> {
        let (parts, body) = response.into_parts();
        let mut headers = passing_headers(&parts.headers);
        for name in &BODY_HEADERS {
            if let Some(value) = parts.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .map_or(&b""[..], |value| value.as_bytes());
        let is_json = content_type.starts_with(b"application/json");
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let mut body = AnswerBody::of_provider(body, lease, &parts.headers, deadline)?;
        let mut usage = None;
        if is_json && length.is_some_and(|length| length <= SMALL_BYTES_MAX) {
            let whole = body.collect(usize::MAX).await?;
            usage = pass_through::usage(self.what, &whole, self.choices);
            body = AnswerBody::inside(VecDeque::from([whole]));
        }
        Ok(Relayed {
            headers,
            usage,
            body,
            what: self.what,
            choices: self.choices,
            is_json,
            events: None,
        })
    }
}

/// Waits for the head of an answer whose time counts from when the upload last moved: a client that sends slowly is no
/// provider that is slow to answer. One that sends nothing more is noticed by the upload.
async fn behind_upload<T>(
    course: &Course,
    first_token: Duration,
    until: Instant,
    head: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut head = std::pin::pin!(head);
    loop {
        let moved_at = course.moved_at();
        let deadline = (moved_at.unwrap_or_else(Instant::now) + first_token).min(until);
        match tokio::time::timeout_at(deadline, &mut head).await {
            Ok(head) => return head,
            Err(_) if deadline < until && course.moved_at() != moved_at => {}
            Err(_) => return within(deadline, head).await,
        }
    }
}

async fn failure(response: Response<Incoming>, lease: Lease, deadline: MovingDeadline, credential: &str) -> Failure {
    let (parts, body) = response.into_parts();
    let body = match AnswerBody::of_provider(body, lease, &parts.headers, deadline) {
        Ok(body) => body.collect(ERROR_BYTES_MAX).await.unwrap_or_default(),
        Err(_) => Bytes::new(),
    };
    error::read(FailedAnswer {
        status: parts.status.as_u16(),
        headers: &parts.headers,
        body: &body,
        credential,
        now: SystemTime::now(),
    })
}

/// The answer on its way to the client.
pub struct RelayBody {
    /// `None` once it is closed.
    exchange: Option<Exchange>,
    body: AnswerBody,
    end: Vec<u8>,
    what: PassThrough,
    choices: u32,
    is_json: bool,
    events: Option<OwnEvents>,
    ready: VecDeque<Bytes>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl RelayBody {
    /// Takes over an answer and the record of its request.
    pub fn new(exchange: Exchange, relayed: Relayed) -> Self {
        let Relayed {
            headers: _,
            usage: _,
            body,
            what,
            choices,
            is_json,
            events,
        } = relayed;
        Self {
            stopping: Box::pin(exchange.gateway().stopping.clone().cancelled_owned()),
            exchange: Some(exchange),
            body,
            end: Vec::new(),
            what,
            choices,
            is_json,
            events,
            ready: VecDeque::new(),
        }
    }

    /// Puts what arrived where it goes out from; `None`: the provider has ended.
    fn take(&mut self, bytes: Option<Bytes>) -> Result<(), Failure> {
        let Some(events) = &mut self.events else {
            if let Some(bytes) = bytes {
                self.keep_end(&bytes);
                self.ready.push_back(bytes);
            }
            return Ok(());
        };
        let mut shown = Vec::new();
        let result = match bytes {
            Some(bytes) => events.push(&bytes, &mut shown),
            None => events.finish().map(|rest| shown.push(rest)),
        };
        self.ready.extend(shown.into_iter().filter(|bytes| !bytes.is_empty()));
        result
    }

    fn keep_end(&mut self, bytes: &[u8]) {
        if self.is_json {
            let kept = &bytes[bytes.len().saturating_sub(END_BYTES_MAX)..];
            let surplus = (self.end.len() + kept.len()).saturating_sub(END_BYTES_MAX);
            self.end.drain(..surplus);
            self.end.extend_from_slice(kept);
        }
    }

    fn finish(&mut self) {
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        if exchange.usage.is_none() && self.is_json {
            exchange.usage = pass_through::usage(self.what, &self.end, self.choices);
        }
        exchange.close_answered();
    }

    fn fail(&mut self, refusal: &Refusal) -> BrokenOff {
        if let Some(exchange) = self.exchange.take() {
            exchange.close_refused(refusal);
        }
        BrokenOff
    }
}

impl http_body::Body for RelayBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        if this.exchange.is_none() {
            return Poll::Ready(None);
        }
        if this.stopping.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(this.fail(&Refusal::Stopping))));
        }
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let next = ready!(this.body.poll_next(cx));
            let is_end = next.is_none();
            if let Err(failure) = next.transpose().and_then(|bytes| this.take(bytes)) {
                return Poll::Ready(Some(Err(this.fail(&Refusal::Upstream(failure)))));
            }
            if is_end && this.ready.is_empty() {
                this.finish();
                return Poll::Ready(None);
            }
        }
    }
}
