//! Writes a status: server-side apply of our own fields and nothing else, so that conditions of others stay theirs.
//!
//! A conflict means that somebody else wrote a field of ours. Another installation of Headgate keeps it, and is named; any
//! other manager is named in an event, and overruled, since a status that two programs write tells neither's truth.

use headgate_compile::ObjectRef;
use headgate_crds::condition::Condition;
use headgate_crds::{API_VERSION, Kind};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::{GroupVersionKind, ResourceExt};
use kube::{Api, error::Error};
use serde_json::{Value, json};

use super::super::ReconcileError;
use super::super::apply::Writer;
use super::claim;
use crate::events::Turn;

/// A status that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct StatusWrite {
    /// Whose.
    pub(crate) object: ObjectRef,
    /// Its identity: a status is never written onto another object of the same name.
    pub(crate) uid: String,
    /// Of its spec.
    pub(crate) generation: i64,
    /// When it last became another.
    pub(crate) changed_at: Timestamp,
    /// All of our fields, conditions included.
    pub(crate) status: Value,
    /// The conditions among them.
    pub(crate) conditions: Vec<Condition>,
    /// Its conditions so far.
    pub(crate) existing: Vec<Condition>,
    /// What turns with it.
    pub(crate) turns: Vec<Turn>,
    /// When the change was seen that is served everywhere with this.
    pub(crate) programmed_since: Option<Timestamp>,
}

/// What came of a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// It stands there, in this version of the object.
    Said { version: Option<u64>, turns: Vec<Turn> },
    /// The object belongs to another installation.
    LeftToRival,
    /// The object is gone, or another one.
    Gone,
}

/// Writes one status.
pub(crate) async fn write(
    writer: &Writer<'_>,
    status: &StatusWrite,
    now: Timestamp,
) -> Result<Written, ReconcileError> {
    let mut turns = status.turns.clone();
    let managers = match apply(writer, status, &status.status, false).await? {
        Applied::Done(version) => return Ok(Written::Said { version, turns }),
        Applied::Gone => return Ok(Written::Gone),
        Applied::Conflict(managers) => managers,
    };
    let rival = managers
        .iter()
        .find_map(|manager| claim::installation_of(manager, writer.config));
    if let Some(rival) = rival {
        let condition = claim::verdict(rival, writer.config).onto(&status.existing, status.generation, now);
        let alone = json!({"conditions": [condition]});
        return Ok(match apply(writer, status, &alone, false).await? {
            Applied::Gone => Written::Gone,
            Applied::Done(_) | Applied::Conflict(_) => Written::LeftToRival,
        });
    }
    turns.push(Turn {
        object: reference(&status.object, &status.uid),
        is_warning: true,
        reason: "FieldManagerConflict",
        note: format!(
            "{} wrote conditions or fields of the status that belong to Headgate, and was overruled; let it leave them alone",
            managers.join(", ")
        ),
    });
    match apply(writer, status, &status.status, true).await? {
        Applied::Done(version) => Ok(Written::Said { version, turns }),
        Applied::Gone => Ok(Written::Gone),
        Applied::Conflict(_) => Err(ReconcileError::Moved { what: "a status" }),
    }
}

enum Applied {
    Done(Option<u64>),
    Conflict(Vec<String>),
    Gone,
}

async fn apply(
    writer: &Writer<'_>,
    status: &StatusWrite,
    fields: &Value,
    is_forced: bool,
) -> Result<Applied, ReconcileError> {
    let ObjectRef { kind, namespace, name } = &status.object;
    let Some(kind) = kind_of(*kind) else {
        return Ok(Applied::Gone);
    };
    let gvk = GroupVersionKind::gvk(headgate_crds::GROUP, headgate_crds::VERSION, kind.as_str());
    let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural());
    let api: Api<DynamicObject> = Api::namespaced_with(writer.client.clone(), namespace, &resource);
    let body = json!({
        "apiVersion": API_VERSION,
        "kind": kind.as_str(),
        "metadata": {"name": name, "namespace": namespace, "uid": status.uid},
        "status": fields,
    });
    let parameters = PatchParams {
        force: is_forced,
        ..PatchParams::apply(&writer.config.field_manager())
    };
    writer.lead()?;
    match api.patch_status(name, &parameters, &Patch::Apply(&body)).await {
        Ok(object) => {
            writer.metrics.writes.with_label_values(&["status"]).inc();
            Ok(Applied::Done(
                object.resource_version().and_then(|version| version.parse().ok()),
            ))
        }
        Err(Error::Api(answer)) if answer.code == 404 => Ok(Applied::Gone),
        Err(Error::Api(answer)) if answer.code == 409 => {
            let managers = managers_of(&answer);
            // Without a manager it is no conflict of fields: the object is another one by now.
            Ok(if managers.is_empty() {
                Applied::Gone
            } else {
                Applied::Conflict(managers)
            })
        }
        Err(error) => Err(ReconcileError::kube("write a status")(error)),
    }
}

/// The managers that a conflict names: `conflict with "X" using …`, one cause a field.
fn managers_of(answer: &kube::core::Status) -> Vec<String> {
    let causes = answer.details.iter().flat_map(|details| &details.causes);
    let conflicts = causes.filter(|cause| cause.reason == "FieldManagerConflict");
    let mut managers: Vec<_> = conflicts
        .filter_map(|cause| cause.message.split('"').nth(1).map(str::to_owned))
        .collect();
    managers.sort();
    managers.dedup();
    managers
}

/// For events.
pub(crate) fn reference(object: &ObjectRef, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(API_VERSION.to_owned()),
        kind: Some(object.kind.to_string()),
        namespace: Some(object.namespace.clone()),
        name: Some(object.name.clone()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

fn kind_of(kind: headgate_compile::Kind) -> Option<Kind> {
    let name = kind.to_string();
    Kind::ALL.into_iter().find(|known| known.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_managers_of_a_conflict_are_named_once_each() {
        let answer: kube::core::Status = serde_json::from_value(json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 409, "reason": "Conflict",
            "message": "Apply failed with 2 conflicts",
            "details": {"causes": [
                {"reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\" using headgate.dev/v1alpha1",
                 "field": ".status.conditions"},
                {"reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\" using headgate.dev/v1alpha1",
                 "field": ".status.fingerprint"},
                {"reason": "FieldManagerConflict", "message": "conflict with \"headgate-operator.x\"", "field": ".status"},
            ]},
        }))
        .unwrap();
        assert_eq!(managers_of(&answer), ["headgate-operator.x", "kubectl-edit"]);
    }

    #[test]
    fn every_kind_that_is_reported_has_a_path() {
        for kind in Kind::ALL {
            let known = [
                headgate_compile::Kind::LLMProvider,
                headgate_compile::Kind::RoutePolicy,
                headgate_compile::Kind::VirtualKey,
                headgate_compile::Kind::Budget,
                headgate_compile::Kind::GuardrailPolicy,
            ];
            assert!(known.into_iter().any(|known| kind_of(known) == Some(kind)), "{kind}");
        }
        assert_eq!(kind_of(headgate_compile::Kind::Secret), None);
    }
}
