//! What the operator does whenever something matters, whole, and always in this order:
//!
//! 1. **observe**: the sealing keys, the pointer as it is, what data planes can read.
//! 2. **compile**: all resources. What a compile looks up is fetched, keys that are asked for are minted, and it is
//!    compiled again until nothing is new.
//! 3. **guard**: removals that would take too much away at once are held. Pure.
//! 4. **build**: what to write, if anything. Pure.
//! 5. **apply**: shards, then the pointer. Dumb.
//! 6. **report**: what was found, and who really serves it. Honest.
//!
//! No step asks what changed, and none remembers anything that it could not find out again: another operator that begins
//! here with empty hands comes to the same. What is kept in memory is there to write less.

pub(crate) mod apply;
mod build;
mod compilation;
pub(crate) mod conditions;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod guard;
mod hold;
mod measure;
mod publication;
mod readers;
mod removed;
mod report;
pub mod ring;
mod sweep;
mod unpublished;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_snapshot::delivery::KeyRing;
use headgate_snapshot::record::records_of;
use headgate_snapshot::{SealingKey, Snapshot};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;

use crate::args::Config;
use crate::events::{Events, Turn};
use crate::keys::{self, OwnWrites};
use crate::metrics::Metrics;
use crate::world::World;
use apply::Writer;
use build::{Before, Built};
use compilation::Compilation;
use guard::{Hold, Removals, recent::Recent};
use hold::News;
use publication::Publication;
use readers::Readers;
use report::{Reconciled, RecordDigests, Reporter, earliest, fold};
use sweep::Shelf;
use unpublished::{NOT_PUBLISHING, Unpublished};

pub use error::ReconcileError;

/// How often a compile may ask for more Secrets. What it looks up depends on the objects, not on what is in Secrets, so
/// the second round is the last; the bound is for what changes meanwhile, which is an event of its own.
const FETCH_ROUNDS_MAX: usize = 4;
/// After a generated key could not be written.
const KEYS_RETRY: Duration = Duration::from_secs(10);

/// What a reconcile or a report leaves to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The next moment at which there is something to do though nothing happens.
    pub wake_at: Option<Timestamp>,
}

/// Reconciles, for as long as one leadership lasts.
pub struct Reconciler {
    client: Client,
    config: Arc<Config>,
    world: Arc<World>,
    metrics: Arc<Metrics>,
    events: Events,
    publication: Publication,
    /// `None`: it has to be listed.
    shelf: Option<Shelf>,
    own_writes: OwnWrites,
    recent: Recent,
    reporter: Reporter,
    unpublished: Unpublished,
    /// The approval of other removals than those that are held, as it was last told.
    misdirected: Option<String>,
    /// As of the last reconcile.
    last: Option<Last>,
    /// Refusals that are known: each may mean that a shard was lost, so a new one makes us look.
    refusals: BTreeSet<(String, String)>,
    reconcile_at: Option<Timestamp>,
}

/// What the last reconcile chose.
struct Last {
    ring: KeyRing,
    is_holding: bool,
}

/// What there is before anything is decided.
struct Observed {
    ring: KeyRing,
    before: Before,
    approval: Option<String>,
    format: u32,
    key: Arc<SealingKey>,
    served_by_all: Option<u64>,
}

impl Reconciler {
    /// One that knows nothing yet.
    pub fn new(client: Client, config: Arc<Config>, world: Arc<World>, metrics: Arc<Metrics>) -> Self {
        Self {
            events: Events::new(client.clone(), &config),
            client,
            config,
            world,
            metrics,
            publication: Publication::unknown(),
            shelf: None,
            own_writes: OwnWrites::default(),
            recent: Recent::default(),
            reporter: Reporter::default(),
            unpublished: Unpublished::default(),
            misdirected: None,
            last: None,
            refusals: BTreeSet::new(),
            reconcile_at: None,
        }
    }

    /// Finds out what is published, once, before the first reconcile of a leadership.
    pub async fn take_over(&mut self) -> Result<(), ReconcileError> {
        let now = Timestamp::now();
        let observed = self.observe(now).await;
        let observed = self.noted(observed, now).await?;
        let published = observed.before.head.and_then(|head| head.content);
        self.reporter = Reporter::new(published.map(|snapshot| digests_of(&snapshot)).unwrap_or_default());
        Ok(())
    }

    /// All six steps.
    pub async fn reconcile(&mut self, now: Timestamp) -> Result<Outcome, ReconcileError> {
        let intent_seen = self.intent();
        let published = self.publish(now).await;
        self.noted(published, now).await?;
        self.look(intent_seen, now).await
    }

