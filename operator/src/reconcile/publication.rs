//! What is published, as the operator remembers it and as the pointer says, and what to make of a difference.
//!
//! The watch may lag behind our own write, somebody may edit the pointer, put an older one back or delete it, and another
//! leader may have written since. All of these look the same at first: another text than ours. So a difference is always
//! settled by a read of the pointer itself, and only what is signed, is ours and is newer than what we know replaces it.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use headgate_snapshot::Snapshot;
use headgate_snapshot::delivery::{
    Class, Generation, KeyRing, POINTER_KEY, Pointer, RECORDS_KEY, SIGNATURE_KEY, STATUS_KEY, Shard, ShardRef, Signed,
    annotation, assemble,
};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client, ResourceExt};

use super::ReconcileError;
use super::build::{Before, Head};
use crate::args::Config;

/// Shards that are read at once.
const READS_IN_FLIGHT: usize = 20;

/// The pointer ConfigMap, as far as it matters to its writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PointerObject {
    /// Its identity.
    pub(crate) uid: String,
    /// The version that a write has to be based on.
    pub(crate) resource_version: String,
    /// The pointer; `None` where there is none in it.
    pub(crate) signed: Option<Signed>,
    /// What it tells people.
    pub(crate) status: Option<String>,
    /// What a person lets through.
    pub(crate) approval: Option<String>,
}

impl PointerObject {
    /// Takes what matters out of the ConfigMap.
    pub(crate) fn of(object: &ConfigMap) -> Self {
        let entry = |key: &str| object.data.as_ref().and_then(|data| data.get(key)).cloned();
        let signed = entry(POINTER_KEY).zip(entry(SIGNATURE_KEY));
        Self {
            uid: object.uid().unwrap_or_default(),
            resource_version: object.resource_version().unwrap_or_default(),
            signed: signed.map(|(text, signature)| Signed { text, signature }),
            status: entry(STATUS_KEY),
            approval: object.annotations().get(annotation::APPROVE_REMOVAL).cloned(),
        }
    }

    /// Whether this one was read later. Versions of one object are numbers that grow.
    fn is_newer_than(&self, other: &Self) -> bool {
        let version = |object: &Self| object.resource_version.parse::<u64>().unwrap_or(0);
        self.uid == other.uid && version(self) > version(other)
    }
}

/// What this leader knows of the publication.
#[derive(Debug, Default)]
pub(crate) struct Publication {
    /// The pointer as last read or written.
    pub(crate) object: Option<PointerObject>,
    /// What is in force, and how the pointer says so.
    head: Option<(Head, Signed)>,
    highest_sequence: u64,
    /// Whether the pointer has to be read whatever the watch says: after a take-over, and after a conflict.
    is_stale: bool,
}

impl Publication {
    /// Nothing is known yet.
    pub(crate) fn unknown() -> Self {
        Self {
            is_stale: true,
            ..Self::default()
        }
    }

    /// Somebody else wrote the pointer: it is read before anything else is done.
    pub(crate) fn distrust(&mut self) {
        self.is_stale = true;
    }

