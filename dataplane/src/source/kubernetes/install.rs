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
