//! The plan of a request: which backend may answer it, how often, within what time. Pure: a runtime, a caller and a name
//! in, a plan or a refusal out.
//!
//! Order of names: RoutePolicy (exact, longest prefix, `*`), declared model, then `provider/model`. What the key may not
//! use is refused before it is looked up, so that a refusal tells nothing about what exists.

pub mod glob;
pub mod retry;

use std::ops::Bound;
use std::sync::Arc;

use http::HeaderMap;

use headgate_snapshot::{ModelTable, ObjectName, Price, Retry};

use crate::answer_headers;
use crate::auth::Authenticated;
use crate::refusal::Refusal;
use crate::runtime::Runtime;
use crate::runtime::provider::{PreparedModel, PreparedProvider, Timeouts};
use crate::runtime::route::{IMPLICIT_RETRY, PreparedRoute, PreparedTarget};
use glob::any_matches;

/// What one request may do.
pub struct Plan {
    /// The RoutePolicy; `None` is the implicit route.
    pub route: Option<ObjectName>,
    /// Who answers.
    pub backend: PlannedBackend,
    /// When the backend is tried again.
    pub retry: Arc<Retry>,
    /// Deadlines of each attempt and of the whole.
    pub timeouts: Timeouts,
}

/// A provider, one of its models, and what is set in the request.
pub struct PlannedBackend {
    /// The provider.
    pub provider: Arc<PreparedProvider>,
    /// The model's price and counters.
    pub model: Arc<PreparedModel>,
    /// Top-level request fields that are set.
    pub overrides: Arc<[(String, String)]>,
    undeclared_name: Option<String>,
}

impl PlannedBackend {
    /// The name the provider knows the model by.
    pub fn upstream_model(&self) -> &str {
        self.undeclared_name.as_deref().unwrap_or(&self.model.upstream_model)
    }

    /// What its whole answers have as headers.
    pub fn answer_headers(&self) -> HeaderMap {
        let mut headers = self.model.answer_headers.clone();
        if let Some(name) = &self.undeclared_name {
            answer_headers::name_model(&mut headers, name);
        }
        headers
    }

    /// The model as metrics and logs name it.
    pub fn model_label(&self) -> &str {
        self.model.metrics.model()
    }

    /// What it costs, if that is known.
    pub fn price(&self) -> Option<&Price> {
        self.model.price.as_ref()
    }
}

/// Plans a request for `model`. `wanted_provider` is the header `x-headgate-provider`: it narrows a choice, it never
/// widens one.
pub fn plan(
    runtime: &Runtime,
    caller: &Authenticated,
    model: &str,
    wanted_provider: Option<&str>,
) -> Result<Plan, Refusal> {
    if !may_use_model(caller, model) {
        return Err(Refusal::ModelNotAllowed(model.to_owned()));
    }
    for table in tables(runtime, caller) {
        if let Some(plan) = plan_by(table, runtime, caller, model, wanted_provider)? {
            let has_price = plan.backend.price().is_some();
            if plan.backend.provider.refuses_unknown_price && !has_price {
                return Err(Refusal::UnknownPrice(model.to_owned()));
            }
            return Ok(plan);
        }
    }
    Err(Refusal::ModelNotFound(model.to_owned()))
}

/// Plans a request that names no model: for the provider it names, else for the key's default.
pub fn plan_without_model(
    runtime: &Runtime,
    caller: &Authenticated,
    wanted_provider: Option<&str>,
) -> Result<Plan, Refusal> {
    let name = wanted_provider
        .or(caller.record.default_provider.as_deref())
        .ok_or(Refusal::NoProvider)?;
    for table in tables(runtime, caller) {
        if let Some(reason) = table.unavailable_providers.get(name) {
            return Err(Refusal::TargetUnavailable(reason.clone()));
        }
        let Some(provider) = table.providers.get(name).filter(|name| may_use_provider(caller, name)) else {
            continue;
        };
        let Some(provider) = runtime.providers.get(provider) else {
            continue;
        };
        return Ok(without_model(provider));
    }
    Err(Refusal::NoProvider)
}

