//! The conditions of one object: from what was found, where its record is and who serves it, in words that say what to do.
//! Pure; the moment is given, since how long something has been so decides what it is called.
//!
//! A missing reference is first taken for one that is on its way: manifests are applied in any order, and a tool that
//! waits for an object must not give up a second before its Secret comes.

use std::time::Duration;

use headgate_compile::{Condition as About, Finding, Reason, Severity};
use headgate_crds::condition::{Condition, reasons, types};
use jiff::Timestamp;

use super::super::conditions::{self, REMOVAL_HELD, Verdict};
use super::fold::Delivery;

/// So many findings stand in a message.
const FINDINGS_MAX: usize = 8;

/// Where the record of an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the snapshot, as it was compiled.
    Published,
    /// Nowhere.
    LeftOut,
    /// In the snapshot as it was before, since too many would go at once.
    Held,
}

/// What is known of an object apart from who serves it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) accepted: Verdict,
    pub(crate) resolved: Verdict,
    pub(crate) place: Place,
    pub(crate) is_suspended: bool,
    pub(crate) expires_at: Option<Timestamp>,
    /// The line that lets held removals through.
    pub(crate) approval_line: Option<String>,
}

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) with_references: Duration,
    pub(crate) with_data_planes: Duration,
}

/// What an object's conditions are to be.
#[derive(Debug)]
pub(crate) struct Judged {
    /// All of ours.
    pub(crate) verdicts: Vec<Verdict>,
    /// How it is doing.
    pub(crate) standing: Standing,
    /// When it will be judged otherwise though nothing happens.
    pub(crate) wake_at: Option<Timestamp>,
}

/// How an object is doing, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Ready,
    Progressing,
    Stalled,
}

impl Standing {
    pub(crate) const ALL: [Self; 3] = [Self::Ready, Self::Progressing, Self::Stalled];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Progressing => "progressing",
            Self::Stalled => "stalled",
        }
    }
}

/// Judges one object. `changed_at`: when it last became another; `existing`: its conditions so far.
pub(crate) fn judge(
    known: &Known,
    delivery: &Delivery,
    changed_at: Timestamp,
    existing: &[Condition],
    patience: Patience,
    now: Timestamp,
) -> Judged {
    let mut clock = Clock { now, wake_at: None };
    let since = false_since(existing, types::PROGRAMMED, now).max(changed_at);
    let programmed = programmed(known, delivery, since, patience, &mut clock);
    let ready = conditions::ready(&known.accepted, &known.resolved, &programmed);
    let is_rejected = programmed.reason == reasons::REJECTED;
    let is_reference_overdue = !known.resolved.is_true && {
        let missing_since = false_since(existing, types::RESOLVED_REFS, now);
        clock.is_over(missing_since, patience.with_references)
    };
    let standing = if ready.is_true {
        Standing::Ready
    } else if !known.accepted.is_true || is_reference_overdue || (known.resolved.is_true && is_rejected) {
        Standing::Stalled
    } else {
        Standing::Progressing
    };
    let mut verdicts = vec![known.accepted.clone(), known.resolved.clone(), programmed];
    match standing {
        Standing::Ready => {}
        Standing::Progressing => verdicts.push(again(types::RECONCILING, &ready)),
        Standing::Stalled => verdicts.push(again(types::STALLED, &ready)),
    }
    verdicts.push(ready);
    verdicts.extend(asides(known, &mut clock));
    Judged {
        verdicts,
        standing,
        wake_at: clock.wake_at,
    }
}

/// The moment, and the next one that matters.
struct Clock {
    now: Timestamp,
    wake_at: Option<Timestamp>,
}

impl Clock {
    /// Whether `grace` has passed since then. If not, its end is a moment that matters.
    fn is_over(&mut self, since: Timestamp, grace: Duration) -> bool {
        self.has_come(since.saturating_add(grace).unwrap_or(Timestamp::MAX))
    }

    fn has_come(&mut self, end: Timestamp) -> bool {
        if end <= self.now {
            return true;
        }
        self.wake_at = Some(self.wake_at.map_or(end, |at| at.min(end)));
        false
    }
}

/// Since when a condition is false; now, if it is not.
fn false_since(existing: &[Condition], type_: &str, now: Timestamp) -> Timestamp {
    let condition = conditions::find(existing, type_).filter(|condition| condition.status == "False");
    condition.map_or(now, |condition| condition.last_transition_time.0)
}

fn again(type_: &'static str, ready: &Verdict) -> Verdict {
    Verdict::new(type_, true, ready.reason, ready.message.clone())
}

