//! `Budget`: not counted yet. What matters until then is to fail closed: a Hard budget says that some keys must not spend
//! without a limit, so those keys are refused, by name of the budget.
//!
//! A budget reaches the keys of its own namespace. Only one in a shared namespace, which the installation vouches for, may
//! name others: otherwise anybody could stop anybody's keys.

use std::collections::{BTreeMap, BTreeSet};

use headgate_crds::Budget;
use headgate_crds::budget::{BudgetSelector, Enforcement};
use headgate_crds::virtual_key::VirtualKeySpec;
use headgate_snapshot::ObjectName;

use crate::finding::{About, Findings, Kind, Reason};
use crate::reference::World;
use crate::unsupported;

/// The budgets that refuse keys, by the namespace of those keys.
#[derive(Default)]
pub(crate) struct Refusing<'a> {
    by_namespace: BTreeMap<&'a str, Vec<Refusal<'a>>>,
}

/// One budget that refuses what it selects.
struct Refusal<'a> {
    budget: ObjectName,
    selects: Selects<'a>,
}

enum Selects<'a> {
    /// What the selector says.
    By(&'a BudgetSelector),
    /// Everything: there is no selector, or it cannot be read.
    Everything,
}

/// Judges every budget.
pub(crate) fn compile<'a>(world: &World<'a>, findings: &mut Findings) -> Refusing<'a> {
    let mut refusing = Refusing::default();
    for (name, object) in &world.budgets {
        let mut about = findings.about(Kind::Budget, name);
        look_up_references(world, name, object, &mut about);
        unsupported::report(unsupported::BUDGET, &object.spec, &mut about);
        let (namespaces, selects) = selection(world, name, object, &mut about);
        if object.spec.enforcement == Enforcement::Hard {
            for namespace in namespaces {
                let budget = name.clone();
                let selects = match &selects {
                    Selects::By(selector) => Selects::By(selector),
                    Selects::Everything => Selects::Everything,
                };
                refusing
                    .by_namespace
                    .entry(namespace)
                    .or_default()
                    .push(Refusal { budget, selects });
            }
        }
    }
    refusing
}

impl Refusing<'_> {
    /// Why every request of a key is refused, if a budget says so.
    pub(crate) fn of(
        &self,
        key: &ObjectName,
        labels: &BTreeMap<String, String>,
        spec: &VirtualKeySpec,
    ) -> Option<String> {
        let refusals = self.by_namespace.get(key.namespace.as_str())?;
        let refusal = refusals.iter().find(|refusal| match refusal.selects {
            Selects::Everything => true,
            Selects::By(selector) => selects(selector, key, labels, spec),
        })?;
        Some(format!(
            "Budget `{}` is Hard and cannot be enforced by this version",
            refusal.budget
        ))
    }
}

/// Which namespaces a budget reaches, and which of their keys.
fn selection<'a>(
    world: &World<'a>,
    name: &ObjectName,
    object: &'a Budget,
    about: &mut About<'_>,
) -> (BTreeSet<&'a str>, Selects<'a>) {
    let own = object.metadata.namespace.as_deref().unwrap_or("default");
    let Some(selector) = &object.spec.selector else {
        return (BTreeSet::from([own]), Selects::Everything);
    };
    let is_shared = world.options.shared_namespaces.contains(&name.namespace);
    let mut namespaces = BTreeSet::new();
    for (index, namespace) in selector.namespaces.iter().enumerate() {
        if namespace == own || is_shared {
            namespaces.insert(namespace.as_str());
        } else {
            about.error(
                Reason::Invalid,
                format!("spec.selector.namespaces[{index}]"),
                format!(
                    "a budget of namespace `{own}` cannot select keys of another one; create it there, or in a namespace \
                     that the installation shares"
                ),
            );
        }
    }
    if selector.namespaces.is_empty() {
        namespaces.insert(own);
    }
    if let Some((key, _)) = selector.match_labels.iter().find(|(key, value)| !is_label(key, value)) {
        about.error(
            Reason::Invalid,
            format!("spec.selector.matchLabels.{key}"),
            "no object can have such a label, so that the selector cannot be read and, with Hard, every key of the \
             namespace is refused; correct it",
        );
        namespaces.insert(own);
        return (namespaces, Selects::Everything);
    }
    (namespaces, Selects::By(selector))
}

/// All that is given must hold. Destructured in full: a forgotten condition would select keys that nobody meant.
fn selects(
    selector: &BudgetSelector,
    key: &ObjectName,
    labels: &BTreeMap<String, String>,
    spec: &VirtualKeySpec,
) -> bool {
    let BudgetSelector {
        match_labels,
        names,
        users,
        teams,
        namespaces: _,
    } = selector;
    let owner = spec.owner.as_ref();
    let is_listed =
        |list: &[String], value: Option<&String>| list.is_empty() || value.is_some_and(|value| list.contains(value));
    match_labels
        .iter()
        .all(|(label, value)| labels.get(label) == Some(value))
        && is_listed(names, Some(&key.name))
        && is_listed(users, owner.and_then(|owner| owner.user.as_ref()))
        && is_listed(teams, owner.and_then(|owner| owner.team.as_ref()))
}

/// The syntax of Kubernetes labels: an optional DNS prefix, then at most 63 characters; values the same without a prefix,
/// or empty.
fn is_label(key: &str, value: &str) -> bool {
    let is_end = |byte: u8| byte.is_ascii_alphanumeric();
    let is_inner = |byte: u8| is_end(byte) || b"-_.".contains(&byte);
    let is_name = |text: &str| {
        let bytes = text.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(&first), Some(&last)) if is_end(first) && is_end(last))
            && bytes.len() <= 63
            && bytes.iter().all(|&byte| is_inner(byte))
    };
    let (prefix, name) = key
        .rsplit_once('/')
        .map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |prefix: &str| prefix.len() <= 253 && prefix.split('.').all(is_name);
    prefix.is_none_or(is_prefix) && is_name(name) && (value.is_empty() || is_name(value))
}

/// What a budget names, beside keys.
fn look_up_references(world: &World<'_>, name: &ObjectName, object: &Budget, about: &mut About<'_>) {
    if let Some(route) = &object.spec.on_exceeded.route {
        let route = ObjectName::new(&name.namespace, &route.name);
        if world.route(&route).is_none() {
            let missing = crate::reference::not_found(Kind::RoutePolicy, &route, &name.namespace);
            let message = format!("{missing}; create it, or correct the name");
            about.error(Reason::RefNotFound, "spec.onExceeded.route", message);
        }
    }
    for (index, alert) in object.spec.alerts.iter().enumerate() {
        let Some(webhook) = &alert.webhook else { continue };
        if let Err(problem) = crate::secret::resolve(world, &name.namespace, &webhook.secret_ref) {
            about.error(
                problem.reason,
                format!("spec.alerts[{index}].webhook.secretRef"),
                problem.message,
            );
        }
    }
}
