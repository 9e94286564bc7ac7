//! What goes back to the client: whole, or a stream whose first content has been seen. Everything that can happen to a
//! stream after its head went out happens here: silence, a provider that breaks off, a client that hangs up, a gateway
//! that stops.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio_util::sync::WaitForCancellationFutureOwned;

use headgate_llm::estimate;
use headgate_llm::failure::{Failure, FailureKind};
use headgate_llm::hub::SignedTurn;
use headgate_llm::provider::{StreamDecoder, WholeAnswer};
use headgate_llm::request::ModelRequest;
use headgate_llm::usage::Usage;

use crate::deadline::MovingDeadline;
use crate::exchange::Exchange;
use crate::metadata;
use crate::refusal::Refusal;
use crate::reply;
use crate::upstream::body::AnswerBody;

/// An answer whose beginning is certain.
pub enum Answer {
    /// One body.
    Whole(WholeBody),
    /// Events.
    Stream(Box<BegunStream>),
}

/// A whole answer and what it used.
pub struct WholeBody {
    /// The bytes for the client.
    pub body: Bytes,
    /// Reported by the provider, else estimated.
    pub usage: Usage,
    /// What its calls of tools must come back with.
    pub signed: Vec<SignedTurn>,
}

impl WholeBody {
    /// An answer that a provider's adapter has read.
    pub fn of(answer: WholeAnswer, signed: Vec<SignedTurn>, request: &ModelRequest) -> Self {
        let WholeAnswer { body, usage } = answer;
        let usage = usage
            .unwrap_or_else(|| Usage::estimated(estimate::input_tokens(request), estimate::Size::of(&body).tokens()));
        Self { body, usage, signed }
    }
}

/// A stream that has shown content: from here on nothing is tried again.
pub struct BegunStream {
    /// The rest of it.
    pub body: AnswerBody,
    /// Reads it.
    pub decoder: Box<dyn StreamDecoder>,
    /// What may go out at once.
    pub ready: Vec<Bytes>,
    /// What the input costs if the stream does not reach the event in which the provider says so.
    pub estimated_input_tokens: u64,
}

/// After so long without an event the client gets a comment, so that proxies in between do not take it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the end of a provider's stream is waited for after its last event, so that the connection can be used again.
const TAIL: Duration = Duration::from_secs(1);

/// The stream on its way to the client.
pub struct StreamBody {
    /// `None` once it is closed.
    exchange: Option<Exchange>,
    estimated_input_tokens: u64,
    upstream: Option<AnswerBody>,
    decoder: Box<dyn StreamDecoder>,
    ready: VecDeque<Bytes>,
    scratch: Vec<Bytes>,
    keep_alive: MovingDeadline,
    keep_alive_event: &'static [u8],
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Relaying,
    /// The last event stands in `ready`; after it the stream ends well.
    Ending,
    /// The error event stands in `ready`; after it the connection is aborted, so that no client takes the end for a good one.
    Failing,
    /// Everything was handed over; the connection gets one chance to write it before it is aborted.
    Aborting,
}

/// The stream broke off after its head went out; hyper closes the connection on it.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

impl StreamBody {
    /// Takes over a stream that has begun, and the record of its request.
    pub fn new(exchange: Exchange, begun: Box<BegunStream>) -> Self {
        let keep_alive_event = reply::keep_alive_event(exchange.endpoint);
        let stopping = Box::pin(exchange.gateway().stopping.clone().cancelled_owned());
        let mut body = Self {
            exchange: Some(exchange),
            estimated_input_tokens: begun.estimated_input_tokens,
            upstream: Some(begun.body),
            decoder: begun.decoder,
            ready: VecDeque::new(),
            scratch: begun.ready,
            keep_alive: MovingDeadline::new(KEEP_ALIVE, None),
            keep_alive_event,
            stopping,
            state: State::Relaying,
        };
        body.keep_signed();
        // A stream that was whole at its first read has its last event there already.
        if body.decoder.progress().is_complete {
            body.add_metadata();
        }
        body.ready.extend(body.scratch.drain(..));
        body
    }

