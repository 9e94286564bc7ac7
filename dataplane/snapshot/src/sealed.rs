//! Credentials at rest: AES-256-GCM with derived nonces, so that equal intent gives equal bytes, bound by associated data
//! to the object, the slot and the origin they were sealed for.
//!
//! The nonce is `HMAC(nonce subkey, associated data || plaintext)`, cut to 96 bits: two different messages share a nonce
//! with probability 2^-96 a pair, and the same message sealed twice gives the same bytes, which is what lets a snapshot be
//! compared by digest. The price is that whoever sees both can tell that two values for the same slot are equal.

use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::binder::Binder;
use crate::{CredentialSlot, KeyedDigest};

/// What subkeys are derived for. Changing a label makes every sealed value and every keyed digest unreadable.
mod label {
    pub(super) const KEY_ID: &[u8] = b"headgate/v1/key-id";
    pub(super) const ENCRYPTION: &[u8] = b"headgate/v1/credential-encryption";
    pub(super) const NONCE: &[u8] = b"headgate/v1/credential-nonce";
    pub(super) const TOKEN_DIGEST: &[u8] = b"headgate/v1/token-digest";
    pub(super) const POINTER: &[u8] = b"headgate/v1/pointer";
    pub(super) const STORED_OBJECTS: &[u8] = b"headgate/v1/stored-objects";
}

/// The kind that stands in the associated data: only providers hold credentials so far.
const SEALED_KIND: &str = "LLMProvider";

/// 32 secret bytes from which all subkeys derive, and the id by which sealed values name it. The subkeys are computed
/// once; all of them are wiped when the key is dropped.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    cipher: Aes256Gcm,
    nonces: Hmac<Sha256>,
    pointers: Hmac<Sha256>,
    digester: KeyDigester,
    binder: Binder,
}

impl SealingKey {
    /// Takes 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        let root = Zeroizing::new(bytes);
        let id = hex(&subkey(&root, label::KEY_ID)[..8]);
        let encryption = subkey(&root, label::ENCRYPTION);
        Self {
            id,
            cipher: Aes256Gcm::new((&*encryption).into()),
            nonces: keyed(&subkey(&root, label::NONCE)),
            pointers: keyed(&subkey(&root, label::POINTER)),
            digester: KeyDigester {
                state: keyed(&subkey(&root, label::TOKEN_DIGEST)),
            },
            binder: Binder::new(keyed(&subkey(&root, label::STORED_OBJECTS))),
        }
    }

    /// The name of this key, 16 hex digits. It is derived one way and tells nothing about the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What recognises tokens, to be kept and shared: the HMAC state is computed once.
    pub fn digester(&self) -> KeyDigester {
        self.digester.clone()
    }

    /// What binds ids of stored objects to their owners.
    pub fn binder(&self) -> Binder {
        self.binder.clone()
    }

    /// Seals `plaintext` for one slot of one provider at one origin (scheme, host and port).
    pub fn seal(&self, slot: &CredentialSlot, origin: &str, plaintext: &[u8]) -> Sealed {
        let associated = associated_data(slot, origin, &self.id);
        let nonce = self.nonce(&associated, plaintext);
        let ciphertext = self
            .cipher
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: plaintext,
                    aad: &associated,
                },
            )
            .expect("AES-GCM refuses only messages above 64 GiB, and a Secret is at most 1 MiB");
        Sealed {
            key_id: self.id.clone(),
            nonce,
            ciphertext,
        }
    }

    /// Opens what was sealed with the same key, slot and origin. Any other bytes are an error, never a panic.
    pub fn open(&self, slot: &CredentialSlot, origin: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if sealed.key_id != self.id {
            return Err(OpenError::OtherKey {
                sealed_with: sealed.key_id.clone(),
                this: self.id.clone(),
            });
        }
        let associated = associated_data(slot, origin, &self.id);
        self.cipher
            .decrypt(
                &sealed.nonce.into(),
                Payload {
                    msg: &sealed.ciphertext,
                    aad: &associated,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Tampered)
    }

    /// The tag by which a pointer is known to come from somebody with this key.
    pub(crate) fn sign_pointer(&self, text: &[u8]) -> [u8; 32] {
        self.pointers.clone().chain_update(text).finalize().into_bytes().into()
    }

    /// Whether `tag` is that of `text`, compared in constant time.
    pub(crate) fn is_pointer_signature(&self, text: &[u8], tag: &[u8; 32]) -> bool {
        self.pointers.clone().chain_update(text).verify_slice(tag).is_ok()
    }

    fn nonce(&self, associated: &[u8], plaintext: &[u8]) -> [u8; 12] {
        let tag: [u8; 32] = self
            .nonces
            .clone()
            .chain_update(associated)
            .chain_update(plaintext)
            .finalize()
            .into_bytes()
            .into();
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&tag[..12]);
        nonce
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Turns tokens into keyed digests. Stands on the path of every request: no allocation, and the HMAC key is not hashed
/// again.
#[derive(Clone)]
pub struct KeyDigester {
    state: Hmac<Sha256>,
}

impl KeyDigester {
    /// The keyed digest of a token.
    pub fn of_token(&self, token: &[u8]) -> KeyedDigest {
        self.of_sha256(&Sha256::digest(token).into())
    }

    /// The keyed digest of a token known only by its SHA-256.
    pub fn of_sha256(&self, sha256: &[u8; 32]) -> KeyedDigest {
        KeyedDigest(self.state.clone().chain_update(sha256).finalize().into_bytes().into())
    }
}

impl fmt::Debug for KeyDigester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigester(redacted)")
    }
}

/// A sealed credential: opens only with the same key, slot and origin. Serialised with base64 (padded, canonical).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sealed {
    /// Which sealing key opens it.
    pub key_id: String,
    #[serde(serialize_with = "to_base64", deserialize_with = "nonce_from_base64")]
    nonce: [u8; 12],
    #[serde(serialize_with = "to_base64", deserialize_with = "bytes_from_base64")]
    ciphertext: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key_id", &self.key_id)
            .field("bytes", &self.ciphertext.len())
            .finish_non_exhaustive()
    }
}

/// A sealed value could not be opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
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

/// Kind, namespace, name, slot, origin and key id, each after its length in bytes: no two lists of parts give one text.
fn associated_data(slot: &CredentialSlot, origin: &str, key_id: &str) -> Vec<u8> {
    let CredentialSlot { provider, slot } = slot;
    let parts = [SEALED_KIND, &provider.namespace, &provider.name, slot, origin, key_id];
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn subkey(root: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keyed(root).chain_update(label).finalize().into_bytes().into())
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn to_base64<S: Serializer, B: AsRef<[u8]>>(bytes: &B, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn bytes_from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD
        .decode(String::deserialize(deserializer)?)
        .map_err(serde::de::Error::custom)
}

fn nonce_from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 12], D::Error> {
    bytes_from_base64(deserializer)?
        .try_into()
        .map_err(|_| serde::de::Error::custom("a nonce is 12 bytes"))
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// 32 bytes from exactly 64 lower-case hex digits: one spelling for one digest.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
