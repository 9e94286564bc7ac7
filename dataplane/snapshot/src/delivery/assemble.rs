//! A snapshot put together from its shards, and the same less the keys that must not come back.

use std::collections::BTreeSet;

use super::{Digest, Generation, Removed, Shard, ShardError};
use crate::record::{RecordError, root_digest, snapshot_of};
use crate::{KeyedDigest, Snapshot};

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
    let listed: BTreeSet<Digest> = generation.shards.iter().map(|shard| shard.digest).collect();
    let at_hand: BTreeSet<Digest> = shards.iter().map(|shard| shard.reference.digest).collect();
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

/// The keyed digests that open something: those of callers that are not suspended. What is in here before a change and not
/// after it has been removed.
pub fn working_digests(snapshot: &Snapshot) -> BTreeSet<KeyedDigest> {
    snapshot
        .callers
        .values()
        .filter(|caller| !caller.suspended)
        .flat_map(|caller| caller.keys.iter().map(|key| key.digest))
        .collect()
}
