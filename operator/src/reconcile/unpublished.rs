//! What people are told while nothing can be published until a person mends something: what was published stays in force,
//! and looks fine.
//!
//! An entry beside the pointer, an event and a metric say it once for each message. The next publication writes an entry
//! list of its own, without this one, so that saying that all is well again costs no write of its own.

use headgate_snapshot::delivery::Pointer;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::publication::PointerObject;
use super::{ReconcileError, conditions};

/// The type of the entry. Unlike the others, it asks for somebody when it is `False`.
const PUBLISHED: &str = "Published";
/// The reason of the entry and of the event.
pub(super) const NOT_PUBLISHING: &str = "NotPublishing";

/// What this leader has said; another one finds it in the entry.
#[derive(Debug, Default)]
pub(super) struct Unpublished {
    said: Option<String>,
}

/// What is still to be said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unsaid {
    /// The note of an event.
    pub(super) event: Option<String>,
    /// The text of the pointer's `status`.
    pub(super) text: Option<String>,
}

impl Unpublished {
    /// What to say about `error`, where `object` is the pointer. A pointer of another installation is not written to.
    pub(super) fn fail(&mut self, error: &ReconcileError, object: Option<&PointerObject>, now: Timestamp) -> Unsaid {
        let message = error.to_string();
        let is_foreign = matches!(error, ReconcileError::ForeignPointer { .. });
        let object = object.filter(|object| !is_foreign && object.is_pointer());
        let entries = object.map(|object| entries_of(object.status.as_deref()));
        let before = entries.as_deref().and_then(entry_in);
        let is_in_entry = before.is_some_and(|before| before["message"] == message);
        let since = before.map_or_else(
            || json!(conditions::whole_seconds(now).to_string()),
            |before| before["lastTransitionTime"].clone(),
        );
        let is_news = self.said.as_ref() != Some(&message) && !is_in_entry;
        let text = entries.filter(|_| !is_in_entry).map(|mut entries| {
            entries.retain(|entry| entry["type"] != PUBLISHED);
            entries.push(json!({
                "type": PUBLISHED, "status": "False", "reason": NOT_PUBLISHING, "message": message,
                "lastTransitionTime": since,
            }));
            Value::Array(entries).to_string()
        });
        self.said = Some(message.clone());
        Unsaid {
            event: is_news.then_some(message),
            text,
        }
    }

    /// A publication went well, where the pointer's `status` said `before`. Returns whether that is news.
    pub(super) fn recover(&mut self, before: Option<&str>) -> bool {
        let was_said = self.said.take().is_some();
        was_said || entry_in(&entries_of(before)).is_some()
    }
}

impl PointerObject {
    /// Whether it looks like a pointer, which without a ring is all that can be known.
    fn is_pointer(&self) -> bool {
        let signed = self.signed.as_ref();
        signed.is_some_and(|signed| serde_json::from_str::<Pointer>(&signed.text).is_ok())
    }
}

fn entries_of(text: Option<&str>) -> Vec<Value> {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn entry_in(entries: &[Value]) -> Option<&Value> {
    let is_it = |entry: &&Value| entry["type"] == PUBLISHED && entry["status"] == "False";
    entries.iter().find(is_it)
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::delivery::TooLarge;
    use headgate_snapshot::delivery::{Digest, Generation, Layout, Removed, Signed};

    use super::super::ring::RingProblem;
    use super::*;

    fn pointer(status: Option<&str>) -> PointerObject {
        let pointer = Pointer {
            installation: "headgate.gateway.main".into(),
            head: Generation {
                sequence: 1,
                format: 2,
                root: Digest([1; 32]),
                key_id: "0011223344556677".into(),
                layout: Layout::default(),
                shards: Vec::new(),
            },
            previous: None,
            removed: Removed {
                since: 1,
                digests: [].into(),
            },
        };
        PointerObject {
            uid: "u".into(),
            resource_version: "1".into(),
            signed: Some(Signed {
                text: serde_json::to_string(&pointer).unwrap(),
                signature: String::new(),
            }),
            status: status.map(str::to_owned),
            approval: None,
        }
    }

    fn lost() -> ReconcileError {
        RingProblem::Lost("gateway/keys".into()).into()
    }

    fn too_large() -> ReconcileError {
        TooLarge {
            key: "r/team/a".into(),
            bytes: 9_000_000,
        }
        .into()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const HELD: &str = r#"[{"type":"RemovalsHeld","status":"True","message":"run this"}]"#;

    #[test]
    fn a_lost_ring_is_told_once_in_an_event_and_beside_what_is_held() {
        let mut unpublished = Unpublished::default();
        let first = unpublished.fail(&lost(), Some(&pointer(Some(HELD))), at(1));
        assert_eq!(first.event, Some(lost().to_string()));
        let text = first.text.unwrap();
        let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(entries[0]["message"], "run this");
        let entry = &entries[1];
        assert_eq!(
            (&entry["type"], &entry["status"], &entry["reason"], &entry["message"]),
            (
                &json!("Published"),
                &json!("False"),
                &json!("NotPublishing"),
                &json!(lost().to_string())
            )
        );
        for (whoever, mut unpublished) in [("this leader", unpublished), ("another one", Unpublished::default())] {
            let again = unpublished.fail(&lost(), Some(&pointer(Some(&text))), at(2));
            assert_eq!(again, Unsaid::default(), "{whoever} says it again");
        }
    }

    #[test]
    fn another_reason_is_told_as_well_and_lasts_since_the_first() {
        let mut unpublished = Unpublished::default();
        let text = unpublished.fail(&lost(), Some(&pointer(None)), at(1)).text.unwrap();
        let other = unpublished.fail(&too_large(), Some(&pointer(Some(&text))), at(5));
        assert_eq!(other.event, Some(too_large().to_string()));
        let entries: Vec<Value> = serde_json::from_str(&other.text.unwrap()).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0]["lastTransitionTime"], "1970-01-01T00:00:01Z");
    }

    #[test]
    fn without_a_pointer_of_ours_there_is_an_event_and_nothing_is_written() {
        let foreign = || ReconcileError::ForeignPointer {
            name: "snapshots/headgate".into(),
            installation: "other".into(),
        };
        for (error, object) in [(lost(), None), (foreign(), Some(pointer(None)))] {
            let mut unpublished = Unpublished::default();
            let first = unpublished.fail(&error, object.as_ref(), at(1));
            assert_eq!((first.event, first.text), (Some(error.to_string()), None));
            assert_eq!(
                unpublished.fail(&error, object.as_ref(), at(2)),
                Unsaid::default(),
                "once"
            );
        }
    }

    #[test]
    fn a_publication_that_goes_well_again_is_news_once_also_to_another_leader() {
        let mut unpublished = Unpublished::default();
        assert!(!unpublished.recover(Some(HELD)), "nothing was wrong");
        let text = unpublished.fail(&lost(), Some(&pointer(None)), at(1)).text.unwrap();
        assert!(unpublished.recover(None) && !unpublished.recover(None));
        assert!(Unpublished::default().recover(Some(&text)));
    }

    #[test]
    fn a_failing_api_server_and_a_lost_leadership_ask_for_nobody() {
        assert!(lost().asks_for_a_person() && too_large().asks_for_a_person());
        assert!(!ReconcileError::NotLeader.asks_for_a_person());
        assert!(!ReconcileError::Moved { what: "the pointer" }.asks_for_a_person());
    }
}
