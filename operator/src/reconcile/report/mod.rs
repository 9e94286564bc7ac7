//! Tells people the truth: what was found, and who serves it. A status is written when it says something else than what
//! stands there, and never otherwise.
//!
//! What was compiled is remembered here as facts about each object; who serves it is looked up each time. So an
//! acknowledgement costs a comparison, not a compile. A publication is given a moment to be acknowledged before anything
//! is written about it, so that a change that settles is one write and not two.

pub(crate) mod claim;
pub(crate) mod fold;
pub(crate) mod judge;
pub(crate) mod kinds;
pub(crate) mod progress;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use headgate_compile::{Finding, Kind, ObjectRef, Resources};
use headgate_crds::condition::{Condition, types};
use headgate_crds::{Budget, GuardrailPolicy, LLMProvider, RoutePolicy, VirtualKey};
use headgate_snapshot::{ObjectName, Snapshot};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::ReconcileError;
use super::apply::Writer;
use super::conditions::{self, INSTALLATION_CONFLICT, REMOVAL_HELD, Verdict};
use super::guard::Hold;
use super::hold;
use crate::args::Config;
use crate::events::{Events, Turn};
use fold::{Delivery, Readers};
use judge::{Judged, Known, Patience, Place, Standing};
use kinds::{Reported, Sources, name_of};
use progress::{Content, Progress, Seen};
use write::{StatusWrite, Written};

/// Statuses that are written at once.
const WRITES_IN_FLIGHT: usize = 50;
/// How long a publication may take to be acknowledged before it is reported as pending.
const SETTLE: Duration = Duration::from_secs(1);
/// After a status could not be written.
const RETRY: Duration = Duration::from_secs(10);
/// How often an object that belongs to another installation is looked at.
const RIVAL_RETRY: Duration = Duration::from_secs(60);

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
    /// Until when a publication may be acknowledged before it is reported.
    settling_until: Option<Timestamp>,
    /// What was written last, as a hash, and in which version of the object. The watch may lag behind.
    written: BTreeMap<ObjectRef, (u64, u64)>,
    /// When the facts change though nothing happens.
    facts_end_at: Option<Timestamp>,
}

/// What is known of each object, by kind.
#[derive(Default)]
struct Facts {
    providers: FactsOf<LLMProvider>,
    routes: FactsOf<RoutePolicy>,
    keys: FactsOf<VirtualKey>,
    budgets: FactsOf<Budget>,
    guardrails: FactsOf<GuardrailPolicy>,
}

