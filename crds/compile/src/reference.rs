//! How objects find each other. Every name that is looked up is recorded, misses included: that record is the index by
//! which whoever watches a cluster knows which Secrets to fetch and which change concerns whom.
//!
//! An object of another namespace that does not allow this one looks exactly like one that is not there, in words and in
//! reason, so that nobody can find out what others have.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_crds::{AllowedNamespaces, Budget, GuardrailPolicy, LLMProvider, NamespacesFrom, RoutePolicy, VirtualKey};
use headgate_snapshot::ObjectName;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use serde::Serialize;

use crate::finding::{About, Findings, Kind, Reason};
use crate::resources::{NamespaceLabels, Options, Resources, Secret};

/// A name that was looked up, and whether there was something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Lookup {
    /// What was looked for.
    pub kind: Kind,
    /// Its name. A `Namespace` has an empty namespace.
    pub name: ObjectName,
    /// Whether it was there.
    pub found: bool,
}

/// An object that has metadata: all five kinds.
pub(crate) trait Object: Serialize {
    const KIND: Kind;
    fn metadata(&self) -> &ObjectMeta;

    /// An object without a namespace is in `default`, as it is for `kubectl`.
    fn name(&self) -> ObjectName {
        let metadata = self.metadata();
        let namespace = metadata.namespace.as_deref().unwrap_or("default");
        ObjectName::new(namespace, metadata.name.as_deref().unwrap_or_default())
    }
}

/// Those that say who may refer to them.
pub(crate) trait Shareable: Object {
    fn allowed_namespaces(&self) -> &AllowedNamespaces;
}

macro_rules! objects {
    ($($kind:ident)*) => {$(
        impl Object for $kind {
            const KIND: Kind = Kind::$kind;

            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }
        }
    )*};
}

macro_rules! shareable {
    ($($kind:ident)*) => {$(
        impl Shareable for $kind {
            fn allowed_namespaces(&self) -> &AllowedNamespaces {
                &self.spec.allowed_namespaces
            }
        }
    )*};
}

objects!(LLMProvider RoutePolicy VirtualKey Budget GuardrailPolicy);
shareable!(LLMProvider RoutePolicy GuardrailPolicy);

/// All objects by name, and a record of what was looked up.
pub(crate) struct World<'a> {
    pub(crate) options: &'a Options,
    pub(crate) providers: BTreeMap<ObjectName, &'a LLMProvider>,
    pub(crate) routes: BTreeMap<ObjectName, &'a RoutePolicy>,
    pub(crate) keys: BTreeMap<ObjectName, &'a VirtualKey>,
    pub(crate) budgets: BTreeMap<ObjectName, &'a Budget>,
    pub(crate) guardrails: BTreeMap<ObjectName, &'a GuardrailPolicy>,
    resources: &'a Resources,
    lookups: RefCell<BTreeSet<Lookup>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(resources: &'a Resources, options: &'a Options, findings: &mut Findings) -> Self {
        Self {
            options,
            providers: by_name(&resources.providers, findings),
            routes: by_name(&resources.routes, findings),
            keys: by_name(&resources.keys, findings),
            budgets: by_name(&resources.budgets, findings),
            guardrails: by_name(&resources.guardrails, findings),
            resources,
            lookups: RefCell::default(),
        }
    }

    /// All that was looked up.
    pub(crate) fn into_lookups(self) -> BTreeSet<Lookup> {
        self.lookups.into_inner()
    }

    pub(crate) fn provider(&self, from: &str, name: &ObjectName) -> Option<&'a LLMProvider> {
        self.allowed(&self.providers, from, name)
    }

    /// Nesting and rerouting stay within a namespace.
    pub(crate) fn route(&self, name: &ObjectName) -> Option<&'a RoutePolicy> {
        self.allowed(&self.routes, &name.namespace, name)
    }

    pub(crate) fn guardrail(&self, from: &str, name: &ObjectName) -> Option<&'a GuardrailPolicy> {
        self.allowed(&self.guardrails, from, name)
    }

    /// Secrets are only ever of the object's own namespace.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&'a Secret> {
        let name = ObjectName::new(namespace, name);
        let secret = self.resources.secrets.get(&name);
        self.record(Kind::Secret, name, secret.is_some());
        secret
    }

    /// Where names of `namespace` are looked for: in itself, then in the shared namespaces.
    pub(crate) fn search_order<'s>(&'s self, namespace: &'s str) -> impl Iterator<Item = &'s str> {
        let shared = self.options.shared_namespaces.iter().map(String::as_str);
        std::iter::once(namespace).chain(shared.filter(move |&shared| shared != namespace))
    }

    /// Whether objects of `namespace` may refer to `object`.
    pub(crate) fn allows(&self, object: &impl Shareable, namespace: &str) -> bool {
        let allowed = object.allowed_namespaces();
        if object.metadata().namespace.as_deref().unwrap_or("default") == namespace {
            return true;
        }
        match (allowed.from, &allowed.selector) {
            (NamespacesFrom::Same, _) | (NamespacesFrom::Selector, None) => false,
            (NamespacesFrom::All, _) => true,
            (NamespacesFrom::Selector, Some(selector)) => {
                self.options.namespace_labels == NamespaceLabels::Readable
                    && matches(selector, &self.labels_of(namespace)).unwrap_or(false)
            }
        }
    }

    /// Says so where `allowedNamespaces` cannot be followed. The object is then for its own namespace only.
    pub(crate) fn judge_allowed_namespaces(&self, object: &impl Shareable, about: &mut About<'_>) {
        let allowed = object.allowed_namespaces();
        if allowed.from != NamespacesFrom::Selector {
            return;
        }
        if self.options.namespace_labels == NamespaceLabels::Unreadable {
            about.error(
                Reason::UnsupportedValue,
                "spec.allowedNamespaces.from",
                "labels of namespaces cannot be read here, so that Selector allows no other namespace; set the chart \
                 value `operator.rbac.namespaces` to true, or use Same or All",
            );
        }
        let path = "spec.allowedNamespaces.selector";
        match &allowed.selector {
            None => about.error(
                Reason::Invalid,
                path,
                "from: Selector needs a selector; add one, or use Same or All",
            ),
            Some(selector) => {
                if let Err(wrong) = matches(selector, &BTreeMap::new()) {
                    about.error(
                        Reason::Invalid,
                        path,
                        format!("{wrong}, so that no other namespace is allowed; correct it"),
                    );
                }
            }
        }
    }

    fn labels_of(&self, namespace: &str) -> BTreeMap<String, String> {
        let labels = self.resources.namespace_labels.get(namespace);
        self.record(Kind::Namespace, ObjectName::new("", namespace), labels.is_some());
        let mut labels = labels.cloned().unwrap_or_default();
        // The API server sets this one on every namespace; a folder need not say so.
        labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
        labels
    }

    fn allowed<T: Shareable>(
        &self,
        objects: &BTreeMap<ObjectName, &'a T>,
        from: &str,
        name: &ObjectName,
    ) -> Option<&'a T> {
        let object = objects.get(name).copied();
        self.record(T::KIND, name.clone(), object.is_some());
        object.filter(|&object| self.allows(object, from))
    }

    fn record(&self, kind: Kind, name: ObjectName, found: bool) {
        self.lookups.borrow_mut().insert(Lookup { kind, name, found });
    }
}

