//! Tells people the truth: what was found, and who serves it. A status is written when it says something else than what
//! stands there, and never otherwise.
//!
//! What was compiled is remembered here as facts about each object; who serves it is looked up each time. So an
//! acknowledgement costs a comparison, not a compile. A publication, and a pod that has just come, are given a moment to be
//! acknowledged before anything is written about them, so that a change that settles is one write and not two, and a
//! rolling update is none.

pub(crate) mod claim;
mod facts;
pub(crate) mod fold;
pub(crate) mod judge;
pub(crate) mod kinds;
mod pass;
mod progress;
mod settling;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use headgate_compile::{Finding, ObjectRef, Resources};
use headgate_crds::condition::Condition;
use headgate_snapshot::Snapshot;
use jiff::Timestamp;

use super::ReconcileError;
use super::apply::Writer;
use super::guard::Hold;
use crate::args::Config;
use crate::events::Events;
use facts::Facts;
use fold::Readers;
use pass::{Pass, hash_of};
use progress::{Progress, Records};
use settling::Settling;
use write::{StatusWrite, Written};

/// Statuses that are written at once.
const WRITES_IN_FLIGHT: usize = 50;
/// For how long new writes are begun in one look, unless people change something before: ten thousand statuses take a
/// minute, and a key that is revoked meanwhile must not wait for them. What is left is found again by the next look.
const WRITE_SLICE: Duration = Duration::from_secs(5);
/// After a status could not be written.
const RETRY: Duration = Duration::from_secs(10);
/// Digests of records by their key.
pub(crate) type RecordDigests = BTreeMap<String, [u8; 32]>;

/// What a reconcile came to.
pub(crate) struct Reconciled<'a> {
    /// What was compiled.
    pub(crate) resources: &'a Resources,
    /// What was found.
    pub(crate) findings: &'a [Finding],
    /// What is published, held removals included.
    pub(crate) snapshot: &'a Snapshot,
    /// Its records.
    pub(crate) records: &'a RecordDigests,
    /// Under which sequence.
    pub(crate) sequence: u64,
    /// Whether it was published just now.
    pub(crate) is_new: bool,
    /// What is held.
    pub(crate) hold: Option<&'a Hold>,
    /// Objects that belong to another installation.
    pub(crate) rivals: BTreeSet<ObjectRef>,
}

/// Remembers what was compiled, and reports on it.
#[derive(Default)]
pub(crate) struct Reporter {
    facts: Facts,
    progress: Progress,
    /// Records that were published before this leader began; taken at its first reconcile.
    baseline: Option<RecordDigests>,
    rivals: BTreeSet<ObjectRef>,
    settling: Settling,
    /// What was written last about each object. The watch may lag behind.
    written: BTreeMap<ObjectRef, Said>,
    /// When the facts change though nothing happens.
    facts_end_at: Option<Timestamp>,
}

/// What was written about an object.
pub(crate) struct Said {
    /// In which version of it.
    version: u64,
    /// All of it, as a hash.
    hash: u64,
    /// Its conditions, until the watch shows them: what they were is what the next ones turn from.
    conditions: Vec<Condition>,
}

/// What a look at all objects came to.
pub(crate) struct Look {
    /// When there is something to do though nothing happens.
    pub(crate) wake_at: Option<Timestamp>,
    /// Whether it takes a reconcile: an object changed hands.
    pub(crate) needs_reconcile: bool,
}

impl Reporter {
    /// A reporter of a leader that found `baseline` published.
    pub(crate) fn new(baseline: RecordDigests) -> Self {
        Self {
            baseline: Some(baseline),
            ..Self::default()
        }
    }

    /// When the facts have to be made anew.
    pub(crate) fn facts_end_at(&self) -> Option<Timestamp> {
        self.facts_end_at
    }

    /// Takes in what a reconcile came to.
    pub(crate) fn take(&mut self, reconciled: Reconciled<'_>, config: &Config, now: Timestamp) {
        let baseline = self.baseline.take();
        self.facts = Facts::of(&reconciled, config, now);
        let Resources {
            providers,
            routes,
            keys,
            budgets,
            guardrails,
            ..
        } = reconciled.resources;
        let records = Records {
            now: reconciled.records,
            before: baseline.as_ref(),
        };
        let mut seen = Vec::new();
        records.look_at(providers, &mut seen);
        records.look_at(routes, &mut seen);
        records.look_at(keys, &mut seen);
        records.look_at(budgets, &mut seen);
        records.look_at(guardrails, &mut seen);
        self.progress.advance(seen, reconciled.sequence, now);
        self.rivals = reconciled.rivals;
        self.facts_end_at = facts::next_overlap_end(reconciled.resources, now);
        if reconciled.is_new {
            self.settling.begin(now);
        }
    }

