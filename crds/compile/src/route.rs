//! `RoutePolicy` to the route of a snapshot: one target, resolved through nested routes to the backend at their end.
//!
//! A route that cannot be served stays, and leads nowhere for a stated reason. If it went, its models would fall to
//! whoever else declares them, past the guards and limits that it stands for.

use std::collections::{BTreeMap, BTreeSet};

use headgate_crds::RoutePolicy;
use headgate_crds::route_policy::{
    self as crd, Backoff, DEFAULT_RETRY_STATUS_CODES, Destination, ProviderTarget, RoutePolicySpec, RouteStrategy,
    RouteTarget,
};
use headgate_snapshot::{Backend, ObjectName, Retry, Route, Strategy, Target};

use crate::finding::{About, Findings, Kind, Reason};
use crate::guardrail;
use crate::names;
use crate::provider::Providers;
use crate::reference::{World, not_found};
use crate::unsupported;

/// How deep routes nest: more is no configuration that a person can follow, and the bound ends every walk.
const NESTING_MAX: usize = 16;

/// Compiles every route.
pub(crate) fn compile(
    world: &World<'_>,
    providers: &Providers,
    findings: &mut Findings,
) -> BTreeMap<ObjectName, Route> {
    // First every route by itself, since a route may lead through any other.
    let mut own_targets = BTreeMap::new();
    for (name, object) in &world.routes {
        let mut about = findings.about(Kind::RoutePolicy, name);
        let target = own_target(world, providers, name, object, &mut about);
        let left_out = about.left_out().map(|reason| OwnTarget::Nowhere {
            reason: reason.to_owned(),
        });
        own_targets.insert(name.clone(), left_out.unwrap_or(target));
    }
    let resolve = |(name, object): (&ObjectName, &&RoutePolicy)| {
        let mut about = findings.about(Kind::RoutePolicy, name);
        let target = follow(&own_targets, name, &mut about);
        (name.clone(), route(&object.spec, target))
    };
    world.routes.iter().map(resolve).collect()
}

/// Where a route leads before nested routes are followed.
enum OwnTarget {
    Backend(Backend),
    Route(ObjectName),
    Nowhere { reason: String },
}

fn own_target(
    world: &World<'_>,
    providers: &Providers,
    name: &ObjectName,
    object: &RoutePolicy,
    about: &mut About<'_>,
) -> OwnTarget {
    let spec = &object.spec;
    unsupported::report(unsupported::ROUTE, spec, about);
    world.judge_allowed_namespaces(object, about);
    guardrail::look_up(world, name, &spec.guardrails, about);
    judge_models(&spec.models, about);
    let path = "spec.targets[0]";
    let target = match spec.targets.as_slice() {
        [target] => target,
        _ if spec.strategy != RouteStrategy::Single => {
            return OwnTarget::Nowhere { reason: String::new() }; // reported as unsupported
        }
        _ => {
            about.leave_out(
                Reason::Invalid,
                "spec.targets",
                "strategy Single takes exactly one target; remove the others",
            );
            return OwnTarget::Nowhere { reason: String::new() };
        }
    };
    let RouteTarget {
        name: _,
        provider: _,
        route: _,
        weight: _,
        on_errors: _,
        when: _,
    } = target;
    match target.destination() {
        Some(Destination::Provider(target)) => backend(world, providers, name, spec, target, about),
        Some(Destination::Route(nested)) => {
            let nested = ObjectName::new(&name.namespace, &nested.name);
            match world.route(&nested) {
                Some(_) => OwnTarget::Route(nested),
                None => missing(&format!("{path}.route"), Kind::RoutePolicy, &nested, name, about),
            }
        }
        None => {
            about.leave_out(
                Reason::Invalid,
                path,
                "a target is exactly one of provider and route; set one of them",
            );
            OwnTarget::Nowhere { reason: String::new() }
        }
    }
}

fn missing(path: &str, kind: Kind, target: &ObjectName, from: &ObjectName, about: &mut About<'_>) -> OwnTarget {
    let reason = not_found(kind, target, &from.namespace);
    about.error(
        Reason::RefNotFound,
        path,
        format!("{reason}; create it, or correct the name"),
    );
    OwnTarget::Nowhere { reason }
}

fn backend(
    world: &World<'_>,
    providers: &Providers,
    name: &ObjectName,
    spec: &RoutePolicySpec,
    target: &ProviderTarget,
    about: &mut About<'_>,
) -> OwnTarget {
    let ProviderTarget {
        name: provider,
        namespace,
        model,
        override_parameters,
    } = target;
    let path = "spec.targets[0].provider";
    let found = ObjectName::new(namespace.as_deref().unwrap_or(&name.namespace), provider);
    if world.provider(&name.namespace, &found).is_none() {
        return missing(path, Kind::LLMProvider, &found, name, about);
    }
    let override_parameters = overrides(override_parameters, about);
    let Some(served) = providers.served.get(&found) else {
        let reason = providers.left_out.get(&found).cloned().unwrap_or_default();
        let message = format!("{reason}, so that this route answers 503; see the conditions of that provider");
        about.error(Reason::RefNotFound, path, message);
        return OwnTarget::Nowhere { reason };
    };
    let has = |model: &str| served.discovers_models || served.models.contains_key(model);
    let absent = |model: &str| format!("LLMProvider `{provider}` serves no model `{model}`");
    if let Some(model) = model.as_deref().filter(|model| !has(model)) {
        let reason = absent(model);
        about.error(
            Reason::RefNotFound,
            format!("{path}.model"),
            format!("{reason}; declare it there, or correct the name"),
        );
        return OwnTarget::Nowhere { reason };
    }
    // Without a model the client's name is kept, so the provider must know each name that the route takes.
    let asked = spec
        .models
        .iter()
        .filter(|asked| model.is_none() && names::is_exact(asked) && !has(asked));
    for model in asked {
        let message = format!("{}; name one of its models here, or declare it there", absent(model));
        about.error(Reason::RefNotFound, format!("{path}.model"), message);
    }
    OwnTarget::Backend(Backend {
        provider: found,
        model: model.clone(),
        override_parameters,
    })
}