/// What is said of a name that leads nowhere, be it absent or not for us.
pub(crate) fn not_found(kind: Kind, name: &ObjectName, from: &str) -> String {
    if name.namespace == from {
        return format!("{kind} `{}` was not found in namespace `{from}`", name.name);
    }
    format!("{kind} `{name}` was not found, or does not allow namespace `{from}`")
}

/// Objects by name. One name twice cannot happen in a cluster; of what a folder may hold, the same one is kept in whatever
/// order the files are read.
fn by_name<'a, T: Object>(objects: &'a [Arc<T>], findings: &mut Findings) -> BTreeMap<ObjectName, &'a T> {
    let mut map: BTreeMap<ObjectName, &'a T> = BTreeMap::new();
    for object in objects {
        let object: &'a T = object;
        let name = object.name();
        let Some(other) = map.insert(name.clone(), object) else {
            continue;
        };
        findings.about(T::KIND, &name).error(
            Reason::Conflicted,
            "metadata.name",
            "it is declared twice; remove one of the two",
        );
        if canonical(other) < canonical(object) {
            map.insert(name, other);
        }
    }
    map.retain(|name, _| {
        if name.name.is_empty() {
            findings
                .about(T::KIND, name)
                .error(Reason::Invalid, "metadata.name", "an object needs a name; add one");
        }
        !name.name.is_empty()
    });
    map
}

fn canonical(object: &impl Serialize) -> String {
    serde_json::to_string(object).unwrap_or_default()
}

/// Whether labels fit a selector, as Kubernetes reads one; an empty selector fits all.
fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Result<bool, String> {
    let LabelSelector {
        match_labels,
        match_expressions,
    } = selector;
    let mut fits = match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    for LabelSelectorRequirement { key, operator, values } in match_expressions.iter().flatten() {
        let value = labels.get(key);
        let is_listed = || value.is_some_and(|value| values.iter().flatten().any(|listed| listed == value));
        fits &= match operator.as_str() {
            "In" => is_listed(),
            "NotIn" => !is_listed(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => {
                return Err(format!(
                    "the selector has an operator `{other}` that Kubernetes does not know"
                ));
            }
        };
    }
    Ok(fits)
}
