//! The pointer: which shards are in force, under which number, and what must not come back.
//!
//! All of its text is signed with a subkey of the sealing key, so nobody without the ring can make one; the sequence in it
//! lets a running reader refuse an older one that was signed once. It is JSON, since people look at it when something is
//! wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout::SHARDS_MAX;
use super::{Digest, KeyRing, Layout, ShardRef};
use crate::{KeyedDigest, SealingKey};

/// The longest text of a pointer, in bytes: what a ConfigMap holds, less its metadata.
pub const POINTER_TEXT_BYTES_MAX: usize = 960 * 1024;

/// One published snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generation {
    /// Grows by one with each publication.
    pub sequence: u64,
    /// How its shards are stored.
    pub format: u32,
    /// The version of the snapshot.
    pub root: Digest,
    /// Which sealing key sealed its credentials and keyed its digests.
    pub key_id: String,
    /// Over how many shards it is spread.
    pub layout: Layout,
    /// The shards that have records.
    pub shards: Vec<ShardRef>,
}

/// Tokens that used to open something. Whoever has to serve an older generation leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removed {
    /// The list is complete for generations from this sequence on.
    pub since: u64,
    /// Keyed digests, and the sequence that removed each.
    pub digests: BTreeMap<KeyedDigest, u64>,
}

/// What the pointer ConfigMap says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pointer {
    /// Whose it is.
    pub installation: String,
    /// What is in force.
    pub head: Generation,
    /// What was in force before, for a fresh reader that cannot use the head.
    pub previous: Option<Generation>,
    /// What must not come back with it.
    pub removed: Removed,
}

/// A pointer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its JSON.
    pub text: String,
    /// `<key id>:<64 hex digits>`.
    pub signature: String,
}

/// The pointer is not one that may be followed.
#[derive(Debug, thiserror::Error)]
pub enum PointerError {
    /// It is longer than a ConfigMap could be.
    #[error("the pointer is longer than {POINTER_TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// The signature is not of our form.
    #[error("the pointer has no signature of the form `<key id>:<64 hex digits>`")]
    NotSigned,
    /// It was signed with a key that is not in the ring.
    #[error("the pointer is signed with key `{key_id}`, which the key ring does not hold")]
    UnknownKey {
        /// The key it names.
        key_id: String,
    },
    /// The signature is of other text.
    #[error("the signature of the pointer is wrong: it was edited, or signed by somebody else")]
    Forged,
    /// Properly signed, and not understood: a newer operator wrote it.
    #[error("the pointer was signed and cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It names more shards than an operator makes.
    #[error("the pointer names {0} shards, more than any operator makes")]
    TooManyShards(usize),
}

impl Pointer {
    /// The pointer as it is stored. The same pointer and key give the same bytes.
    pub fn sign(&self, key: &SealingKey) -> Signed {
        let text = serde_json::to_string(self).expect("plain data with string keys is always JSON");
        let signature = format!("{}:{}", key.id(), Digest(key.sign_pointer(text.as_bytes())));
        Signed { text, signature }
    }

    /// Reads a pointer that somebody with the ring has signed. Nothing of the text is looked at before the signature
    /// holds.
    pub fn verify(signed: &Signed, ring: &KeyRing) -> Result<Self, PointerError> {
        let Signed { text, signature } = signed;
        if text.len() > POINTER_TEXT_BYTES_MAX {
            return Err(PointerError::TooLong);
        }
        let (key_id, tag) = signature.split_once(':').ok_or(PointerError::NotSigned)?;
        let tag: Digest = tag.parse().map_err(|_| PointerError::NotSigned)?;
        let key = ring.get(key_id).ok_or_else(|| PointerError::UnknownKey {
            key_id: key_id.chars().take(64).collect(),
        })?;
        if !key.is_pointer_signature(text.as_bytes(), &tag.0) {
            return Err(PointerError::Forged);
        }
        let pointer: Self = serde_json::from_str(text)?;
        let shards = pointer
            .head
            .shards
            .len()
            .max(pointer.previous.as_ref().map_or(0, |g| g.shards.len()));
        // Two classes.
        if shards > 2 * SHARDS_MAX as usize {
            return Err(PointerError::TooManyShards(shards));
        }
        Ok(pointer)
    }
}
