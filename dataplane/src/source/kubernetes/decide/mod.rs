//! What is served, decided again with each pointer: take the head, or say why not and serve the best that is left.
//!
//! The start: what was kept on disk is loaded; the head is tried for up to 5 s; then what was kept is served, so that a pod
//! starts with the API server away. Afterwards each new pointer is tried, and one that failed for a passing reason is tried
//! again. Taking a head ([`take`]) is one blocking step from its bytes to the swap that is never abandoned half way, so
//! that what is acknowledged is what is served.

mod report;
mod start;
mod take;

use std::sync::Arc;
use std::time::Duration;

use headgate_snapshot::delivery::{Ack, Digest, Generation, Signed};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Settings;
use super::api::Api;
use super::backoff::{Backoff, jittered};
use super::fallback::{Fallback, Which, in_order, to_leave_out};
use super::keep::Keep;
use super::pointer::{PointerFeed, Told};
use super::ring::{self, MountedRing};
use super::shards::ShardCache;
use super::verify::{Floor, Refused, Trusted};
use crate::gateway::Gateway;
use crate::metrics::DeliveryMetrics;
use crate::source::Standing;

/// Waits before a head is tried again that failed for a passing reason.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// The state of following, and what it needs.
pub(super) struct Decider {
    settings: Settings,
    gateway: Arc<Gateway>,
    api: Api,
    keep: Keep,
    feed: Arc<PointerFeed>,
    metrics: DeliveryMetrics,
    acks: watch::Sender<Ack>,
    standing: watch::Sender<Arc<Standing>>,

    ring: MountedRing,
    shards: ShardCache,
    own: Option<Own>,
    /// The newest pointer that could be trusted: what it says about removed keys holds for all that is older.
    newest: Option<Arc<Trusted>>,
    /// For which `newest` something older was looked for, so that this is done once.
    fell_back_for: Option<u64>,
    floor: Option<Floor>,
    refused: Option<Refused>,
    /// The pointer that was tried last.
    tried: Option<Signed>,
    retry_at: Option<Instant>,
    backoff: Backoff,
}

/// What is served, or was kept on disk to be served.
#[derive(Clone)]
struct Own {
    trusted: Arc<Trusted>,
    which: Which,
    /// The digest of what is really in force; `None` before it is.
    in_force: Option<Digest>,
}

impl Own {
    fn generation(&self) -> Option<&Generation> {
        self.which.of(&self.trusted.pointer)
    }
}

/// What became of a head.
enum Outcome {
    Served,
    Refused(Refused),
    /// The API server is away; nothing is wrong with the head.
    Away,
    /// There is another pointer by now.
    Superseded,
}

