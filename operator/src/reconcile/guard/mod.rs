//! The blast-radius guard: when one compile would take away many keys or routes at once, none of them goes until a person
//! says so. A wrong selector in a Git tree, a pruned folder or a deleted namespace looks exactly like an intended removal,
//! and takes every caller down within a second.
//!
//! Only removals are held; edits, additions, suspension, expiry and rotation pass, since their records stay. A hold survives
//! the operator: a removal that is held is still in the published records, and is found again by the next compile.
//! What was removed a moment ago counts as well ([`recent`]), since most prunes take their time.

pub(crate) mod carry;
pub(crate) mod recent;

use std::collections::BTreeSet;

use headgate_snapshot::{ObjectName, RecordKey, Snapshot};
use sha2::{Digest, Sha256};

/// How many hex digits of a digest a person copies into an annotation.
const APPROVAL_HEX_DIGITS: usize = 16;

/// When a removal is one of many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// More than this share of the published keys, or of the routes.
    pub(crate) percent: u32,
    /// And at least so many of them.
    pub(crate) min: usize,
}

impl Limits {
    fn are_passed_by(self, removed: usize, published: usize) -> bool {
        removed >= self.min.max(1) && removed * 100 > published * self.percent as usize
    }
}

/// The keys and routes that are published and not compiled any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removals {
    /// By VirtualKey.
    pub(crate) callers: BTreeSet<ObjectName>,
    /// By RoutePolicy.
    pub(crate) routes: BTreeSet<ObjectName>,
}

impl Removals {
    /// What the first has and the second has not.
    pub(crate) fn between(published: &Snapshot, compiled: &Snapshot) -> Self {
        let gone = |name: &&ObjectName| !compiled.callers.contains_key(*name);
        let callers = published.callers.keys().filter(gone).cloned().collect();
        let gone = |name: &&ObjectName| !compiled.routes.contains_key(*name);
        let routes = published.routes.keys().filter(gone).cloned().collect();
        Self { callers, routes }
    }

    /// Names the set: the same removals have the same digest, any other set has another.
    fn digest(&self) -> String {
        let callers = self.callers.iter().cloned().map(RecordKey::Caller);
        let routes = self.routes.iter().cloned().map(RecordKey::Route);
        let mut keys: Vec<_> = callers.chain(routes).map(|key| key.to_string()).collect();
        keys.sort();
        let digest = headgate_snapshot::delivery::Digest(Sha256::digest(keys.join("\n")).into());
        let mut hex = digest.to_string();
        hex.truncate(APPROVAL_HEX_DIGITS);
        hex
    }

    /// Keys and routes together.
    pub(crate) fn len(&self) -> usize {
        self.callers.len() + self.routes.len()
    }
}

/// Removals that wait for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    /// What is held.
    pub(crate) removals: Removals,
    /// What the annotation has to say to let exactly these through.
    pub(crate) approval: String,
    /// How many keys were published.
    pub(crate) callers_published: usize,
    /// How many routes were published.
    pub(crate) routes_published: usize,
}

