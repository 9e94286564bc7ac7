//! What opens an account for a while, kept until shortly before it lapses.
//!
//! One call at a time asks for it, whoever waits; it runs by itself, so that a client which hangs up takes nothing from the
//! others. Before it lapses a request starts the next call and goes on with what is there; a call that fails then changes
//! nothing. Time is an argument.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use headgate_llm::failure::{Failure, FailureKind};

#[cfg(test)]
mod tests;

/// The whole of one call, connecting included.
const CALL_MAX: Duration = Duration::from_secs(10);
/// How long before its end the next one is asked for. Google's and AWS's metadata servers have the next one from four and
/// five minutes before; google-auth takes the same 3 min 45 s for that reason (`_helpers.REFRESH_THRESHOLD`).
const REFRESH_BEFORE: Duration = Duration::from_secs(225);
/// Not used any more so long before its end: requests are on their way for a moment, and clocks differ.
const UNUSABLE_BEFORE: Duration = Duration::from_secs(10);
/// How long a no is believed, and how long after a failure the next call in the background waits. Without it each request
/// of a misconfigured account would be one to the token endpoint, too.
const PAUSE: Duration = Duration::from_secs(5);
/// A provider's 401 drops what was sent once in so long: a fresh one that is refused as well will not be the last.
const DROP_ONCE_IN: Duration = Duration::from_secs(60);
/// No lifetime is believed beyond this: Azure's longest is a day.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Where it comes from.
pub(super) trait Source: Send + Sync + 'static {
    /// What opens the account.
    type Secret: Send + Sync + 'static;

    /// Asks for a new one.
    fn fetch(&self, now: SystemTime) -> impl Future<Output = Result<Issued<Self::Secret>, Failure>> + Send;
}

/// What was handed out.
pub(super) struct Issued<T> {
    /// What opens the account.
    pub(super) secret: T,
    /// From `now` on; `None`: for ever.
    pub(super) lifetime: Option<Duration>,
}

/// One account's.
pub(super) struct Cached<S: Source> {
    /// Whose, for the log.
    provider: String,
    source: S,
    held: ArcSwapOption<Held<S::Secret>>,
    /// The one before: requests that it opened may still be answered.
    before: ArcSwapOption<Held<S::Secret>>,
    state: Mutex<State<S::Secret>>,
}

struct Held<T> {
    secret: Arc<T>,
    refresh_at: Option<SystemTime>,
    usable_until: Option<SystemTime>,
}

type Outcome<T> = Result<Arc<T>, Failure>;

struct State<T> {
    call: Option<watch::Receiver<Option<Outcome<T>>>>,
    failed: Option<(SystemTime, Failure)>,
    dropped_at: Option<SystemTime>,
}

impl<S: Source> Cached<S> {
    /// Nothing is asked for before the first request.
    pub(super) fn new(provider: String, source: S) -> Arc<Self> {
        Arc::new(Self {
            provider,
            source,
            held: ArcSwapOption::empty(),
            before: ArcSwapOption::empty(),
            state: Mutex::new(State {
                call: None,
                failed: None,
                dropped_at: None,
            }),
        })
    }