fn programmed(known: &Known, delivery: &Delivery, since: Timestamp, patience: Patience, clock: &mut Clock) -> Verdict {
    let not = |reason, message: String| Verdict::new(types::PROGRAMMED, false, reason, message);
    match known.place {
        Place::LeftOut => {
            let condition = if known.accepted.is_true {
                types::RESOLVED_REFS
            } else {
                types::ACCEPTED
            };
            return not(reasons::PENDING, format!("left out of the snapshot; see {condition}"));
        }
        Place::Held => {
            let message = "what was published before is still served, since too many would go at once; see RemovalHeld";
            return not(reasons::PENDING, message.to_owned());
        }
        Place::Published => {}
    }
    match delivery {
        // No number in it: it is true of every later head, and must not be written again for each.
        Delivery::Everywhere => {
            let message = "every ready data-plane pod serves it";
            Verdict::new(types::PROGRAMMED, true, reasons::PROGRAMMED, message)
        }
        Delivery::Lagging { names, lagging, of } => {
            if clock.is_over(since, patience.with_data_planes) {
                let message =
                    format!("not served yet by {lagging} of {of} ready data-plane pods: {names}; see their logs");
                not(reasons::PARTIALLY_PROGRAMMED, message)
            } else {
                let message = "waiting for every ready data-plane pod to serve it";
                not(reasons::PENDING, message.to_owned())
            }
        }
        Delivery::Refused { name, reason } => not(
            reasons::REJECTED,
            format!("data-plane pod {name} refuses the snapshot that holds it and keeps the one before: {reason}"),
        ),
        Delivery::Nowhere { because } => {
            let why = because.as_ref().map_or_else(
                || "see the pods of the data plane".to_owned(),
                |(name, reason)| format!("{name} refuses the snapshot: {reason}"),
            );
            not(
                reasons::NO_DATA_PLANE,
                format!("there is no ready data-plane pod; {why}"),
            )
        }
    }
}

/// What is true beside being ready. None of it changes whether the object is.
fn asides(known: &Known, clock: &mut Clock) -> Vec<Verdict> {
    let mut asides = Vec::new();
    if known.is_suspended {
        let message = "the key is refused until spec.suspended is lifted";
        asides.push(Verdict::new(types::SUSPENDED, true, "Suspended", message));
    }
    if let Some(expires_at) = known.expires_at
        && clock.has_come(expires_at)
    {
        let message = format!("the key is refused since {expires_at}; raise spec.expiresAt, or delete it");
        asides.push(Verdict::new(types::EXPIRED, true, "Expired", message));
    }
    if let Some(line) = known.approval_line.as_ref().filter(|_| known.place == Place::Held) {
        let message =
            format!("many keys or routes would go at once, and this is one of them; if that is meant, run: {line}");
        asides.push(Verdict::new(REMOVAL_HELD, true, "TooManyAtOnce", message));
    }
    asides
}

/// `Accepted` and `ResolvedRefs` from what was found about an object.
pub(crate) fn from_findings(findings: &[&Finding]) -> (Verdict, Verdict) {
    let errors_about = |about: About| {
        let is_one = move |finding: &&&Finding| finding.severity == Severity::Error && finding.condition == about;
        findings
            .iter()
            .copied()
            .filter(move |finding| is_one(&finding))
            .collect::<Vec<_>>()
    };
    let warnings: Vec<_> = findings
        .iter()
        .copied()
        .filter(|finding| finding.severity == Severity::Warning)
        .collect();
    let false_by = |type_, errors: &[&Finding]| {
        errors
            .first()
            .map(|first| Verdict::new(type_, false, word(first.reason), text(errors)))
    };
    let accepted = false_by(types::ACCEPTED, &errors_about(About::Accepted));
    let resolved = false_by(types::RESOLVED_REFS, &errors_about(About::ResolvedRefs));
    let found = || {
        Verdict::new(
            types::RESOLVED_REFS,
            true,
            reasons::RESOLVED_REFS,
            "everything it names was found",
        )
    };
    (
        accepted.unwrap_or_else(|| conditions::accepted(&text(&warnings))),
        resolved.unwrap_or_else(found),
    )
}

const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Invalid => reasons::INVALID,
        Reason::Conflicted => reasons::CONFLICTED,
        Reason::UnsupportedValue => reasons::UNSUPPORTED_VALUE,
        Reason::RefNotFound => reasons::REF_NOT_FOUND,
        Reason::SecretKeyMissing => reasons::SECRET_KEY_MISSING,
    }
}

