//! The sealing keys of an installation. Readers open with any of them; the operator seals with the newest that every
//! reader has, so that a key can be added and an old one taken away without a moment in which something cannot be opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::SealingKey;

/// More keys than this are a mistake: a rotation needs two.
const KEYS_MAX: usize = 64;

/// The keys, oldest first; never empty. They are ordered by the name of their entry, so `key-0002` comes after
/// `key-0001`.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<Arc<SealingKey>>,
    unusable: Vec<String>,
}

/// The entries are no key ring. Names entries, never their content.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// There is no entry.
    #[error("the key ring is empty; it needs one entry with 32 random bytes, as `openssl rand -base64 32` prints them")]
    Empty,
    /// There are too many.
    #[error("the key ring has more than {KEYS_MAX} entries; remove the oldest ones")]
    TooMany,
    /// There are entries, and none is a key.
    #[error(
        "entry `{entry}` of the key ring is neither 32 bytes nor the base64 of 32 bytes; write what \
         `openssl rand -base64 32` prints"
    )]
    NotAKey {
        /// Its name.
        entry: String,
    },
}

impl KeyRing {
    /// Reads the entries of a Secret, or the files of the folder it is mounted as. A value is 32 bytes, or their base64
    /// with or without a line break after it. An entry that is neither is passed over and named by
    /// [`unusable`](Self::unusable): a slip beside good keys must not stop revocations.
    pub fn from_entries(entries: impl IntoIterator<Item = (String, Zeroizing<Vec<u8>>)>) -> Result<Self, RingError> {
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        if entries.len() > KEYS_MAX {
            return Err(RingError::TooMany);
        }
        let (mut keys, mut unusable) = (Vec::new(), Vec::new());
        for (entry, value) in entries {
            match key_bytes(&value) {
                Some(bytes) => keys.push(Arc::new(SealingKey::new(*bytes))),
                None => unusable.push(entry),
            }
        }
        if !keys.is_empty() {
            return Ok(Self { keys, unusable });
        }
        Err(match unusable.pop() {
            Some(entry) => RingError::NotAKey { entry },
            None => RingError::Empty,
        })
    }

    /// Names of entries that hold no key.
    pub fn unusable(&self) -> &[String] {
        &self.unusable
    }

    /// The key of that id.
    pub fn get(&self, id: &str) -> Option<&Arc<SealingKey>> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The key added last.
    pub fn newest(&self) -> &Arc<SealingKey> {
        self.keys.last().expect("a ring is never empty")
    }

    /// All of them, oldest first.
    pub fn keys(&self) -> &[Arc<SealingKey>] {
        &self.keys
    }

    /// Their ids, oldest first.
    pub fn ids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.id().to_owned()).collect()
    }

    /// The newest key that each of these readers has; the newest of all if there are no readers. `None` if they have
    /// none in common.
    pub fn newest_held_by_all<'a>(&self, held: impl IntoIterator<Item = &'a [String]>) -> Option<&Arc<SealingKey>> {
        let held: Vec<&[String]> = held.into_iter().collect();
        self.keys
            .iter()
            .rev()
            .find(|key| held.iter().all(|ids| ids.iter().any(|id| id == key.id())))
    }
}

fn key_bytes(value: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    if let Ok(bytes) = <[u8; 32]>::try_from(value) {
        return Some(Zeroizing::new(bytes));
    }
    let decoded = Zeroizing::new(STANDARD.decode(value.trim_ascii()).ok()?);
    Some(Zeroizing::new(decoded.as_slice().try_into().ok()?))
}
