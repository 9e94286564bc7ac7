//! Which tokens must not come back: what the pointer tells to a data plane that has to serve something older than the
//! head. It is complete for every generation that anybody may still have, and forgets what nobody has any more.

use std::collections::{BTreeMap, BTreeSet};

use headgate_snapshot::delivery::{Removed, removed_between, working_digests_at};
use headgate_snapshot::{KeyedDigest, Snapshot};

/// More digests than this are not kept: a pointer is one object of at most 1 MiB, and each takes some 80 bytes of it.
const DIGESTS_MAX: usize = 4_096;

/// A publication, as far as removed tokens go.
pub(crate) struct Step<'a> {
    /// The list that is published.
    pub(crate) before: &'a Removed,
    /// The snapshot that is published.
    pub(crate) older: &'a Snapshot,
    /// The snapshot that is about to be, digested with the key of `older`.
    pub(crate) newer: &'a Snapshot,
    /// Its sequence.
    pub(crate) sequence: u64,
    /// The sequence that every data plane serves or has passed; `None` where one of them does not say.
    pub(crate) served_by_all: Option<u64>,
    /// For deadlines that were brought forward.
    pub(crate) now_unix_seconds: i64,
    /// The sequence from which on generations are digested with the key of `older`, where the one before it was not. What
    /// is removed now can only be named in digests of that key, so what is older cannot be covered any more.
    pub(crate) key_changed_at: Option<u64>,
}

/// The list that goes with the publication.
pub(crate) fn after(step: &Step<'_>) -> Removed {
    let mut digests = step.before.digests.clone();
    let removed_now = removed_between(step.older, step.newer, step.now_unix_seconds);
    digests.extend(removed_now.into_iter().map(|digest| (digest, step.sequence)));
    let working: BTreeSet<KeyedDigest> = working_digests_at(step.newer, step.now_unix_seconds);
    digests.retain(|digest, _| !working.contains(digest));
    // The generation before the head stays covered, since the pointer offers it to fresh readers.
    let passed = step.served_by_all.unwrap_or(0).min(step.sequence.saturating_sub(1));
    let since = step.before.since.max(passed).max(step.key_changed_at.unwrap_or(0));
    bounded(since, digests, step.sequence)
}

/// A list that is complete from `sequence` on, and empty: nothing older may be served.
pub(crate) fn from_now_on(sequence: u64) -> Removed {
    Removed {
        since: sequence,
        digests: BTreeMap::new(),
    }
}

/// What a generation from `since` on cannot hold needs no entry. Beyond the bound, the oldest generations are given up
/// instead of the truth.
fn bounded(since: u64, mut digests: BTreeMap<KeyedDigest, u64>, sequence: u64) -> Removed {
    digests.retain(|_, removed_at| *removed_at > since);
    if digests.len() <= DIGESTS_MAX {
        return Removed { since, digests };
    }
    let mut moments: Vec<u64> = digests.values().copied().collect();
    moments.sort_unstable();
    let since = moments[moments.len() - DIGESTS_MAX - 1].min(sequence);
    digests.retain(|_, removed_at| *removed_at > since);
    Removed { since, digests }
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::ObjectName;

    use super::*;
    use crate::reconcile::fixture::{caller, digest, snapshot_of};

    fn with(tokens: &[u8]) -> Snapshot {
        snapshot_of(|snapshot| {
            for &token in tokens {
                let name = ObjectName::new("team", format!("k{token}"));
                snapshot.callers.insert(name, caller(token));
            }
        })
    }

    fn list(since: u64, entries: &[(u8, u64)]) -> Removed {
        let digests = entries
            .iter()
            .map(|&(token, sequence)| (digest(token), sequence))
            .collect();
        Removed { since, digests }
    }

    fn step(before: &Removed, older: &[u8], newer: &[u8], sequence: u64, served_by_all: Option<u64>) -> Removed {
        after(&Step {
            before,
            older: &with(older),
            newer: &with(newer),
            sequence,
            served_by_all,
            now_unix_seconds: 1_000,
            key_changed_at: None,
        })
    }

    #[test]
    fn what_stops_working_is_listed_with_the_sequence_that_removed_it() {
        assert_eq!(step(&list(3, &[]), &[1, 2], &[1], 5, Some(3)), list(3, &[(2, 5)]));
    }

    #[test]
    fn a_suspended_key_counts_as_removed_and_one_that_is_lifted_does_not_any_more() {
        let mut suspended = with(&[1]);
        suspended
            .callers
            .values_mut()
            .for_each(|caller| caller.suspended = true);
        let of = |before: &Removed, older: &Snapshot, newer: &Snapshot, sequence| {
            after(&Step {
                before,
                older,
                newer,
                sequence,
                served_by_all: Some(3),
                now_unix_seconds: 1_000,
                key_changed_at: None,
            })
        };
        let listed = of(&list(3, &[]), &with(&[1]), &suspended, 5);
        assert_eq!(listed, list(3, &[(1, 5)]));
        assert_eq!(of(&listed, &suspended, &with(&[1]), 6), list(3, &[]));
    }

    #[test]
    fn a_key_whose_deadline_was_brought_forward_and_is_past_is_listed() {
        let mut expired = with(&[1]);
        expired
            .callers
            .values_mut()
            .for_each(|caller| caller.not_after = Some(999));
        let removed = after(&Step {
            before: &list(3, &[]),
            older: &with(&[1]),
            newer: &expired,
            sequence: 5,
            served_by_all: Some(3),
            now_unix_seconds: 1_000,
            key_changed_at: None,
        });
        assert_eq!(removed, list(3, &[(1, 5)]));
    }

    #[test]
    fn what_was_digested_with_another_sealing_key_is_not_covered_any_more() {
        let removed = after(&Step {
            before: &list(3, &[]),
            older: &with(&[1, 2]),
            newer: &with(&[1]),
            sequence: 7,
            served_by_all: Some(3),
            now_unix_seconds: 1_000,
            key_changed_at: Some(6),
        });
        assert_eq!(removed, list(6, &[(2, 7)]));
    }

    #[test]
    fn entries_are_forgotten_once_every_reader_has_passed_them() {
        let before = list(3, &[(1, 4), (2, 5)]);
        assert_eq!(step(&before, &[], &[], 6, Some(4)), list(4, &[(2, 5)]));
        assert_eq!(
            step(&before, &[], &[], 6, None),
            before,
            "one does not say what it serves"
        );
        assert_eq!(step(&before, &[], &[], 6, Some(2)), before, "one is behind");
    }

    #[test]
    fn the_generation_before_the_head_stays_covered_also_without_readers() {
        assert_eq!(step(&list(3, &[]), &[1], &[], 6, Some(u64::MAX)), list(5, &[(1, 6)]));
    }

    #[test]
    fn the_list_is_bounded_by_giving_the_oldest_generations_up() {
        let number = |index: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
            KeyedDigest(bytes)
        };
        let old = (0..10).map(|index| (number(index), 4));
        let new = (10..10 + DIGESTS_MAX).map(|index| (number(index), 5));
        let bounded = bounded(3, old.chain(new).collect(), 6);
        assert_eq!((bounded.since, bounded.digests.len()), (4, DIGESTS_MAX));
        let all_at_once = (0..=DIGESTS_MAX).map(|index| (number(index), 6)).collect();
        assert_eq!(super::bounded(3, all_at_once, 6), from_now_on(6));
    }
}
