//! What the schema has and this version does nothing with yet: the whole list, as data, which shrinks.
//!
//! Nothing of it is ever ignored in silence. Where ignoring a field would be unsafe (someone counts on a limit, a guard, a
//! condition) the object is left out; where it only means less comfort there is a warning. A value that the schema's
//! default set is never reported: each row asks for a value that differs from it, or that has no default.

use headgate_crds::budget::{BudgetSpec, Enforcement};
use headgate_crds::guardrail_policy::GuardrailPolicySpec;
use headgate_crds::llm_provider::LLMProviderSpec;
use headgate_crds::route_policy::{CacheMode, RequestConfig, RoutePolicySpec, RouteStrategy};
use headgate_crds::virtual_key::VirtualKeySpec;

use crate::finding::{About, Kind, Reason};

/// What follows from a field that is not supported yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The object is left out, and what refers to it answers with that reason. Routes and keys stay, and refuse every
    /// request with it: their models and tokens must not lead anywhere else.
    LeavesOut,
    /// The object is served as if the field were not there, and a warning says so.
    Warns,
}

/// One field that is not supported yet.
pub(crate) struct Unsupported<T> {
    path: &'static str,
    effect: Effect,
    /// Whether this object uses it.
    is_used: fn(&T) -> bool,
    /// What happens instead, and what to do.
    message: &'static str,
}

/// `LLMProvider`.
pub(crate) const PROVIDER: &[Unsupported<LLMProviderSpec>] = &[
    Unsupported {
        path: "spec.limits",
        effect: Effect::LeavesOut,
        is_used: |spec| spec.limits.is_some(),
        message: "limits of an account cannot be kept yet, and calls would exceed them; remove them to use the provider \
                  without",
    },
    Unsupported {
        path: "spec.circuitBreaker",
        effect: Effect::Warns,
        is_used: |spec| spec.circuit_breaker.is_some(),
        message: "the provider is never set aside yet, however often it fails; nothing to do until a later version",
    },
];

/// `RoutePolicy`.
pub(crate) const ROUTE: &[Unsupported<RoutePolicySpec>] = &[
    Unsupported {
        path: "spec.strategy",
        effect: Effect::LeavesOut,
        is_used: |spec| spec.strategy != RouteStrategy::Single,
        message: "only the strategy Single is supported yet; use it with one target",
    },
    Unsupported {
        path: "spec.match",
        effect: Effect::LeavesOut,
        is_used: |spec| spec.match_.is_some(),
        message: "a route cannot choose its requests yet, and would take all of them; remove match if it may",
    },
    Unsupported {
        path: "spec.guardrails",
        effect: Effect::LeavesOut,
        is_used: |spec| !spec.guardrails.is_empty(),
        message: "guardrails cannot be applied yet, and requests would pass unchecked; remove them if they may",
    },
    Unsupported {
        path: "spec.cache",
        effect: Effect::Warns,
        is_used: |spec| spec.cache.as_ref().is_some_and(|cache| cache.mode != CacheMode::Off),
        message: "nothing is cached yet: every request goes to the provider; nothing to do until a later version",
    },
    Unsupported {
        path: "spec.mirror",
        effect: Effect::Warns,
        is_used: |spec| spec.mirror.is_some(),
        message: "nothing is mirrored yet; nothing to do until a later version",
    },
    Unsupported {
        path: "spec.requestConfig",
        effect: Effect::Warns,
        is_used: |spec| spec.request_config != RequestConfig::Forbid,
        message: "requests cannot bring their own routing yet: a config header is refused as with Forbid; nothing to do \
                  until a later version",
    },
];

/// `VirtualKey`.
pub(crate) const KEY: &[Unsupported<VirtualKeySpec>] = &[
    Unsupported {
        path: "spec.limits",
        effect: Effect::LeavesOut,
        is_used: |spec| spec.limits.is_some(),
        message: "limits of a key cannot be kept yet, and every request of it is refused; remove them to use the key \
                  without",
    },
    Unsupported {
        path: "spec.guardrails",
        effect: Effect::LeavesOut,
        is_used: |spec| !spec.guardrails.is_empty(),
        message: "guardrails cannot be applied yet, and every request of the key is refused; remove them to use it without",
    },
];

/// `Budget`.
pub(crate) const BUDGET: &[Unsupported<BudgetSpec>] = &[
    Unsupported {
        path: "spec",
        effect: Effect::LeavesOut,
        is_used: |spec| spec.enforcement == Enforcement::Hard,
        message: "a Hard budget cannot be enforced yet, so that every request of the keys it selects is refused; remove it, \
                  or set enforcement to Soft, if they may spend without a limit",
    },
    Unsupported {
        path: "spec",
        effect: Effect::LeavesOut,
        is_used: |spec| spec.enforcement == Enforcement::Soft,
        message: "spend is not counted yet: this budget neither shows nor tells anything; nothing to do until a later \
                  version",
    },
];

/// `GuardrailPolicy`.
pub(crate) const GUARDRAIL: &[Unsupported<GuardrailPolicySpec>] = &[Unsupported {
    path: "spec",
    effect: Effect::LeavesOut,
    is_used: |_| true,
    message: "guardrails cannot be applied yet: what names this policy refuses its requests; remove it from there if they \
              may pass unchecked",
}];

/// Reports what an object uses of a list.
pub(crate) fn report<T>(list: &[Unsupported<T>], spec: &T, about: &mut About<'_>) {
    for row in list.iter().filter(|row| (row.is_used)(spec)) {
        match row.effect {
            Effect::LeavesOut => about.leave_out(Reason::UnsupportedValue, row.path, row.message),
            Effect::Warns => about.warning(Reason::UnsupportedValue, row.path, row.message),
        }
    }
}

/// The whole list, for documents that promise to name it and tests that hold them to it: kind, path, effect.
pub fn unsupported_fields() -> Vec<(Kind, String, Effect)> {
    let mut fields = rows(Kind::LLMProvider, "", PROVIDER);
    fields.extend(rows(Kind::RoutePolicy, "", ROUTE));
    fields.extend(rows(Kind::VirtualKey, "", KEY));
    fields.extend(rows(Kind::Budget, "", BUDGET));
    fields.extend(rows(Kind::GuardrailPolicy, "", GUARDRAIL));
    fields.dedup();
    fields
}

fn rows<T>(kind: Kind, within: &str, list: &[Unsupported<T>]) -> Vec<(Kind, String, Effect)> {
    list.iter()
        .map(|row| (kind, format!("{within}{}", row.path), row.effect))
        .collect()
}