    /// All but the last.
    async fn publish(&mut self, now: Timestamp) -> Result<(), ReconcileError> {
        let observed = self.observe(now).await?;
        let compilation = self.compile(&observed, now).await?;
        let (compilation, built) = self.build(&observed, compilation, now).await?;
        let news = self.apply(&observed, &built, now).await?;
        self.log_hold(&news, built.hold.as_ref(), observed.approval.as_deref());
        self.take(&observed, compilation, built, now);
        let turns: Vec<_> = news.into_iter().map(|news| self.turn_of(news)).collect();
        self.events.tell(turns).await;
        Ok(())
    }

    /// Tells people about a failure that one of them has to mend, and passes on what came of it.
    async fn noted<T>(&mut self, done: Result<T, ReconcileError>, now: Timestamp) -> Result<T, ReconcileError> {
        let Some(error) = done.as_ref().err().filter(|error| error.asks_for_a_person()) else {
            return done;
        };
        self.metrics.not_publishing.set(1);
        let object = self.publication.object.clone();
        let unsaid = self.unpublished.fail(error, object.as_ref(), now);
        if let Some(note) = unsaid.event {
            self.events.tell(vec![self.turn_of(News::NotPublishing(note))]).await;
        }
        if let (Some(object), Some(text)) = (&object, &unsaid.text) {
            match self.writer().pointer_status(object, text).await {
                Ok(object) => self.publication.object = Some(object),
                Err(error) => {
                    self.publication.distrust();
                    tracing::warn!(%error, "the pointer cannot tell that nothing is published; it is tried again");
                }
            }
        }
        done
    }

    /// The last step alone: acknowledgements or time moved. If more than that is due, all of them.
    pub async fn report(&mut self, now: Timestamp) -> Result<Outcome, ReconcileError> {
        if self.is_reconcile_due(now) {
            return self.reconcile(now).await;
        }
        self.look(self.intent(), now).await
    }

