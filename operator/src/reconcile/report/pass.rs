//! One look at all objects: what each of them should say, which of them say something else, and what turns with it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use headgate_compile::{Kind, ObjectRef};
use headgate_crds::condition::{Condition, types};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::apply::Writer;
use super::super::conditions::{self, INSTALLATION_CONFLICT, REMOVAL_HELD, Verdict};
use super::facts::FactsOf;
use super::fold::{self, Delivery, Readers};
use super::judge::{self, Judged, Known, Patience, Standing};
use super::kinds::{Reported, name_of};
use super::progress::Progress;
use super::write::{self, StatusWrite};
use super::{Reporter, Said, claim, earliest};
use crate::events::Turn;

/// How often an object that belongs to another installation is looked at.
const RIVAL_RETRY: Duration = Duration::from_secs(60);

/// What an object should say.
struct Told {
    status: serde_json::Value,
    conditions: Vec<Condition>,
    turns: Vec<Turn>,
    changed_at: Timestamp,
    programmed_since: Option<Timestamp>,
}

/// One look at all objects.
pub(crate) struct Pass<'a> {
    progress: &'a Progress,
    rivals: &'a BTreeSet<ObjectRef>,
    written: &'a BTreeMap<ObjectRef, Said>,
    writer: &'a Writer<'a>,
    readers: &'a Readers,
    deliveries: BTreeMap<u64, Delivery>,
    patience: Patience,
    now: Timestamp,
    pub(crate) writes: Vec<StatusWrite>,
    /// In which version the watch shows them.
    pub(crate) present: BTreeMap<ObjectRef, u64>,
    standings: BTreeMap<(Kind, Standing), i64>,
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) needs_reconcile: bool,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(reporter: &'a Reporter, writer: &'a Writer<'a>, readers: &'a Readers, now: Timestamp) -> Self {
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
            present: BTreeMap::new(),
            standings: BTreeMap::new(),
            wake_at: None,
            needs_reconcile: false,
        }
    }

    fn wake(&mut self, at: Option<Timestamp>) {
        self.wake_at = earliest([self.wake_at, at]);
    }

    /// Looks at the objects of one kind.
    pub(crate) fn look_at<K: Reported>(&mut self, objects: &[Arc<K>], facts: &FactsOf<K>) {
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
            self.present.insert(key, version_of(object.meta()));
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
        let turn = Turn {
            object: write::reference(key, meta.uid.as_deref().unwrap_or_default()),
            is_warning: true,
            reason: INSTALLATION_CONFLICT,
            note: said.message.clone(),
        };
        let told = Told {
            status: serde_json::json!({"conditions": [&said]}),
            conditions: vec![said],
            turns: vec![turn],
            changed_at: self.now,
            programmed_since: None,
        };
        self.push(object, key, told);
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
        let shown = object.conditions();
        // Judged by a watch that lags, whatever was true before would turn true again, with a time of its own.
        let existing = match self.written.get(key) {
            Some(said) if version_of(meta) < said.version => &said.conditions,
            _ => shown,
        };
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
            && conditions::are_said(shown, &conditions, |condition| {
                claim::is_ours(condition, self.writer.config)
            });
        if is_said {
            return;
        }
        let status = K::with(fields.clone(), conditions.clone());
        let told = Told {
            status: serde_json::to_value(status).expect("plain data is always JSON"),
            conditions,
            turns,
            changed_at: need.since,
            programmed_since: is_served_now.then_some(need.since),
        };
        self.push(object, key, told);
    }

    /// Plans a write, unless it was just written and the watch does not show it yet, or it says all that we can make it say.
    fn push<K: Reported>(&mut self, object: &K, key: &ObjectRef, told: Told) {
        let meta = object.meta();
        if let Some(said) = self.written.get(key)
            && version_of(meta) <= said.version
            && said.hash == hash_of(&told.status)
        {
            return;
        }
        let Told {
            status,
            conditions,
            turns,
            changed_at,
            programmed_since,
        } = told;
        self.writes.push(StatusWrite {
            object: key.clone(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or(0),
            changed_at,
            status,
            conditions,
            existing: object.conditions().to_vec(),
            turns,
            programmed_since,
        });
    }

    /// Tells how they are doing.
    pub(crate) fn count(&self) {
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

/// Versions of one object grow; one that is no number is older than any that we wrote.
fn version_of(meta: &ObjectMeta) -> u64 {
    let version = meta.resource_version.as_ref();
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Tells one status from another.
pub(crate) fn hash_of(status: &serde_json::Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    status.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::ObjectName;

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
}
