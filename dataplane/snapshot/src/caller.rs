//! What a virtual key allows, and the keyed digests by which it is recognised. No token is ever here.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// HMAC-SHA256 under a subkey of the sealing key over the SHA-256 of a token: a stolen snapshot allows no guessing.
/// Serialised as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyedDigest(pub [u8; 32]);

impl fmt::Debug for KeyedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedDigest(…)")
    }
}

impl Serialize for KeyedDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::sealed::hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyedDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::sealed::unhex(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a keyed digest is 64 hex digits"))
    }
}

/// One `VirtualKey`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Caller {
    /// Its keys; empty where the source is missing. Sorted by digest.
    pub keys: Vec<KeyEntry>,
    /// First 8 hex digits of the SHA-256 of the current token: what people and logs may see.
    pub fingerprint: String,
    /// `owner.user`.
    pub user: Option<String>,
    /// `owner.team`.
    pub team: Option<String>,
    /// `owner.metadata`.
    pub metadata: BTreeMap<String, String>,
    /// The labels of the object.
    pub labels: BTreeMap<String, String>,
    /// From this moment on it is refused: seconds since the Unix epoch.
    pub not_after: Option<i64>,
    /// Refused until lifted.
    pub suspended: bool,
    /// Globs over model names; `None`: all that the namespace may use.
    pub models: Option<Vec<String>>,
    /// Globs over provider names; `None`: all.
    pub providers: Option<Vec<String>>,
    /// Globs over route names; `None`: all.
    pub routes: Option<Vec<String>>,
    /// The provider that serves a name which several declare.
    pub default_provider: Option<String>,
    /// Why every request of this key is refused with 503 (it fails closed), if it is.
    pub refused: Option<String>,
}

/// One digest that opens a caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyEntry {
    /// By what it is found.
    pub digest: KeyedDigest,
    /// The end of an overlap after a rotation: seconds since the Unix epoch.
    pub not_after: Option<i64>,
}
