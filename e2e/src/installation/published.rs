//! What the operator has published, as a data plane finds it: the pointer, the shards it names, the Leases of readers.

use headgate_snapshot::delivery::{Ack, KeyRing, POINTER_KEY, Pointer, SIGNATURE_KEY, Signed, annotation};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Installation, PATIENCE};

/// Name of the pointer ConfigMap, unless somebody renames it.
const POINTER: &str = "headgate";

/// The pointer as it stands in the cluster.
#[derive(Clone, Debug)]
pub struct Published {
    /// The ConfigMap.
    pub object: DynamicObject,
    /// What it says, signature checked.
    pub pointer: Pointer,
    /// As it is stored.
    pub signed: Signed,
}

impl Installation {
    /// The pointer as `objects` take it.
    pub fn pointer_name(&self) -> String {
        format!("{}/configmap/{POINTER}", self.snapshot_namespace)
    }

    /// The ring of sealing keys, as the operator made it.
    pub async fn ring(&self) -> KeyRing {
        let secret = self.objects.get(&self.ring_name()).await;
        let entries: std::collections::BTreeMap<String, k8s_openapi::ByteString> =
            serde_json::from_value(secret.data["data"].clone()).expect("a Secret has data");
        KeyRing::from_entries(entries.into_iter().map(|(name, value)| (name, Zeroizing::new(value.0))))
            .unwrap_or_else(|error| panic!("the ring cannot be read: {error}"))
    }

    /// The Secret of the ring as `objects` take it.
    pub fn ring_name(&self) -> String {
        let name = self.values["sealingKeys"]["existingSecret"]
            .as_str()
            .unwrap_or_default();
        match name {
            "" => format!("{}/secret/{}-sealing-keys", self.namespace, self.fullname()),
            name => format!("{}/secret/{name}", self.namespace),
        }
    }

    /// The stem of the chart's names.
    pub fn fullname(&self) -> String {
        match self.release.as_str() {
            release if release.contains("headgate") => release.to_owned(),
            release => format!("{release}-headgate"),
        }
    }

    /// What is published, waited for.
    pub async fn published(&self) -> Published {
        self.published_when(|_| true).await
    }

    /// What is published, once it is as wanted.
    pub async fn published_when(&self, wanted: impl Fn(&Pointer) -> bool) -> Published {
        let ring = self.ring().await;
        let read = |object: &DynamicObject| read(object, &ring).filter(|(pointer, _)| wanted(pointer));
        let object = self
            .objects
            .wait_for(&self.pointer_name(), PATIENCE, |object| read(object).is_some())
            .await
            .unwrap_or_else(|last| panic!("the pointer does not become as wanted: {last:.2000}\n{}", self.logs()));
        let (pointer, signed) = read(&object).expect("it was just read");
        Published {
            object,
            pointer,
            signed,
        }
    }

    /// Overwrites the pointer, as somebody with the right to write it would.
    pub async fn overwrite_pointer(&self, signed: &Signed) {
        let data = json!({POINTER_KEY: signed.text, SIGNATURE_KEY: signed.signature});
        self.objects.patch(&self.pointer_name(), json!({"data": data})).await;
    }

    /// The shards in the snapshot namespace: `configmap/…` and `secret/…`, sorted.
    pub async fn shards(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (kind, prefix) in [("configmap", "headgate-public-"), ("secret", "headgate-secret-")] {
            let objects = self.objects.list(kind, &self.snapshot_namespace).await;
            let shards = objects.iter().filter(|object| object.name_any().starts_with(prefix));
            names.extend(shards.map(|object| format!("{kind}/{}", object.name_any())));
        }
        names.sort();
        names
    }

    /// What the gateway of that name last said about itself.
    pub async fn ack(&self, pod: &str) -> Option<Ack> {
        let lease = self
            .objects
            .find(&format!("{}/lease/{pod}", self.snapshot_namespace))
            .await?;
        Ack::from_annotation(lease.annotations().get(annotation::ACK)?).ok()
    }

    /// Waits until what the gateway of that name says about itself is as wanted.
    pub async fn ack_when(&self, pod: &str, wanted: impl Fn(&Ack) -> bool) -> Ack {
        let ack_of = |lease: &DynamicObject| Ack::from_annotation(lease.annotations().get(annotation::ACK)?).ok();
        let name = format!("{}/lease/{pod}", self.snapshot_namespace);
        let is_wanted = |lease: &DynamicObject| ack_of(lease).is_some_and(|ack| wanted(&ack));
        let lease = self.objects.wait_for(&name, PATIENCE, is_wanted).await;
        let lease =
            lease.unwrap_or_else(|last| panic!("{pod} does not acknowledge as wanted: {last:.2000}\n{}", self.logs()));
        ack_of(&lease).expect("it was just read")
    }
}

fn read(object: &DynamicObject, ring: &KeyRing) -> Option<(Pointer, Signed)> {
    let text = |key: &str| object.data["data"][key].as_str().map(str::to_owned);
    let signed = Signed {
        text: text(POINTER_KEY)?,
        signature: text(SIGNATURE_KEY)?,
    };
    let pointer = Pointer::verify(&signed, ring).ok()?;
    Some((pointer, signed))
}