type FactsOf<K> = BTreeMap<ObjectName, (Known, <K as Reported>::Status)>;

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
        let maker = FactMaker {
            sources: Sources::new(reconciled.resources, reconciled.snapshot, now),
            findings: by_object(reconciled.findings),
            hold: reconciled.hold,
            approval_line: reconciled.hold.map(|hold| hold::approval_line(hold, config)),
        };
        let Resources {
            providers,
            routes,
            keys,
            budgets,
            guardrails,
            ..
        } = reconciled.resources;
        self.facts = Facts {
            providers: maker.facts(providers),
            routes: maker.facts(routes),
            keys: maker.facts(keys),
            budgets: maker.facts(budgets),
            guardrails: maker.facts(guardrails),
        };
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
        self.progress
            .advance(seen.iter().map(OwnedSeen::borrow), reconciled.sequence, now);
        self.rivals = reconciled.rivals;
        self.facts_end_at = next_overlap_end(reconciled.resources, now);
        if reconciled.is_new {
            self.settling_until
                .get_or_insert(now.saturating_add(SETTLE).unwrap_or(now));
        }
    }

    /// Looks at all objects as they are now, and writes what is not said yet.
    pub(crate) async fn report(
        &mut self,
        writer: &Writer<'_>,
        events: &Events,
        readers: &Readers,
        head_sequence: u64,
        now: Timestamp,
    ) -> Result<Look, ReconcileError> {
        if let Some(until) = self.settling_until {
            let is_refused = readers.ready.iter().any(|reader| reader.refuses.is_some());
            if now < until && !is_refused && !readers.all_serve(head_sequence) {
                return Ok(Look {
                    wake_at: Some(until),
                    needs_reconcile: false,
                });
            }
            self.settling_until = None;
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
        self.written.retain(|object, _| present.contains(object));
        let retry_at = self.write(writer, events, writes, now).await?;
        Ok(Look {
            wake_at: earliest([wake_at, retry_at]),
            needs_reconcile,
        })
    }

    /// Writes statuses, then tells what turned. One that cannot be written holds no other one up.
    async fn write(
        &mut self,
        writer: &Writer<'_>,
        events: &Events,
        writes: Vec<StatusWrite>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, ReconcileError> {
        let mut turns = Vec::new();
        let mut has_failed = false;
        let running = writes.into_iter().map(|status| async move {
            let written = write::write(writer, &status, now).await;
            (status, written)
        });
        let mut running = stream::iter(running).buffer_unordered(WRITES_IN_FLIGHT);
        while let Some((status, written)) = running.next().await {
            match written {
                Ok(Written::Said { version, turns: turned }) => {
                    turns.extend(turned);
                    if let Some(since) = status.programmed_since {
                        let took = Timestamp::now().duration_since(since).as_secs_f64();
                        writer.metrics.programmed_seconds.observe(took.max(0.0));
                    }
                    let hash = hash_of(&status.status);
                    self.written.insert(status.object, (version.unwrap_or(0), hash));
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
        Ok(has_failed.then(|| now.saturating_add(RETRY).unwrap_or(Timestamp::MAX)))
    }
}

/// The earliest of some moments.
pub(crate) fn earliest(moments: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    moments.into_iter().flatten().min()
}

fn by_object(findings: &[Finding]) -> BTreeMap<&ObjectRef, Vec<&Finding>> {
    let mut map: BTreeMap<&ObjectRef, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        map.entry(&finding.object).or_default().push(finding);
    }
    map
}

/// When the next previous token of a generated key stops working.
fn next_overlap_end(resources: &Resources, now: Timestamp) -> Option<Timestamp> {
    let ends = resources
        .secrets
        .values()
        .filter_map(|secret| secret.previous_not_after);
    let ends = ends.filter_map(|second| Timestamp::from_second(second).ok());
    ends.filter(|end| *end > now).min()
}

/// Makes facts of what was compiled.
struct FactMaker<'a> {
    sources: Sources<'a>,
    findings: BTreeMap<&'a ObjectRef, Vec<&'a Finding>>,
    hold: Option<&'a Hold>,
    approval_line: Option<String>,
}

impl FactMaker<'_> {
    fn facts<K: Reported>(&self, objects: &[Arc<K>]) -> FactsOf<K> {
        let facts = objects.iter().map(|object| {
            let name = name_of(object.as_ref());
            let known = self.known(object.as_ref(), &name);
            (name, (known, object.fields(&self.sources)))
        });
        facts.collect()
    }

    fn known<K: Reported>(&self, object: &K, name: &ObjectName) -> Known {
        let found = self.findings.get(&ObjectRef::new(K::KIND, name));
        let (accepted, resolved) = judge::from_findings(found.map_or(&[], Vec::as_slice));
        let is_held = self.hold.is_some_and(|hold| match K::KIND {
            Kind::VirtualKey => hold.removals.callers.contains(name),
            Kind::RoutePolicy => hold.removals.routes.contains(name),
            _ => false,
        });
        let place = match K::is_published(name, self.sources.snapshot) {
            _ if is_held => Place::Held,
            Some(false) => Place::LeftOut,
            // What has no record is in force unless it makes no sense.
            None if !accepted.is_true => Place::LeftOut,
            Some(true) | None => Place::Published,
        };
        Known {
            accepted,
            resolved,
            place,
            is_suspended: object.is_suspended(),
            expires_at: object.expires_at(),
            approval_line: self.approval_line.clone().filter(|_| is_held),
        }
    }
}

/// Published records, now and before this leader began.
struct Records<'a> {
    now: &'a RecordDigests,
    before: Option<&'a RecordDigests>,
}

