//! What the five kinds mean: the whole set of resources in, a snapshot and findings out.
//!
//! A pure function: no IO, no clock, no chance, and no error. What is wrong is left out and named, and harms nothing that
//! does not refer to it; where leaving out would be unsafe, what refers to it is refused instead. The same resources in any
//! order give the same snapshot, findings and lookups.
//!
//! The whole world is compiled each time, since "what changed" is a question that is easy to answer wrongly; ten thousand
//! keys take a small part of a second.

mod authority;
mod budget;
mod cloud;
mod finding;
mod guardrail;
mod header;
mod names;
mod price;
mod provider;
mod reference;
mod resources;
mod route;
mod secret;
mod unsupported;
mod virtual_key;

use std::collections::BTreeSet;

use headgate_snapshot::{SealingKey, Snapshot};

pub use finding::{Condition, Finding, Kind, ObjectRef, Reason, Severity};
pub use reference::Lookup;
pub use resources::{NamespaceLabels, Options, Resources, Secret, SecretValue};
pub use unsupported::{Effect, unsupported_fields};

use finding::Findings;
use reference::World;

/// What a world of resources comes to. Holds no secret that is not sealed or digested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// What a data plane is told.
    pub snapshot: Snapshot,
    /// What people should know, sorted by object, each once.
    pub findings: Vec<Finding>,
    /// Every name that was looked up, misses included: what has to be watched for this to stay true.
    pub lookups: BTreeSet<Lookup>,
}

/// Compiles the whole world. `key` seals credentials and digests tokens.
pub fn compile(resources: &Resources, options: &Options, key: &SealingKey) -> Compiled {
    let mut findings = Findings::default();
    let world = World::new(resources, options, &mut findings);

    guardrail::compile(&world, &mut findings);
    let refusing = budget::compile(&world, &mut findings);
    let providers = provider::compile(&world, key, &mut findings);
    let routes = route::compile(&world, &providers, &mut findings);
    let callers = virtual_key::compile(&world, &refusing, key, &mut findings);
    let namespaces_with_keys = callers.keys().map(|name| name.namespace.as_str());
    let models = names::compile(&world, &providers, namespaces_with_keys, &mut findings);

    Compiled {
        snapshot: Snapshot {
            providers: providers.served,
            credentials: providers.credentials,
            routes,
            models,
            callers,
        },
        findings: findings.into_sorted(),
        lookups: world.into_lookups(),
    }
}
