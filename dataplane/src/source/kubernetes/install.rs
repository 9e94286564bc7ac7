//! From the shards of a generation to a runtime in force: decode, put together, leave out, prepare, keep, swap. In that
//! order, since each step may refuse, and nothing changes before the last one.
//!
//! All of it is work for a blocking thread: inflating, parsing and hashing ten thousand keys takes a tenth of a second.

use std::sync::Arc;

use headgate_snapshot::delivery::{Digest, Generation, Shard, ShardError, assemble, without};
use headgate_snapshot::{SealingKey, Snapshot};

use super::fallback::{Which, to_leave_out};
use super::keep::{EncodedShard, Keep, KeptPointer};
use super::shards::decode;
use super::verify::{Reason, Trusted};
use crate::gateway::Gateway;

/// What is to be put in force.
pub(super) struct Installation {
    /// Whose generation.
    pub(super) trusted: Arc<Trusted>,
    pub(super) which: Which,
    pub(super) shards: Vec<EncodedShard>,
    /// What opens the credentials of that generation.
    pub(super) key: Arc<SealingKey>,
    /// The newest pointer that was trusted: what it says about removed keys holds.
    pub(super) newest: Option<Arc<Trusted>>,
    /// The digest of what is in force, if it is of this very generation: only what is left out can make a difference.
    pub(super) in_force: Option<Digest>,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Installed {
    /// It is in force; this is the digest of what is really served.
    Now(Digest),
    /// It was in force already, without all that has to be left out.
    Already,
}

/// It is not in force, and nothing changed.
#[derive(Debug)]
pub(super) struct NotInstalled {
    pub(super) reason: Reason,
    pub(super) sentence: String,
    /// A shard that is not what the pointer names, to be fetched anew.
    pub(super) damaged: Option<Digest>,
}

impl NotInstalled {
    fn new(reason: Reason, error: &impl ToString) -> Self {
        Self {
            reason,
            sentence: error.to_string(),
            damaged: None,
        }
    }
}

impl Installation {
    /// Puts it in force.
    pub(super) fn run(self, gateway: &Gateway, keep: &Keep) -> Result<Installed, NotInstalled> {
        let pointer = &self.trusted.pointer;
        let generation = self
            .which
            .of(pointer)
            .ok_or_else(|| NotInstalled::new(Reason::ShardMissing, &"the pointer names no previous generation"))?;
        let whole = self.snapshot(generation)?;
        let newest = self.newest.as_deref();
        let (snapshot, root) = match to_leave_out(generation, newest.map(|newest| &newest.pointer)) {
            None => (whole, generation.root),
            Some(removed) => {
                let before = keys(&whole);
                let rest = without(whole, removed);
                match keys(&rest) {
                    after if after == before => (rest, generation.root),
                    _ => {
                        let root = rest.version().parse().expect("a version is the hex of a digest");
                        (rest, root)
                    }
                }
            }
        };
        if self.in_force == Some(root) {
            return Ok(Installed::Already);
        }
        let prepared = gateway
            .prepare(snapshot, root.to_string(), &self.key)
            .map_err(|error| NotInstalled::new(Reason::Unservable, &error))?;
        self.keep(generation, keep)?;
        gateway.swap(prepared);
        Ok(Installed::Now(root))
    }

    fn snapshot(&self, generation: &Generation) -> Result<Snapshot, NotInstalled> {
        let mut shards: Vec<Shard> = Vec::with_capacity(self.shards.len());
        for (reference, (digest, bytes)) in generation.shards.iter().zip(&self.shards) {
            let shard = decode(reference, bytes, generation.format).map_err(|error: ShardError| NotInstalled {
                damaged: Some(*digest),
                ..NotInstalled::new(Reason::Shard, &error)
            })?;
            shards.push(shard);
        }
        assemble(generation, shards).map_err(|error| NotInstalled::new(Reason::Shard, &error))
    }

