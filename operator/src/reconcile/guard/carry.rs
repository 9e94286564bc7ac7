//! Held removals carried over from what is published into what was compiled, so that the whole can be served.
//!
//! A key that stays needs the names that it asks for, those need routes and providers, and those their credentials. All of
//! it is taken from the published records, since after a restart of the operator nothing else is left. What still exists
//! and is only broken is not revived: an edit that breaks a provider publishes, and what leads there says so.
//!
//! A token that another key has meanwhile is not carried over: keys that are moved to another namespace look like a mass
//! removal, and no snapshot may have one token open two keys.

use std::collections::{BTreeMap, BTreeSet};

use headgate_snapshot::{Backend, KeyedDigest, ModelTable, ObjectName, Route, Snapshot, Strategy, Target};

use super::Removals;

/// What the carrying needs to know of the installation.
pub(crate) struct Surroundings<'a> {
    /// The providers that exist, broken or not.
    pub(crate) existing_providers: &'a BTreeSet<ObjectName>,
    /// In which order shared namespaces are searched.
    pub(crate) shared_namespaces: &'a [String],
}

/// `compiled`, and of `published` what the held removals need.
pub(crate) fn over(
    published: &Snapshot,
    mut compiled: Snapshot,
    removals: &Removals,
    surroundings: &Surroundings<'_>,
) -> Snapshot {
    carry_callers(published, &mut compiled, removals);
    let with_held_callers: BTreeSet<&str> = removals.callers.iter().map(|name| name.namespace.as_str()).collect();
    let providers = needed_providers(published, &compiled, removals, &with_held_callers, surroundings);
    carry_providers(published, &mut compiled, &providers);
    carry_routes(published, &mut compiled, removals);
    carry_tables(published, &mut compiled, removals, &providers, surroundings);
    compiled
}

fn carry_callers(published: &Snapshot, compiled: &mut Snapshot, removals: &Removals) {
    let keys = compiled.callers.values().flat_map(|caller| &caller.keys);
    let taken: BTreeSet<KeyedDigest> = keys.map(|key| key.digest).collect();
    for name in &removals.callers {
        let mut caller = published.callers[name].clone();
        caller.keys.retain(|key| !taken.contains(&key.digest));
        compiled.callers.insert(name.clone(), caller);
    }
}

/// Deleted providers to which a held route leads, or a name that held keys may ask for.
fn needed_providers(
    published: &Snapshot,
    compiled: &Snapshot,
    removals: &Removals,
    with_held_callers: &BTreeSet<&str>,
    surroundings: &Surroundings<'_>,
) -> BTreeSet<ObjectName> {
    let by_routes = removals
        .routes
        .iter()
        .filter_map(|name| backend_of(&published.routes[name]));
    let by_routes = by_routes.map(|backend| backend.provider.clone());
    let tables = with_held_callers
        .iter()
        .filter_map(|&namespace| published.models.get(namespace));
    let by_names = tables.flat_map(providers_of);
    by_routes
        .chain(by_names)
        .filter(|name| !compiled.providers.contains_key(name) && !surroundings.existing_providers.contains(name))
        .collect()
}

fn backend_of(route: &Route) -> Option<&Backend> {
    match &route.strategy {
        Strategy::Single(Target::Backend(backend)) => Some(backend),
        Strategy::Single(Target::Unavailable { .. }) => None,
    }
}

fn providers_of(table: &ModelTable) -> Vec<ObjectName> {
    let own = table
        .declared
        .values()
        .flatten()
        .chain(table.providers.values())
        .cloned();
    own.chain(table.shared.iter().flat_map(providers_of)).collect()
}

fn carry_providers(published: &Snapshot, compiled: &mut Snapshot, providers: &BTreeSet<ObjectName>) {
    for name in providers {
        if let Some(provider) = published.providers.get(name) {
            compiled.providers.insert(name.clone(), provider.clone());
        }
    }
    let needed = published
        .credentials
        .iter()
        .filter(|(slot, _)| providers.contains(&slot.provider));
    compiled
        .credentials
        .extend(needed.map(|(slot, sealed)| (slot.clone(), sealed.clone())));
}

