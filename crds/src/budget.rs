//! `Budget`: how much may be spent, on what, until when.
//!
//! Amounts are decimal strings and become integer nano-USD; a budget that selects nothing is refused, because "everything"
//! said by leaving something out is how budgets end up on the wrong team.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{Condition, unseen};
use crate::{Duration, LocalRef, Money, SecretRef, schema};

/// What a `Budget` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "headgate.dev",
    version = "v1alpha1",
    kind = "Budget",
    plural = "budgets",
    shortname = "hgbudget",
    category = "headgate",
    namespaced,
    status = "BudgetStatus",
    derive = "PartialEq",
    doc = "How much may be spent, on what, until when.",
    printcolumn(name = "Limit", type_ = "string", json_path = ".spec['limitUSD','limitTokens']"),
    printcolumn(name = "Spent", type_ = "string", json_path = ".status.spentUSD"),
    printcolumn(name = "Used%", type_ = "integer", json_path = ".status.percentUsed"),
    printcolumn(name = "Period", type_ = "string", json_path = ".spec['period','rolling']"),
    printcolumn(name = "Resets", type_ = "string", json_path = ".status.resetsAt"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.limitUSD) || has(self.limitTokens)")
    .message("a budget needs a limit; set limitUSD, limitTokens or both")
    .field_path(".limitUSD")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("has(self.period) != has(self.rolling)")
    .message("a budget has exactly one of period and rolling; set one of them")
    .field_path(".period")
    .reason(Reason::FieldValueInvalid))]
#[x_kube(validation = Rule::new("has(self.selector) || has(self.models) || has(self.providers)")
    .message("a budget must say what is charged to it; set selector ({} for every key of this namespace), models or providers")
    .field_path(".selector")
    .reason(Reason::FieldValueRequired))]
pub struct BudgetSpec {
    /// The limit in USD, as a decimal string ("500", "0.25").
    #[serde(rename = "limitUSD", default, skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<Money>,
    /// The limit in tokens, input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_000_i64))]
    pub limit_tokens: Option<u64>,
    /// The calendar period after which the count starts anew; Total never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<BudgetPeriod>,
    /// A sliding window in place of a calendar period, such as 720h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('8784h')")
        .message("must be between 1m and 8784h (a year)")
        .reason(Reason::FieldValueInvalid))]
    pub rolling: Option<Duration>,
    /// The IANA time zone in which calendar periods begin.
    #[serde(default = "utc")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = "^[A-Za-z][-+_A-Za-z0-9]*(/[-+_A-Za-z0-9]+){0,2}$")
    )]
    pub time_zone: String,
    /// Which virtual keys are charged to it. {}: every key of this namespace. Absent: any key, for models or providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<BudgetSelector>,
    /// Only calls for these models are charged; a star stands for any text. Absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::globs")]
    pub models: Option<Vec<String>>,
    /// Only calls to these providers are charged; a star stands for any text. Absent: to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::globs")]
    pub providers: Option<Vec<String>>,
    /// One pot for all that are selected, or one each.
    #[serde(default)]
    pub per: BudgetPer,
    /// Hard: no call that could exceed the limit is made. Soft: calls go on, and conditions and alerts tell.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// What happens with calls once a hard budget has no room.
    #[serde(default)]
    pub on_exceeded: OnExceeded,
    /// Shares of the limit at which the budget says so.
    #[serde(default = "alerts")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["percent"]))]
    pub alerts: Vec<BudgetAlert>,
    /// What is reserved for calls whose worst case is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn alerts() -> Vec<BudgetAlert> {
    vec![BudgetAlert {
        percent: 80,
        webhook: None,
    }]
}

/// The calendar period after which the count starts anew; Total never does. Exactly one of period and rolling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // calendar words
pub enum BudgetPeriod {
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    Yearly,
    Total,
}

