//! Which sequence each object needs: the first that was published with its present generation and records.
//!
//! It is kept in memory. A new leader does not know it; there an object that is compiled to the very records that are
//! published, and whose status says that it was served, keeps that, and every other one needs the head.

use std::collections::BTreeMap;

use headgate_compile::ObjectRef;
use jiff::Timestamp;

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
pub(crate) struct Seen<'a> {
    /// Which.
    pub(crate) object: &'a ObjectRef,
    /// Its identity.
    pub(crate) uid: &'a str,
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
    pub(crate) fn advance<'a>(&mut self, seen: impl Iterator<Item = Seen<'a>>, sequence: u64, now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        for object in seen {
            let need = before.remove(object.object);
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
                    uid: object.uid.to_owned(),
                    generation: object.generation,
                    content: object.content,
                },
            };
            self.0.insert(object.object.clone(), need);
        }
    }

    /// What an object needs, if it was compiled in this very generation.
    pub(crate) fn of(&self, object: &ObjectRef, uid: &str, generation: i64) -> Option<&Need> {
        let need = self.0.get(object)?;
        (need.uid == uid && need.generation == generation).then_some(need)
    }
}

#[cfg(test)]
mod tests {
    use headgate_compile::Kind;
    use headgate_snapshot::ObjectName;

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
            object: &object,
            uid: "u",
            generation,
            content: Some([content; 32]),
            was_served,
        };
        progress.advance(std::iter::once(seen), sequence, at(i64::try_from(sequence).unwrap()));
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
        progress.advance(std::iter::empty(), 5, at(5));
        assert_eq!(progress.of(&object(), "u", 1), None);
    }
}
