//! Signed turns that callers were given (`headgate_llm::hub::signed`), for clients that do not keep them.
//!
//! A turn is found only by the caller who was given it, and only for the provider and model that signed it: any other
//! would refuse it. All is in the memory of one process, bounded in bytes and in time. A request that meets another pod, or
//! comes after a restart, goes out without its thoughts, as if nobody had kept them: models answer that, too.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headgate_llm::hub::{SignedTurn, SignedTurns};
use headgate_snapshot::ObjectName;

/// Most bytes that are kept. A turn of a few thousand tokens of thought has some 20 KiB: room for the open tool loops of more
/// than a thousand conversations.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long a turn is kept. A loop of tools takes minutes; this covers one that waits for a person.
const KEPT_FOR: Duration = Duration::from_secs(4 * 60 * 60);
/// What an entry takes beside its texts, roughly.
const ENTRY_BYTES: usize = 512;

/// What was kept.
#[derive(Default)]
pub struct SignedTurnStore {
    kept: Mutex<Kept>,
}

/// Whose turns: who was given them, and who signed them.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// The VirtualKey.
    pub caller: &'a ObjectName,
    /// The LLMProvider.
    pub provider: &'a ObjectName,
    /// The model by the provider's name.
    pub upstream_model: &'a str,
}

/// Turns of one owner as they are now.
pub struct Given<'a> {
    store: &'a SignedTurnStore,
    owner: Owner<'a>,
    now: Instant,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    caller: ObjectName,
    provider: ObjectName,
    upstream_model: String,
    call_id: String,
}

struct Entry {
    turn: Arc<SignedTurn>,
    kept_at: Instant,
    bytes: usize,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Arc<Key>, Entry>,
    /// Each key once. All are kept for the same time, so the oldest goes first whichever bound is met.
    oldest_first: VecDeque<Arc<Key>>,
    bytes: usize,
}

impl SignedTurnStore {
    /// Keeps a turn, in the place of older ones where there is no room.
    pub fn keep(&self, owner: Owner<'_>, turn: SignedTurn, now: Instant) {
        let key = owner.key(turn.id());
        let names = key.caller.namespace.len() + key.caller.name.len() + key.provider.namespace.len();
        let names = names + key.provider.name.len() + key.upstream_model.len() + key.call_id.len();
        let bytes = turn.size() + names + ENTRY_BYTES;
        self.lock().keep(
            key,
            Entry {
                turn: Arc::new(turn),
                kept_at: now,
                bytes,
            },
        );
    }

    /// The turns of an owner.
    pub fn given<'a>(&'a self, owner: Owner<'a>, now: Instant) -> Given<'a> {
        Given {
            store: self,
            owner,
            now,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner<'_> {
    fn key(&self, call_id: &str) -> Key {
        Key {
            caller: self.caller.clone(),
            provider: self.provider.clone(),
            upstream_model: self.upstream_model.to_owned(),
            call_id: call_id.to_owned(),
        }
    }
}

impl SignedTurns for Given<'_> {
    fn find(&self, call_id: &str) -> Option<Arc<SignedTurn>> {
        let key = self.owner.key(call_id);
        let kept = self.store.lock();
        let entry = kept.entries.get(&key)?;
        (!entry.is_past(self.now)).then(|| Arc::clone(&entry.turn))
    }
}

impl fmt::Debug for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive() // thoughts stay out of logs
    }
}

impl Entry {
    fn is_past(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.kept_at) >= KEPT_FOR
    }
}

impl Kept {
    fn keep(&mut self, key: Key, entry: Entry) {
        while self.oldest().is_some_and(|oldest| oldest.is_past(entry.kept_at)) {
            self.drop_oldest();
        }
        while self.bytes + entry.bytes > BYTES_MAX && !self.oldest_first.is_empty() {
            self.drop_oldest();
        }
        self.bytes += entry.bytes;
        if let Some(before) = self.entries.get_mut(&key) {
            // A provider that repeats its ids; the turn takes over the place of the other, and its age.
            let kept_at = before.kept_at;
            self.bytes -= before.bytes;
            *before = Entry { kept_at, ..entry };
            return;
        }
        let key = Arc::new(key);
        self.oldest_first.push_back(Arc::clone(&key));
        self.entries.insert(key, entry);
    }