fn carry_routes(published: &Snapshot, compiled: &mut Snapshot, removals: &Removals) {
    for name in &removals.routes {
        let mut route = published.routes[name].clone();
        let broken = backend_of(&route).filter(|backend| !compiled.providers.contains_key(&backend.provider));
        if let Some(backend) = broken {
            let reason = left_out(&backend.provider);
            route.strategy = Strategy::Single(Target::Unavailable { reason });
        }
        compiled.routes.insert(name.clone(), route);
    }
}

fn left_out(provider: &ObjectName) -> String {
    format!("LLMProvider `{}` is left out", provider.name)
}

fn carry_tables(
    published: &Snapshot,
    compiled: &mut Snapshot,
    removals: &Removals,
    providers: &BTreeSet<ObjectName>,
    surroundings: &Surroundings<'_>,
) {
    let Snapshot {
        providers: served,
        routes,
        models,
        callers,
        credentials: _,
    } = compiled;
    let namespaces: BTreeSet<&String> = callers.keys().map(|name| &name.namespace).collect();
    for (namespace, old) in published
        .models
        .iter()
        .filter(|(namespace, _)| namespaces.contains(namespace))
    {
        if let Some(new) = models.get_mut(namespace) {
            // What is compiled says it all, but for what is held.
            let leads = Leads {
                to_route: &|name| removals.routes.contains(name),
                to_provider: &|name| providers.contains(name),
            };
            merge(new, old, &leads, surroundings.shared_namespaces);
        } else {
            // Only held keys are left in this namespace: all of its names stay, as far as they lead anywhere.
            let leads = Leads {
                to_route: &|name| routes.contains_key(name),
                to_provider: &|name| served.contains_key(name),
            };
            let mut new = ModelTable::default();
            merge(&mut new, old, &leads, surroundings.shared_namespaces);
            close_off(&mut new, old, &leads);
            models.insert(namespace.clone(), new);
        }
    }
}

/// Which entries of an old table are worth keeping: those that lead there.
struct Leads<'a> {
    to_route: &'a dyn Fn(&ObjectName) -> bool,
    to_provider: &'a dyn Fn(&ObjectName) -> bool,
}

/// Adds to `new` the entries of `old` that still lead somewhere. What `new` says itself wins.
fn merge(new: &mut ModelTable, old: &ModelTable, leads: &Leads<'_>, shared_namespaces: &[String]) {
    merge_routes(&mut new.routes_exact, &old.routes_exact, leads);
    merge_routes(&mut new.routes_by_prefix, &old.routes_by_prefix, leads);
    if new.route_for_any.is_none() {
        new.route_for_any = old.route_for_any.clone().filter(|name| (leads.to_route)(name));
    }
    for (model, names) in &old.declared {
        let kept: Vec<_> = names.iter().filter(|name| (leads.to_provider)(name)).cloned().collect();
        if kept.is_empty() {
            continue;
        }
        let declaring = new.declared.entry(model.clone()).or_default();
        declaring.extend(
            kept.into_iter()
                .filter(|name| !names_contain(declaring, name))
                .collect::<Vec<_>>(),
        );
        new.unavailable.remove(model);
    }
    for (name, provider) in old
        .providers
        .iter()
        .filter(|(_, provider)| (leads.to_provider)(provider))
    {
        if !new.unavailable_providers.contains_key(name) {
            new.providers.entry(name.clone()).or_insert_with(|| provider.clone());
        }
    }
    for old in &old.shared {
        merge_shared(&mut new.shared, old, leads, shared_namespaces);
    }
}

fn names_contain(names: &[ObjectName], name: &ObjectName) -> bool {
    names.iter().any(|known| known == name)
}

fn merge_routes(new: &mut BTreeMap<String, ObjectName>, old: &BTreeMap<String, ObjectName>, leads: &Leads<'_>) {
    for (model, route) in old.iter().filter(|(_, route)| (leads.to_route)(route)) {
        new.entry(model.clone()).or_insert_with(|| route.clone());
    }
}

