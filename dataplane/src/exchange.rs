//! The record of one request. Steps return facts, `pipeline` writes them here, closing it tells everybody at once: the
//! metrics and the one log line cannot disagree, because neither is written anywhere else.
//!
//! Dropping an exchange that nobody closed is the client hanging up: it is closed as that.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headgate_llm::endpoint::Endpoint;
use headgate_llm::estimate;
use headgate_llm::failure::Failure;
use headgate_llm::hub::SignedTurn;
use headgate_llm::request::ModelRequest;
use headgate_llm::usage::Usage;

use crate::account::price::{NanoUsd, cost};
use crate::auth::Authenticated;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::route::Plan;
use crate::signed_turns::Owner;
use crate::trace::TraceId;

/// nginx's status for a client that hung up; never sent, only counted.
const CLIENT_CLOSED: u16 = 499;

/// One request, from its head to its last byte.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of one request, each written by itself"
)]
pub struct Exchange {
    gateway: Arc<Gateway>,
    /// What was called.
    pub endpoint: Endpoint,
    /// By which it is found again.
    pub trace_id: TraceId,
    started: Instant,
    /// Who asks.
    pub caller: Option<Authenticated>,
    /// What was planned.
    pub plan: Option<Arc<Plan>>,
    /// Whether the answer must say in its body what happened.
    pub wants_metadata: bool,
    /// Whether the answer is a stream.
    pub is_stream: bool,
    /// Calls to the provider so far.
    pub attempts: u32,
    /// Tokens used, reported or estimated; `None` while nothing is known.
    pub usage: Option<Usage>,
    /// The request while the provider works on it: what it costs should the client hang up before the provider says.
    pub in_work: Option<Arc<ModelRequest>>,
    /// Whether bytes of the request's body may still be on their way: the connection cannot be used again.
    pub is_body_unread: bool,
    first_byte_after: Option<Duration>,
    is_closed: bool,
}

impl Exchange {
    /// A request whose head has arrived.
    pub fn open(gateway: Arc<Gateway>, endpoint: Endpoint, trace_id: TraceId) -> Self {
        gateway.metrics.in_flight.inc();
        Self {
            gateway,
            endpoint,
            trace_id,
            started: Instant::now(),
            caller: None,
            plan: None,
            wants_metadata: false,
            is_stream: false,
            attempts: 0,
            usage: None,
            in_work: None,
            is_body_unread: true,
            first_byte_after: None,
            is_closed: false,
        }
    }

    /// When its head arrived, Unix seconds.
    pub fn started_unix_seconds(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(self.started.elapsed()).as_secs()
    }

    /// The gateway it runs in.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// What the usage so far costs; `None` where the price is unknown, or what was used.
    pub fn cost(&self) -> Option<NanoUsd> {
        let price = self.plan.as_ref()?.backend.price()?;
        let is_unread = matches!(self.endpoint, Endpoint::PassThrough(_));
        match &self.usage {
            Some(usage) => Some(cost(usage, price)),
            None => (!is_unread).then(NanoUsd::default),
        }
    }