/// [`Seen`], with a name of its own.
struct OwnedSeen {
    object: ObjectRef,
    uid: String,
    generation: i64,
    content: Content,
    was_served: bool,
}

impl OwnedSeen {
    fn borrow(&self) -> Seen<'_> {
        Seen {
            object: &self.object,
            uid: &self.uid,
            generation: self.generation,
            content: self.content,
            was_served: self.was_served,
        }
    }
}

impl Records<'_> {
    fn look_at<K: Reported>(&self, objects: &[Arc<K>], seen: &mut Vec<OwnedSeen>) {
        seen.extend(objects.iter().map(|object| {
            let name = name_of(object.as_ref());
            let meta = object.meta();
            let generation = meta.generation.unwrap_or(0);
            let content = content(K::KIND, &name, self.now);
            let is_same = self
                .before
                .is_some_and(|before| self::content(K::KIND, &name, before) == content);
            let said = conditions::find(object.conditions(), types::PROGRAMMED);
            OwnedSeen {
                object: ObjectRef::new(K::KIND, &name),
                uid: meta.uid.clone().unwrap_or_default(),
                generation,
                content,
                was_served: is_same
                    && said.is_some_and(|said| said.status == "True" && said.observed_generation == Some(generation)),
            }
        }));
    }
}

/// A digest over all records of one object.
fn content(kind: Kind, name: &ObjectName, records: &RecordDigests) -> Content {
    let own = match kind {
        Kind::LLMProvider => format!("provider/{name}"),
        Kind::RoutePolicy => format!("route/{name}"),
        Kind::VirtualKey => format!("caller/{name}"),
        _ => return None,
    };
    let own = records.get(&own)?;
    if kind != Kind::LLMProvider {
        return Some(*own);
    }
    let prefix = format!("credential/{name}/");
    let credentials = records
        .range(prefix.clone()..)
        .take_while(|(key, _)| key.starts_with(&prefix));
    let mut digest = Sha256::new_with_prefix(own);
    for (_, credential) in credentials {
        digest.update(credential);
    }
    Some(digest.finalize().into())
}

/// One look at all objects.
struct Pass<'a> {
    progress: &'a Progress,
    rivals: &'a BTreeSet<ObjectRef>,
    written: &'a BTreeMap<ObjectRef, (u64, u64)>,
    writer: &'a Writer<'a>,
    readers: &'a Readers,
    deliveries: BTreeMap<u64, Delivery>,
    patience: Patience,
    now: Timestamp,
    writes: Vec<StatusWrite>,
    present: BTreeSet<ObjectRef>,
    standings: BTreeMap<(Kind, Standing), i64>,
    wake_at: Option<Timestamp>,
    needs_reconcile: bool,
}

impl<'a> Pass<'a> {
    fn new(reporter: &'a Reporter, writer: &'a Writer<'a>, readers: &'a Readers, now: Timestamp) -> Self {
        Self {
            progress: &reporter.progress,
            rivals: &reporter.rivals,
            written: &reporter.written,
            writer,
            readers,
            deliveries: BTreeMap::new(),
            patience: Patience {
                with_references: writer.config.reference_grace,
                with_data_planes: writer.config.lag_grace,
            },
            now,
            writes: Vec::new(),
            present: BTreeSet::new(),
            standings: BTreeMap::new(),
            wake_at: None,
            needs_reconcile: false,
        }
    }

    fn wake(&mut self, at: Option<Timestamp>) {
        self.wake_at = earliest([self.wake_at, at]);
    }

    fn look_at<K: Reported>(&mut self, objects: &[Arc<K>], facts: &FactsOf<K>) {
        for standing in Standing::ALL {
            self.standings.insert((K::KIND, standing), 0);
        }
        for object in objects {
            let name = name_of(object.as_ref());
            let key = ObjectRef::new(K::KIND, &name);
            let rival = claim::rival(object.meta(), object.conditions(), self.writer.config);
            // What changed hands since it was compiled is compiled again first.
            self.needs_reconcile |= rival.is_some() != self.rivals.contains(&key);
            if let Some(rival) = rival {
                self.leave_to(rival, object.as_ref(), &key);
            } else if let Some((known, fields)) = facts.get(&name) {
                self.look_at_one(object.as_ref(), &key, known, fields);
            }
            self.present.insert(key);
        }
    }

