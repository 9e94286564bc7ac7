//! What to serve when the head cannot be: decisions without IO.
//!
//! One rule holds everywhere: whatever is older than the newest pointer that could be trusted is served without the keys
//! that this pointer calls removed. So a key that was removed stays removed, whether the newer snapshot is damaged, refused
//! or only not there yet, and an older pointer put in place of a newer one brings nothing back.

use headgate_snapshot::delivery::{Generation, Pointer, Removed};
use serde::{Deserialize, Serialize};

/// Which generation of a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Which {
    Head,
    Previous,
}

impl Which {
    /// That generation of `pointer`.
    pub(super) fn of(self, pointer: &Pointer) -> Option<&Generation> {
        match self {
            Self::Head => Some(&pointer.head),
            Self::Previous => pointer.previous.as_ref(),
        }
    }
}

/// What a generation must not open any more; `None` where nothing newer is known.
pub(super) fn to_leave_out<'a>(generation: &Generation, newest: Option<&'a Pointer>) -> Option<&'a Removed> {
    newest
        .filter(|newest| newest.head.sequence > generation.sequence)
        .map(|newest| &newest.removed)
}

/// Something older that may be served instead of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// What is served already, or was kept on disk.
    Own,
    /// What the newest pointer calls the one before.
    Previous,
}

/// What to try instead of the head, in this order. `own`: what is served or was kept on disk; `newest`: the newest pointer
/// that could be trusted.
///
/// The list of removed keys reaches back to a certain sequence. What is older than that may open to keys of which nobody
/// tells any more that they were removed: a pod that does not serve yet rather stays not ready; one that serves goes on,
/// for want of anything better.
pub(super) fn in_order(own: Option<&Generation>, is_served: bool, newest: Option<&Pointer>) -> Vec<Fallback> {
    let Some(newest) = newest else {
        return own.map(|_| Fallback::Own).into_iter().collect();
    };
    let is_covered = |generation: &Generation| {
        generation.sequence >= newest.removed.since || generation.sequence >= newest.head.sequence
    };
    let previous = newest.previous.as_ref().filter(|previous| is_covered(previous));
    let previous = previous.map(|_| Fallback::Previous);
    match own {
        Some(own) if is_covered(own) && is_served => vec![Fallback::Own],
        Some(own) if is_covered(own) => [Some(Fallback::Own), previous].into_iter().flatten().collect(),
        Some(_) if is_served => [previous, Some(Fallback::Own)].into_iter().flatten().collect(),
        Some(_) | None => previous.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headgate_snapshot::delivery::{Digest, Layout};

    use super::*;

    fn generation(sequence: u64) -> Generation {
        Generation {
            sequence,
            format: 1,
            root: Digest([0; 32]),
            key_id: String::new(),
            layout: Layout::default(),
            shards: Vec::new(),
        }
    }

    /// Head 20, previous 19, removals told since `since`.
    fn pointer(since: u64) -> Pointer {
        Pointer {
            installation: String::new(),
            head: generation(20),
            previous: Some(generation(19)),
            removed: Removed {
                since,
                digests: BTreeMap::new(),
            },
        }
    }

    #[test]
    fn what_is_older_than_the_newest_trusted_pointer_does_without_its_removals() {
        let newest = pointer(15);
        assert_eq!(to_leave_out(&generation(19), Some(&newest)), Some(&newest.removed));
        assert_eq!(to_leave_out(&generation(20), Some(&newest)), None);
        assert_eq!(to_leave_out(&generation(21), Some(&newest)), None);
        assert_eq!(to_leave_out(&generation(1), None), None);
    }

    #[test]
    fn a_pod_that_serves_keeps_what_it_serves() {
        assert_eq!(
            in_order(Some(&generation(18)), true, Some(&pointer(15))),
            [Fallback::Own]
        );
        assert_eq!(in_order(Some(&generation(18)), true, None), [Fallback::Own]);
    }

    #[test]
    fn a_fresh_pod_takes_its_last_good_then_the_previous_one() {
        let newest = pointer(15);
        assert_eq!(
            in_order(Some(&generation(18)), false, Some(&newest)),
            [Fallback::Own, Fallback::Previous]
        );
        assert_eq!(in_order(None, false, Some(&newest)), [Fallback::Previous]);
    }

    #[test]
    fn nothing_is_begun_of_which_the_removals_are_not_known() {
        let newest = pointer(15);
        assert_eq!(
            in_order(Some(&generation(14)), false, Some(&newest)),
            [Fallback::Previous]
        );
        assert_eq!(
            in_order(Some(&generation(14)), true, Some(&newest)),
            [Fallback::Previous, Fallback::Own]
        );
        assert_eq!(in_order(Some(&generation(14)), false, Some(&pointer(20))), []);
    }

    #[test]
    fn with_the_api_away_the_last_good_is_all_there_is() {
        assert_eq!(in_order(Some(&generation(18)), false, None), [Fallback::Own]);
        assert_eq!(in_order(None, false, None), []);
    }
}
