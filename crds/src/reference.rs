//! How objects name each other: in the same namespace by name, Secrets by name and entry, and across namespaces only where
//! the owner allows it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// An object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub name: String,
}

/// One entry of a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret, in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub name: String,
    /// The entry of the Secret that holds the value.
    #[serde(default = "api_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SECRET_KEY))]
    pub key: String,
}

fn api_key() -> String {
    "api-key".to_owned()
}

/// Which namespaces may refer to this object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.from == 'Selector') == has(self.selector)")
    .message("selector goes with from: Selector and only with it; set both or neither")
    .field_path(".selector")
    .reason(Reason::FieldValueInvalid))]
pub struct AllowedNamespaces {
    /// Same: only this object's namespace. All: every namespace. Selector: namespaces whose labels match the selector.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Labels of the namespaces that may refer to this object; only with from: Selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
}

/// Who may refer to an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// Objects of the same namespace.
    #[default]
    Same,
    /// Objects of any namespace.
    All,
    /// Objects of namespaces whose labels match.
    Selector,
}
