//! What is served, decided again with each pointer: take the head, or say why not and serve the best that is left.
//!
//! The start: what was kept on disk is loaded; the head is tried for up to 5 s; then what was kept is served, so that a pod
//! starts with the API server away. Afterwards each new pointer is tried, and one that failed for a passing reason is tried
//! again. Taking a head is one blocking step from its bytes to the swap ([`super::install`]) that is never abandoned half
//! way, so that what is acknowledged is what is served.

use std::sync::Arc;
use std::time::Duration;

use headgate_snapshot::OLDEST_READABLE_FORMAT;
use headgate_snapshot::delivery::{Ack, Digest, Generation, Serving, Signed};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::api::Api;
use super::backoff::{Backoff, jittered};
use super::fallback::{Fallback, Which, in_order, to_leave_out};
use super::install::{Installation, Installed, NotInstalled};
use super::keep::{EncodedShard, Keep};
use super::pointer::{PointerFeed, Told};
use super::ring::{self, MountedRing};
use super::shards::{FetchError, ShardCache};
use super::verify::{Floor, Reason, Refused, Rules, Trusted, judge};
use super::{ClusterStanding, RefusedStanding, Settings};
use crate::gateway::Gateway;
use crate::metrics::DeliveryMetrics;
use crate::source::Standing;

