//! `RoutePolicy`: from the model a client asks for to the backends that may answer, and what applies on the way.
//!
//! A setting of one strategy is refused under another, so that nothing in a manifest is ignored in silence. Defaults that
//! belong to one strategy only (`onErrors`, `weight`) therefore cannot stand in the schema, which would set them under
//! every strategy; they are constants here.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{Condition, unseen};
use crate::llm_provider::ModelPrice;
use crate::{AllowedNamespaces, Duration, LocalRef, Ratio, schema};

/// What `onErrors` of a Fallback target means when it is absent: whatever another backend may be able to do better.
/// `auth` is among them so that one revoked credential does not take a route down.
pub const DEFAULT_ON_ERRORS: [&str; 5] = ["5xx", "timeout", "rate_limit", "connection", "auth"];
/// What `weight` of a LoadBalance target means when it is absent.
pub const DEFAULT_WEIGHT: u32 = 1;
/// Which statuses are retried when `onStatusCodes` is absent: these, and every 5xx.
pub const DEFAULT_RETRY_STATUS_CODES: [u16; 2] = [408, 429];

/// What a `RoutePolicy` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "headgate.dev",
    version = "v1alpha1",
    kind = "RoutePolicy",
    plural = "routepolicies",
    shortname = "hgroute",
    category = "headgate",
    namespaced,
    status = "RoutePolicyStatus",
    derive = "PartialEq",
    doc = "From the model a client asks for to the backends that may answer, and what applies on the way.",
    printcolumn(name = "Models", type_ = "string", json_path = ".spec.models"),
    printcolumn(name = "Strategy", type_ = "string", json_path = ".spec.strategy"),
    printcolumn(name = "Targets", type_ = "string", json_path = ".status.targetSummary"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.strategy != 'Single' || self.targets.size() == 1")
    .message("strategy Single takes exactly one target; for several set strategy to Fallback, LoadBalance or Conditional")
    .field_path(".targets")
    .reason(Reason::FieldValueInvalid))]
#[x_kube(validation = Rule::new("self.strategy == 'LoadBalance' || self.targets.all(t, !has(t.weight))")
    .message("weight goes with strategy: LoadBalance only; remove it from every target or change the strategy")
    .field_path(".targets")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("self.strategy == 'Fallback' || self.targets.all(t, !has(t.onErrors))")
    .message("onErrors goes with strategy: Fallback only; remove it from every target or change the strategy")
    .field_path(".targets")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("self.strategy == 'Conditional' || self.targets.all(t, !has(t.when))")
    .message("when goes with strategy: Conditional only; remove it from every target or change the strategy")
    .field_path(".targets")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("self.strategy != 'Conditional' || self.targets.all(t, has(t.when) || (has(self.default) && self.default == t.name))")
    .message("strategy Conditional needs when on every target but the default one; add it, or name the target in default")
    .field_path(".targets")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("!has(self.default) || self.strategy == 'Conditional'")
    .message("default goes with strategy: Conditional only; remove it or change the strategy")
    .field_path(".default")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("!has(self.default) || self.targets.exists(t, t.name == self.default)")
    .message("default must be the name of one of targets")
    .field_path(".default")
    .reason(Reason::FieldValueInvalid))]
#[x_kube(validation = Rule::new("!has(self.loadBalance) || self.strategy == 'LoadBalance'")
    .message("loadBalance goes with strategy: LoadBalance only; remove it or change the strategy")
    .field_path(".loadBalance")
    .reason(Reason::FieldValueForbidden))]
pub struct RoutePolicySpec {
    /// Which models this route answers for: exact names, prefixes with a star at the end (gpt-4*), or * for all.
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 256), regex(pattern = schema::MODEL_MATCH)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub models: Vec<String>,
    /// Which requests it takes, all of these together. Absent: every request for its models.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub match_: Option<RouteMatch>,
    /// How a target is chosen.
    #[serde(default)]
    pub strategy: RouteStrategy,
    /// Where requests may go. The order counts for Fallback and Conditional.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub targets: Vec<RouteTarget>,
    /// The target that takes what no condition matches; only with strategy: Conditional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub default: Option<String>,
    /// How load is spread; only with strategy: LoadBalance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balance: Option<LoadBalance>,
    /// How often and when the same backend is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// How long requests of this route may take. Absent parts: the provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RouteTimeouts>,
    /// Whether and how answers are kept for equal or similar requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<RouteCache>,
    /// Names of the GuardrailPolicies that apply, after those of the virtual key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::object_names")]
    pub guardrails: Vec<String>,
    /// Sends a share of the requests elsewhere as well. Never delays or bills the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// Whether a request may bring its own routing in a config header. Forbid: such a request is a 403.
    #[serde(default)]
    pub request_config: RequestConfig,
    /// Which namespaces may use this route.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
}