    /// What opens the account at `now`. Waits only where there is nothing usable.
    pub(super) async fn get(self: &Arc<Self>, now: SystemTime) -> Outcome<S::Secret> {
        if let Some(held) = self.held.load_full().filter(|held| held.is_usable(now)) {
            if held.refresh_at.is_some_and(|at| at <= now) {
                self.refresh(now);
            }
            return Ok(Arc::clone(&held.secret));
        }
        let mut call = self.join_or_start(now)?;
        match call.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            Ok(None) | Err(_) => Err(Failure::new(
                FailureKind::Connection,
                "the call for a token ended without an outcome",
            )),
        }
    }

    /// The provider refused what was sent: the next request has a new one. Once in a while only.
    pub(super) fn refused(&self, now: SystemTime) {
        let mut state = self.state();
        let lately = state.dropped_at.is_some_and(|at| is_within(at, DROP_ONCE_IN, now));
        if !lately && let Some(held) = self.held.swap(None) {
            state.dropped_at = Some(now);
            self.before.store(Some(held));
        }
    }

    /// What may have been sent lately.
    pub(super) fn known(&self) -> impl Iterator<Item = Arc<S::Secret>> {
        let held = [self.held.load_full(), self.before.load_full()];
        held.into_iter().flatten().map(|held| Arc::clone(&held.secret))
    }

    /// Asks in the background, unless that failed a moment ago.
    fn refresh(self: &Arc<Self>, now: SystemTime) {
        let mut state = self.state();
        let failed = state.failed.as_ref().is_some_and(|(at, _)| is_within(*at, PAUSE, now));
        if state.call.is_none() && !failed {
            state.call = Some(self.start(now));
        }
    }

    fn join_or_start(
        self: &Arc<Self>,
        now: SystemTime,
    ) -> Result<watch::Receiver<Option<Outcome<S::Secret>>>, Failure> {
        let mut state = self.state();
        if let Some(call) = &state.call {
            return Ok(call.clone());
        }
        match &state.failed {
            Some((at, failure)) if failure.kind == FailureKind::Auth && is_within(*at, PAUSE, now) => {
                Err(failure.clone())
            }
            _ => {
                let call = self.start(now);
                state.call = Some(call.clone());
                Ok(call)
            }
        }
    }

    /// Bounded by its deadline, so nothing waits for it when the gateway stops.
    fn start(self: &Arc<Self>, now: SystemTime) -> watch::Receiver<Option<Outcome<S::Secret>>> {
        let (tell, told) = watch::channel(None);
        let cached = Arc::clone(self);
        tokio::spawn(async move {
            let guard = EndOfCall(&cached);
            let fetched = tokio::time::timeout(CALL_MAX, cached.source.fetch(now)).await;
            let fetched = fetched.unwrap_or_else(|_| {
                let detail = format!("no token within {} s", CALL_MAX.as_secs());
                Err(Failure::new(FailureKind::Connection, detail))
            });
            let outcome = cached.keep(fetched, now);
            drop(guard);
            let _ = tell.send(Some(outcome));
        });
        told
    }

    fn keep(&self, fetched: Result<Issued<S::Secret>, Failure>, now: SystemTime) -> Outcome<S::Secret> {
        match fetched {
            Ok(issued) => {
                let held = Held::of(issued, now);
                let secret = Arc::clone(&held.secret);
                self.state().failed = None;
                if let Some(before) = self.held.swap(Some(Arc::new(held))) {
                    self.before.store(Some(before));
                }
                tracing::debug!(provider = %self.provider, "a new token opens the account");
                Ok(secret)
            }
            Err(failure) => {
                if self.held.load().as_ref().is_some_and(|held| held.is_usable(now)) {
                    tracing::warn!(
                        provider = %self.provider,
                        error = failure.detail,
                        "no new token for the account; the one that is there works on"
                    );
                }
                self.state().failed = Some((now, failure.clone()));
                Err(failure)
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<S::Secret>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a call also when it panics: the next request starts another one.
struct EndOfCall<'a, S: Source>(&'a Cached<S>);

impl<S: Source> Drop for EndOfCall<'_, S> {
    fn drop(&mut self) {
        self.0.state().call = None;
    }
}

impl<T> Held<T> {
    fn of(issued: Issued<T>, now: SystemTime) -> Self {
        let lifetime = issued.lifetime.map(|lifetime| lifetime.min(LIFETIME_MAX));
        // One that lives for a few minutes only is renewed at half its time.
        let fresh_for = |lifetime: Duration| lifetime.saturating_sub(REFRESH_BEFORE).max(lifetime / 2);
        let usable_for = |lifetime: Duration| lifetime.saturating_sub(UNUSABLE_BEFORE).max(lifetime / 2);
        Self {
            secret: Arc::new(issued.secret),
            refresh_at: lifetime.map(|lifetime| now + fresh_for(lifetime)),
            usable_until: lifetime.map(|lifetime| now + usable_for(lifetime)),
        }
    }

    fn is_usable(&self, now: SystemTime) -> bool {
        self.usable_until.is_none_or(|until| now < until)
    }
}

/// Whether `now` is less than `time` behind `at`. A clock that was set back ends every wait.
fn is_within(at: SystemTime, time: Duration, now: SystemTime) -> bool {
    now.duration_since(at).is_ok_and(|since| since < time)
}
