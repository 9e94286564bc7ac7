//! Leading: at most one operator writes, by a `coordination.k8s.io` Lease that is renewed at a third of its duration.
//!
//! A leader stops believing in itself two thirds of the duration after its last *sent* renewal that succeeded, whether or
//! not it gets to run then: [`Leadership::is_held`] compares moments. Everybody else waits for the whole duration, counted
//! from when they saw that renewal, which was later. A graceful stop gives the Lease back, and standbys watch it, so that
//! they take over in the time of one request.

mod claim;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::args::Config;
use crate::client;
use crate::metrics::Metrics;
use claim::{Decision, Sighting};

/// How long one attempt may take, as a part of the duration: a renewal at one third that hangs leaves time for another.
const ATTEMPT_PART: u32 = 5;
/// How long a failed attempt waits at the longest, as a part of the duration: several fit in before it is too late.
const RETRY_PART: u32 = 10;
/// After somebody else wrote in between: short, and not nothing, so that two of us cannot spin.
const BEATEN_WAIT: Duration = Duration::from_millis(20);
/// The most that giving the Lease back may take at the end.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether this process leads. Read by everyone, written by [`Elector`] alone.
pub struct Leadership {
    /// Until when, unless renewed; `None`: it does not lead.
    until: watch::Sender<Option<Instant>>,
}

impl Leadership {
    /// Nobody leads yet.
    pub fn new() -> Self {
        Self {
            until: watch::Sender::new(None),
        }
    }

    /// Whether it leads at this very moment.
    pub fn is_held(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Returns once it leads.
    pub async fn gained(&self) {
        self.settled(|until| until.is_some_and(|until| Instant::now() < until))
            .await;
    }

    /// Returns once it does not lead any more.
    pub async fn lost(&self) {
        let mut until = self.until.subscribe();
        loop {
            let Some(end) = *until.borrow_and_update() else { return };
            if end <= Instant::now() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(end) => {}
                _ = until.changed() => {}
            }
        }
    }

    async fn settled(&self, is_wanted: impl FnMut(&Option<Instant>) -> bool) {
        // The sender is in `self`, so this ends only by the wanted value.
        let _ = self.until.subscribe().wait_for(is_wanted).await;
    }
}

impl Default for Leadership {
    fn default() -> Self {
        Self::new()
    }
}

/// Acquires, renews and releases the Lease.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    me: String,
    duration: Duration,
    leadership: Arc<Leadership>,
    metrics: Arc<Metrics>,
    /// What was seen, by reading or by the watch.
    sighting: Mutex<Sighting>,
    /// The watch saw something.
    has_moved: Notify,
}

