//! What binds an id to its owner without a store: a tag that only somebody with the sealing key can make.
//!
//! Objects that callers leave at a provider lie in one account that all of them share. The data plane gives out ids of its
//! own for them, which carry such a tag, so that each replica can tell whose an id is and none has to remember it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Makes tags and knows them again, under a subkey of a sealing key.
#[derive(Clone)]
pub struct Binder {
    state: Hmac<Sha256>,
}

impl Binder {
    pub(crate) fn new(state: Hmac<Sha256>) -> Self {
        Self { state }
    }

    /// The first `LENGTH` bytes, of at most 32, of the HMAC-SHA256 over `parts`.
    pub fn tag<const LENGTH: usize>(&self, parts: &[&str]) -> [u8; LENGTH] {
        let whole = self.over(parts).finalize().into_bytes();
        std::array::from_fn(|index| whole[index])
    }

    /// Whether `tag` is the beginning of the HMAC over `parts`, compared in constant time.
    pub fn is_tag(&self, parts: &[&str], tag: &[u8]) -> bool {
        self.over(parts).verify_truncated_left(tag).is_ok()
    }

    /// Each part after its length in bytes: no two lists of parts give one text.
    fn over(&self, parts: &[&str]) -> Hmac<Sha256> {
        parts.iter().fold(self.state.clone(), |state, part| {
            state.chain_update((part.len() as u64).to_be_bytes()).chain_update(part)
        })
    }
}

impl fmt::Debug for Binder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binder(redacted)")
    }
}
