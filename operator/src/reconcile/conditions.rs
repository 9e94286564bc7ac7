//! Conditions as they are written: ours by type, with a transition time that moves only when the status flips.

use headgate_crds::condition::{Condition, reasons, types};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// An object that is gone, or left out, and is still served since too many would go at once.
pub(crate) const REMOVAL_HELD: &str = "RemovalHeld";
/// Another installation reports on the object; this one leaves it alone.
pub(crate) const INSTALLATION_CONFLICT: &str = "InstallationConflict";

/// The types that we write. Everything else in a list is somebody else's.
pub(crate) const OURS: [&str; 10] = [
    types::ACCEPTED,
    types::RESOLVED_REFS,
    types::PROGRAMMED,
    types::READY,
    types::RECONCILING,
    types::STALLED,
    types::EXPIRED,
    types::SUSPENDED,
    REMOVAL_HELD,
    INSTALLATION_CONFLICT,
];

/// The longest message, in bytes. The schema allows more; people do not read it.
const MESSAGE_BYTES_MAX: usize = 4 * 1_024;

/// What a condition is about to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) type_: &'static str,
    pub(crate) is_true: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Verdict {
    pub(crate) fn new(type_: &'static str, is_true: bool, reason: &'static str, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            let end = (0..=MESSAGE_BYTES_MAX).rev().find(|&end| message.is_char_boundary(end));
            message.truncate(end.unwrap_or(0));
            message.push('…');
        }
        Self {
            type_,
            is_true,
            reason,
            message,
        }
    }

    /// The verdict as a condition of `generation`, where `existing` are the conditions so far.
    pub(crate) fn onto(self, existing: &[Condition], generation: i64, now: Timestamp) -> Condition {
        let status = if self.is_true { "True" } else { "False" };
        let before = find(existing, self.type_).filter(|before| before.status == status);
        Condition {
            last_transition_time: before.map_or(Time(whole_seconds(now)), |before| before.last_transition_time.clone()),
            message: self.message,
            observed_generation: Some(generation),
            reason: self.reason.to_owned(),
            status: status.to_owned(),
            type_: self.type_.to_owned(),
        }
    }
}

/// The condition of that type.
pub(crate) fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether `existing` already says what `desired` does, as far as it is ours. The order means nothing. `is_ours` tells
/// about a condition of one of [`OURS`] whether we wrote it.
pub(crate) fn are_said(existing: &[Condition], desired: &[Condition], is_ours: impl Fn(&Condition) -> bool) -> bool {
    let ours = existing
        .iter()
        .filter(|condition| OURS.contains(&condition.type_.as_str()) && is_ours(condition));
    ours.count() == desired.len()
        && desired
            .iter()
            .all(|condition| find(existing, &condition.type_) == Some(condition))
}

/// The summary of the three: true when all of them are, else the first that is not.
pub(crate) fn ready(accepted: &Verdict, resolved: &Verdict, programmed: &Verdict) -> Verdict {
    let failing = [accepted, resolved, programmed]
        .into_iter()
        .find(|verdict| !verdict.is_true);
    match failing {
        None => Verdict::new(types::READY, true, "Ready", programmed.message.clone()),
        Some(failing) => Verdict::new(types::READY, false, failing.reason, failing.message.clone()),
    }
}

/// Accepted, with what people should know all the same.
pub(crate) fn accepted(notes: &str) -> Verdict {
    let message = if notes.is_empty() {
        "the spec makes sense".to_owned()
    } else {
        format!("the spec makes sense; note: {notes}")
    };
    Verdict::new(types::ACCEPTED, true, reasons::ACCEPTED, message)
}

/// Moments in a status have no fractions, as those of Kubernetes itself.
pub(crate) fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn accepted_at(is_true: bool, existing: &[Condition], second: i64) -> Condition {
        Verdict::new(types::ACCEPTED, is_true, "R", "m").onto(existing, 3, at(second))
    }

    #[test]
    fn the_transition_time_moves_only_on_a_flip() {
        let first = accepted_at(true, &[], 5);
        assert_eq!(first.last_transition_time.0, at(5));
        let mut again = Verdict::new(types::ACCEPTED, true, "Another", "other words");
        again.message.push('!');
        let again = again.onto(std::slice::from_ref(&first), 4, at(9));
        assert_eq!(
            (again.last_transition_time.0, again.observed_generation),
            (at(5), Some(4))
        );
        let flipped = accepted_at(false, &[first], 9);
        assert_eq!(flipped.last_transition_time.0, at(9));
    }

    #[test]
    fn foreign_conditions_make_no_difference_and_leftovers_of_ours_do() {
        let ours = accepted_at(true, &[], 5);
        let foreign = Condition {
            type_: "example.com/Audited".into(),
            ..ours.clone()
        };
        let leftover = Condition {
            type_: types::STALLED.into(),
            ..ours.clone()
        };
        let desired = [ours.clone()];
        let are_said =
            |existing: &[Condition]| super::are_said(existing, &desired, |condition| condition.type_ != "theirs");
        assert!(are_said(&[foreign.clone(), ours.clone()]));
        assert!(!are_said(&[ours.clone(), leftover.clone()]));
        assert!(!are_said(&[foreign]));
        assert!(!are_said(&[accepted_at(false, &[], 5)]));
        assert!(super::are_said(&[ours, leftover], &desired, |condition| condition
            .type_
            != types::STALLED));
    }

    #[test]
    fn ready_repeats_the_first_reason_not_to_be() {
        let good = |type_| Verdict::new(type_, true, "Good", "good");
        let bad = |type_| Verdict::new(type_, false, "Bad", "do this");
        let summary = ready(
            &good(types::ACCEPTED),
            &bad(types::RESOLVED_REFS),
            &bad(types::PROGRAMMED),
        );
        assert_eq!(
            (summary.is_true, summary.reason, summary.message.as_str()),
            (false, "Bad", "do this")
        );
        assert!(
            ready(
                &good(types::ACCEPTED),
                &good(types::RESOLVED_REFS),
                &good(types::PROGRAMMED)
            )
            .is_true
        );
    }

    #[test]
    fn a_long_message_is_cut_between_letters() {
        let verdict = Verdict::new(types::ACCEPTED, true, "R", "ä".repeat(5_000));
        assert!(verdict.message.len() <= MESSAGE_BYTES_MAX + 3 && verdict.message.ends_with('…'));
    }
}