impl Decider {
    pub(super) fn new(
        settings: Settings,
        gateway: Arc<Gateway>,
        api: Api,
        feed: Arc<PointerFeed>,
        metrics: DeliveryMetrics,
    ) -> Self {
        let ack = Ack {
            installation: settings.installation.clone(),
            serving: None,
            refused: None,
            format_max: settings.format_max,
            key_ids: Vec::new(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let decider = Self {
            keep: Keep::new(&settings.state_dir),
            ring: MountedRing::new(settings.sealing_keys.clone()),
            acks: watch::Sender::new(ack),
            standing: watch::Sender::default(),
            shards: ShardCache::default(),
            own: None,
            newest: None,
            fell_back_for: None,
            floor: None,
            refused: None,
            tried: None,
            retry_at: None,
            backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
            settings,
            gateway,
            api,
            feed,
            metrics,
        };
        decider.publish();
        decider
    }

    pub(super) fn standing(&self) -> watch::Receiver<Arc<Standing>> {
        self.standing.subscribe()
    }

    pub(super) fn acks(&self) -> watch::Receiver<Ack> {
        self.acks.subscribe()
    }

    /// Follows for ever.
    pub(super) async fn run(mut self) {
        self.wait_for_keys().await;
        self.load_kept().await;
        let mut told = self.feed.told();
        self.begin(&mut told).await;
        let mut ring_due = Instant::now() + ring::READ_EVERY;
        loop {
            let retry_at = self.retry_at;
            tokio::select! {
                changed = told.changed() => if changed.is_err() { return },
                () = at(retry_at) => {}
                () = sleep_until(ring_due) => {
                    ring_due = Instant::now() + jittered(ring::READ_EVERY, fastrand::f64());
                    if !self.ring.refresh().await {
                        continue;
                    }
                    self.publish();
                    self.tried = None;
                }
            }
            let news = told.borrow_and_update().clone();
            self.look(news).await;
        }
    }

    /// Looks at what is told, unless it was tried already.
    async fn look(&mut self, news: Told) {
        let signed = match news {
            Told::Nothing => return,
            Told::Absent => {
                self.retry_at = None;
                self.tried = None;
                tracing::warn!(
                    pointer = self.source(),
                    "there is no pointer; what is served stays in force until the operator has published again"
                );
                return;
            }
            Told::Pointer { signed, .. } => signed,
        };
        let is_due = self.retry_at.is_some_and(|due| due <= Instant::now());
        if self.tried.as_ref() == Some(&signed) && !is_due {
            return;
        }
        match self.attempt(&signed, None).await {
            Outcome::Served | Outcome::Superseded => {}
            Outcome::Refused(_) | Outcome::Away => self.fall_back().await,
        }
    }

    /// Tries a head and remembers what became of it.
    async fn attempt(&mut self, signed: &Signed, deadline: Option<Instant>) -> Outcome {
        if self.tried.as_ref() != Some(signed) {
            self.backoff.reset();
        }
        self.tried = Some(signed.clone());
        self.retry_at = None;
        let outcome = self.take(signed, deadline).await;
        match &outcome {
            Outcome::Served => {
                self.backoff.reset();
                if self.refused.take().is_some() {
                    tracing::info!("what is published is what is served again; nothing is refused any more");
                }
            }
            Outcome::Refused(refused) => {
                if refused.reason.may_pass() {
                    self.try_again_later();
                }
                self.refuse(refused.clone());
            }
            Outcome::Away => self.try_again_later(),
            Outcome::Superseded => self.tried = None,
        }
        self.publish();
        outcome
    }

    /// Serves the best that is left: see [`in_order`].
    async fn fall_back(&mut self) {
        let newest = self.newest.clone();
        let pointer = newest.as_deref().map(|newest| &newest.pointer);
        let own = self.own.clone();
        let own_generation = own.as_ref().and_then(Own::generation);
        let is_served = own.as_ref().is_some_and(|own| own.in_force.is_some());
        let is_of_use = own_generation.is_none_or(|generation| to_leave_out(generation, pointer).is_some());
        let for_sequence = pointer.map(|pointer| pointer.head.sequence);
        if is_served && (!is_of_use || self.fell_back_for == for_sequence) {
            return;
        }
        for fallback in in_order(own_generation, is_served, pointer) {
            let (trusted, which) = match (fallback, &own, &newest) {
                (Fallback::Own, Some(own), _) => (Arc::clone(&own.trusted), own.which),
                (Fallback::Previous, _, Some(newest)) => (Arc::clone(newest), Which::Previous),
                _ => continue,
            };
            let Some(generation) = which.of(&trusted.pointer) else {
                continue;
            };
            let installed = match self.shards.complete(generation, &self.api).await {
                Ok(shards) => self.install(&trusted, which, shards).await.map_err(|not| not.sentence),
                Err(error) => Err(error.to_string()),
            };
            match installed {
                Ok(()) => {
                    self.fell_back_for = for_sequence;
                    self.publish();
                    return;
                }
                Err(reason) => tracing::warn!(
                    sequence = generation.sequence,
                    reason,
                    "an older snapshot cannot be served instead"
                ),
            }
        }
    }

    fn try_again_later(&mut self) {
        self.retry_at = Some(Instant::now() + self.backoff.after_failure(fastrand::f64()));
    }

    fn source(&self) -> String {
        format!("{}/{}", self.settings.snapshot_namespace, self.settings.snapshot_name)
    }
}

/// At that moment, or never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
