//! From the model a client asks for to the backends that may answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ObjectName;

/// One `RoutePolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Route {
    /// How a backend is chosen.
    pub strategy: Strategy,
    /// How often and when the same backend is tried again.
    pub retry: Retry,
    /// The whole request, over all attempts, in milliseconds; `None`: the provider's.
    pub total_timeout_ms: Option<u64>,
    /// How long until the first content, in milliseconds; `None`: the provider's.
    pub first_token_timeout_ms: Option<u64>,
    /// How long between two reads of the answer, in milliseconds; `None`: the provider's.
    pub idle_timeout_ms: Option<u64>,
}

/// How a route chooses among its targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// The one target.
    Single(Target),
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// A model at a provider.
    Backend(Backend),
    /// A target that cannot be used, with the reason that callers get (503). It stays, so that the answer is true.
    Unavailable {
        /// One sentence: what is missing.
        reason: String,
    },
}

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backend {
    /// The provider.
    pub provider: ObjectName,
    /// A model of that provider by the name clients use, or any name where the provider discovers models; `None`
    /// keeps the name that the client asked for.
    pub model: Option<String>,
    /// Top-level request fields that are set, JSON text by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub override_parameters: BTreeMap<String, String>,
}

/// How often the same backend is tried again before the first byte went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Tries after the first one; 0 turns it off.
    pub attempts: u32,
    /// Statuses that are tried again. Connection failures always are.
    pub on_status: BTreeSet<u16>,
    /// First back-off, in milliseconds; doubled each time, full jitter.
    pub backoff_base_ms: u64,
    /// The longest back-off, in milliseconds.
    pub backoff_max_ms: u64,
    /// Whether the provider's `Retry-After` is waited for.
    pub honor_retry_after: bool,
}

impl Default for Retry {
    /// The defaults of `RoutePolicy.spec.retry`, which an implicit route has.
    fn default() -> Self {
        Self {
            attempts: 3,
            on_status: [408, 429].into_iter().chain(500..=599).collect(),
            backoff_base_ms: 1_000,
            backoff_max_ms: 60_000,
            honor_retry_after: true,
        }
    }
}

/// Which name means what to the keys of one namespace. Order: `routes_exact`, the longest match of `routes_by_prefix`,
/// `route_for_any`, `declared`, `unavailable`, then `provider/model` (split at the first slash) through `providers` and
/// `unavailable_providers`. A name that none of them knows is looked for in the tables of `shared`, one after the other:
/// what the keys' own namespace calls its own, nobody else can capture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelTable {
    /// Model names that a `RoutePolicy` serves.
    pub routes_exact: BTreeMap<String, ObjectName>,
    /// Prefixes (without the star) that a `RoutePolicy` serves.
    pub routes_by_prefix: BTreeMap<String, ObjectName>,
    /// The `RoutePolicy` of `*`.
    pub route_for_any: Option<ObjectName>,
    /// Declared model names; the provider first in line, then others that declare it too.
    pub declared: BTreeMap<String, Vec<ObjectName>>,
    /// Providers by the name that addresses them.
    pub providers: BTreeMap<String, ObjectName>,
    /// Declared model names whose providers are all left out, with the reason that callers get (503). The search ends
    /// here: a name must not lead to another account because its own is broken.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unavailable: BTreeMap<String, String>,
    /// The same for `provider/model`: names of providers that are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unavailable_providers: BTreeMap<String, String>,
    /// The tables of the shared namespaces, in the order in which the installation lists them, each with what it lets
    /// these keys use. Their own `shared` is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<ModelTable>,
}