    /// An object of another installation: that is said, and nothing else.
    fn leave_to<K: Reported>(&mut self, rival: &str, object: &K, key: &ObjectRef) {
        self.wake(self.now.saturating_add(RIVAL_RETRY).ok());
        let meta = object.meta();
        let generation = meta.generation.unwrap_or(0);
        let said = claim::verdict(rival, self.writer.config).onto(object.conditions(), generation, self.now);
        if conditions::find(object.conditions(), INSTALLATION_CONFLICT) == Some(&said) {
            return;
        }
        let status = serde_json::json!({"conditions": [said]});
        self.push(object, key, status, Vec::new(), None);
    }

    fn look_at_one<K: Reported>(&mut self, object: &K, key: &ObjectRef, known: &Known, fields: &K::Status) {
        let meta = object.meta();
        let (uid, generation) = (meta.uid.as_deref().unwrap_or_default(), meta.generation.unwrap_or(0));
        // One that is newer than what was compiled waits for that; the change is on its way.
        let Some(need) = self.progress.of(key, uid, generation) else {
            return;
        };
        let readers = self.readers;
        let delivery = self
            .deliveries
            .entry(need.sequence)
            .or_insert_with(|| fold::delivery(readers, need.sequence));
        let existing = object.conditions();
        let judged = judge::judge(known, delivery, need.since, existing, self.patience, self.now);
        let Judged {
            verdicts,
            standing,
            wake_at,
        } = judged;
        self.wake(wake_at);
        *self.standings.entry((K::KIND, standing)).or_default() += 1;
        let turns = turns(existing, &verdicts, key, uid);
        let is_served_now = verdicts
            .iter()
            .any(|verdict| verdict.type_ == types::PROGRAMMED && verdict.is_true)
            && !conditions::find(existing, types::PROGRAMMED)
                .is_some_and(|said| said.status == "True" && said.observed_generation == Some(generation));
        let conditions: Vec<Condition> = verdicts
            .into_iter()
            .map(|verdict| verdict.onto(existing, generation, self.now))
            .collect();
        let is_said = object.status().is_some_and(|status| K::ours(status) == *fields)
            && conditions::are_said(existing, &conditions);
        if is_said {
            return;
        }
        let status = serde_json::to_value(K::with(fields.clone(), conditions)).expect("plain data is always JSON");
        self.push(object, key, status, turns, is_served_now.then_some(need.since));
    }

