//! `VirtualKey`: what a caller holds instead of a provider's key, who holds it, and what it may do.
//!
//! The token itself is never here: it is in a Secret, or known only by its digest. Allow-lists are `Option`s with at least
//! one entry, because an empty list would read as "nothing" to some and as "everything" to others.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{Condition, unseen};
use crate::{Duration, Money, RateLimits, schema};

/// What a `VirtualKey` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "headgate.dev",
    version = "v1alpha1",
    kind = "VirtualKey",
    plural = "virtualkeys",
    shortname = "hgkey",
    category = "headgate",
    namespaced,
    status = "VirtualKeyStatus",
    derive = "PartialEq",
    doc = "What a caller holds instead of a provider's key, who holds it, and what it may do.",
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner['user','team']"),
    printcolumn(name = "Fingerprint", type_ = "string", json_path = ".status.fingerprint"),
    printcolumn(name = "Spent", type_ = "string", json_path = ".status.spend.monthUSD"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.secretRef), has(self.digests), has(self.generate)].filter(x, x).size() == 1")
    .message("a key has exactly one source; set one of secretRef, digests and generate")
    .reason(Reason::FieldValueInvalid))]
#[x_kube(validation = Rule::new("!has(self.rotation) || has(self.generate)")
    .message("rotation goes with generate only; for secretRef put the old token under previousKey, for digests list both")
    .field_path(".rotation")
    .reason(Reason::FieldValueForbidden))]
pub struct VirtualKeySpec {
    /// Who holds the key; budgets and reports count by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// A Secret of yours that holds the token (at least 32 characters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<KeySecretRef>,
    /// Digests of tokens as sha256:<64 hex digits>; the tokens themselves never enter the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 8),
        inner(length(min = 71, max = 71), regex(pattern = "^sha256:[0-9a-f]{64}$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub digests: Option<Vec<String>>,
    /// A Secret that Headgate creates with a fresh token, and owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<Generate>,
    /// Mints the next token of a generated key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// From this moment on the key is refused (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::moment")]
    pub expires_at: Option<Time>,
    /// Refused until lifted.
    #[serde(default)]
    pub suspended: bool,
    /// Models it may ask for; a star stands for any text. Absent: all that its namespace may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::globs")]
    pub models: Option<Vec<String>>,
    /// Providers it may reach; a star stands for any text. Absent: all that its namespace may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::globs")]
    pub providers: Option<Vec<String>>,
    /// Routes it may take; a star stands for any text. Absent: all that its namespace may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::globs")]
    pub routes: Option<Vec<String>>,
    /// How much it may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RateLimits>,
    /// Names of the GuardrailPolicies that always apply, before those of the route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::object_names")]
    pub guardrails: Vec<String>,
    /// The provider that serves a model name which several declare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub default_provider: Option<String>,
}

/// Where the token of a key comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeySource<'a> {
    /// A Secret of the user's.
    SecretRef(&'a KeySecretRef),
    /// Digests only.
    Digests(&'a [String]),
    /// A Secret of ours.
    Generate(&'a Generate),
}

impl VirtualKeySpec {
    /// Its one source; `None` only for an object that admission would have refused.
    pub fn source(&self) -> Option<KeySource<'_>> {
        match (&self.secret_ref, &self.digests, &self.generate) {
            (Some(secret), None, None) => Some(KeySource::SecretRef(secret)),
            (None, Some(digests), None) => Some(KeySource::Digests(digests)),
            (None, None, Some(generate)) => Some(KeySource::Generate(generate)),
            _ => None,
        }
    }
}

/// Who holds a key. At least one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct Owner {
    /// The person or program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub user: Option<String>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub team: Option<String>,
    /// More about them, for reports.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::text_map")]
    pub metadata: BTreeMap<String, String>,
}

/// A Secret of the user's that holds a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.previousKey) || self.previousKey != self.key")
    .message("previousKey must name another entry than key")
    .field_path(".previousKey")
    .reason(Reason::FieldValueInvalid))]
pub struct KeySecretRef {
    /// Name of the Secret, in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub name: String,
    /// The entry that holds the token.
    #[serde(default = "key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SECRET_KEY))]
    pub key: String,
    /// An entry whose token works beside the first for as long as the Secret has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SECRET_KEY))]
    pub previous_key: Option<String>,
}

fn key() -> String {
    "key".to_owned()
}

/// A Secret that Headgate creates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Generate {
    /// Name of the Secret; its entry is key. One that exists already and is not Headgate's is never read or changed.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub secret_name: String,
}

/// Mints the next token of a generated key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// Raise it to mint the next token.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub serial: u64,
    /// How long the token before keeps working.
    #[serde(default = "overlap")]
    pub overlap: Duration,
}

const fn overlap() -> Duration {
    Duration::from_secs(24 * 3_600)
}

/// What became of a `VirtualKey`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualKeyStatus {
    /// The generation of the spec that this status describes; -1: not seen yet.
    #[serde(default = "unseen")]
    #[schemars(range(min = -1, max = schema::WHOLE_MAX))]
    pub observed_generation: i64,
    /// The Secret that holds the token, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// First 8 hex digits of the token's digest: tells one key from another, opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub fingerprint: Option<String>,
    /// Tokens that work now, the current one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub active_versions: Vec<ActiveVersion>,
    /// When the key expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::moment")]
    pub expires_at: Option<Time>,
    /// What it has used; updated seldom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<KeySpend>,
    /// Accepted, ResolvedRefs, Programmed, Ready, Expired, Suspended; Reconciling and Stalled while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A token that works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveVersion {
    /// First 8 hex digits of its digest.
    #[schemars(length(max = 16))]
    pub fingerprint: String,
    /// The rotation it was minted by, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub serial: Option<u64>,
    /// When it stops working, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::moment")]
    pub not_after: Option<Time>,
}

/// What a key has used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeySpend {
    /// USD since the start of the month (UTC).
    #[serde(rename = "monthUSD")]
    pub month_usd: Money,
    /// Requests since the start of the month (UTC).
    #[schemars(range(min = 0, max = schema::WHOLE_MAX))]
    pub requests: u64,
}
