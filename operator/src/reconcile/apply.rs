//! Writes what was planned: the shards, then the pointer, so that a pointer never names what is not there. Dumb on
//! purpose: it decides nothing but what an answer of the API server means.
//!
//! A shard is named by its content, so one that exists is usually the one that was meant. It is looked at all the same:
//! the same text can be stored in another format, and whoever may write in the namespace could have put something else
//! there to keep a change from every reader.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use headgate_snapshot::delivery::{
    Class, POINTER_KEY, Pointer, RECORDS_KEY, SIGNATURE_KEY, STATUS_KEY, Shard, ShardRef, Signed, annotation, label,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ReconcileError;
use super::publication::{PointerObject, bytes_of_config_map, bytes_of_secret};
use super::sweep::{FORMAT_LABEL, Shelf};
use crate::args::Config;
use crate::metrics::Metrics;
use crate::world::World;

/// Shards that are written at once.
const WRITES_IN_FLIGHT: usize = 20;
/// The type of the Secrets that hold shards; the admission policy knows it.
const SHARD_SECRET_TYPE: &str = "headgate.dev/shard";

/// Who writes, and where.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    /// To the API server.
    pub(crate) client: &'a Client,
    /// Names and namespaces.
    pub(crate) config: &'a Config,
    /// Knows whether we lead.
    pub(crate) world: &'a World,
    /// Counts writes.
    pub(crate) metrics: &'a Metrics,
}