/// Whether the removals of this compile are held, all of them. `recent` is what went lately, `approval` what the annotation
/// of the pointer says.
pub(crate) fn judge(
    published: &Snapshot,
    compiled: &Snapshot,
    limits: Limits,
    recent: &Removals,
    approval: Option<&str>,
) -> Option<Hold> {
    let removals = Removals::between(published, compiled);
    // One that came back is published again and counts once.
    let gone = |recent: &BTreeSet<ObjectName>, is_back: &dyn Fn(&ObjectName) -> bool| {
        recent.iter().filter(|name| !is_back(name)).count()
    };
    let callers_gone = gone(&recent.callers, &|name| published.callers.contains_key(name));
    let routes_gone = gone(&recent.routes, &|name| published.routes.contains_key(name));
    let is_held =
        |removed: usize, published: usize, gone: usize| limits.are_passed_by(removed + gone, published + gone);
    if removals.len() == 0
        || !(is_held(removals.callers.len(), published.callers.len(), callers_gone)
            || is_held(removals.routes.len(), published.routes.len(), routes_gone))
    {
        return None;
    }
    let digest = removals.digest();
    if approval.map(str::trim) == Some(digest.as_str()) {
        return None;
    }
    Some(Hold {
        removals,
        approval: digest,
        callers_published: published.callers.len(),
        routes_published: published.routes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixture::{caller, route_to, snapshot_of};

    const LIMITS: Limits = Limits { percent: 30, min: 20 };

    fn with_keys(count: usize) -> Snapshot {
        snapshot_of(|snapshot| {
            for index in 0..count {
                let name = ObjectName::new("team", format!("k{index:03}"));
                snapshot.callers.insert(name, caller(u8::try_from(index).unwrap()));
            }
        })
    }

    fn with_routes(count: usize) -> Snapshot {
        snapshot_of(|snapshot| {
            for index in 0..count {
                let name = ObjectName::new("team", format!("r{index:03}"));
                snapshot.routes.insert(name, route_to("team/p"));
            }
        })
    }

    #[test]
    fn many_keys_at_once_are_held_and_few_are_not() {
        for (published, left, is_held) in [
            (100, 69, true),
            (100, 70, false), // exactly 30 %
            (100, 0, true),
            (19, 0, false), // below the minimum
            (20, 0, true),
            (66, 46, true), // 20 of 66 are 30.3 %
            (67, 47, false),
        ] {
            let held = judge(
                &with_keys(published),
                &with_keys(left),
                LIMITS,
                &Removals::default(),
                None,
            );
            assert_eq!(held.is_some(), is_held, "{left} of {published} left");
        }
    }

    #[test]
    fn a_prune_that_takes_its_time_is_held_from_the_moment_it_is_one() {
        let all = with_keys(50);
        for (gone, is_held) in [(18, false), (19, true)] {
            let published = with_keys(50 - gone);
            let recent = Removals::between(&all, &published);
            let held = judge(&published, &with_keys(49 - gone), LIMITS, &recent, None);
            assert_eq!(held.is_some(), is_held, "one more after {gone}");
            let nothing_more = judge(&published, &published, LIMITS, &recent, None);
            assert_eq!(nothing_more, None, "nothing goes now");
        }
        let came_back = Removals::between(&all, &with_keys(10));
        assert_eq!(judge(&all, &with_keys(49), LIMITS, &came_back, None), None);
    }

    #[test]
    fn many_routes_hold_the_keys_that_go_with_them() {
        let mut published = with_routes(40);
        published.callers = with_keys(3).callers;
        let held = judge(&published, &Snapshot::default(), LIMITS, &Removals::default(), None).unwrap();
        assert_eq!((held.removals.callers.len(), held.removals.routes.len()), (3, 40));
    }

    #[test]
    fn suspension_and_rotation_are_no_removal() {
        let published = with_keys(50);
        let mut compiled = published.clone();
        for caller in compiled.callers.values_mut() {
            caller.suspended = true;
            caller.keys.clear();
        }
        assert_eq!(judge(&published, &compiled, LIMITS, &Removals::default(), None), None);
    }

    #[test]
    fn an_approval_lets_exactly_the_set_through_that_it_names() {
        let published = with_keys(50);
        let hold = judge(&published, &with_keys(10), LIMITS, &Removals::default(), None).unwrap();
        assert_eq!(hold.approval.len(), 16);
        let approved = |left| {
            judge(
                &published,
                &with_keys(left),
                LIMITS,
                &Removals::default(),
                Some(&format!(" {} ", hold.approval)),
            )
        };
        assert_eq!(approved(10), None);
        assert!(approved(9).is_some(), "one more than was approved");
        assert!(approved(11).is_some(), "another set than was approved");
    }

    #[test]
    fn a_limit_of_all_turns_the_guard_off_and_nothing_removed_is_never_held() {
        let limits = Limits { percent: 100, min: 0 };
        assert_eq!(
            judge(&with_keys(50), &with_keys(0), limits, &Removals::default(), None),
            None
        );
        let limits = Limits { percent: 0, min: 0 };
        assert_eq!(
            judge(&with_keys(50), &with_keys(50), limits, &Removals::default(), None),
            None
        );
        assert!(judge(&with_keys(50), &with_keys(49), limits, &Removals::default(), None).is_some());
    }
}