    /// Keeps what is about to be served. What cannot be kept must not leave something older behind: after a restart it
    /// would bring removed keys back.
    fn keep(&self, generation: &Generation, keep: &Keep) -> Result<(), NotInstalled> {
        let pointer = KeptPointer::new(&self.trusted.signed, self.which);
        let newer = self
            .newest
            .as_ref()
            .filter(|newest| newest.pointer.head.sequence > generation.sequence);
        let removals = newer.map(|newest| KeptPointer::new(&newest.signed, Which::Head));
        let Err(error) = keep.save(&pointer, removals.as_ref(), &self.shards) else {
            return Ok(());
        };
        tracing::warn!(
            error = %error,
            "the snapshot cannot be kept for a restart; it is served, and nothing older stays on disk"
        );
        keep.forget().map_err(|error| {
            let sentence =
                format!("{error}; something older would come back with a restart, make the state folder writable");
            NotInstalled::new(Reason::NotKept, &sentence)
        })
    }
}

fn keys(snapshot: &Snapshot) -> usize {
    snapshot.callers.values().map(|caller| caller.keys.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use headgate_snapshot::delivery::{Layout, Pointer, Removed, shards_of};
    use headgate_snapshot::record::records_of;
    use headgate_snapshot::{Caller, KeyEntry, KeyedDigest, ObjectName};

    use super::*;
    use crate::gateway::Bounds;
    use crate::upstream::address::AddressPolicy;

    const FORMAT: u32 = 2;

    fn gateway() -> Gateway {
        let second = Duration::from_secs(1);
        let bounds = Bounds {
            connections_max: 1,
            head_timeout: second,
            body_idle_timeout: second,
            keep_alive: second,
        };
        let addresses = AddressPolicy {
            allow_loopback: false,
            allow_private: true,
        };
        Gateway::new(bounds, addresses)
    }

    fn key() -> SealingKey {
        SealingKey::new([1; 32])
    }

    /// A snapshot with a caller for each digest.
    fn snapshot(digests: &[u8]) -> Snapshot {
        let caller = |&digest: &u8| {
            let caller = Caller {
                keys: vec![KeyEntry {
                    digest: KeyedDigest([digest; 32]),
                    not_after: None,
                }],
                fingerprint: String::new(),
                user: None,
                team: None,
                metadata: BTreeMap::new(),
                labels: BTreeMap::new(),
                not_after: None,
                suspended: false,
                models: None,
                providers: None,
                routes: None,
                default_provider: None,
                refused: None,
            };
            (ObjectName::new("team", format!("key-{digest}")), caller)
        };
        Snapshot {
            callers: digests.iter().map(caller).collect(),
            ..Snapshot::default()
        }
    }

    /// A pointer to that snapshot, which says that `removed` do not work any more, and the shards.
    fn published(sequence: u64, snapshot: &Snapshot, removed: &[u8]) -> (Arc<Trusted>, Vec<EncodedShard>) {
        let (layout, shards) = shards_of(&records_of(snapshot), Layout::default()).unwrap();
        let removed = removed.iter().map(|&digest| (KeyedDigest([digest; 32]), sequence));
        let pointer = Pointer {
            installation: "headgate.gateway.headgate".to_owned(),
            head: Generation {
                sequence,
                format: FORMAT,
                root: snapshot.version().parse().unwrap(),
                key_id: key().id().to_owned(),
                layout,
                shards: shards.iter().map(|shard| shard.reference).collect(),
            },
            previous: None,
            removed: Removed {
                since: 1,
                digests: removed.collect(),
            },
        };
        let encoded = shards
            .iter()
            .map(|shard| (shard.reference.digest, Arc::from(shard.encode(FORMAT))));
        let signed = pointer.sign(&key());
        let encoded = encoded.collect();
        (Arc::new(Trusted { signed, pointer }), encoded)
    }

    fn installation(published: &(Arc<Trusted>, Vec<EncodedShard>), newest: Option<&Arc<Trusted>>) -> Installation {
        Installation {
            trusted: Arc::clone(&published.0),
            which: Which::Head,
            shards: published.1.clone(),
            key: Arc::new(key()),
            newest: newest.map(Arc::clone),
            in_force: None,
        }
    }

    fn serves(gateway: &Gateway, digest: u8) -> bool {
        let runtime = gateway.live.get();
        runtime.is_some_and(|runtime| runtime.keys.contains_key(&KeyedDigest([digest; 32])))
    }

    #[test]
    fn what_is_put_in_force_is_kept_as_it_was_delivered() {
        let (dir, gateway) = (tempfile::tempdir().unwrap(), gateway());
        let keep = Keep::new(dir.path());
        let published = published(7, &snapshot(&[1, 2]), &[]);
        let installed = installation(&published, None).run(&gateway, &keep);
        assert!(matches!(installed, Ok(Installed::Now(root)) if root == published.0.pointer.head.root));
        assert!(serves(&gateway, 1) && serves(&gateway, 2) && gateway.is_ready());
        let kept = keep.pointer().unwrap();
        assert_eq!(kept.signed(), published.0.signed);
        assert_eq!(keep.removals(), None);
        for (digest, bytes) in &published.1 {
            assert_eq!(keep.shard(digest).as_ref(), Some(bytes));
        }
    }

    #[test]
    fn what_a_newer_pointer_calls_removed_is_left_out_and_told_apart() {
        let (dir, gateway) = (tempfile::tempdir().unwrap(), gateway());
        let keep = Keep::new(dir.path());
        let older = published(7, &snapshot(&[1, 2]), &[]);
        let (newer, _) = published(8, &snapshot(&[1]), &[2]);
        let installed = installation(&older, Some(&newer)).run(&gateway, &keep);
        let Ok(Installed::Now(root)) = installed else {
            panic!("{installed:?}");
        };
        assert_ne!(root, older.0.pointer.head.root);
        assert!(serves(&gateway, 1) && !serves(&gateway, 2));
        assert_eq!(
            keep.removals().unwrap().signed(),
            newer.signed,
            "it stays left out after a restart"
        );
        let again = Installation {
            in_force: Some(root),
            ..installation(&older, Some(&newer))
        };
        assert!(matches!(again.run(&gateway, &keep), Ok(Installed::Already)));
    }

    #[test]
    fn its_own_removals_take_nothing_from_a_head() {
        let (dir, gateway) = (tempfile::tempdir().unwrap(), gateway());
        let head = published(8, &snapshot(&[1]), &[1]);
        let installed = installation(&head, Some(&head.0)).run(&gateway, &Keep::new(dir.path()));
        assert!(matches!(installed, Ok(Installed::Now(_))) && serves(&gateway, 1));
    }

    #[test]
    fn an_edited_shard_is_named_and_changes_nothing() {
        let (dir, gateway) = (tempfile::tempdir().unwrap(), gateway());
        let keep = Keep::new(dir.path());
        let good = published(7, &snapshot(&[1]), &[]);
        installation(&good, None).run(&gateway, &keep).unwrap();
        let mut edited = published(8, &snapshot(&[2]), &[]);
        edited.1[0].1 = Arc::from(&b"something else"[..]);
        let refused = installation(&edited, None).run(&gateway, &keep).unwrap_err();
        assert_eq!((refused.reason, refused.damaged), (Reason::Shard, Some(edited.1[0].0)));
        assert!(serves(&gateway, 1) && !serves(&gateway, 2));
        assert_eq!(keep.pointer().unwrap().signed(), good.0.signed);
    }

    #[test]
    fn what_cannot_be_made_ready_is_neither_kept_nor_served() {
        let (dir, gateway) = (tempfile::tempdir().unwrap(), gateway());
        let keep = Keep::new(dir.path());
        let mut twice = snapshot(&[1]);
        let same = twice.callers.values().next().unwrap().clone();
        twice.callers.insert(ObjectName::new("team", "same-digest"), same);
        let refused = installation(&published(7, &twice, &[]), None)
            .run(&gateway, &keep)
            .unwrap_err();
        assert_eq!(refused.reason, Reason::Unservable);
        assert!(!gateway.is_ready() && keep.pointer().is_none());
    }

    #[test]
    fn what_cannot_be_kept_is_served_and_leaves_nothing_older_behind() {
        let (dir, gateway) = (tempfile::tempdir().unwrap(), gateway());
        let keep = Keep::new(dir.path());
        installation(&published(7, &snapshot(&[1]), &[]), None)
            .run(&gateway, &keep)
            .unwrap();
        // Where a file should be written there is a folder: for root, too.
        std::fs::create_dir(dir.path().join("last-good/unfinished")).unwrap();
        installation(&published(8, &snapshot(&[2]), &[1]), None)
            .run(&gateway, &keep)
            .unwrap();
        assert!(serves(&gateway, 2) && !serves(&gateway, 1));
        assert!(keep.pointer().is_none(), "a restart would bring key 1 back");
    }

    #[test]
    fn where_nothing_can_be_kept_nor_taken_away_nothing_new_is_served() {
        let (dir, gateway) = (tempfile::tempdir().unwrap(), gateway());
        std::fs::write(dir.path().join("last-good"), "a file, not a folder").unwrap();
        let refused = installation(&published(7, &snapshot(&[1]), &[]), None)
            .run(&gateway, &Keep::new(dir.path()))
            .unwrap_err();
        assert_eq!(refused.reason, Reason::NotKept);
        assert!(!gateway.is_ready());
    }
}