    /// Changes of intent so far: whether there are more, by the end of a step, tells whether to hurry.
    fn intent(&self) -> u64 {
        self.world.changes().borrow().intent
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            client: &self.client,
            config: &self.config,
            world: &self.world,
            metrics: &self.metrics,
        }
    }

    // 1. observe

    async fn observe(&mut self, now: Timestamp) -> Result<Observed, ReconcileError> {
        let seen = self.world.pointer();
        self.publication
            .read(&self.client, &self.config, seen.as_deref())
            .await?;
        let is_published = self.publication.object.is_some();
        let ring = ring::read_or_create(&self.client, &self.config, &self.world, is_published).await?;
        let data_planes = self.world.data_planes();
        let readers = Readers::of(&data_planes, &self.config.installation, now);
        let acknowledged = readers.highest_acknowledged();
        let before = self
            .publication
            .judge(&self.client, &self.config, &ring, acknowledged)
            .await?;
        if self.shelf.is_none() {
            self.shelf = Some(Shelf::list(&self.client, &self.config).await?);
        }
        if let Some(format) = readers.unreachable_format() {
            tracing::warn!(
                format,
                "a data plane reads only a format that this operator does not write; upgrade it"
            );
        }
        let in_use = before.head.as_ref().map(|head| head.pointer.head.key_id.as_str());
        Ok(Observed {
            key: Arc::clone(readers.key(&ring, in_use)),
            format: readers.format(self.config.format_max),
            served_by_all: readers.served_by_all(),
            approval: self
                .publication
                .object
                .as_ref()
                .and_then(|object| object.approval.clone()),
            before,
            ring,
        })
    }

    // 2. compile

    async fn compile(&mut self, observed: &Observed, now: Timestamp) -> Result<Compilation, ReconcileError> {
        let mut compilation = self.compile_once(&observed.key, now).await?;
        for _ in 0..FETCH_ROUNDS_MAX {
            let named = compilation.named_secrets();
            let fetched = self.world.fetch_secrets(&named).await;
            if !fetched.map_err(ReconcileError::kube("read the secrets that objects name"))? {
                break;
            }
            compilation = self.compile_once(&observed.key, now).await?;
        }
        let mut own_writes = std::mem::take(&mut self.own_writes);
        let provided = keys::provide(&self.writer(), &compilation.resources, &mut own_writes, now).await;
        self.own_writes = own_writes;
        let provided = provided?;
        if provided.written > 0 {
            compilation = self.compile_once(&observed.key, now).await?;
        }
        compilation.keys = provided;
        Ok(compilation)
    }

    async fn compile_once(&mut self, key: &Arc<SealingKey>, now: Timestamp) -> Result<Compilation, ReconcileError> {
        let started = Instant::now();
        let mut resources = self.world.resources();
        self.own_writes.lay_over(&mut resources, now);
        let (config, key) = (Arc::clone(&self.config), Arc::clone(key));
        let compilation = blocking(move || Compilation::of(resources, &config, &key)).await?;
        self.metrics.compile_seconds.observe(started.elapsed().as_secs_f64());
        Ok(compilation)
    }

    // 3. guard, 4. build

    async fn build(
        &self,
        observed: &Observed,
        mut compilation: Compilation,
        now: Timestamp,
    ) -> Result<(Compilation, Built), ReconcileError> {
        let given = build::Given {
            config: Arc::clone(&self.config),
            ring: observed.ring.clone(),
            before: observed.before.clone(),
            key: Arc::clone(&observed.key),
            recent: self.recent.at(now),
            approval: observed.approval.clone(),
            format: observed.format,
            served_by_all: observed.served_by_all,
            now,
        };
        blocking(move || {
            let built = build::decide(given, &mut compilation)?;
            Ok((compilation, built))
        })
        .await?
    }

    // 5. apply

    async fn apply(&mut self, observed: &Observed, built: &Built, now: Timestamp) -> Result<Vec<News>, ReconcileError> {
        let mut shelf = self.shelf.take().unwrap_or_default();
        let written = self
            .writer()
            .shards(&built.plan.shards, built.plan.head.format, &mut shelf)
            .await;
        self.shelf = Some(shelf);
        written?;
        let object = self.publication.object.clone();
        let said = object.as_ref().and_then(|object| object.status.as_deref());
        let told = hold::told(said, built.hold.as_ref(), &self.config, now);
        let written = match (&built.plan.pointer, &object) {
            (Some(pointer), object) => {
                let signed = pointer.sign(&built.key);
                let written = self
                    .writer()
                    .pointer(object.as_ref(), pointer, &signed, &told.text, built.hold.is_some())
                    .await;
                written.map(|object| {
                    let content = Arc::new(built.snapshot.clone());
                    self.publication.wrote(object, pointer.clone(), signed, content);
                })
            }
            (None, Some(object)) if said != Some(told.text.as_str()) => {
                let written = self.writer().pointer_status(object, &told.text).await;
                written.map(|object| self.publication.object = Some(object))
            }
            (None, _) => Ok(()),
        };
        if matches!(written, Err(ReconcileError::Moved { .. })) {
            self.publication.distrust();
        }
        written?;
        if observed.before.head.as_ref().is_some_and(|head| head.content.is_none()) {
            self.publication.restored(Arc::new(built.snapshot.clone()));
        }
        if let (Some(head), Some(shelf)) = (self.publication.head(), &mut self.shelf) {
            shelf.count(&head.pointer, now);
        }
        self.metrics.not_publishing.set(0);
        let recovered = self.unpublished.recover(said).then_some(News::Publishing);
        Ok(recovered.into_iter().chain(told.news).collect())
    }

    // 6. report

    /// Hands what was decided to the reporter.
    fn take(&mut self, observed: &Observed, compilation: Compilation, built: Built, now: Timestamp) {
        let Built {
            plan, snapshot, hold, ..
        } = built;
        measure::publication(&self.metrics, &plan, hold.as_ref());
        let published = observed.before.head.as_ref().and_then(|head| head.content.as_deref());
        if let (Some(_), Some(published)) = (&plan.pointer, published) {
            if hold.is_none() && observed.approval.is_some() {
                self.recent.forget();
            } else {
                self.recent.note(Removals::between(published, &snapshot), now);
            }
        }
        self.last = Some(Last {
            ring: observed.ring.clone(),
            is_holding: hold.is_some(),
        });
        let keys = compilation.keys;
        let reconciled = Reconciled {
            resources: &compilation.resources,
            findings: &compilation.compiled.findings,
            snapshot: &snapshot,
            records: &plan.records,
            sequence: plan.head.sequence,
            is_new: plan.pointer.is_some(),
            hold: hold.as_ref(),
            rivals: compilation.rivals,
        };
        self.reporter.take(reconciled, &self.config, now);
        let retry_at = match keys {
            keys::Outcome { left: 1.., .. } => Some(now),
            keys::Outcome { failed: 1.., .. } => now.saturating_add(KEYS_RETRY).ok(),
            keys::Outcome { .. } => None,
        };
        self.reconcile_at = earliest([self.reporter.facts_end_at(), retry_at]);
    }

    /// Looks at who serves what, reports it, and clears away what nobody needs any more.
    async fn look(&mut self, intent_seen: u64, now: Timestamp) -> Result<Outcome, ReconcileError> {
        let data_planes = self.world.data_planes();
        let head = self.publication.head().map(|head| head.pointer.head.clone());
        let readers = fold::Readers::of(&data_planes, &self.config.installation, head.as_ref(), now);
        let sequence = head.as_ref().map_or(0, |head| head.sequence);
        measure::readers(&self.metrics, &readers, sequence);
        self.note_refusals(&readers, now);
        let mut reporter = std::mem::take(&mut self.reporter);
        let reported = reporter
            .report(&self.writer(), &self.events, &readers, sequence, intent_seen, now)
            .await;
        self.reporter = reporter;
        let reported = reported?;
        if reported.needs_reconcile {
            self.reconcile_at = Some(now);
        }
        let mut shelf = self.shelf.take();
        let swept = if let Some(shelf) = &mut shelf {
            sweep::shards(&self.writer(), shelf, now).await
        } else {
            Ok(())
        };
        let shards_due = shelf.as_ref().and_then(|shelf| shelf.next_due(self.config.shard_grace));
        self.shelf = shelf;
        swept?;
        sweep::leases(&self.writer(), &data_planes, now).await?;
        Ok(Outcome {
            wake_at: earliest([
                reported.wake_at,
                self.reconcile_at,
                shards_due,
                sweep::next_lease_due(&data_planes).filter(|at| *at > now),
            ]),
        })
    }

    /// Whether a report is not enough: the facts are out of date, or the readers can take something else by now.
    fn is_reconcile_due(&self, now: Timestamp) -> bool {
        if self.reconcile_at.is_some_and(|at| at <= now) {
            return true;
        }
        let (Some(Last { ring, is_holding }), Some(head)) = (&self.last, self.publication.head()) else {
            return false;
        };
        let head = &head.pointer.head;
        let data_planes = self.world.data_planes();
        let readers = Readers::of(&data_planes, &self.config.installation, now);
        readers.format(self.config.format_max) != head.format
            || (!is_holding && readers.key(ring, Some(&head.key_id)).id() != head.key_id)
    }

    /// A data plane that refuses what is published may miss a shard that somebody deleted: all of them are looked at.
    fn note_refusals(&mut self, readers: &fold::Readers, now: Timestamp) {
        let ready = readers.ready.iter();
        let refusals = ready.filter_map(|reader| Some((reader.name.clone(), reader.refuses.as_ref()?.reason.clone())));
        let refusals: BTreeSet<_> = refusals.chain(readers.refused_aside.clone()).collect();
        for (pod, reason) in refusals.difference(&self.refusals) {
            tracing::error!(pod, reason, "a data plane refuses the published snapshot");
            self.shelf = None;
            self.reconcile_at = Some(now);
        }
        self.refusals = refusals;
    }

    /// Says in the log what becomes of held removals, each turn once.
    fn log_hold(&mut self, news: &[News], hold: Option<&Hold>, approval: Option<&str>) {
        for news in news {
            match news {
                News::Held(message) => tracing::warn!(message, "removals are held"),
                News::Released(held) if held.is_some() && held.as_deref() == approval.map(str::trim) => {
                    tracing::info!(approval, "the held removals were approved and are published");
                }
                News::Released(held) => tracing::info!(held, "no removals are held any more"),
                News::NotPublishing(_) | News::Publishing => {}
            }
        }
        let misdirected = hold::misdirected(hold, approval).map(str::to_owned);
        if let (Some(approval), Some(hold)) = (&misdirected, hold)
            && self.misdirected != misdirected
        {
            tracing::warn!(
                approval,
                wanted = hold.approval,
                "the approval names other removals than those that are held, and lets nothing through"
            );
        }
        self.misdirected = misdirected;
    }

    fn turn_of(&self, news: News) -> Turn {
        let (is_warning, reason, note) = match news {
            News::Held(message) => (true, "RemovalsHeld", message),
            News::Released(_) => (false, "RemovalsReleased", "every removal is published".to_owned()),
            News::NotPublishing(message) => (true, NOT_PUBLISHING, message),
            News::Publishing => (false, "Publishing", "what changes is published again".to_owned()),
        };
        Turn {
            object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("ConfigMap".to_owned()),
                namespace: Some(self.config.snapshot_namespace.clone()),
                name: Some(self.config.snapshot_name.clone()),
                uid: self.publication.object.as_ref().map(|object| object.uid.clone()),
                ..ObjectReference::default()
            },
            is_warning,
            reason,
            note,
        }
    }
}

/// Runs what takes longer than a request may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReconcileError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ReconcileError::Panicked)
}

/// Digests of all records, by their key.
fn digests_of(snapshot: &Snapshot) -> RecordDigests {
    let records = records_of(snapshot).into_iter();
    records
        .map(|record| (record.key.to_string(), record.digest()))
        .collect()
}