/// How long a start waits for the head before it serves what was kept.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// Waits before a head is tried again that failed for a passing reason.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// How often to look for sealing keys before there are any.
const RING_PATIENCE: Duration = Duration::from_secs(1);

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

    /// Without a key nothing can be trusted. In a pod the folder is there before the container is.
    async fn wait_for_keys(&mut self) {
        loop {
            self.ring.refresh().await;
            if self.ring.get().is_some() {
                return self.publish();
            }
            sleep(jittered(RING_PATIENCE, fastrand::f64())).await;
        }
    }

    /// Reads what was kept and holds it against the signature, like anything from the API server.
    async fn load_kept(&mut self) {
        let keep = self.keep.clone();
        let read = tokio::task::spawn_blocking(move || (keep.pointer(), keep.removals())).await;
        let Ok((pointer, removals)) = read else { return };
        for kept in [&pointer, &removals].into_iter().flatten() {
            match self.judge(&kept.signed()) {
                Ok(trusted)
                | Err(Refused {
                    trusted: Some(trusted), ..
                }) => self.learn(&trusted),
                Err(refused) => tracing::warn!(
                    reason = refused.sentence,
                    "a pointer that was kept on disk cannot be trusted; it is passed over"
                ),
            }
        }
        let Some(kept) = pointer else { return };
        let Ok(trusted) = self.judge(&kept.signed()) else {
            return;
        };
        let Some(generation) = kept.generation().of(&trusted.pointer).cloned() else {
            return;
        };
        self.floor = Some(Floor::of(&generation));
        let (keep, digests) = (
            self.keep.clone(),
            generation.shards.iter().map(|shard| shard.digest).collect::<Vec<_>>(),
        );
        let read = move || -> Vec<EncodedShard> {
            let shards = digests.into_iter();
            shards
                .filter_map(|digest| Some((digest, keep.shard(&digest)?)))
                .collect()
        };
        for (digest, bytes) in tokio::task::spawn_blocking(read).await.unwrap_or_default() {
            self.shards.insert(digest, bytes);
        }
        self.own = Some(Own {
            trusted,
            which: kept.generation(),
            in_force: None,
        });
    }

    /// Serves the head if it can be had soon, else the best that is left.
    async fn begin(&mut self, told: &mut watch::Receiver<Told>) {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let first = timeout_at(deadline, told.wait_for(|told| *told != Told::Nothing)).await;
            let Ok(Ok(news)) = first.map(|news| news.map(|news| news.clone())) else {
                break;
            };
            let Told::Pointer { signed, .. } = news else { break };
            told.mark_unchanged();
            match self.attempt(&signed, Some(deadline)).await {
                Outcome::Served => return,
                Outcome::Refused(_) => break,
                Outcome::Superseded => {}
                Outcome::Away => {
                    let next_try = self.retry_at.unwrap_or(deadline).min(deadline);
                    sleep_until(next_try).await;
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        self.fall_back().await;
    }

    async fn look(&mut self, news: Told) {
        let signed = match news {
            Told::Nothing => return,
            Told::Absent => {
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
                self.refused = None;
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

    async fn take(&mut self, signed: &Signed, deadline: Option<Instant>) -> Outcome {
        let mut verdict = self.judge(signed);
        if matches!(&verdict, Err(refused) if refused.reason == Reason::UnknownKey) && self.ring.refresh().await {
            verdict = self.judge(signed);
        }
        let trusted = match verdict {
            Ok(trusted) => trusted,
            Err(refused) => {
                if let Some(trusted) = &refused.trusted {
                    self.learn(trusted);
                }
                return Outcome::Refused(refused);
            }
        };
        self.learn(&trusted);
        let head = &trusted.pointer.head;
        if self.is_in_force(head) {
            return Outcome::Served;
        }
        let fetching = self.shards.complete(head, &self.api);
        let fetched = match deadline {
            None => fetching.await,
            Some(deadline) => match timeout_at(deadline, fetching).await {
                Ok(fetched) => fetched,
                Err(_) => return Outcome::Away,
            },
        };
        let shards = match fetched {
            Ok(shards) => shards,
            Err(FetchError::Away(_)) => return Outcome::Away,
            Err(error @ FetchError::Missing { .. }) => return self.missing(&trusted, &error).await,
            Err(error) => {
                return Outcome::Refused(Refused::unusable(&trusted, Reason::ShardMissing, error.to_string()));
            }
        };
        match self.install(&trusted, Which::Head, shards).await {
            Ok(()) => Outcome::Served,
            Err(not) => Outcome::Refused(Refused::unusable(&trusted, not.reason, not.sentence)),
        }
    }

    /// A shard that is not there belongs to an old pointer more often than not.
    async fn missing(&self, trusted: &Arc<Trusted>, error: &FetchError) -> Outcome {
        if self.feed.read().await.is_err() {
            return Outcome::Away;
        }
        match &*self.feed.told().borrow() {
            Told::Pointer { signed, .. } if *signed == trusted.signed => {
                Outcome::Refused(Refused::unusable(trusted, Reason::ShardMissing, error.to_string()))
            }
            _ => Outcome::Superseded,
        }
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

    /// Puts a generation in force, less what must be left out of it.
    async fn install(
        &mut self,
        trusted: &Arc<Trusted>,
        which: Which,
        shards: Vec<EncodedShard>,
    ) -> Result<(), NotInstalled> {
        let begun = Instant::now();
        let generation = which.of(&trusted.pointer).expect("shards were fetched for it").clone();
        let refused = |reason, sentence| NotInstalled {
            reason,
            sentence,
            damaged: None,
        };
        if !(OLDEST_READABLE_FORMAT..=self.settings.format_max).contains(&generation.format) {
            let sentence = format!(
                "snapshot format {} is not one that this data plane reads",
                generation.format
            );
            return Err(refused(Reason::Format, sentence));
        }
        let key = self.ring.get().and_then(|ring| ring.get(&generation.key_id));
        let Some(key) = key.map(Arc::clone) else {
            let sentence = format!(
                "the snapshot is sealed with key `{}`, which the key ring does not hold",
                generation.key_id
            );
            return Err(refused(Reason::UnknownKey, sentence));
        };
        let own = self.own.as_ref();
        let is_own = own.and_then(Own::generation).map(Floor::of) == Some(Floor::of(&generation));
        let installation = Installation {
            trusted: Arc::clone(trusted),
            which,
            shards,
            key,
            newest: self.newest.clone(),
            in_force: own.filter(|_| is_own).and_then(|own| own.in_force),
        };
        let (gateway, keep) = (Arc::clone(&self.gateway), self.keep.clone());
        let ran = tokio::task::spawn_blocking(move || installation.run(&gateway, &keep)).await;
        let installed = ran.unwrap_or_else(|error| {
            let sentence = format!("preparing the snapshot ended unexpectedly ({error}); please report this");
            Err(refused(Reason::Unservable, sentence))
        });
        match installed {
            Ok(Installed::Already) => {}
            Ok(Installed::Now(root)) => self.in_force(trusted, which, &generation, root, begun.elapsed()),
            Err(not) => {
                if let Some(damaged) = &not.damaged {
                    self.shards.remove(damaged);
                }
                return Err(not);
            }
        }
        Ok(())
    }

    fn in_force(
        &mut self,
        trusted: &Arc<Trusted>,
        which: Which,
        generation: &Generation,
        root: Digest,
        took: Duration,
    ) {
        tracing::info!(
            sequence = generation.sequence,
            version = %root,
            is_whole = root == generation.root,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "a published snapshot is in force"
        );
        if self.floor.is_none_or(|floor| floor.sequence <= generation.sequence) {
            self.floor = Some(Floor::of(generation));
        }
        self.own = Some(Own {
            trusted: Arc::clone(trusted),
            which,
            in_force: Some(root),
        });
        let newest = self.newest.as_ref().map(|newest| &newest.pointer.head);
        let needed: Vec<_> = newest.into_iter().chain([generation]).collect();
        self.shards.retain(&needed);
    }

    fn judge(&self, signed: &Signed) -> Result<Arc<Trusted>, Refused> {
        let ring = self.ring.get().expect("the start waits for a key ring");
        let rules = Rules {
            ring,
            installation: &self.settings.installation,
            format_max: self.settings.format_max,
            floor: self.floor,
        };
        judge(signed, &rules)
    }

    fn learn(&mut self, trusted: &Arc<Trusted>) {
        let sequence = trusted.pointer.head.sequence;
        let is_newest = self
            .newest
            .as_ref()
            .is_none_or(|newest| newest.pointer.head.sequence <= sequence);
        if is_newest {
            self.newest = Some(Arc::clone(trusted));
        }
    }

    fn is_in_force(&self, head: &Generation) -> bool {
        self.own.as_ref().is_some_and(|own| {
            own.in_force == Some(head.root) && own.generation().map(Floor::of) == Some(Floor::of(head))
        })
    }

    fn refuse(&mut self, refused: Refused) {
        self.metrics.refused(refused.reason.as_str());
        let is_known = self
            .refused
            .as_ref()
            .is_some_and(|known| (known.reason, &known.sentence) == (refused.reason, &refused.sentence));
        if !is_known {
            tracing::warn!(
                sequence = refused.named.map(|named| named.sequence),
                reason = refused.reason.as_str(),
                detail = refused.sentence,
                "a published snapshot is refused; the last good one stays in force"
            );
        }
        self.refused = Some(refused);
    }

    fn try_again_later(&mut self) {
        self.retry_at = Some(Instant::now() + self.backoff.after_failure(fastrand::f64()));
    }

    fn source(&self) -> String {
        format!("{}/{}", self.settings.snapshot_namespace, self.settings.snapshot_name)
    }

    /// Tells operator, operations and metrics how things stand.
    fn publish(&self) {
        let in_force = self
            .own
            .as_ref()
            .and_then(|own| Some((own.generation()?.sequence, own.in_force?)));
        let sequence = in_force.map(|(sequence, _)| sequence);
        let key_ids = self.ring.get().map(|ring| ring.ids()).unwrap_or_default();
        self.metrics
            .sequence
            .set(i64::try_from(sequence.unwrap_or(0)).unwrap_or(i64::MAX));
        self.metrics.is_refusing.set(self.refused.is_some().into());
        self.acks.send_if_modified(|ack| {
            let before = ack.clone();
            ack.serving = in_force.map(|(sequence, root)| Serving { sequence, root });
            ack.refused = self.refused.as_ref().map(Refused::to_ack);
            ack.key_ids.clone_from(&key_ids);
            *ack != before
        });
        let standing = Standing {
            is_kept_from_before: self.refused.is_some(),
            findings: Vec::new(),
            cluster: Some(ClusterStanding {
                source: self.source(),
                sequence,
                newest_sequence: self.newest.as_ref().map(|newest| newest.pointer.head.sequence),
                refused: self.refused.as_ref().map(|refused| RefusedStanding {
                    sequence: refused.named.map(|named| named.sequence),
                    reason: refused.reason.as_str(),
                    message: refused.sentence.clone(),
                }),
                key_ids,
            }),
        };
        self.standing.send_replace(Arc::new(standing));
    }
}

/// At that moment, or never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
