//! The five kinds of `headgate.dev/v1alpha1`: what people may say, how it is bounded, and whether a manifest says it right.
//!
//! Rust types are the source; the YAML under `crds/` is printed from them (`cargo run -p headgate-crds -- write`), and
//! [`admit`] judges a manifest by that same schema without a cluster. This crate knows no client and no snapshot: what the
//! fields mean is the business of `headgate-compile`.

// A false alarm: two printer columns of one type are not one attribute twice.
#![allow(clippy::duplicated_attributes)]
// Doc comments of fields are what `kubectl explain` prints, where backticks are noise.
#![allow(clippy::doc_markdown)]

pub mod budget;
pub mod condition;
mod defaulting;
pub mod definition;
pub mod duration;
pub mod guardrail_policy;
pub mod kind;
pub mod llm_provider;
pub mod manifest;
pub mod money;
mod object_meta;
pub mod rate_limits;
pub mod ratio;
pub mod reference;
pub mod route_policy;
mod rules;
pub mod schema;
mod structural;
mod validate;
pub mod violation;
pub mod virtual_key;

pub use budget::{Budget, BudgetSpec, BudgetStatus};
pub use duration::Duration;
pub use guardrail_policy::{GuardrailPolicy, GuardrailPolicySpec, GuardrailPolicyStatus};
pub use kind::Kind;
pub use llm_provider::{LLMProvider, LLMProviderSpec, LLMProviderStatus};
pub use manifest::{Object, admit};
pub use money::Money;
pub use rate_limits::RateLimits;
pub use ratio::Ratio;
pub use reference::{AllowedNamespaces, LocalRef, NamespacesFrom, SecretRef};
pub use route_policy::{RoutePolicy, RoutePolicySpec, RoutePolicyStatus};
pub use violation::Violation;
pub use virtual_key::{VirtualKey, VirtualKeySpec, VirtualKeyStatus};

/// The API group of all five kinds.
pub const GROUP: &str = "headgate.dev";
/// The one version served.
pub const VERSION: &str = "v1alpha1";
/// What a manifest says in `apiVersion`.
pub const API_VERSION: &str = "headgate.dev/v1alpha1";
