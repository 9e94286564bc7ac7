//! The world of one moment and what it comes to. Objects of another installation are left out before it is compiled.

use std::collections::BTreeSet;
use std::sync::Arc;

use headgate_compile::{Compiled, Kind, NamespaceLabels, ObjectRef, Options, Resources, compile};
use headgate_snapshot::{ObjectName, SealingKey, Snapshot};

use super::report::claim;
use super::report::kinds::{Reported, name_of};
use crate::args::Config;
use crate::keys;

/// A compile, with what went into it.
pub(crate) struct Compilation {
    /// What was compiled.
    pub(crate) resources: Resources,
    /// What it comes to.
    pub(crate) compiled: Compiled,
    /// What was left out, since it belongs to another installation.
    pub(crate) rivals: BTreeSet<ObjectRef>,
    /// What became of the generated keys.
    pub(crate) keys: keys::Outcome,
}

impl Compilation {
    /// Compiles what is ours of `resources`.
    pub(crate) fn of(mut resources: Resources, config: &Config, key: &SealingKey) -> Self {
        let rivals = give_way(&mut resources, config);
        Self {
            compiled: compile(&resources, &options(config), key),
            resources,
            rivals,
            keys: keys::Outcome::default(),
        }
    }

    /// The same world under another key.
    pub(crate) fn under(&self, key: &SealingKey, config: &Config) -> Snapshot {
        compile(&self.resources, &options(config), key).snapshot
    }

    /// The Secrets that it needs, there or not.
    pub(crate) fn named_secrets(&self) -> BTreeSet<ObjectName> {
        let secrets = self
            .compiled
            .lookups
            .iter()
            .filter(|lookup| lookup.kind == Kind::Secret);
        secrets.map(|lookup| lookup.name.clone()).collect()
    }
}

fn options(config: &Config) -> Options {
    Options {
        shared_namespaces: config.shared_namespaces.clone(),
        namespace_labels: if config.read_namespace_labels {
            NamespaceLabels::Readable
        } else {
            NamespaceLabels::Unreadable
        },
    }
}

/// Leaves out what belongs to another installation.
fn give_way(resources: &mut Resources, config: &Config) -> BTreeSet<ObjectRef> {
    let mut rivals = BTreeSet::new();
    let Resources {
        providers,
        routes,
        keys,
        budgets,
        guardrails,
        ..
    } = resources;
    give_way_of(providers, config, &mut rivals);
    give_way_of(routes, config, &mut rivals);
    give_way_of(keys, config, &mut rivals);
    give_way_of(budgets, config, &mut rivals);
    give_way_of(guardrails, config, &mut rivals);
    rivals
}

fn give_way_of<K: Reported>(objects: &mut Vec<Arc<K>>, config: &Config, rivals: &mut BTreeSet<ObjectRef>) {
    objects.retain(|object| {
        let is_ours = claim::rival(object.meta(), object.conditions(), config).is_none();
        if !is_ours {
            rivals.insert(ObjectRef::new(K::KIND, &name_of(object.as_ref())));
        }
        is_ours
    });
}