/// Which requests a route takes: all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct RouteMatch {
    /// Labels that the caller's VirtualKey must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::text_map")]
    pub virtual_key_labels: BTreeMap<String, String>,
    /// Headers that the request must have with exactly these values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub headers: Vec<HeaderMatch>,
    /// Entries that the request's metadata must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::text_map")]
    pub metadata: BTreeMap<String, String>,
    /// Endpoints that the request may have come in by. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub endpoints: Vec<Endpoint>,
}

/// A header that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// The header's name; case does not count.
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::HEADER_NAME))]
    pub name: String,
    /// The header's whole value.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::HEADER_VALUE))]
    pub value: String,
}

/// What a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // the names of the endpoints of the public API
pub enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
    Responses,
    Messages,
    Images,
    Audio,
    Rerank,
    Moderations,
    Files,
    Batches,
}

/// How a route chooses among its targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteStrategy {
    /// The one target.
    #[default]
    Single,
    /// The first that answers, in order.
    Fallback,
    /// One by weight, latency, load or cost.
    LoadBalance,
    /// The first whose condition holds.
    Conditional,
}

/// One place where requests may go: exactly one of provider and route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.provider) != has(self.route)")
    .message("a target is exactly one of provider and route; set one of them")
    .reason(Reason::FieldValueInvalid))]
pub struct RouteTarget {
    /// Name of the target within this route.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub name: String,
    /// A model at a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderTarget>,
    /// Another RoutePolicy of this namespace, which then decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<LocalRef>,
    /// Share of the load relative to the other targets; 0 takes none. Absent: 1. Only with strategy: LoadBalance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: Option<u32>,
    /// Failures of this target that move on to the next: a status (503), a class (5xx), timeout, rate_limit, connection,
    /// auth, content_filter, context_length, or * for all. Absent: 5xx, timeout, rate_limit, connection, auth. Only with
    /// strategy: Fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 16),
        inner(
            length(min = 1, max = 16),
            regex(pattern = r"^(\*|timeout|rate_limit|connection|auth|content_filter|context_length|[45]xx|[45][0-9]{2})$")
        ),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub on_errors: Option<Vec<String>>,
    /// CEL over request.model, request.metadata, request.headers, request.inputTokens and key.labels. Only with
    /// strategy: Conditional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub when: Option<String>,
}

/// Where a target leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Destination<'a> {
    /// A model at a provider.
    Provider(&'a ProviderTarget),
    /// Another `RoutePolicy`.
    Route(&'a LocalRef),
}

impl RouteTarget {
    /// Where it leads; `None` only for an object that admission would have refused.
    pub fn destination(&self) -> Option<Destination<'_>> {
        destination(self.provider.as_ref(), self.route.as_ref())
    }
}

fn destination<'a>(provider: Option<&'a ProviderTarget>, route: Option<&'a LocalRef>) -> Option<Destination<'a>> {
    match (provider, route) {
        (Some(provider), None) => Some(Destination::Provider(provider)),
        (None, Some(route)) => Some(Destination::Route(route)),
        _ => None,
    }
}

/// A model at a provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderTarget {
    /// Name of the LLMProvider.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME))]
    pub name: String,
    /// Namespace of the LLMProvider, which has to allow this one. Absent: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub namespace: Option<String>,
    /// The model, by its name at that LLMProvider. Absent: the one the client asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::MODEL_NAME))]
    pub model: Option<String>,
    /// Top-level fields of the request that are set to these values, whatever the client sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::free_object")]
    pub override_parameters: BTreeMap<String, serde_json::Value>,
}

/// How load is spread over targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalance {
    /// By what a target is chosen.
    #[serde(default)]
    pub algorithm: BalanceAlgorithm,
    /// Keeps one caller on one target, so that the service's prompt cache helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
}

/// By what a target is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BalanceAlgorithm {
    /// Chance, in proportion to `weight`.
    #[default]
    Weighted,
    /// The one that answered fastest of late.
    LeastLatency,
    /// The one with the fewest requests under way.
    LeastBusy,
    /// The one that costs least.
    LeastCost,
}

/// Keeps one caller on one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.by == 'Header') == has(self.header)")
    .message("header goes with by: Header and only with it; set both or neither")
    .field_path(".header")
    .reason(Reason::FieldValueInvalid))]
pub struct Sticky {
    /// What tells one caller from another.
    pub by: StickyBy,
    /// The header that tells callers apart; only with by: Header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::HEADER_NAME))]
    pub header: Option<String>,
    /// How long after its last request a caller is remembered.
    #[serde(default = "sticky_ttl")]
    pub ttl: Duration,
}

const fn sticky_ttl() -> Duration {
    Duration::from_secs(3_600)
}

/// What tells one caller from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StickyBy {
    /// The virtual key.
    VirtualKey,
    /// The user, of the request or of the key.
    User,
    /// A header.
    Header,
}

/// How often and when the same backend is tried again, before the first byte of an answer went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Tries after the first one; 0 turns retries off.
    #[serde(default = "attempts")]
    #[schemars(range(min = 0, max = 10))]
    pub attempts: u32,
    /// Statuses that are tried again, beside connection failures. Absent: 408, 429 and every 5xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(range(min = 400, max = 599)), extend("x-kubernetes-list-type" = "set"))]
    pub on_status_codes: Option<Vec<u16>>,
    /// How long is waited between tries.
    #[serde(default)]
    pub backoff: Backoff,
    /// Whether the service's Retry-After is waited for.
    #[serde(default = "honor_retry_after")]
    pub honor_retry_after: bool,
}