fn text(findings: &[&Finding]) -> String {
    let lines = findings.iter().take(FINDINGS_MAX).map(|finding| {
        if finding.path.is_empty() {
            finding.message.clone()
        } else {
            format!("{}: {}", finding.path, finding.message)
        }
    });
    let mut text = lines.collect::<Vec<_>>().join("; ");
    if findings.len() > FINDINGS_MAX {
        text.push_str("; and ");
        text.push_str(&(findings.len() - FINDINGS_MAX).to_string());
        text.push_str(" more");
    }
    text
}

#[cfg(test)]
mod tests {
    use headgate_compile::{Kind, ObjectRef};
    use headgate_snapshot::ObjectName;

    use super::*;

    const PATIENCE: Patience = Patience {
        with_references: Duration::from_secs(300),
        with_data_planes: Duration::from_secs(30),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn finding(reason: Reason, severity: Severity, path: &str) -> Finding {
        Finding {
            object: ObjectRef::new(Kind::VirtualKey, &ObjectName::new("team", "k")),
            path: path.into(),
            severity,
            condition: reason.condition(),
            reason,
            message: "do this".into(),
        }
    }

    fn known(place: Place, findings: &[Finding]) -> Known {
        let (accepted, resolved) = from_findings(&findings.iter().collect::<Vec<_>>());
        Known {
            accepted,
            resolved,
            place,
            is_suspended: false,
            expires_at: None,
            approval_line: None,
        }
    }

    fn good() -> Known {
        known(Place::Published, &[])
    }

    fn lagging() -> Delivery {
        Delivery::Lagging {
            names: "a, b".into(),
            lagging: 2,
            of: 3,
        }
    }

    fn refused() -> Delivery {
        Delivery::Refused {
            name: "a".into(),
            reason: "no".into(),
        }
    }

    /// `type=status/reason` of every condition, sorted, and when to look again.
    fn judged(known: &Known, delivery: &Delivery, existing: &[Condition], second: i64) -> (Vec<String>, Option<i64>) {
        let judged = judge(known, delivery, at(0), existing, PATIENCE, at(second));
        let mut texts: Vec<_> = judged
            .verdicts
            .iter()
            .map(|verdict| format!("{}={}/{}", verdict.type_, verdict.is_true, verdict.reason))
            .collect();
        texts.sort();
        (texts, judged.wake_at.map(Timestamp::as_second))
    }

    fn false_at(type_: &'static str, second: i64) -> Condition {
        Verdict::new(type_, false, "R", "").onto(&[], 1, at(second))
    }

    #[test]
    fn what_every_pod_serves_is_ready_and_nothing_else_is_said() {
        let (texts, wake_at) = judged(&good(), &Delivery::Everywhere, &[], 5);
        assert_eq!(
            texts,
            [
                "Accepted=true/Accepted",
                "Programmed=true/Programmed",
                "Ready=true/Ready",
                "ResolvedRefs=true/ResolvedRefs"
            ]
        );
        assert_eq!(wake_at, None);
    }

    #[test]
    fn waiting_for_pods_is_progress_until_it_takes_too_long_and_then_names_them() {
        let (texts, wake_at) = judged(&good(), &lagging(), &[], 5);
        assert!(
            texts.contains(&"Programmed=false/Pending".into()) && texts.contains(&"Reconciling=true/Pending".into())
        );
        assert_eq!(wake_at, Some(35), "the pods have lagged since now");
        let existing = [false_at(types::PROGRAMMED, 5)];
        let (texts, _) = judged(&good(), &lagging(), &existing, 34);
        assert!(texts.contains(&"Programmed=false/Pending".into()));
        let (texts, wake_at) = judged(&good(), &lagging(), &existing, 35);
        assert!(
            texts.contains(&"Programmed=false/PartiallyProgrammed".into()),
            "{texts:?}"
        );
        assert!(texts.contains(&"Reconciling=true/PartiallyProgrammed".into()) && wake_at.is_none());
    }

    #[test]
    fn a_change_starts_the_wait_anew() {
        let existing = [false_at(types::PROGRAMMED, 0)];
        let judged = judge(&good(), &lagging(), at(100), &existing, PATIENCE, at(101));
        assert_eq!(judged.wake_at, Some(at(130)));
    }

    #[test]
    fn a_refusal_stalls_at_once_and_says_why() {
        let judged = judge(&good(), &refused(), at(0), &[], PATIENCE, at(0));
        assert_eq!(judged.standing, Standing::Stalled);
        let programmed = &judged.verdicts[2];
        assert_eq!(programmed.reason, "Rejected");
        assert!(programmed.message.contains("pod a refuses") && programmed.message.ends_with(": no"));
    }

    #[test]
    fn without_a_data_plane_nothing_is_programmed_and_nothing_stalls() {
        let (texts, _) = judged(&good(), &Delivery::Nowhere { because: None }, &[], 0);
        assert!(
            texts.contains(&"Programmed=false/NoDataPlane".into())
                && texts.contains(&"Reconciling=true/NoDataPlane".into())
        );
        let because = Some(("a".to_owned(), "no".to_owned()));
        let judged = judge(&good(), &Delivery::Nowhere { because }, at(0), &[], PATIENCE, at(0));
        assert!(judged.verdicts[2].message.contains("a refuses the snapshot: no"));
    }

    #[test]
    fn a_missing_reference_is_on_its_way_before_it_is_missing() {
        let missing = known(
            Place::LeftOut,
            &[finding(Reason::RefNotFound, Severity::Error, "spec.secretRef")],
        );
        let (texts, wake_at) = judged(&missing, &Delivery::Everywhere, &[], 10);
        assert!(texts.contains(&"Reconciling=true/RefNotFound".into()), "{texts:?}");
        assert_eq!(wake_at, Some(310));
        let existing = [false_at(types::RESOLVED_REFS, 10)];
        assert!(
            judged(&missing, &Delivery::Everywhere, &existing, 309)
                .0
                .contains(&"Reconciling=true/RefNotFound".into())
        );
        let (texts, wake_at) = judged(&missing, &Delivery::Everywhere, &existing, 310);
        assert!(
            texts.contains(&"Stalled=true/RefNotFound".into()) && wake_at.is_none(),
            "{texts:?}"
        );
    }

    #[test]
    fn what_is_wrong_in_itself_stalls_at_once_and_is_told_to_be_left_out() {
        let wrong = known(Place::LeftOut, &[finding(Reason::Invalid, Severity::Error, "spec.x")]);
        let judged = judge(&wrong, &Delivery::Everywhere, at(0), &[], PATIENCE, at(0));
        assert_eq!(judged.standing, Standing::Stalled);
        assert_eq!(judged.verdicts[0].message, "spec.x: do this");
        assert_eq!(judged.verdicts[2].message, "left out of the snapshot; see Accepted");
        let missing = known(
            Place::LeftOut,
            &[finding(Reason::SecretKeyMissing, Severity::Error, "spec.x")],
        );
        let judged = judge(&missing, &Delivery::Everywhere, at(0), &[], PATIENCE, at(0));
        assert_eq!(judged.verdicts[2].message, "left out of the snapshot; see ResolvedRefs");
    }

    #[test]
    fn a_warning_is_told_and_makes_nothing_false() {
        let warned = known(
            Place::Published,
            &[finding(Reason::Conflicted, Severity::Warning, "spec.models[0]")],
        );
        let judged = judge(&warned, &Delivery::Everywhere, at(0), &[], PATIENCE, at(0));
        assert_eq!(judged.standing, Standing::Ready);
        assert!(judged.verdicts[0].message.ends_with("note: spec.models[0]: do this"));
    }

    #[test]
    fn suspension_and_expiry_leave_an_object_ready() {
        let mut key = good();
        key.is_suspended = true;
        key.expires_at = Some(at(50));
        let (texts, wake_at) = judged(&key, &Delivery::Everywhere, &[], 49);
        assert!(texts.contains(&"Suspended=true/Suspended".into()) && texts.contains(&"Ready=true/Ready".into()));
        assert_eq!(wake_at, Some(50));
        let (texts, wake_at) = judged(&key, &Delivery::Everywhere, &[], 50);
        assert!(texts.contains(&"Expired=true/Expired".into()) && texts.contains(&"Ready=true/Ready".into()));
        assert_eq!(wake_at, None);
    }

    #[test]
    fn an_object_whose_removal_is_held_says_which_line_to_run() {
        let mut held = known(
            Place::Held,
            &[finding(Reason::RefNotFound, Severity::Error, "spec.secretRef")],
        );
        held.approval_line = Some("kubectl annotate …".into());
        let judged = judge(&held, &Delivery::Everywhere, at(0), &[], PATIENCE, at(0));
        let said = judged
            .verdicts
            .iter()
            .find(|verdict| verdict.type_ == "RemovalHeld")
            .unwrap();
        assert!(said.message.ends_with("run: kubectl annotate …"));
        assert!(!judged.verdicts[2].is_true);
    }

    #[test]
    fn many_findings_are_told_in_part() {
        let findings: Vec<_> = (0..11)
            .map(|i| finding(Reason::Invalid, Severity::Error, &format!("spec.m[{i}]")))
            .collect();
        let (accepted, _) = from_findings(&findings.iter().collect::<Vec<_>>());
        assert!(
            accepted.message.ends_with("spec.m[7]: do this; and 3 more"),
            "{}",
            accepted.message
        );
    }
}