    fn oldest(&self) -> Option<&Entry> {
        self.entries.get(self.oldest_first.front()?)
    }

    fn drop_oldest(&mut self) {
        let Some(key) = self.oldest_first.pop_front() else {
            return;
        };
        if let Some(entry) = self.entries.remove(&key) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use headgate_llm::hub::signed::{SignedCall, SignedThought};

    use super::*;

    fn turn(call_id: &str, length: usize) -> SignedTurn {
        SignedTurn {
            thoughts: vec![SignedThought::Sealed {
                data: "x".repeat(length),
            }],
            calls: vec![SignedCall {
                id: call_id.to_owned(),
                signature: None,
            }],
        }
    }

    struct Names([ObjectName; 4]);

    impl Names {
        fn new() -> Self {
            Self(["anna", "bert", "claude", "gemini"].map(|name| ObjectName::new("team", name)))
        }

        fn owner(&self, caller: usize, provider: usize, upstream_model: &'static str) -> Owner<'_> {
            Owner {
                caller: &self.0[caller],
                provider: &self.0[provider],
                upstream_model,
            }
        }
    }

    #[test]
    fn a_turn_is_found_by_its_caller_and_for_its_maker_only() {
        let (store, names, now) = (SignedTurnStore::default(), Names::new(), Instant::now());
        let owner = names.owner(0, 2, "opus");
        store.keep(owner, turn("c1", 10), now);
        let find = |owner, call_id| store.given(owner, now).find(call_id).is_some();
        assert!(find(owner, "c1"));
        assert!(!find(owner, "c2"), "another call");
        assert!(!find(names.owner(1, 2, "opus"), "c1"), "another caller");
        assert!(!find(names.owner(0, 3, "opus"), "c1"), "another provider");
        assert!(!find(names.owner(0, 2, "sonnet"), "c1"), "another model");
    }

    #[test]
    fn a_turn_is_forgotten_after_its_time() {
        let (store, names, now) = (SignedTurnStore::default(), Names::new(), Instant::now());
        let owner = names.owner(0, 2, "opus");
        store.keep(owner, turn("c1", 10), now);
        let last = now + Duration::from_secs(KEPT_FOR.as_secs() - 1);
        assert!(store.given(owner, last).find("c1").is_some());
        assert!(store.given(owner, now + KEPT_FOR).find("c1").is_none());
        store.keep(owner, turn("c2", 10), now + KEPT_FOR);
        let kept = store.lock();
        assert_eq!((kept.entries.len(), kept.oldest_first.len()), (1, 1));
    }

    #[test]
    fn the_oldest_make_room_and_no_more_than_the_bound_is_kept() {
        let (store, names, now) = (SignedTurnStore::default(), Names::new(), Instant::now());
        let owner = names.owner(0, 2, "opus");
        let length = BYTES_MAX / 4;
        for call_id in ["c1", "c2", "c3", "c4", "c5"] {
            store.keep(owner, turn(call_id, length), now);
            assert!(store.lock().bytes <= BYTES_MAX);
        }
        let found: Vec<_> = ["c1", "c2", "c3", "c4", "c5"]
            .into_iter()
            .filter(|call_id| store.given(owner, now).find(call_id).is_some())
            .collect();
        assert_eq!(found, ["c3", "c4", "c5"]);
    }

    #[test]
    fn an_id_that_is_repeated_takes_no_more_room() {
        let (store, names, now) = (SignedTurnStore::default(), Names::new(), Instant::now());
        let owner = names.owner(0, 2, "opus");
        for length in [10, 1000, 20] {
            store.keep(owner, turn("c1", length), now);
        }
        let found = store.given(owner, now).find("c1").expect("it is kept");
        assert_eq!(*found, turn("c1", 20));
        let mut kept = store.lock();
        assert_eq!((kept.entries.len(), kept.oldest_first.len()), (1, 1));
        kept.drop_oldest();
        assert_eq!(kept.bytes, 0);
    }
}