/// Which virtual keys are charged: all that is given must hold; with nothing given, every key of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetSelector {
    /// Labels that the key must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::text_map")]
    pub match_labels: BTreeMap<String, String>,
    /// Names of keys. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::object_names")]
    pub names: Vec<String>,
    /// Users that own the key. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::texts")]
    pub users: Vec<String>,
    /// Teams that own the key. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::texts")]
    pub teams: Vec<String>,
    /// Namespaces of the key. Absent: this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespaces")]
    pub namespaces: Vec<String>,
}

/// How many pots a budget has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetPer {
    /// One for all that are selected.
    #[default]
    All,
    /// One for each key.
    VirtualKey,
    /// One for each user.
    User,
    /// One for each team.
    Team,
}

/// Whether a limit stops calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Enforcement {
    /// Cost is reserved before each call; what has no room is not called.
    #[default]
    Hard,
    /// Calls go on; conditions and alerts tell.
    Soft,
}

/// What happens with calls that have no room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.action == 'Reroute') == has(self.route)")
    .message("route goes with action: Reroute and only with it; set both or neither")
    .field_path(".route")
    .reason(Reason::FieldValueInvalid))]
pub struct OnExceeded {
    /// Reject: 429 budget_exceeded. Reroute: sent through another route, for instance a cheaper one.
    #[serde(default)]
    pub action: ExceededAction,
    /// The RoutePolicy that takes the calls; only with action: Reroute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<LocalRef>,
}

/// What happens with a call that has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExceededAction {
    /// 429 `budget_exceeded`.
    #[default]
    Reject,
    /// Sent through another route.
    Reroute,
}

/// A share of the limit at which the budget says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetAlert {
    /// Percent of the limit.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u32,
    /// Who is told, besides the condition and an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AlertWebhook>,
}

/// An address that is told of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertWebhook {
    /// The entry of a Secret that holds the URL, which is a secret with most services.
    pub secret_ref: SecretRef,
}

/// What is reserved for calls that set no maximum, or whose worst case cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("minProperties" = 1))]
pub struct Estimate {
    /// Output tokens to reserve for a call that sets no maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_output_tokens: Option<u64>,
    /// USD to reserve for a call whose worst case cannot be computed.
    #[serde(rename = "maxCostUSD", default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<Money>,
}

/// What became of a `Budget`. Written on a threshold or a change of state, else at most once a minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// The generation of the spec that this status describes; -1: not seen yet.
    #[serde(default = "unseen")]
    #[schemars(range(min = -1, max = schema::WHOLE_MAX))]
    pub observed_generation: i64,
    /// USD spent in this period.
    #[serde(rename = "spentUSD", default, skip_serializing_if = "Option::is_none")]
    pub spent_usd: Option<Money>,
    /// USD reserved by calls under way.
    #[serde(rename = "reservedUSD", default, skip_serializing_if = "Option::is_none")]
    pub reserved_usd: Option<Money>,
    /// USD left in this period.
    #[serde(rename = "remainingUSD", default, skip_serializing_if = "Option::is_none")]
    pub remaining_usd: Option<Money>,
    /// Tokens spent in this period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = schema::WHOLE_MAX))]
    pub spent_tokens: Option<u64>,
    /// Percent of the limit that is spent, of the fullest pot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub percent_used: Option<u32>,
    /// When this period began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::moment")]
    pub period_start: Option<Time>,
    /// When the count starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::moment")]
    pub resets_at: Option<Time>,
    /// The largest spenders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub top: Vec<Spender>,
    /// When the figures were taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::moment")]
    pub last_updated: Option<Time>,
    /// Accepted, ResolvedRefs, Programmed, Ready, Exhausted, AlertReached, StoreDegraded; Reconciling and Stalled while
    /// true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One of the largest spenders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spender {
    /// The key as namespace/name, the user or the team.
    #[schemars(length(max = 317))]
    pub name: String,
    /// USD spent in this period.
    #[serde(rename = "spentUSD")]
    pub spent_usd: Money,
}