impl Elector {
    /// For the Lease that `config` names.
    pub fn new(client: Client, config: &Config, leadership: Arc<Leadership>, metrics: Arc<Metrics>) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            name: config.leader_lease.clone(),
            me: config.pod_name.clone(),
            duration: config.lease_duration,
            leadership,
            metrics,
            sighting: Mutex::default(),
            has_moved: Notify::new(),
        }
    }

    /// Takes in what the watch of the Lease saw; `None`: it is gone.
    pub fn see(&self, lease: Option<&Lease>) {
        self.sighting().see(lease, Instant::now());
        if lease.is_none_or(|lease| claim::holder(lease) != self.me) {
            self.has_moved.notify_one();
        }
    }

    /// Leads whenever it may, until `stop`; then gives the Lease back.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut held: Option<Lease> = None;
        let mut has_failed = false;
        while !stop.is_cancelled() {
            let attempt = timeout(self.duration / ATTEMPT_PART, self.attempt(held.take()));
            let wait = match attempt.await {
                Ok(Ok(Attempt::Held(lease))) => {
                    held = Some(*lease);
                    has_failed = false;
                    self.duration / 3
                }
                Ok(Ok(Attempt::Other(free_at))) => {
                    has_failed = false;
                    self.step_down("another operator holds the lease");
                    // Spread, so that several standbys do not all try in the same moment.
                    free_at.saturating_duration_since(Instant::now()) + self.retry_after()
                }
                Ok(Ok(Attempt::Beaten)) => BEATEN_WAIT,
                failed => {
                    if !std::mem::replace(&mut has_failed, true) {
                        let error = match failed {
                            Ok(Err(error)) => client::reason(&error),
                            _ => "no answer in time".to_owned(),
                        };
                        tracing::warn!(
                            lease = self.name,
                            error,
                            "the leader lease could not be read or written; trying on"
                        );
                    }
                    if !self.leadership.is_held() {
                        self.step_down("the lease could not be renewed in time");
                    }
                    self.retry_after()
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.has_moved.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        self.release(held).await;
    }

    /// One round: look, decide, write. `held` is the Lease as last written, which saves a read.
    async fn attempt(&self, held: Option<Lease>) -> Result<Attempt, kube::Error> {
        let mut lease = held.filter(|_| self.decide(Instant::now()) == Decision::Renew);
        if lease.is_none() {
            lease = self.api.get_opt(&self.name).await?;
            self.sighting().see(lease.as_ref(), Instant::now());
        }
        let sent = Instant::now();
        if let Decision::WaitUntil(free_at) = self.decide(sent) {
            return Ok(Attempt::Other(free_at));
        }
        let is_there = lease.is_some();
        let claimed = self.claim(&lease.unwrap_or_else(|| self.empty()));
        let parameters = PostParams::default();
        let written = if is_there {
            self.api.replace(&self.name, &parameters, &claimed).await
        } else {
            self.api.create(&parameters, &claimed).await
        };
        match written {
            Ok(lease) => {
                self.sighting().see(Some(&lease), Instant::now());
                self.step_up(sent);
                Ok(Attempt::Held(Box::new(lease)))
            }
            // Written or created by another meanwhile, or deleted. Not found on a create is a missing namespace.
            Err(kube::Error::Api(status)) if status.code == 409 || (is_there && status.code == 404) => {
                Ok(Attempt::Beaten)
            }
            Err(error) => Err(error),
        }
    }

    /// Lets go, so that the next one need not wait.
    async fn release(&self, held: Option<Lease>) {
        let was_leading = self.leadership.is_held();
        self.step_down("the operator stops");
        let Some(lease) = held.filter(|_| was_leading) else {
            return;
        };
        let lease = claim::released(&lease, Timestamp::now());
        let parameters = PostParams::default();
        let written = self.api.replace(&self.name, &parameters, &lease);
        match timeout(RELEASE_TIMEOUT, written).await {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "the leader lease was released"),
            Ok(Err(error)) => {
                let error = client::reason(&error);
                tracing::warn!(
                    lease = self.name,
                    error,
                    "the leader lease was not released; it expires"
                );
            }
            Err(_) => tracing::warn!(
                lease = self.name,
                "the leader lease was not released in time; it expires"
            ),
        }
    }

    fn step_up(&self, sent: Instant) {
        let until = sent + self.duration * 2 / 3;
        let was_leading = self.leadership.until.send_replace(Some(until)).is_some();
        if !was_leading {
            self.metrics.is_leader.set(1);
            tracing::info!(lease = self.name, "this operator leads now");
        }
    }

    fn step_down(&self, reason: &str) {
        let was_leading = self.leadership.until.send_replace(None).is_some();
        if was_leading {
            self.metrics.is_leader.set(0);
            tracing::info!(lease = self.name, reason, "this operator leads no more");
        }
    }

    fn decide(&self, now: Instant) -> Decision {
        self.sighting().decide(&self.me, self.duration, now)
    }

    fn claim(&self, lease: &Lease) -> Lease {
        claim::held(lease, &self.me, self.duration, Timestamp::now())
    }

    fn empty(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        }
    }

    fn retry_after(&self) -> Duration {
        (self.duration / RETRY_PART).mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    fn sighting(&self) -> std::sync::MutexGuard<'_, Sighting> {
        self.sighting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a round ended.
enum Attempt {
    /// The Lease is ours, as written.
    Held(Box<Lease>),
    /// Somebody else holds it, at least until then.
    Other(Instant),
    /// Somebody wrote it in between.
    Beaten,
}
