//! Which sequence each object needs: the first that was published with its present generation and records.
//!
//! It is kept in memory. A new leader does not know it; there an object that is compiled to the very records that are
//! published, and whose status says that it was served, keeps that, and every other one needs the head.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::{Kind, ObjectRef};
use headgate_crds::condition::types;
use headgate_snapshot::ObjectName;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::super::conditions;
use super::RecordDigests;
use super::kinds::{Reported, name_of};

/// A digest over all records of one object; `None`: it has none.
pub(crate) type Content = Option<[u8; 32]>;

/// What an object needs, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// The sequence.
    pub(crate) sequence: u64,
    /// When the change was seen that made it so.
    pub(crate) since: Timestamp,
    uid: String,
    generation: i64,
    content: Content,
}

/// An object as it was compiled.
pub(crate) struct Seen {
    /// Which.
    pub(crate) object: ObjectRef,
    /// Its identity.
    pub(crate) uid: String,
    /// Of its spec.
    pub(crate) generation: i64,
    /// What is published of it now.
    pub(crate) content: Content,
    /// Whether its status says that this generation is served, and the records that were published before this leader
    /// began are those of now.
    pub(crate) was_served: bool,
}

/// The needs of all objects.
#[derive(Debug, Default)]
pub(crate) struct Progress(BTreeMap<ObjectRef, Need>);

impl Progress {
    /// Takes in what was compiled and published with `sequence`, and forgets what is gone.
    pub(crate) fn advance(&mut self, seen: Vec<Seen>, sequence: u64, now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        for object in seen {
            let need = before.remove(&object.object);
            let is_same = need.as_ref().is_some_and(|need| {
                need.uid == object.uid && need.generation == object.generation && need.content == object.content
            });
            let need = match need {
                Some(need) if is_same => need,
                known => Need {
                    // Served by all who were ready then; whoever came since has read a later head.
                    sequence: if known.is_none() && object.was_served {
                        0
                    } else {
                        sequence
                    },
                    since: now,
                    uid: object.uid,
                    generation: object.generation,
                    content: object.content,
                },
            };
            self.0.insert(object.object, need);
        }
    }

    /// What an object needs, if it was compiled in this very generation.
    pub(crate) fn of(&self, object: &ObjectRef, uid: &str, generation: i64) -> Option<&Need> {
        let need = self.0.get(object)?;
        (need.uid == uid && need.generation == generation).then_some(need)
    }
}

/// Published records, now and before this leader began.
pub(crate) struct Records<'a> {
    pub(crate) now: &'a RecordDigests,
    pub(crate) before: Option<&'a RecordDigests>,
}

impl Records<'_> {
    /// Adds what is to be seen of the objects of one kind.
    pub(crate) fn look_at<K: Reported>(&self, objects: &[Arc<K>], seen: &mut Vec<Seen>) {
        seen.extend(objects.iter().map(|object| {
            let name = name_of(object.as_ref());
            let meta = object.meta();
            let generation = meta.generation.unwrap_or(0);
            let content = content(K::KIND, &name, self.now);
            let is_same = self
                .before
                .is_some_and(|before| self::content(K::KIND, &name, before) == content);
            let said = conditions::find(object.conditions(), types::PROGRAMMED);
            Seen {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectRef {
        ObjectRef::new(Kind::VirtualKey, &ObjectName::new("team", "k"))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn advance(progress: &mut Progress, generation: i64, content: u8, was_served: bool, sequence: u64) -> u64 {
        let object = object();
        let seen = Seen {
            object: object.clone(),
            uid: "u".into(),
            generation,
            content: Some([content; 32]),
            was_served,
        };
        progress.advance(vec![seen], sequence, at(i64::try_from(sequence).unwrap()));
        progress.of(&object, "u", generation).unwrap().sequence
    }

    #[test]
    fn what_did_not_change_needs_what_it_needed() {
        let mut progress = Progress::default();
        assert_eq!(advance(&mut progress, 1, 1, false, 4), 4);
        assert_eq!(advance(&mut progress, 1, 1, false, 9), 4);
        assert_eq!(progress.of(&object(), "u", 1).unwrap().since, at(4));
    }

    #[test]
    fn a_new_generation_or_record_needs_the_head_that_holds_it() {
        let mut progress = Progress::default();
        advance(&mut progress, 1, 1, false, 4);
        assert_eq!(advance(&mut progress, 2, 1, true, 5), 5);
        assert_eq!(advance(&mut progress, 2, 2, true, 6), 6, "a Secret was rotated");
    }

    #[test]
    fn a_new_leader_keeps_what_was_served_and_did_not_change() {
        assert_eq!(advance(&mut Progress::default(), 1, 1, true, 9), 0);
        assert_eq!(advance(&mut Progress::default(), 1, 1, false, 9), 9);
    }

    #[test]
    fn an_object_that_is_another_one_or_newer_than_compiled_is_not_known() {
        let mut progress = Progress::default();
        advance(&mut progress, 1, 1, false, 4);
        assert_eq!(progress.of(&object(), "u", 2), None);
        assert_eq!(progress.of(&object(), "another", 1), None);
        progress.advance(Vec::new(), 5, at(5));
        assert_eq!(progress.of(&object(), "u", 1), None);
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
