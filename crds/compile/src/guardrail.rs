//! `GuardrailPolicy`: accepted, looked up, and not applied yet, which is said wherever one is named.
//!
//! Nothing of it reaches a snapshot. What names one refuses its requests (`unsupported.rs`), since letting them pass
//! unchecked is what nobody who wrote a guardrail wants.

use headgate_snapshot::ObjectName;

use crate::finding::{About, Findings, Kind, Reason};
use crate::reference::{World, not_found};
use crate::unsupported;

/// Judges every policy.
pub(crate) fn compile(world: &World<'_>, findings: &mut Findings) {
    for (name, object) in &world.guardrails {
        let mut about = findings.about(Kind::GuardrailPolicy, name);
        unsupported::report(unsupported::GUARDRAIL, &object.spec, &mut about);
        world.judge_allowed_namespaces(*object, &mut about);
    }
}

/// Looks up the policies that a route or key names: in its own namespace, then in the shared ones.
pub(crate) fn look_up(world: &World<'_>, from: &ObjectName, names: &[String], about: &mut About<'_>) {
    for (index, name) in names.iter().enumerate() {
        let own = ObjectName::new(&from.namespace, name);
        let mut places = world.search_order(&from.namespace);
        if !places.any(|place| {
            world
                .guardrail(&from.namespace, &ObjectName::new(place, name))
                .is_some()
        }) {
            let missing = not_found(Kind::GuardrailPolicy, &own, &from.namespace);
            about.leave_out(
                Reason::RefNotFound,
                format!("spec.guardrails[{index}]"),
                format!("{missing}; create it, or correct the name"),
            );
        }
    }
}
