//! The five kinds as they are kept: without what only the API server needs, and compared by what people want rather than
//! by what was written about it.
//!
//! Objects arrive untyped and are parsed one by one, since one that this version cannot read must not take a whole list
//! with it. Such an object counts as absent, and is named in the log.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::DynamicObject;
use kube::core::ResourceExt;
use serde::de::DeserializeOwned;

use crate::metrics::Metrics;

/// Where `kubectl apply` keeps a second copy of the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Parses and strips one object of the kind `K`.
pub(super) fn keep<K>(mut object: DynamicObject, metrics: &Metrics) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    strip(&mut object.metadata);
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    match parse::<K>(object) {
        Ok(parsed) => Some(Arc::new(parsed)),
        Err(error) => {
            let kind = K::kind(&());
            metrics.unreadable_objects.with_label_values(&[&*kind]).inc();
            tracing::warn!(
                kind = &*kind, namespace, name, %error,
                "an object cannot be read and is left out; this operator may be older than the CRDs"
            );
            None
        }
    }
}

/// A status that this version cannot read is no reason to forget what the object asks for.
fn parse<K: Resource + DeserializeOwned>(object: DynamicObject) -> Result<K, serde_json::Error> {
    let mut value = serde_json::to_value(object)?;
    K::deserialize(&value).or_else(
        |error| match value.as_object_mut().and_then(|fields| fields.remove("status")) {
            Some(_) => K::deserialize(&value),
            None => Err(error),
        },
    )
}

/// Drops what nobody reads. Of `managedFields` the managers of the status are kept, without their fields: they tell another
/// installation that reports on the same object.
fn strip(metadata: &mut ObjectMeta) {
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(entries) = &mut metadata.managed_fields {
        entries.retain(|entry| entry.subresource.as_deref() == Some("status"));
        for entry in entries {
            entry.fields_v1 = None;
        }
    }
}

/// Whether people want something else than before. A status is none of it: writes of a status change neither generation
/// nor labels.
pub(super) fn differs<K: Resource>(old: Option<&Arc<K>>, new: Option<&Arc<K>>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => is_other_intent(old.meta(), new.meta()),
        (old, new) => old.is_some() || new.is_some(),
    }
}

fn is_other_intent(old: &ObjectMeta, new: &ObjectMeta) -> bool {
    old.uid != new.uid
        || old.generation != new.generation
        || old.labels != new.labels
        || old.deletion_timestamp != new.deletion_timestamp
}

#[cfg(test)]
mod tests {
    use headgate_crds::VirtualKey;
    use serde_json::{Value, json};

    use super::*;

    fn key(edit: impl FnOnce(&mut Value)) -> DynamicObject {
        let mut value = json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "VirtualKey",
            "metadata": {
                "name": "a", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "5",
                "labels": {"tier": "gold"}, "annotations": {LAST_APPLIED: "{}", "theirs": "kept"},
                "managedFields": [
                    {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
                    {"manager": "headgate-operator.x", "operation": "Apply", "subresource": "status",
                     "fieldsV1": {"f:status": {}}},
                ],
            },
            "spec": {"generate": {"secretName": "s"}},
        });
        edit(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn kept(edit: impl FnOnce(&mut Value)) -> Option<Arc<VirtualKey>> {
        keep(key(edit), &Metrics::new())
    }

    #[test]
    fn what_nobody_reads_is_dropped_on_arrival() {
        let kept = kept(|_| {}).unwrap();
        assert_eq!(kept.annotations().keys().collect::<Vec<_>>(), ["theirs"]);
        let managers = kept.managed_fields();
        assert_eq!(managers.len(), 1);
        assert_eq!(managers[0].manager.as_deref(), Some("headgate-operator.x"));
        assert!(managers[0].fields_v1.is_none());
    }

    #[test]
    fn an_object_that_cannot_be_read_is_absent_and_counted() {
        let metrics = Metrics::new();
        assert!(keep::<VirtualKey>(key(|value| value["spec"] = json!({"digests": 3})), &metrics).is_none());
        assert_eq!(metrics.unreadable_objects.with_label_values(&["VirtualKey"]).get(), 1);
    }

    #[test]
    fn a_status_that_cannot_be_read_does_not_hide_the_object() {
        let kept = kept(|value| value["status"] = json!({"conditions": "none"})).unwrap();
        assert!(kept.status.is_none());
    }

    #[test]
    fn intent_is_generation_labels_deletion_and_identity() {
        let old = kept(|_| {});
        let changes: [(&str, Value); 4] = [
            ("generation", json!(2)),
            ("labels", json!({"tier": "silver"})),
            ("uid", json!("v")),
            ("deletionTimestamp", json!("2026-11-21T00:00:00Z")),
        ];
        for (field, value) in changes {
            let new = kept(|object| object["metadata"][field] = value);
            assert!(differs(old.as_ref(), new.as_ref()), "{field}");
        }
        assert!(differs(None, old.as_ref()) && differs(old.as_ref(), None));
        assert!(!differs::<VirtualKey>(None, None));
    }

    #[test]
    fn a_status_an_annotation_or_a_manager_is_no_intent() {
        let old = kept(|_| {});
        let new = kept(|object| {
            object["metadata"]["resourceVersion"] = json!("6");
            object["metadata"]["annotations"]["theirs"] = json!("new");
            object["metadata"]["managedFields"] = json!([]);
            object["status"] = json!({"observedGeneration": 1});
        });
        assert!(!differs(old.as_ref(), new.as_ref()));
    }
}