/// Plans a request about an object that is stored at a provider; `None`: the caller may not use that.
pub fn plan_at(runtime: &Runtime, caller: &Authenticated, provider: &ObjectName) -> Result<Option<Plan>, Refusal> {
    let is_visible = tables(runtime, caller).any(|table| table.providers.get(&provider.name) == Some(provider));
    if is_visible {
        let prepared = runtime.providers.get(provider);
        return Ok(prepared
            .filter(|_| may_use_provider(caller, provider))
            .map(without_model));
    }
    let left_out = tables(runtime, caller).find_map(|table| table.unavailable_providers.get(&provider.name));
    left_out.map_or(Ok(None), |reason| Err(Refusal::TargetUnavailable(reason.clone())))
}

fn without_model(provider: &Arc<PreparedProvider>) -> Plan {
    Plan {
        route: None,
        timeouts: provider.timeouts,
        backend: PlannedBackend {
            provider: Arc::clone(provider),
            model: Arc::clone(&provider.without_model),
            overrides: Arc::default(),
            undeclared_name: None,
        },
        retry: Arc::clone(&IMPLICIT_RETRY),
    }
}

/// The tables in the order in which they are asked: the key's own namespace, then the shared ones.
fn tables<'r>(runtime: &'r Runtime, caller: &Authenticated) -> impl Iterator<Item = &'r ModelTable> {
    let own = runtime.tables.get(&caller.name.namespace);
    own.into_iter().flat_map(|own| std::iter::once(own).chain(&own.shared))
}

/// What one table knows of a name; `None`: nothing, so the next one is asked.
fn plan_by(
    table: &ModelTable,
    runtime: &Runtime,
    caller: &Authenticated,
    model: &str,
    wanted_provider: Option<&str>,
) -> Result<Option<Plan>, Refusal> {
    if let Some(route) = policy_for(table, model).and_then(|name| runtime.routes.get(name)) {
        return by_policy(caller, route, model, wanted_provider).map(Some);
    }
    let Some((name, provider)) = provider_for(table, caller, model, wanted_provider)? else {
        return Ok(None);
    };
    if caller.record.routes.is_some() {
        return Err(Refusal::ModelNotAllowed(model.to_owned())); // bound to named routes, and this is none
    }
    let Some(provider) = runtime.providers.get(provider) else {
        return Ok(None);
    };
    let Some(backend) = backend(provider, name, Arc::default()) else {
        return Ok(None);
    };
    Ok(Some(Plan {
        route: None,
        timeouts: provider.timeouts,
        backend,
        retry: Arc::clone(&IMPLICIT_RETRY),
    }))
}

/// The names that the caller may ask for, sorted, each with its provider where one is known: `GET /v1/models`.
pub fn visible_models<'r>(runtime: &'r Runtime, caller: &Authenticated) -> Vec<(&'r str, String)> {
    let names = tables(runtime, caller).flat_map(|table| table.routes_exact.keys().chain(table.declared.keys()));
    let mut visible: Vec<_> = names
        .filter_map(|name| {
            let plan = plan(runtime, caller, name, None).ok()?;
            Some((name.as_str(), plan.backend.provider.name.name.clone()))
        })
        .collect();
    visible.sort();
    visible.dedup_by(|a, b| a.0 == b.0);
    visible
}

/// The allow-list holds the name as asked for, or the model's own part of `provider/model`.
fn may_use_model(caller: &Authenticated, model: &str) -> bool {
    let bare = model.split_once('/').map(|(_, bare)| bare);
    any_matches(caller.record.models.as_deref(), model)
        || bare.is_some_and(|bare| any_matches(caller.record.models.as_deref(), bare))
}

fn may_use_provider(caller: &Authenticated, provider: &ObjectName) -> bool {
    any_matches(caller.record.providers.as_deref(), &provider.name)
}

fn policy_for<'t>(table: &'t ModelTable, model: &str) -> Option<&'t ObjectName> {
    if let Some(name) = table.routes_exact.get(model) {
        return Some(name);
    }
    // Prefixes of one string sort by length, so the last one that fits is the longest.
    let upto = table
        .routes_by_prefix
        .range::<str, _>((Bound::Unbounded, Bound::Included(model)));
    let longest = upto.rev().find(|(prefix, _)| model.starts_with(prefix.as_str()));
    longest.map(|(_, name)| name).or(table.route_for_any.as_ref())
}