const fn attempts() -> u32 {
    3
}

const fn honor_retry_after() -> bool {
    true
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: attempts(),
            on_status_codes: None,
            backoff: Backoff::default(),
            honor_retry_after: honor_retry_after(),
        }
    }
}

/// How long is waited between tries: doubled each time, with full jitter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// Before the second try.
    #[serde(default = "backoff_base")]
    pub base: Duration,
    /// At most.
    #[serde(default = "backoff_max")]
    pub max: Duration,
}

const fn backoff_base() -> Duration {
    Duration::from_secs(1)
}

const fn backoff_max() -> Duration {
    Duration::from_secs(60)
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: backoff_base(),
            max: backoff_max(),
        }
    }
}

/// How long requests of a route may take; absent parts are the provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(!has(self.firstToken) || duration(self.firstToken) > duration('0s')) && (!has(self.idle) || duration(self.idle) > duration('0s')) && (!has(self.total) || duration(self.total) > duration('0s'))")
    .message("a timeout of zero would end every request; set each to more than 0s")
    .reason(Reason::FieldValueInvalid))]
pub struct RouteTimeouts {
    /// From the request sent to the first content of the answer, each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Duration>,
    /// Between two pieces of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// The whole request, over all attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Duration>,
}

/// Whether and how answers are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteCache {
    /// "Off" (in quotes: YAML reads a bare Off as false), Simple (equal requests) or Semantic (also similar ones).
    pub mode: CacheMode,
    /// How long an answer is kept.
    #[serde(default = "cache_ttl")]
    pub ttl: Duration,
    /// How similar requests must be (cosine), as a decimal string ("0.95"); for mode: Semantic.
    #[serde(default = "cache_threshold")]
    pub threshold: Ratio,
    /// Who shares answers.
    #[serde(default)]
    pub scope: CacheScope,
    /// Longer conversations are not looked up by similarity.
    #[serde(default = "cache_messages_max")]
    #[schemars(range(min = 1, max = 64))]
    pub max_messages: u32,
    /// Larger requests are not looked up by similarity.
    #[serde(default = "cache_input_tokens_max")]
    #[schemars(range(min = 1, max = 8_191))]
    pub max_input_tokens: u32,
}

const fn cache_ttl() -> Duration {
    Duration::from_secs(3_600)
}

const fn cache_threshold() -> Ratio {
    Ratio::from_ten_thousandths(9_500)
}

const fn cache_messages_max() -> u32 {
    4
}

const fn cache_input_tokens_max() -> u32 {
    8_191
}

/// Which requests are answered from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CacheMode {
    /// None.
    Off,
    /// Equal ones.
    Simple,
    /// Equal ones and similar ones.
    Semantic,
}

/// Who shares cached answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CacheScope {
    /// Each key has its own: nobody sees what another asked.
    #[default]
    VirtualKey,
    /// The keys of one team.
    Team,
    /// All that use the route.
    Route,
}

/// Sends a share of the requests elsewhere as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// Where the copies go.
    pub target: MirrorTarget,
    /// How many of a hundred requests are copied.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u32,
}

/// Where copies go: exactly one of provider and route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.provider) != has(self.route)")
    .message("a mirror's target is exactly one of provider and route; set one of them")
    .reason(Reason::FieldValueInvalid))]
pub struct MirrorTarget {
    /// A model at a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderTarget>,
    /// Another RoutePolicy of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<LocalRef>,
}

impl MirrorTarget {
    /// Where it leads; `None` only for an object that admission would have refused.
    pub fn destination(&self) -> Option<Destination<'_>> {
        destination(self.provider.as_ref(), self.route.as_ref())
    }
}

/// Whether a request may bring its own routing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RequestConfig {
    /// A config header is a 403.
    #[default]
    Forbid,
    /// A config header is followed, within what the caller may use.
    Allow,
}

/// What became of a `RoutePolicy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoutePolicyStatus {
    /// The generation of the spec that this status describes; -1: not seen yet.
    #[serde(default = "unseen")]
    #[schemars(range(min = -1, max = schema::WHOLE_MAX))]
    pub observed_generation: i64,
    /// Where requests go, in order, nested routes resolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub targets: Vec<ResolvedTarget>,
    /// The targets in one line: provider/model, provider/model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub target_summary: Option<String>,
    /// Accepted, ResolvedRefs, Programmed, Ready; Reconciling and Stalled while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A backend that a route leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedTarget {
    /// The target's name in this route.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The LLMProvider as namespace/name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub provider: Option<String>,
    /// The model as the service knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub upstream_model: Option<String>,
    /// What it costs, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<ModelPrice>,
    /// Why it cannot be used, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub unavailable: Option<String>,
}