    /// What is in force, as far as this leader knows.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.head.as_ref().map(|(head, _)| head)
    }

    /// Remembers a pointer that was just written.
    pub(crate) fn wrote(&mut self, object: PointerObject, pointer: Pointer, signed: Signed, content: Arc<Snapshot>) {
        self.highest_sequence = self.highest_sequence.max(pointer.head.sequence);
        let content = Some(content);
        self.head = Some((Head { pointer, content }, signed));
        self.object = Some(object);
    }

    /// Remembers that what is in force could be made whole again.
    pub(crate) fn restored(&mut self, content: Arc<Snapshot>) {
        if let Some((head, _)) = &mut self.head {
            head.content = Some(content);
        }
    }

    /// Reads the pointer if `seen` is not what is known. Needs no key ring, since it judges nothing.
    pub(crate) async fn read(
        &mut self,
        client: &Client,
        config: &Config,
        seen: Option<&ConfigMap>,
    ) -> Result<(), ReconcileError> {
        let seen = seen.map(PointerObject::of);
        let is_known = match (&seen, &self.object) {
            (Some(seen), Some(known)) => seen.uid == known.uid && seen.signed == known.signed,
            (None, None) => true,
            _ => false,
        };
        if is_known && !self.is_stale {
            if let (Some(seen), Some(known)) = (seen, &mut self.object)
                && seen.is_newer_than(known)
            {
                *known = seen;
            }
            return Ok(());
        }
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), &config.snapshot_namespace);
        let read = api.get_opt(&config.snapshot_name).await;
        let read = read.map_err(ReconcileError::kube("read the pointer"))?;
        self.object = read.as_ref().map(PointerObject::of);
        self.is_stale = false;
        Ok(())
    }

    /// Judges the pointer that was read. `acknowledged` is the highest sequence that a data plane speaks of.
    pub(crate) async fn judge(
        &mut self,
        client: &Client,
        config: &Config,
        ring: &KeyRing,
        acknowledged: u64,
    ) -> Result<Before, ReconcileError> {
        let signed = self.object.as_ref().and_then(|object| object.signed.clone());
        let known = self.head.as_ref().map(|(_, signed)| signed);
        let is_in_place = if signed.is_some() && signed.as_ref() == known {
            true
        } else {
            match self.judged(signed.as_ref(), config, ring, acknowledged)? {
                Some(pointer) => {
                    let content = read_content(client, config, &pointer.head).await?;
                    self.highest_sequence = pointer.head.sequence;
                    let content = content.map(Arc::new);
                    self.head = signed.map(|signed| (Head { pointer, content }, signed));
                    true
                }
                None => false,
            }
        };
        if self.head.is_none() {
            self.highest_sequence = self.highest_sequence.max(acknowledged);
        }
        Ok(Before {
            highest_sequence: self.highest_sequence,
            head: self.head().cloned(),
            is_in_place,
        })
    }

    /// What to make of a pointer that is not the one we know: it is adopted if it is signed, ours and newer, and else
    /// (`None`) it is not what should be in force.
    fn judged(
        &self,
        signed: Option<&Signed>,
        config: &Config,
        ring: &KeyRing,
        acknowledged: u64,
    ) -> Result<Option<Pointer>, ReconcileError> {
        let Some(signed) = signed else {
            if self.head.is_some() || acknowledged > 0 {
                tracing::warn!(
                    acknowledged,
                    "the pointer is gone; it is written again, above what was ever served"
                );
            }
            return Ok(None);
        };
        let pointer = match Pointer::verify(signed, ring) {
            Ok(pointer) => pointer,
            Err(error) => {
                tracing::error!(%error, "the pointer is not one that this operator wrote; it is replaced");
                return Ok(None);
            }
        };
        if pointer.installation != config.installation {
            return Err(ReconcileError::ForeignPointer {
                name: format!("{}/{}", config.snapshot_namespace, config.snapshot_name),
                installation: pointer.installation,
            });
        }
        let known = self
            .highest_sequence
            .max(if self.head.is_none() { acknowledged } else { 0 });
        let is_newer = pointer.head.sequence > self.highest_sequence && pointer.head.sequence >= known;
        if !is_newer {
            tracing::error!(
                sequence = pointer.head.sequence,
                highest = known,
                "the pointer is an older one that was put back; it is replaced"
            );
            return Ok(None);
        }
        Ok(Some(pointer))
    }
}

/// What a generation comes to; `None` if a shard is missing or is not what it should be, which is said. A failing API
/// server is an error: it tells nothing about shards.
async fn read_content(
    client: &Client,
    config: &Config,
    generation: &Generation,
) -> Result<Option<Snapshot>, ReconcileError> {
    let reads = generation
        .shards
        .iter()
        .map(|reference| read_shard(client, config, reference));
    let bytes: Vec<_> = stream::iter(reads).buffered(READS_IN_FLIGHT).try_collect().await?;
    let mut shards = Vec::with_capacity(bytes.len());
    for (reference, bytes) in generation.shards.iter().zip(bytes) {
        let name = reference.object_name();
        let Some(bytes) = bytes else {
            tracing::error!(shard = name, "a published shard is gone; it is written again");
            return Ok(None);
        };
        match Shard::decode(reference, &bytes, generation.format) {
            Ok(shard) => shards.push(shard),
            Err(error) => {
                tracing::error!(shard = name, %error, "a published shard is damaged; it is written again");
                return Ok(None);
            }
        }
    }
    match assemble(generation, shards) {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(error) => {
            tracing::error!(%error, "the published shards are no snapshot of this version; it is published anew");
            Ok(None)
        }
    }
}

/// The stored bytes of a shard.
async fn read_shard(client: &Client, config: &Config, reference: &ShardRef) -> Result<Option<Vec<u8>>, ReconcileError> {
    let name = reference.object_name();
    let bytes = match reference.class {
        Class::Public => {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), &config.snapshot_namespace);
            api.get_opt(&name)
                .await
                .map(|object| object.and_then(|object| bytes_of_config_map(&object)))
        }
        Class::Secret => {
            let api: Api<Secret> = Api::namespaced(client.clone(), &config.snapshot_namespace);
            api.get_opt(&name)
                .await
                .map(|object| object.and_then(|object| bytes_of_secret(&object)))
        }
    };
    bytes.map_err(ReconcileError::kube("read a shard"))
}

/// Text in format 1, bytes in later ones.
pub(crate) fn bytes_of_config_map(object: &ConfigMap) -> Option<Vec<u8>> {
    let text = object.data.as_ref().and_then(|data| data.get(RECORDS_KEY));
    let bytes = object.binary_data.as_ref().and_then(|data| data.get(RECORDS_KEY));
    text.map(|text| text.as_bytes().to_vec())
        .or_else(|| bytes.map(|bytes| bytes.0.clone()))
}

/// The same bytes, whatever the format.
pub(crate) fn bytes_of_secret(object: &Secret) -> Option<Vec<u8>> {
    let data = object.data.as_ref()?;
    data.get(RECORDS_KEY).map(|bytes| bytes.0.clone())
}
