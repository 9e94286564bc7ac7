//! The shards of a generation: those at hand, and the missing ones from the API server.
//!
//! Held as they were delivered, since that is what is kept on disk, and deflated takes a fraction of the memory. Only the
//! shards of generations that may still be needed are held: an edit of one object then fetches one shard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use headgate_snapshot::delivery::{Class, Digest, Generation, RECORDS_KEY, Shard, ShardError, ShardRef};
use headgate_snapshot::{FORMAT, OLDEST_READABLE_FORMAT};
use tokio::time::sleep;

use super::api::{Api, ApiError};
use super::keep::EncodedShard;

/// The longest shard as it is stored: what fits into an object of an API server.
pub(super) const ENCODED_BYTES_MAX: usize = 1024 * 1024;
/// Fetches at once. More would gain little and cost an API server with many pods a lot.
const FETCHES_MAX: usize = 8;
/// Pods learn of a new pointer in the same millisecond, so each waits a little, by chance.
const SPREAD: Duration = Duration::from_millis(150);

/// A shard is not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// It is not there: the pointer may be an old one by now.
    #[error("shard {name} does not exist; the operator makes it again, or publishes without it")]
    Missing {
        /// The object.
        name: String,
    },
    /// The API server will not hand it out.
    #[error(
        "shard {name} cannot be read: {source}; the data plane needs get on ConfigMaps and Secrets in the snapshot namespace"
    )]
    Denied {
        /// The object.
        name: String,
        /// Its words.
        source: ApiError,
    },
    /// It has no records, or more than an object can hold.
    #[error("shard {name} has no entry `{RECORDS_KEY}` of at most {ENCODED_BYTES_MAX} bytes")]
    NoRecords {
        /// The object.
        name: String,
    },
    /// The API server is away.
    #[error(transparent)]
    Away(ApiError),
}

/// Shards at hand, by the digest of their text. What is in here has not been verified.
#[derive(Default)]
pub(super) struct ShardCache {
    encoded: BTreeMap<Digest, Arc<[u8]>>,
}

impl ShardCache {
    /// Adds one that was found elsewhere.
    pub(super) fn insert(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        self.encoded.insert(digest, bytes);
    }

    /// Forgets one that is not what its digest says.
    pub(super) fn remove(&mut self, digest: &Digest) {
        self.encoded.remove(digest);
    }

    /// Forgets all but the shards of these generations.
    pub(super) fn retain(&mut self, generations: &[&Generation]) {
        let needed: BTreeSet<Digest> = generations
            .iter()
            .flat_map(|generation| generation.shards.iter().map(|shard| shard.digest))
            .collect();
        self.encoded.retain(|digest, _| needed.contains(digest));
    }

    /// All shards of a generation, if all are at hand.
    pub(super) fn all_of(&self, generation: &Generation) -> Option<Vec<EncodedShard>> {
        let shards = generation.shards.iter();
        shards
            .map(|shard| Some((shard.digest, Arc::clone(self.encoded.get(&shard.digest)?))))
            .collect()
    }

    /// Fetches what is missing of a generation. What came before an error stays.
    pub(super) async fn complete(
        &mut self,
        generation: &Generation,
        api: &Api,
    ) -> Result<Vec<EncodedShard>, FetchError> {
        let missing: Vec<ShardRef> = generation
            .shards
            .iter()
            .filter(|shard| !self.encoded.contains_key(&shard.digest))
            .copied()
            .collect();
        if !missing.is_empty() {
            sleep(SPREAD.mul_f64(fastrand::f64())).await;
        }
        let mut fetches = stream::iter(missing)
            .map(|shard| fetch(api, shard))
            .buffer_unordered(FETCHES_MAX);
        while let Some((digest, bytes)) = fetches.try_next().await? {
            self.encoded.insert(digest, bytes);
        }
        drop(fetches);
        Ok(self.all_of(generation).expect("what was missing was fetched just now"))
    }
}

async fn fetch(api: &Api, shard: ShardRef) -> Result<EncodedShard, FetchError> {
    let name = shard.object_name();
    let fetched = match shard.class {
        Class::Public => api.config_map(&name).await.map(|object| {
            let binary = object.binary_data.and_then(|mut data| data.remove(RECORDS_KEY));
            let text = object.data.and_then(|mut data| data.remove(RECORDS_KEY));
            binary.map(|bytes| bytes.0).or(text.map(String::into_bytes))
        }),
        Class::Secret => api.secret(&name).await.map(|object| {
            let entry = object.data.and_then(|mut data| data.remove(RECORDS_KEY));
            entry.map(|bytes| bytes.0)
        }),
    };
    match fetched {
        Ok(Some(bytes)) if bytes.len() <= ENCODED_BYTES_MAX => Ok((shard.digest, bytes.into())),
        Ok(_) => Err(FetchError::NoRecords { name }),
        Err(ApiError::NotFound) => Err(FetchError::Missing { name }),
        Err(source @ ApiError::Denied { .. }) => Err(FetchError::Denied { name, source }),
        Err(away @ ApiError::Away(_)) => Err(FetchError::Away(away)),
    }
}

/// Reads a shard in the format of its generation, else in another that this build reads: shards are named by their text,
/// so one that was stored before the format changed is not stored again. The digest decides.
pub(super) fn decode(reference: &ShardRef, bytes: &[u8], format: u32) -> Result<Shard, ShardError> {
    Shard::decode(reference, bytes, format).or_else(|error| {
        (OLDEST_READABLE_FORMAT..=FORMAT)
            .filter(|&other| other != format)
            .find_map(|other| Shard::decode(reference, bytes, other).ok())
            .ok_or(error)
    })
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::delivery::{Layout, shards_of};
    use headgate_snapshot::{Record, RecordKey};

    use super::*;

    fn shard(name: &str) -> Shard {
        let record = Record {
            key: RecordKey::Models(name.to_owned()),
            body: "{}".to_owned(),
        };
        shards_of(&[record], Layout::default()).unwrap().1.remove(0)
    }

    fn generation(shards: &[&Shard]) -> Generation {
        Generation {
            sequence: 1,
            format: 2,
            root: Digest([0; 32]),
            key_id: String::new(),
            layout: Layout::default(),
            shards: shards.iter().map(|shard| shard.reference).collect(),
        }
    }

    #[test]
    fn a_shard_is_read_in_whichever_format_it_was_stored() {
        let shard = shard("a");
        for (stored, stated) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let read = decode(&shard.reference, &shard.encode(stored), stated);
            assert_eq!(read.as_ref(), Ok(&shard), "stored {stored}, stated {stated}");
        }
        assert!(decode(&shard.reference, b"something else", 2).is_err());
    }

    #[test]
    fn only_what_may_still_be_needed_is_held() {
        let (a, b, c) = (shard("a"), shard("b"), shard("c"));
        let mut cache = ShardCache::default();
        for shard in [&a, &b, &c] {
            cache.insert(shard.reference.digest, Arc::from(shard.encode(2)));
        }
        let (served, head) = (generation(&[&a]), generation(&[&b]));
        cache.retain(&[&served, &head]);
        assert!(cache.all_of(&served).is_some() && cache.all_of(&head).is_some());
        assert!(cache.all_of(&generation(&[&a, &c])).is_none());
    }
}
