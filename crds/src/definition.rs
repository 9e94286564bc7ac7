//! The five `CustomResourceDefinition`s as the API server gets them: what the derive makes of the types, finished by hand.
//!
//! kube's derive marks every optional field `nullable` and writes integer formats that Kubernetes does not know. Both go
//! here: without `nullable` a `null` is dropped before defaults apply, so that it means the same as leaving the field out;
//! and with unknown formats every `kubectl apply` of a CRD would warn.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

use crate::condition::UNSEEN;
use crate::{Budget, GuardrailPolicy, Kind, LLMProvider, RoutePolicy, VirtualKey};

/// The definition of one kind, as JSON.
pub fn definition(kind: Kind) -> Value {
    let derived: CustomResourceDefinition = match kind {
        Kind::LLMProvider => LLMProvider::crd(),
        Kind::RoutePolicy => RoutePolicy::crd(),
        Kind::VirtualKey => VirtualKey::crd(),
        Kind::Budget => Budget::crd(),
        Kind::GuardrailPolicy => GuardrailPolicy::crd(),
    };
    let mut definition = serde_json::to_value(derived).expect("a definition is plain data");
    let schema = definition
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .expect("the derive writes one version with a schema");
    finish(schema);
    // The whole object's title is the derive's internal name.
    remove(schema, "title");
    if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
        // Given whole, since a default inside an absent object would never apply. An object that no operator has seen is
        // then "in progress" to whoever waits for it, instead of "no status, so done".
        status.insert("default".to_owned(), json!({ "observedGeneration": UNSEEN }));
    }
    definition
}

/// The structural schema of one kind: what [`crate::admit`] judges by.
pub fn structural_schema(kind: Kind) -> Value {
    definition(kind)
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .map(Value::take)
        .expect("the derive writes one version with a schema")
}

/// The definition of one kind as the YAML that is committed under `crds/`.
pub fn yaml(kind: Kind) -> String {
    let body = serde_yaml::to_string(&definition(kind)).expect("a definition is plain data");
    format!("# Printed from crds/src by `{WRITE_COMMAND}`; change the types, not this file.\n{body}")
}

/// What brings the YAML up to date.
pub const WRITE_COMMAND: &str = "cargo run -p headgate-crds -- write";

/// Where the definition of a kind is committed, under `crds/`.
pub fn file_name(kind: Kind) -> String {
    format!("{}.{}.yaml", kind.plural(), crate::GROUP)
}

/// Walks a schema, taking out what does not belong into a structural schema of ours.
fn finish(schema: &mut Value) {
    let Some(node) = schema.as_object_mut() else { return };
    node.remove("nullable");
    if node.get("default").is_some_and(Value::is_null) {
        node.remove("default");
    }
    drop_null_variant(node);
    integer_format(node);
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(finish);
    }
    for nested in ["items", "additionalProperties"] {
        if let Some(schema) = node.get_mut(nested) {
            finish(schema);
        }
    }
}

/// An optional enum still carries `null` among its values.
fn drop_null_variant(node: &mut Map<String, Value>) {
    if let Some(values) = node.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
}

/// `int64` for every integer: the bounds stand in `minimum` and `maximum`, and Kubernetes knows no unsigned formats.
fn integer_format(node: &mut Map<String, Value>) {
    if node.get("type").is_some_and(|kind| kind == "integer") {
        node.insert("format".to_owned(), "int64".into());
        for bound in ["minimum", "maximum"] {
            // The derive writes bounds as floats (`1.0`); integers read better and mean the same.
            if let Some(whole) = node.get(bound).and_then(Value::as_f64).and_then(whole_number) {
                node.insert(bound.to_owned(), whole.into());
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // checked: only whole numbers within the range of i64
fn whole_number(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e18).then_some(number as i64)
}

fn remove(schema: &mut Value, key: &str) {
    if let Some(node) = schema.as_object_mut() {
        node.remove(key);
    }
}