impl Writer<'_> {
    /// Writes the shards that are not there yet.
    pub(crate) async fn shards(&self, shards: &[Shard], format: u32, shelf: &mut Shelf) -> Result<(), ReconcileError> {
        let missing: Vec<&Shard> = shards
            .iter()
            .filter(|shard| !shelf.holds(&shard.reference, format))
            .collect();
        let writes = missing.into_iter().map(|shard| async move {
            self.shard(shard, format).await?;
            Ok::<ShardRef, ReconcileError>(shard.reference)
        });
        let mut writes = stream::iter(writes).buffer_unordered(WRITES_IN_FLIGHT);
        while let Some(written) = writes.try_next().await? {
            shelf.put(&written, format);
        }
        Ok(())
    }

    async fn shard(&self, shard: &Shard, format: u32) -> Result<(), ReconcileError> {
        let bytes = shard.encode(format);
        let metadata = self.shard_metadata(&shard.reference, format);
        match shard.reference.class {
            Class::Public => {
                let object = public_shard(metadata, &bytes, format);
                self.create_or_repair(&object, |found| bytes_of_config_map(found).as_ref() == Some(&bytes))
                    .await
            }
            Class::Secret => {
                let object = Secret {
                    metadata,
                    immutable: Some(true),
                    type_: Some(SHARD_SECRET_TYPE.to_owned()),
                    data: Some([(RECORDS_KEY.to_owned(), ByteString(bytes.clone()))].into()),
                    ..Secret::default()
                };
                self.create_or_repair(&object, |found| bytes_of_secret(found).as_ref() == Some(&bytes))
                    .await
            }
        }
    }

    fn shard_metadata(&self, reference: &ShardRef, format: u32) -> ObjectMeta {
        let labels = [
            (label::INSTALLATION, self.config.installation.clone()),
            (label::SHARD, reference.class.as_str().to_owned()),
            (FORMAT_LABEL, format.to_string()),
        ];
        ObjectMeta {
            name: Some(reference.object_name()),
            namespace: Some(self.config.snapshot_namespace.clone()),
            labels: Some(
                labels
                    .into_iter()
                    .map(|(label, value)| (label.to_owned(), value))
                    .collect(),
            ),
            ..ObjectMeta::default()
        }
    }

    /// Creates the object, unless it is there as it should be. One that is there and is not is replaced, which for an
    /// immutable object means deleted and created.
    async fn create_or_repair<K>(&self, object: &K, is_as_meant: impl Fn(&K) -> bool) -> Result<(), ReconcileError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.config.snapshot_namespace);
        let name = object.name_any();
        let failed = ReconcileError::kube("write a shard");
        self.lead()?;
        match api.create(&PostParams::default(), object).await {
            Ok(_) => {
                self.metrics.writes.with_label_values(&["shard"]).inc();
                return Ok(());
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(failed(error)),
        }
        let Some(found) = api.get_opt(&name).await.map_err(failed)? else {
            return Err(ReconcileError::Moved { what: "a shard" });
        };
        if is_as_meant(&found) {
            return Ok(());
        }
        let format = |object: &K| object.labels().get(FORMAT_LABEL).cloned();
        if format(&found) == format(object) {
            tracing::warn!(
                shard = name,
                "a shard holds other bytes than its name says; it is written again"
            );
        } else {
            tracing::debug!(shard = name, "a shard is stored in another format; it is written again");
        }
        self.lead()?;
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: found.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        api.delete(&name, &parameters)
            .await
            .map_err(ReconcileError::kube("replace a shard"))?;
        let created = api.create(&PostParams::default(), object).await;
        created.map_err(ReconcileError::kube("replace a shard"))?;
        self.metrics.writes.with_label_values(&["shard"]).inc_by(2);
        Ok(())
    }

    /// Puts a pointer in force. `known` is the object as it was last read; where there is none, it is created.
    pub(crate) async fn pointer(
        &self,
        known: Option<&PointerObject>,
        pointer: &Pointer,
        signed: &Signed,
        status: &str,
        is_holding: bool,
    ) -> Result<PointerObject, ReconcileError> {
        let data = BTreeMap::from([
            (POINTER_KEY.to_owned(), signed.text.clone()),
            (SIGNATURE_KEY.to_owned(), signed.signature.clone()),
            (STATUS_KEY.to_owned(), status.to_owned()),
        ]);
        // An approval is spent by the publication that it lets through: the same removals at another time are another
        // decision.
        let spends_approval = !is_holding && known.is_some_and(|known| known.approval.is_some());
        let written = self.write_pointer(known, data, spends_approval).await?;
        tracing::info!(
            sequence = pointer.head.sequence,
            format = pointer.head.format,
            shards = pointer.head.shards.len(),
            root = %pointer.head.root,
            "published a snapshot"
        );
        Ok(written)
    }

    /// Changes what the pointer tells people, and nothing else of it.
    pub(crate) async fn pointer_status(
        &self,
        known: &PointerObject,
        status: &str,
    ) -> Result<PointerObject, ReconcileError> {
        let data = BTreeMap::from([(STATUS_KEY.to_owned(), status.to_owned())]);
        self.write_pointer(Some(known), data, false).await
    }

    async fn write_pointer(
        &self,
        known: Option<&PointerObject>,
        data: BTreeMap<String, String>,
        spends_approval: bool,
    ) -> Result<PointerObject, ReconcileError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.config.snapshot_namespace);
        let name = &self.config.snapshot_name;
        let labels = BTreeMap::from([(label::INSTALLATION.to_owned(), self.config.installation.clone())]);
        self.lead()?;
        let written = if let Some(known) = known {
            // A merge leaves what others put there; uid and version make it ours only if nobody wrote in between.
            let mut patch = json!({
                "metadata": {"uid": known.uid, "resourceVersion": known.resource_version, "labels": labels},
                "data": data,
            });
            if spends_approval {
                patch["metadata"]["annotations"] = json!({annotation::APPROVE_REMOVAL: null});
            }
            api.patch(name, &self.patch_params(), &Patch::Merge(&patch)).await
        } else {
            let object = ConfigMap {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    namespace: Some(self.config.snapshot_namespace.clone()),
                    labels: Some(labels),
                    ..ObjectMeta::default()
                },
                data: Some(data),
                ..ConfigMap::default()
            };
            let parameters = PostParams {
                field_manager: Some(self.config.field_manager()),
                ..PostParams::default()
            };
            api.create(&parameters, &object).await
        };
        match written {
            Ok(object) => {
                self.metrics.writes.with_label_values(&["pointer"]).inc();
                Ok(PointerObject::of(&object))
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Err(ReconcileError::Moved { what: "the pointer" })
            }
            Err(error) => Err(ReconcileError::kube("write the pointer")(error)),
        }
    }

    fn patch_params(&self) -> PatchParams {
        PatchParams {
            field_manager: Some(self.config.field_manager()),
            ..PatchParams::default()
        }
    }

    /// Nobody but the leader writes.
    pub(crate) fn lead(&self) -> Result<(), ReconcileError> {
        if self.world.is_leader() {
            Ok(())
        } else {
            Err(ReconcileError::NotLeader)
        }
    }
}

/// Format 1 is text, so that it can be looked at; later ones are bytes.
fn public_shard(metadata: ObjectMeta, bytes: &[u8], format: u32) -> ConfigMap {
    let text = (format < 2).then(|| String::from_utf8_lossy(bytes).into_owned());
    let (data, binary_data) = match text {
        Some(text) => (Some([(RECORDS_KEY.to_owned(), text)].into()), None),
        None => (
            None,
            Some([(RECORDS_KEY.to_owned(), ByteString(bytes.to_vec()))].into()),
        ),
    };
    ConfigMap {
        metadata,
        immutable: Some(true),
        data,
        binary_data,
    }
}