    /// Looks at all objects as they are now, and writes what is not said yet, until a change of intent that is not
    /// `intent_seen` is more important.
    pub(crate) async fn report(
        &mut self,
        writer: &Writer<'_>,
        events: &Events,
        readers: &Readers,
        head_sequence: u64,
        intent_seen: u64,
        now: Timestamp,
    ) -> Result<Look, ReconcileError> {
        if let Some(until) = self.settling.wait(readers, head_sequence, now) {
            return Ok(Look {
                wake_at: Some(until),
                needs_reconcile: false,
            });
        }
        let resources = writer.world.resources();
        let mut pass = Pass::new(self, writer, readers, now);
        pass.look_at(&resources.providers, &self.facts.providers);
        pass.look_at(&resources.routes, &self.facts.routes);
        pass.look_at(&resources.keys, &self.facts.keys);
        pass.look_at(&resources.budgets, &self.facts.budgets);
        pass.look_at(&resources.guardrails, &self.facts.guardrails);
        pass.count();
        let Pass {
            writes,
            wake_at,
            needs_reconcile,
            present,
            ..
        } = pass;
        self.written.retain(|object, said| {
            let shown = present.get(object);
            if shown.is_some_and(|version| *version >= said.version) {
                said.conditions = Vec::new(); // the watch has them by now
            }
            shown.is_some()
        });
        let retry_at = self.write(writer, events, writes, intent_seen, now).await?;
        Ok(Look {
            wake_at: earliest([wake_at, retry_at]),
            needs_reconcile,
        })
    }

    /// Writes statuses, then tells what turned. One that cannot be written holds no other one up. Returns when to look
    /// again.
    async fn write(
        &mut self,
        writer: &Writer<'_>,
        events: &Events,
        mut writes: Vec<StatusWrite>,
        intent_seen: u64,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ReconcileError> {
        let mut turns = Vec::new();
        let mut has_failed = false;
        let mut unwritten = writes.len();
        // Whatever changed last is what somebody is looking at.
        writes.sort_by_key(|status| std::cmp::Reverse(status.changed_at));
        let running = writes.into_iter().map(|status| async move {
            let written = write::write(writer, &status, now).await;
            (status, written)
        });
        let mut changes = writer.world.changes();
        // What `wait_for` returns locks the channel, and the stream below would keep it: whoever tells the next change would
        // wait for these writes, on the thread that they need.
        let change = async { drop(changes.wait_for(|changes| changes.intent != intent_seen).await) };
        let slice = pin!(tokio::time::timeout(WRITE_SLICE, change));
        let mut running = stream::iter(running)
            .take_until(slice)
            .buffer_unordered(WRITES_IN_FLIGHT);
        while let Some((status, written)) = running.next().await {
            unwritten -= 1;
            match written {
                Ok(Written::Said { version, turns: turned }) => {
                    turns.extend(turned);
                    if let Some(since) = status.programmed_since {
                        let took = Timestamp::now().duration_since(since).as_secs_f64();
                        writer.metrics.programmed_seconds.observe(took.max(0.0));
                    }
                    let said = Said {
                        version: version.unwrap_or(0),
                        hash: hash_of(&status.status),
                        conditions: status.conditions,
                    };
                    self.written.insert(status.object, said);
                }
                Ok(Written::LeftToRival) => {
                    tracing::warn!(object = %status.object, "another installation reports on this object; it is left out");
                    has_failed = true;
                }
                Ok(Written::Gone) => {}
                Err(error @ ReconcileError::NotLeader) => return Err(error),
                Err(error) => {
                    tracing::warn!(object = %status.object, %error, "a status could not be written; it is tried again");
                    has_failed = true;
                }
            }
        }
        events.tell(turns).await;
        let retry_at = has_failed.then(|| now.saturating_add(RETRY).unwrap_or(Timestamp::MAX));
        Ok(if unwritten > 0 { Some(now) } else { retry_at })
    }
}

/// The earliest of some moments.
pub(crate) fn earliest(moments: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    moments.into_iter().flatten().min()
}