    /// Whose signed turns these are, once it is planned.
    pub fn owner(&self) -> Option<Owner<'_>> {
        let backend = &self.plan.as_ref()?.backend;
        Some(Owner {
            caller: &self.caller.as_ref()?.name,
            provider: &backend.provider.name,
            upstream_model: backend.upstream_model(),
        })
    }

    /// Keeps what the caller's client may not. Before the answer goes out: the next request may come at once.
    pub fn keep_signed(&self, turns: Vec<SignedTurn>) {
        let Some(owner) = self.owner().filter(|_| !turns.is_empty()) else {
            return;
        };
        let now = Instant::now();
        for turn in turns {
            self.gateway.signed_turns.keep(owner, turn, now);
        }
    }

    /// The body was read and understood.
    pub fn received(&self, request_bytes: usize) {
        tracing::debug!(
            trace_id = self.trace_id.as_str(),
            model = self.model_label(),
            endpoint = self.endpoint.path(),
            stream = self.is_stream,
            request_bytes,
            "llm_request_received"
        );
    }

    /// A call to the provider ended, or began to answer.
    pub fn attempted(&mut self, started: Instant, outcome: Result<(), &Failure>) {
        let Some(plan) = self.plan.as_ref() else { return };
        let provider = &plan.backend.provider;
        match outcome {
            Ok(()) => provider.answered_attempts.inc(),
            Err(failure) => self
                .gateway
                .metrics
                .failed_attempt(&provider.name.name, failure.kind.as_str()),
        }
        tracing::debug!(
            trace_id = self.trace_id.as_str(),
            provider = provider.name.name,
            model = self.model_label(),
            attempt = self.attempts,
            latency_ms = milliseconds(started.elapsed()),
            error_type = outcome.err().map(|failure| failure.kind.as_str()),
            upstream_status = outcome.err().and_then(|failure| failure.status),
            detail = outcome.err().map(|failure| &*failure.detail),
            "provider_call"
        );
    }

    /// The answer begins to go out.
    pub fn first_byte(&mut self) {
        self.first_byte_after = Some(self.started.elapsed());
    }

    /// The answer went out whole.
    pub fn close_answered(mut self) {
        self.close(200, None);
    }

    /// The request was refused, or its stream ended in an error event.
    pub fn close_refused(mut self, refusal: &Refusal) {
        self.close(refusal.status().as_u16(), Some(refusal));
    }

    fn close(&mut self, status: u16, refusal: Option<&Refusal>) {
        self.is_closed = true;
        let took = self.started.elapsed();
        let metrics = &self.gateway.metrics;
        metrics.in_flight.dec();
        let cost = self.cost();
        match &self.plan {
            Some(plan) => {
                let backend = &plan.backend.model.metrics;
                backend.finished(status, took);
                if let Some(usage) = &self.usage {
                    backend.used(usage.total_input_tokens(), usage.total_output_tokens(), cost);
                }
            }
            None => metrics.request_without_backend(status),
        }
        let error_type = match refusal {
            Some(refusal) => Some(refusal.code()),
            None if status == CLIENT_CLOSED => Some("client_closed"),
            None => None,
        };
        if let Some(code) = error_type {
            metrics.refused(code);
        }
        self.log_close(status, took, cost, error_type, refusal);
    }

    /// The one closing line. What a provider did wrong is a warning for the operator; what a caller did wrong is not.
    fn log_close(
        &self,
        status: u16,
        took: Duration,
        cost: Option<NanoUsd>,
        error_type: Option<&'static str>,
        refusal: Option<&Refusal>,
    ) {
        let plan = self.plan.as_deref();
        let provider = plan.map(|plan| plan.backend.provider.name.name.as_str());
        let usage = self.usage.as_ref();
        macro_rules! line {
            ($level:ident, $message:literal, $($more:tt)*) => {
                tracing::$level!(
                    trace_id = self.trace_id.as_str(),
                    key = self.caller.as_ref().map(|caller| caller.name.name.as_str()),
                    namespace = self.caller.as_ref().map(|caller| caller.name.namespace.as_str()),
                    route = plan.and_then(|plan| plan.route.as_ref()).map(|route| route.name.as_str()),
                    provider,
                    model = self.model_label(),
                    status,
                    stream = self.is_stream.then_some(true),
                    attempt = self.attempts,
                    latency_ms = milliseconds(took),
                    first_byte_ms = self.first_byte_after.filter(|_| self.is_stream).map(milliseconds),
                    tokens_input = usage.map(Usage::total_input_tokens),
                    tokens_output = usage.map(Usage::total_output_tokens),
                    tokens_estimated = usage.and_then(|usage| usage.is_estimated.then_some(true)),
                    cost_usd = cost.map(tracing::field::display),
                    cache_hit = false,
                    $($more)*
                    $message
                )
            };
        }
        let detail = match refusal {
            Some(Refusal::Upstream(failure)) => Some(&*failure.detail),
            _ => None,
        };
        match (error_type, detail) {
            (None, _) => line!(info, "llm_response_sent",),
            (Some(error_type), None) => line!(info, "llm_error", error_type,),
            (Some(error_type), Some(detail)) => line!(warn, "llm_error", error_type, detail,),
        }
    }

    /// The model as metrics know it; a caller's own text is never logged.
    fn model_label(&self) -> Option<&str> {
        self.plan.as_deref().map(|plan| plan.backend.model_label())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_closed {
            let is_free = self.endpoint == Endpoint::CountTokens;
            if let Some(request) = self.in_work.take().filter(|_| self.attempts > 0 && !is_free) {
                self.usage = Some(Usage::estimated(estimate::input_tokens(&request), 0)); // it was sent, so it will be billed
            }
            self.close(CLIENT_CLOSED, None);
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    // Microseconds are as far as a wall clock can be trusted; more digits would only look exact.
    duration.as_micros() as f64 / 1000.0
}