/// What a client may not set, a route may not either: who answers and in which form is decided before.
const NEVER_OVERRIDDEN: &[&str] = &["messages", "model", "stream"];

/// Each value as canonical JSON text.
fn overrides(parameters: &BTreeMap<String, serde_json::Value>, about: &mut About<'_>) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (name, value) in parameters {
        if NEVER_OVERRIDDEN.contains(&name.as_str()) {
            about.leave_out(
                Reason::Invalid,
                format!("spec.targets[0].provider.overrideParameters.{name}"),
                format!("`{name}` cannot be overridden; remove it (the model is set by provider.model)"),
            );
        }
        texts.insert(name.clone(), canonical(value));
    }
    texts
}

/// JSON with sorted keys, whatever order the manifest has them in.
fn canonical(value: &serde_json::Value) -> String {
    use serde_json::Value;
    let text = |name: &str| Value::from(name).to_string();
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            let members = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", text(name), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn judge_models(models: &[String], about: &mut About<'_>) {
    for (index, model) in models.iter().enumerate() {
        let stars = model.matches('*').count();
        if model.is_empty() || stars > 1 || (stars == 1 && !model.ends_with('*')) {
            about.leave_out(
                Reason::Invalid,
                format!("spec.models[{index}]"),
                format!(
                    "`{model}` is no model name; write a name, a prefix with one star at its end, or the star alone"
                ),
            );
        }
    }
}

/// Follows nested routes to the backend at their end. A cycle is an error of each route in it.
fn follow(own_targets: &BTreeMap<ObjectName, OwnTarget>, start: &ObjectName, about: &mut About<'_>) -> Target {
    let path = "spec.targets[0].route";
    let mut seen = BTreeSet::from([start]);
    let mut at = start;
    loop {
        let next = match own_targets.get(at) {
            Some(OwnTarget::Backend(backend)) => return Target::Backend(backend.clone()),
            Some(OwnTarget::Nowhere { reason }) => {
                if at != start {
                    let message = format!("RoutePolicy `{}` leads nowhere: {reason}; see its conditions", at.name);
                    about.error(Reason::RefNotFound, path, message);
                }
                return Target::Unavailable { reason: reason.clone() };
            }
            Some(OwnTarget::Route(next)) => next,
            // Names are looked up before they become targets.
            None => {
                return Target::Unavailable {
                    reason: format!("RoutePolicy `{}` was not found", at.name),
                };
            }
        };
        if next == start {
            let message = "the route leads back to itself; let one of the routes on the way lead to a provider";
            about.leave_out(Reason::Invalid, path, message);
        } else if !seen.insert(next) {
            let message = format!(
                "it leads to routes that go round in a circle, by way of `{}`; correct those",
                next.name
            );
            about.error(Reason::RefNotFound, path, message);
            return Target::Unavailable {
                reason: format!("RoutePolicy `{}` leads back to itself", next.name),
            };
        } else if seen.len() > NESTING_MAX {
            let message =
                format!("routes nest more than {NESTING_MAX} deep; let it lead to the provider more directly");
            about.leave_out(Reason::Invalid, path, message);
        }
        if let Some(reason) = about.left_out() {
            return Target::Unavailable {
                reason: reason.to_owned(),
            };
        }
        at = next;
    }
}

fn route(spec: &RoutePolicySpec, target: Target) -> Route {
    let timeout = |of: fn(&crd::RouteTimeouts) -> Option<headgate_crds::Duration>| {
        spec.timeouts
            .as_ref()
            .and_then(of)
            .map(headgate_crds::Duration::as_millis)
    };
    Route {
        strategy: Strategy::Single(target),
        retry: retry(&spec.retry),
        total_timeout_ms: timeout(|timeouts| timeouts.total),
        first_token_timeout_ms: timeout(|timeouts| timeouts.first_token),
        idle_timeout_ms: timeout(|timeouts| timeouts.idle),
    }
}

fn retry(retry: &crd::Retry) -> Retry {
    let crd::Retry {
        attempts,
        on_status_codes,
        backoff: Backoff { base, max },
        honor_retry_after,
    } = retry;
    let default = || DEFAULT_RETRY_STATUS_CODES.into_iter().chain(500..=599).collect();
    Retry {
        attempts: *attempts,
        on_status: on_status_codes
            .as_ref()
            .map_or_else(default, |codes| codes.iter().copied().collect()),
        backoff_base_ms: base.as_millis(),
        backoff_max_ms: max.as_millis(),
        honor_retry_after: *honor_retry_after,
    }
}
