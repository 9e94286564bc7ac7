//! Credentials at rest: AES-256-GCM with derived nonces, so that equal intent gives equal bytes, bound by associated data
//! to the object, the slot and the origin they were sealed for.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{CredentialSlot, KeyedDigest};

/// 32 secret bytes from which all subkeys derive, and the id by which sealed values name it.
pub struct SealingKey {
    _bytes: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// Takes 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { _bytes: Zeroizing::new(bytes) }
    }

    /// What recognises tokens, to be kept and shared: the HMAC state is computed once.
    pub fn digester(&self) -> KeyDigester {
        todo!()
    }

    /// Seals `plaintext` for one slot of one provider at one origin (scheme, host and port).
    pub fn seal(&self, _slot: &CredentialSlot, _origin: &str, _plaintext: &[u8]) -> Sealed {
        todo!()
    }

    /// Opens what was sealed with the same key, slot and origin.
    pub fn open(&self, _slot: &CredentialSlot, _origin: &str, _sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        todo!()
    }
}

/// Turns tokens into keyed digests.
#[derive(Clone)]
pub struct KeyDigester {}

impl KeyDigester {
    /// The keyed digest of a token.
    pub fn of_token(&self, _token: &[u8]) -> KeyedDigest {
        todo!()
    }

    /// The keyed digest of a token known only by its SHA-256.
    pub fn of_sha256(&self, _sha256: &[u8; 32]) -> KeyedDigest {
        todo!()
    }
}

/// A sealed credential: opens only with the same key, slot and origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sealed {
    /// Which sealing key opens it.
    pub key_id: String,
}

/// A sealed value could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with another key.
    #[error("sealed with key `{sealed_with}`, and this is key `{this}`")]
    OtherKey {
        /// The id in the value.
        sealed_with: String,
        /// The id of the key at hand.
        this: String,
    },
    /// The bytes, the slot or the origin are not what was sealed.
    #[error("does not open for this object and origin")]
    Tampered,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(_text: &str) -> Option<[u8; 32]> {
    None
}