    /// Reads once; `Ready` when there is something to do.
    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(upstream) = &mut self.upstream else {
            self.end();
            return Poll::Ready(());
        };
        let result = match upstream.poll_next(cx) {
            Poll::Pending if self.decoder.progress().is_complete => {
                self.end();
                return Poll::Ready(());
            }
            Poll::Pending => return self.poll_waiting(cx),
            Poll::Ready(Some(Ok(bytes))) => self.decoder.push(bytes, &mut self.scratch),
            Poll::Ready(Some(Err(_))) if self.decoder.progress().is_complete => {
                self.upstream = None; // all was said before it broke
                Ok(())
            }
            Poll::Ready(Some(Err(failure))) => Err(failure),
            Poll::Ready(None) => {
                self.upstream = None;
                self.decoder.finish(&mut self.scratch)
            }
        };
        self.keep_signed();
        if self.decoder.progress().is_complete && result.is_ok() {
            self.add_metadata();
        }
        if !self.scratch.is_empty() {
            self.keep_alive.restart();
            self.ready.extend(self.scratch.drain(..));
        }
        if let Err(failure) = result {
            let scrubbed = self.scrub(failure);
            self.fail(&Refusal::Upstream(scrubbed));
        }
        Poll::Ready(())
    }

    /// What was signed is kept before the client can have read it.
    fn keep_signed(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.keep_signed(self.decoder.take_signed());
        }
    }

    /// The last event is in `scratch`: what the whole answer cost is known.
    fn add_metadata(&mut self) {
        if !self.scratch.is_empty() && self.exchange.as_ref().is_some_and(|exchange| exchange.wants_metadata) {
            self.settle();
            if let Some(exchange) = &self.exchange {
                metadata::add_to_end(&mut self.scratch, exchange);
            }
        }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stopping.as_mut().poll(cx).is_ready() {
            self.fail(&Refusal::Stopping);
            return Poll::Ready(());
        }
        if self.keep_alive.poll(cx).is_ready() {
            self.keep_alive.restart();
            self.ready.push_back(Bytes::from_static(self.keep_alive_event));
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn end(&mut self) {
        self.state = State::Ending;
        self.settle();
        if let Some(upstream) = self.upstream.take() {
            read_tail(upstream);
        }
        if let Some(exchange) = self.exchange.take() {
            exchange.close_answered();
        }
    }

    fn fail(&mut self, refusal: &Refusal) {
        self.state = State::Failing;
        self.upstream = None;
        self.settle();
        if let Some(exchange) = self.exchange.take() {
            let events = self.decoder.progress().events;
            self.ready.push_back(reply::error_event(
                refusal,
                exchange.endpoint,
                exchange.trace_id,
                events,
            ));
            exchange.close_refused(refusal);
        }
    }

    fn scrub(&self, failure: Failure) -> Failure {
        match self.exchange.as_ref().and_then(|exchange| exchange.plan.as_deref()) {
            Some(plan) => plan.backend.provider.scrub(failure),
            None => failure,
        }
    }

    /// What was used: reported, or for a stream that did not reach its end at least what was received.
    fn settle(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        let progress = self.decoder.progress();
        let (input_tokens, output_tokens) = (self.estimated_input_tokens, progress.estimated_output_tokens());
        exchange.usage = Some(match progress.usage {
            Some(reported) if progress.is_complete => reported,
            Some(reported) => reported.at_least(input_tokens, output_tokens),
            None => Usage::estimated(input_tokens, output_tokens),
        });
    }
}

impl Drop for StreamBody {
    /// The client hung up in the middle: dropping `upstream` closes the provider's connection, dropping the exchange closes
    /// the record; what was received is charged.
    fn drop(&mut self) {
        self.settle();
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match this.state {
                State::Relaying => std::task::ready!(this.poll_upstream(cx)),
                State::Ending => return Poll::Ready(None),
                State::Failing => {
                    // hyper writes what it was given when a body has nothing more for now, and drops it on an error.
                    this.state = State::Aborting;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                State::Aborting => return Poll::Ready(Some(Err(BrokenOff))),
            }
        }
    }
}

/// Reads what is left after the last event (a chunked body's end), off the client's path.
fn read_tail(mut upstream: AnswerBody) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(TAIL, async { while let Some(Ok(_)) = upstream.next().await {} }).await;
    });
}

/// A stream that ended before it showed any content.
pub fn cut() -> Failure {
    Failure::new(FailureKind::Cut, "the stream ended before its first content")
}