fn by_policy(
    caller: &Authenticated,
    route: &PreparedRoute,
    model: &str,
    wanted_provider: Option<&str>,
) -> Result<Plan, Refusal> {
    if !any_matches(caller.record.routes.as_deref(), &route.name.name) {
        return Err(Refusal::ModelNotAllowed(model.to_owned()));
    }
    let (provider, name, overrides) = match &route.target {
        PreparedTarget::Unavailable(reason) => return Err(Refusal::TargetUnavailable(reason.clone())),
        PreparedTarget::Backend {
            provider,
            model: name,
            overrides,
        } => (provider, name.as_deref().unwrap_or(model), overrides),
    };
    if !may_use_provider(caller, &provider.name) {
        return Err(Refusal::ModelNotAllowed(model.to_owned()));
    }
    if wanted_provider.is_some_and(|wanted| wanted != provider.name.name) {
        return Err(Refusal::ProviderNotOnRoute);
    }
    let backend =
        backend(provider, name, Arc::clone(overrides)).ok_or_else(|| Refusal::ModelNotFound(model.to_owned()))?;
    let timeouts = Timeouts {
        total: route.total_timeout.unwrap_or(provider.timeouts.total),
        first_token: route.first_token_timeout.unwrap_or(provider.timeouts.first_token),
        idle: route.idle_timeout.unwrap_or(provider.timeouts.idle),
    };
    Ok(Plan {
        route: Some(route.name.clone()),
        backend,
        retry: Arc::clone(&route.retry),
        timeouts,
    })
}

/// Without a RoutePolicy: the provider that serves a declared name, else the one that `provider/model` addresses, each
/// with the name that it is asked for.
fn provider_for<'m, 't>(
    table: &'t ModelTable,
    caller: &Authenticated,
    model: &'m str,
    wanted_provider: Option<&str>,
) -> Result<Option<(&'m str, &'t ObjectName)>, Refusal> {
    if let Some(provider) = declared_by(table, caller, model, wanted_provider)? {
        return Ok(Some((model, provider)));
    }
    if let Some(reason) = table.unavailable.get(model) {
        return Err(Refusal::TargetUnavailable(reason.clone()));
    }
    addressed(table, caller, model, wanted_provider)
}

/// The provider that serves a declared name: the one the request wants, else the key's default, else the first in line.
fn declared_by<'t>(
    table: &'t ModelTable,
    caller: &Authenticated,
    model: &str,
    wanted_provider: Option<&str>,
) -> Result<Option<&'t ObjectName>, Refusal> {
    let Some(declaring) = table.declared.get(model) else {
        return Ok(None);
    };
    let allowed = || declaring.iter().filter(|name| may_use_provider(caller, name));
    let named = |wanted: &str| allowed().find(|name| name.name == wanted);
    if let Some(wanted) = wanted_provider {
        return Ok(named(wanted)); // if none: it may still accept the name without declaring it
    }
    let chosen = caller
        .record
        .default_provider
        .as_deref()
        .and_then(named)
        .or_else(|| allowed().next());
    chosen
        .map(Some)
        .ok_or_else(|| Refusal::ModelNotAllowed(model.to_owned()))
}

/// `provider/model`, or the wanted provider with the name as it stands.
fn addressed<'m, 't>(
    table: &'t ModelTable,
    caller: &Authenticated,
    model: &'m str,
    wanted_provider: Option<&str>,
) -> Result<Option<(&'m str, &'t ObjectName)>, Refusal> {
    let by_slash = model
        .split_once('/')
        .filter(|(provider, _)| wanted_provider.is_none_or(|wanted| wanted == *provider));
    let (name, rest) = match (by_slash, wanted_provider) {
        (Some((name, rest)), _) => (name, rest),
        (None, Some(wanted)) => (wanted, model),
        (None, None) => return Ok(None),
    };
    if let Some(reason) = table.unavailable_providers.get(name) {
        return Err(Refusal::TargetUnavailable(reason.clone()));
    }
    match table.providers.get(name) {
        Some(provider) if may_use_provider(caller, provider) => Ok(Some((rest, provider))),
        Some(_) => Err(Refusal::ModelNotAllowed(model.to_owned())),
        None => Ok(None),
    }
}

fn backend(provider: &Arc<PreparedProvider>, name: &str, overrides: Arc<[(String, String)]>) -> Option<PlannedBackend> {
    let (model, undeclared_name) = match provider.models.get(name) {
        Some(model) => (Arc::clone(model), None),
        None if name.is_empty() => return None,
        None => (Arc::clone(provider.undeclared.as_ref()?), Some(name.to_owned())),
    };
    Some(PlannedBackend {
        provider: Arc::clone(provider),
        model,
        overrides,
        undeclared_name,
    })
}