/// A shared table does not say whose it is; its entries do, since all of them are of one namespace.
fn merge_shared(new: &mut Vec<ModelTable>, old: &ModelTable, leads: &Leads<'_>, shared_namespaces: &[String]) {
    let Some(place) = place_of(old) else { return };
    if let Some(table) = new.iter_mut().find(|table| place_of(table) == Some(place)) {
        merge(table, old, leads, shared_namespaces);
        return;
    }
    let mut table = ModelTable::default();
    merge(&mut table, old, leads, shared_namespaces);
    if table == ModelTable::default() {
        return;
    }
    let rank = |place: &str| shared_namespaces.iter().position(|shared| shared == place);
    let is_after = |table: &ModelTable| place_of(table).is_some_and(|other| rank(other) > rank(place));
    let at = new.iter().position(is_after).unwrap_or(new.len());
    new.insert(at, table);
}

/// The namespace that a table's entries belong to.
fn place_of(table: &ModelTable) -> Option<&str> {
    let routes = table.routes_exact.values().chain(table.routes_by_prefix.values());
    let mut names = routes
        .chain(&table.route_for_any)
        .chain(table.providers.values())
        .chain(table.declared.values().flatten());
    names.next().map(|name| name.namespace.as_str())
}

/// Names that were known and lead nowhere any more are refused with a reason, instead of leading to somebody else.
fn close_off(new: &mut ModelTable, old: &ModelTable, leads: &Leads<'_>) {
    new.unavailable.extend(old.unavailable.clone());
    new.unavailable_providers.extend(old.unavailable_providers.clone());
    for (model, names) in &old.declared {
        if let Some(broken) = names.iter().find(|name| !(leads.to_provider)(name)) {
            new.unavailable.entry(model.clone()).or_insert_with(|| left_out(broken));
        }
    }
    for (name, provider) in old
        .providers
        .iter()
        .filter(|(_, provider)| !(leads.to_provider)(provider))
    {
        let reason = || left_out(provider);
        new.unavailable_providers.entry(name.clone()).or_insert_with(reason);
    }
    let ModelTable {
        declared, unavailable, ..
    } = new;
    unavailable.retain(|model, _| !declared.contains_key(model));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixture::{assert_whole, caller, provider, route_to, sealed, snapshot_of, table};
    use headgate_snapshot::CredentialSlot;

    fn name(text: &str) -> ObjectName {
        text.parse().unwrap()
    }

    fn carried(published: &Snapshot, compiled: &Snapshot, existing: &[&str], shared: &[&str]) -> Snapshot {
        let removals = Removals::between(published, compiled);
        let existing_providers = existing.iter().map(|text| name(text)).collect();
        let shared_namespaces: Vec<_> = shared.iter().map(|&text| text.to_owned()).collect();
        let surroundings = Surroundings {
            existing_providers: &existing_providers,
            shared_namespaces: &shared_namespaces,
        };
        let carried = over(published, compiled.clone(), &removals, &surroundings);
        assert_whole(&carried);
        carried
    }

    /// One key, one route and two providers in the namespace `team`.
    fn team() -> Snapshot {
        snapshot_of(|snapshot| {
            snapshot.providers.insert(name("team/p"), provider());
            snapshot.providers.insert(name("team/q"), provider());
            let slot = CredentialSlot::credential(name("team/p"));
            snapshot.credentials.insert(slot.clone(), sealed(&slot));
            snapshot.routes.insert(name("team/r"), route_to("team/p"));
            snapshot.callers.insert(name("team/k"), caller(1));
            snapshot.models.insert(
                "team".into(),
                table(|table| {
                    table.routes_exact.insert("fast".into(), name("team/r"));
                    table.providers.insert("p".into(), name("team/p"));
                    table.providers.insert("q".into(), name("team/q"));
                    table.declared.insert("m".into(), vec![name("team/p"), name("team/q")]);
                }),
            );
        })
    }

    #[test]
    fn a_deleted_namespace_stays_whole() {
        let published = team();
        assert_eq!(carried(&published, &Snapshot::default(), &[], &[]), published);
    }

    #[test]
    fn the_rest_of_the_world_publishes() {
        let mut compiled = Snapshot::default();
        compiled.callers.insert(name("other/new"), caller(2));
        compiled.models.insert("other".into(), ModelTable::default());
        let carried = carried(&team(), &compiled, &[], &[]);
        assert_eq!(carried.callers.len(), 2);
        assert_eq!(carried.models.len(), 2);
    }

    #[test]
    fn a_token_that_moved_to_another_key_opens_only_that() {
        let mut compiled = team();
        let moved = compiled.callers.remove(&name("team/k")).unwrap();
        compiled.callers.insert(name("elsewhere/k"), moved);
        compiled.models.insert("elsewhere".into(), ModelTable::default());
        let carried = carried(&team(), &compiled, &[], &[]);
        assert!(carried.callers[&name("team/k")].keys.is_empty());
        assert_eq!(carried.callers[&name("elsewhere/k")].keys.len(), 1);
    }

    #[test]
    fn a_provider_that_is_broken_is_not_revived_and_what_leads_there_says_so() {
        let published = team();
        let compiled = snapshot_of(|snapshot| {
            snapshot.providers.insert(name("team/q"), provider());
        });
        let carried = carried(&published, &compiled, &["team/p", "team/q"], &[]);
        assert!(!carried.providers.contains_key(&name("team/p")) && carried.credentials.is_empty());
        let Strategy::Single(target) = &carried.routes[&name("team/r")].strategy;
        assert_eq!(
            *target,
            Target::Unavailable {
                reason: "LLMProvider `p` is left out".into()
            }
        );
        let table = &carried.models["team"];
        assert_eq!(table.declared["m"], [name("team/q")]);
        assert_eq!(table.unavailable_providers["p"], "LLMProvider `p` is left out");
    }

    #[test]
    fn a_held_route_keeps_its_names_in_the_tables_of_keys_that_stay() {
        let published = team();
        let mut compiled = team();
        compiled.routes.clear();
        compiled.models.get_mut("team").unwrap().routes_exact.clear();
        assert_eq!(carried(&published, &compiled, &["team/p", "team/q"], &[]), published);
    }

    #[test]
    fn a_name_that_leads_elsewhere_now_stays_there() {
        let published = team();
        let mut compiled = team();
        compiled.routes.remove(&name("team/r"));
        compiled.routes.insert(name("team/s"), route_to("team/q"));
        let table = compiled.models.get_mut("team").unwrap();
        table.routes_exact.insert("fast".into(), name("team/s"));
        let carried = carried(&published, &compiled, &["team/p", "team/q"], &[]);
        assert_eq!(carried.models["team"].routes_exact["fast"], name("team/s"));
    }

    #[test]
    fn shared_tables_keep_their_order_when_one_of_them_comes_back() {
        let shared = |place: &str| {
            table(|table| {
                let route = ObjectName::new(place, "r");
                table.routes_exact.insert(format!("from-{place}"), route);
            })
        };
        let world = |places: &[&str]| {
            snapshot_of(|snapshot| {
                snapshot.providers.insert(name("team/p"), provider());
                snapshot.callers.insert(name("team/k"), caller(1));
                for place in places {
                    snapshot.routes.insert(ObjectName::new(*place, "r"), route_to("team/p"));
                }
                let shared_tables = places.iter().map(|place| shared(place)).collect();
                snapshot
                    .models
                    .insert("team".into(), table(|table| table.shared = shared_tables));
            })
        };
        let published = world(&["z", "m", "a"]);
        for left in [&["z", "a"][..], &["m"], &["a"], &[]] {
            let carried = carried(&published, &world(left), &["team/p"], &["z", "m", "a"]);
            assert_eq!(carried, published, "{left:?} were left");
        }
    }
}
