//! Which name means what, per namespace: first what the namespace has itself, then what the shared namespaces let it use.
//!
//! Each namespace gets tables of its own, one a place where it may look, rather than one merged table: a shared `*` must
//! not capture a model that the namespace declares itself. Conflicts are judged within one place, as whoever looks sees it.

use std::collections::{BTreeMap, BTreeSet};

use headgate_crds::{LLMProvider, RoutePolicy};
use headgate_snapshot::{ModelTable, ObjectName};

use crate::finding::{Findings, Kind, Reason};
use crate::provider::Providers;
use crate::reference::World;

/// Whether an entry of `RoutePolicy.spec.models` names one model.
pub(crate) fn is_exact(model: &str) -> bool {
    !model.ends_with('*')
}

/// The tables of every namespace that holds a key. Conflicts are judged in every namespace, keys or not.
pub(crate) fn compile<'a>(
    world: &World<'_>,
    providers: &Providers,
    namespaces_with_keys: impl Iterator<Item = &'a str>,
    findings: &mut Findings,
) -> BTreeMap<String, ModelTable> {
    let with_keys: BTreeSet<&str> = namespaces_with_keys.collect();
    let with_objects = world
        .providers
        .keys()
        .chain(world.routes.keys())
        .map(|name| name.namespace.as_str());
    let mut tables = BTreeMap::new();
    for namespace in with_keys.iter().copied().chain(with_objects).collect::<BTreeSet<_>>() {
        let mut table = table(world, providers, namespace, namespace, findings);
        if with_keys.contains(namespace) {
            let shared = world.search_order(namespace).skip(1);
            table.shared = shared
                .map(|place| self::table(world, providers, place, namespace, findings))
                .collect();
            table.shared.retain(|shared| *shared != ModelTable::default());
            tables.insert(namespace.to_owned(), table);
        }
    }
    tables
}

/// What the keys of `viewer` find in the namespace `place`.
fn table(world: &World<'_>, providers: &Providers, place: &str, viewer: &str, findings: &mut Findings) -> ModelTable {
    let mut table = ModelTable::default();
    for (name, object) in within(&world.routes, place) {
        if world.allows(*object, viewer) {
            add_route(&mut table, name, object, findings);
        }
    }
    for (name, object) in within(&world.providers, place) {
        if world.allows(*object, viewer) {
            add_provider(&mut table, providers, name, object, findings);
        }
    }
    let ModelTable {
        declared, unavailable, ..
    } = &mut table;
    unavailable.retain(|model, _| !declared.contains_key(model));
    table
}

/// Objects of one namespace, by name.
fn within<'m, T>(
    objects: &'m BTreeMap<ObjectName, T>,
    namespace: &'m str,
) -> impl Iterator<Item = (&'m ObjectName, &'m T)> {
    // No name is empty, so this sorts before all of the namespace.
    objects
        .range(ObjectName::new(namespace, "")..)
        .take_while(move |(name, _)| name.namespace == namespace)
}

/// Adds what a route takes. Routes come by name, so what is taken already belongs to a smaller one.
fn add_route(table: &mut ModelTable, name: &ObjectName, object: &RoutePolicy, findings: &mut Findings) {
    for (index, model) in object.spec.models.iter().enumerate() {
        let holder = match model.strip_suffix('*') {
            None => table.routes_exact.entry(model.clone()).or_insert_with(|| name.clone()),
            Some("") => table.route_for_any.get_or_insert_with(|| name.clone()),
            Some(prefix) => table
                .routes_by_prefix
                .entry(prefix.to_owned())
                .or_insert_with(|| name.clone()),
        };
        if holder != name {
            let message = format!(
                "`{model}` already goes to RoutePolicy `{}`, whose name is smaller; remove it from one of the two",
                holder.name
            );
            findings
                .about(Kind::RoutePolicy, name)
                .error(Reason::Conflicted, format!("spec.models[{index}]"), message);
        }
    }
}

fn add_provider(
    table: &mut ModelTable,
    providers: &Providers,
    name: &ObjectName,
    object: &LLMProvider,
    findings: &mut Findings,
) {
    if let Some(reason) = providers.left_out.get(name) {
        table.unavailable_providers.insert(name.name.clone(), reason.clone());
        for model in &object.spec.models {
            table
                .unavailable
                .entry(model.name.clone())
                .or_insert_with(|| reason.clone());
        }
        return;
    }
    table.providers.insert(name.name.clone(), name.clone());
    for (model, reason) in providers.models_left_out.get(name).into_iter().flatten() {
        table.unavailable.entry(model.clone()).or_insert_with(|| reason.clone());
    }
    for (index, model) in object.spec.models.iter().enumerate() {
        if !providers
            .served
            .get(name)
            .is_some_and(|served| served.models.contains_key(&model.name))
        {
            continue;
        }
        let has_route = is_routed(table, &model.name);
        let declaring = table.declared.entry(model.name.clone()).or_default();
        if declaring.last() == Some(name) {
            continue; // it stands twice in the list, which is reported there
        }
        if let Some(first) = declaring.first().filter(|_| !has_route) {
            let message = format!(
                "LLMProvider `{}` declares `{}`, too, and serves it because its name is smaller; add a RoutePolicy for it \
                 to choose",
                first.name, model.name
            );
            let path = format!("spec.models[{index}].name");
            findings
                .about(Kind::LLMProvider, name)
                .warning(Reason::Conflicted, path, message);
        }
        declaring.push(name.clone());
    }
}

/// Whether a RoutePolicy takes the model before any provider does.
fn is_routed(table: &ModelTable, model: &str) -> bool {
    table.routes_exact.contains_key(model)
        || table.route_for_any.is_some()
        || table
            .routes_by_prefix
            .keys()
            .any(|prefix| model.starts_with(prefix.as_str()))
}
