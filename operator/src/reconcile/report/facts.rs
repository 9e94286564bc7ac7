//! What a compile says about each object, kept until the next one: everything of a status but who serves it.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::{Finding, Kind, ObjectRef, Resources};
use headgate_crds::{Budget, GuardrailPolicy, LLMProvider, RoutePolicy, VirtualKey};
use headgate_snapshot::ObjectName;
use jiff::Timestamp;

use super::super::guard::Hold;
use super::super::hold;
use super::Reconciled;
use super::judge::{self, Known, Place};
use super::kinds::{Reported, Sources, name_of};
use crate::args::Config;

/// What is known of each object, by kind.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) providers: FactsOf<LLMProvider>,
    pub(crate) routes: FactsOf<RoutePolicy>,
    pub(crate) keys: FactsOf<VirtualKey>,
    pub(crate) budgets: FactsOf<Budget>,
    pub(crate) guardrails: FactsOf<GuardrailPolicy>,
}

/// By name: what is known, and the fields of the status.
pub(crate) type FactsOf<K> = BTreeMap<ObjectName, (Known, <K as Reported>::Status)>;

impl Facts {
    /// Makes them of what a reconcile came to.
    pub(crate) fn of(reconciled: &Reconciled<'_>, config: &Config, now: Timestamp) -> Self {
        let maker = FactMaker {
            sources: Sources::new(reconciled.resources, reconciled.snapshot, now),
            findings: by_object(reconciled.findings),
            hold: reconciled.hold,
            approval_line: reconciled.hold.map(|hold| hold::approval_line(hold, config)),
        };
        let Resources {
            providers,
            routes,
            keys,
            budgets,
            guardrails,
            ..
        } = reconciled.resources;
        Self {
            providers: maker.facts(providers),
            routes: maker.facts(routes),
            keys: maker.facts(keys),
            budgets: maker.facts(budgets),
            guardrails: maker.facts(guardrails),
        }
    }
}

fn by_object(findings: &[Finding]) -> BTreeMap<&ObjectRef, Vec<&Finding>> {
    let mut map: BTreeMap<&ObjectRef, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        map.entry(&finding.object).or_default().push(finding);
    }
    map
}

/// Makes facts of what was compiled.
struct FactMaker<'a> {
    sources: Sources<'a>,
    findings: BTreeMap<&'a ObjectRef, Vec<&'a Finding>>,
    hold: Option<&'a Hold>,
    approval_line: Option<String>,
}

impl FactMaker<'_> {
    fn facts<K: Reported>(&self, objects: &[Arc<K>]) -> FactsOf<K> {
        let facts = objects.iter().map(|object| {
            let name = name_of(object.as_ref());
            let known = self.known(object.as_ref(), &name);
            (name, (known, object.fields(&self.sources)))
        });
        facts.collect()
    }

    fn known<K: Reported>(&self, object: &K, name: &ObjectName) -> Known {
        let found = self.findings.get(&ObjectRef::new(K::KIND, name));
        let (accepted, resolved) = judge::from_findings(found.map_or(&[], Vec::as_slice));
        let is_held = self.hold.is_some_and(|hold| match K::KIND {
            Kind::VirtualKey => hold.removals.callers.contains(name),
            Kind::RoutePolicy => hold.removals.routes.contains(name),
            _ => false,
        });
        let place = match K::is_published(name, self.sources.snapshot) {
            _ if is_held => Place::Held,
            Some(false) => Place::LeftOut,
            // What has no record is in force unless it makes no sense.
            None if !accepted.is_true => Place::LeftOut,
            Some(true) | None => Place::Published,
        };
        Known {
            accepted,
            resolved,
            place,
            is_suspended: object.is_suspended(),
            expires_at: object.expires_at(),
            approval_line: self.approval_line.clone().filter(|_| is_held),
        }
    }
}

/// When the next previous token of a generated key stops working.
pub(crate) fn next_overlap_end(resources: &Resources, now: Timestamp) -> Option<Timestamp> {
    let ends = resources
        .secrets
        .values()
        .filter_map(|secret| secret.previous_not_after);
    let ends = ends.filter_map(|second| Timestamp::from_second(second).ok());
    ends.filter(|end| *end > now).min()
}
