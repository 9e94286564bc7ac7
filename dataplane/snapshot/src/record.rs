//! Canonical records: one per object, each with a digest, so that equal intent is equal bytes however it is laid out.
//!
//! The body is JSON written by serde from ordered maps, which makes it canonical without a canonicaliser; on reading, a body
//! that we would have written otherwise is refused. The version of a snapshot is a digest over the sorted pairs of
//! record key and record digest, never over a file, so records may be grouped into shards in any way.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::sealed::hex;
use crate::{CredentialSlot, ObjectName, Snapshot};

/// The identity of a record, written `provider/ns/name`, `credential/ns/name/slot`, `route/ns/name`, `models/ns` or
/// `caller/ns/name`. Records are sorted by that text, bytewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordKey {
    /// One [`Provider`](crate::Provider).
    Provider(ObjectName),
    /// One [`Sealed`](crate::Sealed) value.
    Credential(CredentialSlot),
    /// One [`Route`](crate::Route).
    Route(ObjectName),
    /// The [`ModelTable`](crate::ModelTable) of a namespace.
    Models(String),
    /// One [`Caller`](crate::Caller).
    Caller(ObjectName),
}

impl RecordKey {
    /// Whether the record belongs in a Secret: sealed credentials, and callers with their keyed digests. The others may
    /// stand in a ConfigMap.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Credential(_) | Self::Caller(_) => true,
            Self::Provider(_) | Self::Route(_) | Self::Models(_) => false,
        }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(name) => write!(f, "provider/{name}"),
            Self::Credential(slot) => write!(f, "credential/{slot}"),
            Self::Route(name) => write!(f, "route/{name}"),
            Self::Models(namespace) => write!(f, "models/{namespace}"),
            Self::Caller(name) => write!(f, "caller/{name}"),
        }
    }
}

/// The text is no record key that this build knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no kind of record that this build knows")]
pub struct NotARecordKey(String);

impl FromStr for RecordKey {
    type Err = NotARecordKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotARecordKey(text.to_owned());
        let (kind, rest) = text.split_once('/').ok_or_else(wrong)?;
        match kind {
            "provider" => rest.parse().map(Self::Provider).map_err(|_| wrong()),
            "credential" => rest.parse().map(Self::Credential).map_err(|_| wrong()),
            "route" => rest.parse().map(Self::Route).map_err(|_| wrong()),
            "models" if !rest.is_empty() && !rest.contains('/') => Ok(Self::Models(rest.to_owned())),
            "caller" => rest.parse().map(Self::Caller).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// One object of a snapshot as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which object.
    pub key: RecordKey,
    /// Its canonical JSON.
    pub body: String,
}

impl Record {
    /// SHA-256 of the body.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.body).into()
    }

    /// See [`RecordKey::is_secret`].
    pub fn is_secret(&self) -> bool {
        self.key.is_secret()
    }
}

/// The body of a record is not JSON of its kind, or not as this build writes it.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON of that kind.
    #[error("record {key}: {source}")]
    Parse {
        /// The record.
        key: String,
        /// What serde says; it names fields and positions.
        source: serde_json::Error,
    },
    /// A second body for the same object.
    #[error("record {key} stands twice")]
    Duplicate {
        /// The record.
        key: String,
    },
    /// It can be read, and would be written differently: two byte strings must not mean one thing.
    #[error("record {key} is not in its canonical form")]
    NotCanonical {
        /// The record.
        key: String,
    },
}

/// The records of a snapshot, sorted by the text of their key.
pub fn records_of(snapshot: &Snapshot) -> Vec<Record> {
    let Snapshot {
        providers,
        credentials,
        routes,
        models,
        callers,
    } = snapshot;
    let mut records =
        Vec::with_capacity(providers.len() + credentials.len() + routes.len() + models.len() + callers.len());
    // `caller` < `credential` < `models` < `provider` < `route`; within a kind the maps order by namespace, then name,
    // which differs from the order of the text (`a-b/x` before `a/x`), hence the sort.
    add(&mut records, callers, RecordKey::Caller);
    add(&mut records, credentials, RecordKey::Credential);
    add(&mut records, models, RecordKey::Models);
    add(&mut records, providers, RecordKey::Provider);
    add(&mut records, routes, RecordKey::Route);
    records.sort_by_cached_key(|record| record.key.to_string());
    records
}

fn add<K: Clone, V: Serialize>(records: &mut Vec<Record>, map: &BTreeMap<K, V>, key: fn(K) -> RecordKey) {
    records.extend(map.iter().map(|(name, value)| Record {
        key: key(name.clone()),
        body: json(value),
    }));
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data with string keys is always JSON")
}

/// Puts records together again, in whatever order and from however many shards they come.
pub fn snapshot_of(records: impl IntoIterator<Item = Record>) -> Result<Snapshot, RecordError> {
    let mut snapshot = Snapshot::default();
    for Record { key, body } in records {
        let text = key.to_string();
        match key {
            RecordKey::Provider(name) => insert(&mut snapshot.providers, name, &body, text),
            RecordKey::Credential(slot) => insert(&mut snapshot.credentials, slot, &body, text),
            RecordKey::Route(name) => insert(&mut snapshot.routes, name, &body, text),
            RecordKey::Models(namespace) => insert(&mut snapshot.models, namespace, &body, text),
            RecordKey::Caller(name) => insert(&mut snapshot.callers, name, &body, text),
        }?;
    }
    Ok(snapshot)
}

fn insert<K: Ord, V: Serialize + DeserializeOwned>(
    map: &mut BTreeMap<K, V>,
    name: K,
    body: &str,
    key: String,
) -> Result<(), RecordError> {
    let value: V = match serde_json::from_str(body) {
        Ok(value) => value,
        Err(source) => return Err(RecordError::Parse { key, source }),
    };
    if json(&value) != body {
        return Err(RecordError::NotCanonical { key });
    }
    match map.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(RecordError::Duplicate { key }),
    }
}

/// The digest over sorted pairs of record key and record digest; hex of it is the version of a snapshot. The pairs must
/// come sorted by key text. Each key stands after its length, so that no two lists of pairs give one text.
pub fn root_digest<'a>(pairs: impl IntoIterator<Item = (&'a str, [u8; 32])>) -> [u8; 32] {
    let mut root = Sha256::new_with_prefix(b"headgate/snapshot-root");
    for (key, digest) in pairs {
        root.update((key.len() as u64).to_be_bytes());
        root.update(key);
        root.update(digest);
    }
    root.finalize().into()
}

impl Snapshot {
    /// What names this content, 64 hex digits: equal intent gives an equal version, whatever order or layout it came in.
    pub fn version(&self) -> String {
        let keyed: Vec<_> = records_of(self)
            .iter()
            .map(|record| (record.key.to_string(), record.digest()))
            .collect();
        hex(&root_digest(keyed.iter().map(|(key, digest)| (key.as_str(), *digest))))
    }
}