    /// Plans a write, unless it was just written and the watch does not show it yet, or it says all that we can make it say.
    fn push<K: Reported>(
        &mut self,
        object: &K,
        key: &ObjectRef,
        status: serde_json::Value,
        turns: Vec<Turn>,
        programmed_since: Option<Timestamp>,
    ) {
        let meta = object.meta();
        let version: u64 = meta
            .resource_version
            .as_ref()
            .and_then(|version| version.parse().ok())
            .unwrap_or(0);
        if let Some((written_version, hash)) = self.written.get(key)
            && version <= *written_version
            && *hash == hash_of(&status)
        {
            return;
        }
        self.writes.push(StatusWrite {
            object: key.clone(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or(0),
            status,
            existing: object.conditions().to_vec(),
            turns,
            programmed_since,
        });
    }

    fn count(&self) {
        for ((kind, standing), count) in &self.standings {
            let gauge = self
                .writer
                .metrics
                .objects
                .with_label_values(&[kind.to_string().as_str(), standing.as_str()]);
            gauge.set(*count);
        }
    }
}

/// Warnings and recoveries. Whatever hits every object at once (a data plane that lags) is no event of each of them.
fn turns(existing: &[Condition], verdicts: &[Verdict], object: &ObjectRef, uid: &str) -> Vec<Turn> {
    let turn = |is_warning, reason, note: &str| Turn {
        object: write::reference(object, uid),
        is_warning,
        reason,
        note: note.to_owned(),
    };
    let mut turns = Vec::new();
    for verdict in verdicts {
        let before = conditions::find(existing, verdict.type_);
        let was_false = before.is_some_and(|before| before.status == "False");
        let is_for_better = [types::ACCEPTED, types::RESOLVED_REFS].contains(&verdict.type_);
        if is_for_better && !verdict.is_true && before.is_none_or(|before| before.reason != verdict.reason) {
            turns.push(turn(true, verdict.reason, &verdict.message));
        } else if is_for_better && verdict.is_true && was_false {
            turns.push(turn(false, verdict.reason, &verdict.message));
        }
        let is_for_worse = [types::EXPIRED, REMOVAL_HELD].contains(&verdict.type_);
        if is_for_worse && verdict.is_true && before.is_none() {
            turns.push(turn(true, verdict.type_, &verdict.message));
        }
    }
    turns
}

fn hash_of(status: &serde_json::Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    status.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectRef {
        ObjectRef::new(Kind::VirtualKey, &ObjectName::new("team", "k"))
    }

    fn said(type_: &'static str, is_true: bool, reason: &'static str) -> Condition {
        Verdict::new(type_, is_true, reason, "").onto(&[], 1, Timestamp::UNIX_EPOCH)
    }

    fn told(existing: &[Condition], verdict: Verdict) -> Vec<(bool, &'static str)> {
        let turns = turns(existing, &[verdict], &object(), "u");
        turns.into_iter().map(|turn| (turn.is_warning, turn.reason)).collect()
    }

    #[test]
    fn an_event_tells_that_something_turned_and_never_that_it_stays() {
        let bad = |reason| Verdict::new(types::RESOLVED_REFS, false, reason, "do this");
        let good = || Verdict::new(types::RESOLVED_REFS, true, "ResolvedRefs", "fine");
        assert_eq!(told(&[], bad("RefNotFound")), [(true, "RefNotFound")]);
        let before = [said(types::RESOLVED_REFS, false, "RefNotFound")];
        assert_eq!(told(&before, bad("RefNotFound")), []);
        assert_eq!(told(&before, bad("SecretKeyMissing")), [(true, "SecretKeyMissing")]);
        assert_eq!(told(&before, good()), [(false, "ResolvedRefs")]);
        assert_eq!(told(&[], good()), [], "nothing was ever wrong");
    }

    #[test]
    fn a_data_plane_that_lags_is_no_event_of_every_object() {
        let lagging = Verdict::new(types::PROGRAMMED, false, "PartiallyProgrammed", "");
        assert_eq!(told(&[said(types::PROGRAMMED, true, "Programmed")], lagging), []);
    }

    #[test]
    fn expiry_is_told_once_and_suspension_is_what_people_asked_for() {
        assert_eq!(
            told(&[], Verdict::new(types::EXPIRED, true, "Expired", "")),
            [(true, "Expired")]
        );
        assert_eq!(
            told(
                &[said(types::EXPIRED, true, "Expired")],
                Verdict::new(types::EXPIRED, true, "Expired", "")
            ),
            []
        );
        assert_eq!(told(&[], Verdict::new(types::SUSPENDED, true, "Suspended", "")), []);
    }

    #[test]
    fn the_content_of_a_provider_is_its_record_and_its_credentials() {
        let name = ObjectName::new("team", "p");
        let mut records = RecordDigests::from([("provider/team/p".to_owned(), [1; 32])]);
        let bare = content(Kind::LLMProvider, &name, &records);
        records.insert("credential/team/p/credential".to_owned(), [2; 32]);
        let sealed = content(Kind::LLMProvider, &name, &records);
        records.insert("credential/team/p2/credential".to_owned(), [3; 32]);
        assert_ne!(bare, sealed);
        assert_eq!(
            content(Kind::LLMProvider, &name, &records),
            sealed,
            "another provider's"
        );
        assert_eq!(content(Kind::VirtualKey, &name, &records), None);
    }
}
