//! A snapshot put together from its shards, and the same less the keys that must not come back.

use std::collections::{BTreeMap, BTreeSet};

use super::{Digest, Generation, Removed, Shard, ShardError, ShardRef};
use crate::record::{RecordError, root_digest, snapshot_of};
use crate::{Caller, KeyEntry, KeyedDigest, Snapshot};

/// The shards are not the snapshot that the pointer names.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// Other shards than the pointer lists.
    #[error("the shards at hand are not those that the pointer lists")]
    OtherShards,
    /// A shard cannot be read.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// All of them together are not what was signed.
    #[error("the records do not have the root digest that the pointer states")]
    OtherRoot,
}

/// Puts the shards of a generation together, in whatever order they come. What is returned has the root digest that the
/// generation states.
pub fn assemble(generation: &Generation, shards: Vec<Shard>) -> Result<Snapshot, AssembleError> {
    let listed = by_digest(generation.shards.iter());
    let at_hand = by_digest(shards.iter().map(|shard| &shard.reference));
    if listed != at_hand || shards.len() != listed.len() {
        return Err(AssembleError::OtherShards);
    }
    let mut records = Vec::with_capacity(shards.iter().map(|shard| shard.text.lines().count()).sum());
    for shard in shards {
        records.extend(shard.records()?);
    }
    records.sort_by_cached_key(|record| record.key.to_string());
    let keyed: Vec<_> = records
        .iter()
        .map(|record| (record.key.to_string(), record.digest()))
        .collect();
    let root = root_digest(keyed.iter().map(|(key, digest)| (key.as_str(), *digest)));
    if Digest(root) != generation.root {
        return Err(AssembleError::OtherRoot);
    }
    Ok(snapshot_of(records)?)
}

/// The snapshot without the tokens that were removed after it was made. Callers stay, so that what they had is told apart
/// from what never was; nothing opens them any more.
#[must_use]
pub fn without(mut snapshot: Snapshot, removed: &Removed) -> Snapshot {
    for caller in snapshot.callers.values_mut() {
        caller.keys.retain(|key| !removed.digests.contains_key(&key.digest));
    }
    snapshot
}

/// The keyed digests that open something: those of callers that are neither suspended nor refused. What is in here before
/// a change and not after it has been removed, whatever the reason: the key is gone, rotated out, suspended, or must fail
/// closed, and an older snapshot knows nothing of that.
///
/// It is about tokens, not about who they belong to: one that moved to another caller still opens something, and a reader
/// that falls back knows it as what it was, as it knows every other intent of that moment. Deadlines are not looked at,
/// since a snapshot carries its own; [`working_digests_at`] does.
pub fn working_digests(snapshot: &Snapshot) -> BTreeSet<KeyedDigest> {
    working_keys(snapshot).map(|(_, key)| key.digest).collect()
}

/// Those of [`working_digests`] that no deadline ends at that moment.
pub fn working_digests_at(snapshot: &Snapshot, now_unix_seconds: i64) -> BTreeSet<KeyedDigest> {
    let is_open = |caller: &Caller, key: &KeyEntry| {
        let deadlines = [caller.not_after, key.not_after];
        deadlines
            .into_iter()
            .flatten()
            .all(|not_after| now_unix_seconds < not_after)
    };
    working_keys(snapshot)
        .filter(|(caller, key)| is_open(caller, key))
        .map(|(_, key)| key.digest)
        .collect()
}

/// What `older` would still open at that moment and `newer` would not: removed keys, and those whose deadline was brought
/// forward and is past. Both must be keyed with the same sealing key; under another one every digest is another. Whoever
/// keeps a list of them strikes off what [`working_digests_at`] has again, not [`working_digests`]: that one still has
/// those whose deadline is past.
pub fn removed_between(older: &Snapshot, newer: &Snapshot, now_unix_seconds: i64) -> BTreeSet<KeyedDigest> {
    &working_digests_at(older, now_unix_seconds) - &working_digests_at(newer, now_unix_seconds)
}

fn working_keys(snapshot: &Snapshot) -> impl Iterator<Item = (&Caller, &KeyEntry)> {
    let callers = snapshot.callers.values();
    callers
        .filter(|caller| !caller.suspended && caller.refused.is_none())
        .flat_map(|caller| caller.keys.iter().map(move |key| (caller, key)))
}

fn by_digest<'a>(references: impl Iterator<Item = &'a ShardRef>) -> BTreeMap<Digest, ShardRef> {
    references.map(|reference| (reference.digest, *reference)).collect()
}
