//! Who may lead, from what the Lease says: decisions only, the moment is an argument.
//!
//! A holder is silent for as long as *we* have not seen its record change, by our own monotonic clock; its clock is never
//! compared with ours. So a wrong clock anywhere can make nobody lead twice.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

/// The part of a Lease that tells whether its holder is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    holder: String,
    renewed: Option<MicroTime>,
    resource_version: Option<String>,
}

/// What was seen of the Lease, and since when it has not moved.
#[derive(Debug, Default)]
pub(super) struct Sighting {
    seen: Option<(Record, Instant)>,
    /// Who held a Lease that was deleted, and since when it is gone. That holder leads on until it notices.
    deleted: Option<(String, Instant)>,
}

/// What to do about the Lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// There is none: create it.
    Create,
    /// It is free, or its holder went silent: take it.
    Take,
    /// It is ours: renew it.
    Renew,
    /// Somebody else leads; look again at this moment, unless the Lease moves before.
    WaitUntil(Instant),
}

impl Sighting {
    /// Takes in the Lease as it is now; `None`: it does not exist.
    pub(super) fn see(&mut self, lease: Option<&Lease>, now: Instant) {
        let record = lease.map(|lease| Record {
            holder: holder(lease).to_owned(),
            renewed: lease.spec.as_ref().and_then(|spec| spec.renew_time.clone()),
            resource_version: lease.metadata.resource_version.clone(),
        });
        match record {
            Some(record) => {
                self.deleted = None;
                if self.seen.as_ref().is_none_or(|(known, _)| *known != record) {
                    self.seen = Some((record, now));
                }
            }
            None => {
                if let Some((known, _)) = self.seen.take() {
                    self.deleted = Some((known.holder, now));
                }
            }
        }
    }

    /// What `me` should do. `duration` is how long a silent holder is respected.
    pub(super) fn decide(&self, me: &str, duration: Duration, now: Instant) -> Decision {
        let when_silent_since = |since: Instant, decision: Decision| match since + duration {
            free_at if free_at <= now => decision,
            free_at => Decision::WaitUntil(free_at),
        };
        match (&self.seen, &self.deleted) {
            (Some((record, _)), _) if record.holder.is_empty() => Decision::Take,
            // Also after a crash: the pod's name is ours alone, so nobody else speaks by it.
            (Some((record, _)), _) if record.holder == me => Decision::Renew,
            (Some((_, since)), _) => when_silent_since(*since, Decision::Take),
            (None, Some((holder, since))) if !holder.is_empty() && holder != me => {
                when_silent_since(*since, Decision::Create)
            }
            (None, _) => Decision::Create,
        }
    }
}

/// Who holds a Lease; empty: nobody.
pub(super) fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or("")
}

/// The Lease after `me` took or renewed it. Its metadata, and with it the resourceVersion, stays: writing it is refused if
/// somebody was faster.
pub(super) fn held(lease: &Lease, me: &str, duration: Duration, now: jiff::Timestamp) -> Lease {
    let before = lease.spec.clone().unwrap_or_default();
    let is_mine_already = before.holder_identity.as_deref() == Some(me);
    let acquire_time = match before.acquire_time {
        Some(since) if is_mine_already => since,
        _ => MicroTime(now),
    };
    let transitions = before.lease_transitions.unwrap_or(0);
    Lease {
        metadata: lease.metadata.clone(),
        spec: Some(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: i32::try_from(duration.as_secs()).ok(),
            acquire_time: Some(acquire_time),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(if is_mine_already {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..before
        }),
    }
}

/// The Lease after its holder let go.
pub(super) fn released(lease: &Lease, now: jiff::Timestamp) -> Lease {
    let before = lease.spec.clone().unwrap_or_default();
    Lease {
        metadata: lease.metadata.clone(),
        spec: Some(LeaseSpec {
            holder_identity: Some(String::new()),
            renew_time: Some(MicroTime(now)),
            ..before
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn lease(holder: &str, version: &str) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some(version.to_owned());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_transitions: Some(4),
            acquire_time: Some(MicroTime(jiff::Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        });
        lease
    }

    fn decided(sightings: &[(Option<Lease>, u64)], at: u64) -> (Decision, Instant) {
        let start = Instant::now();
        let second = |seconds| start + Duration::from_secs(seconds);
        let mut sighting = Sighting::default();
        for (lease, seconds) in sightings {
            sighting.see(lease.as_ref(), second(*seconds));
        }
        (sighting.decide("me", DURATION, second(at)), start)
    }

    #[test]
    fn an_absent_lease_is_created_and_a_free_one_taken_at_once() {
        assert_eq!(decided(&[], 0).0, Decision::Create);
        assert_eq!(decided(&[(Some(lease("", "1")), 0)], 0).0, Decision::Take);
        assert_eq!(decided(&[(Some(Lease::default()), 0)], 0).0, Decision::Take);
    }

    #[test]
    fn a_deleted_lease_is_made_again_by_its_holder_at_once_and_by_others_after_the_duration() {
        assert_eq!(
            decided(&[(Some(lease("me", "1")), 0), (None, 1)], 1).0,
            Decision::Create
        );
        let deleted = [(Some(lease("other", "1")), 0), (None, 3), (None, 9)];
        let (decision, start) = decided(&deleted, 10);
        assert_eq!(decision, Decision::WaitUntil(start + Duration::from_secs(18)));
        assert_eq!(decided(&deleted, 18).0, Decision::Create);
        let made_again = [(Some(lease("other", "1")), 0), (None, 3), (Some(lease("", "2")), 4)];
        assert_eq!(decided(&made_again, 4).0, Decision::Take);
    }

    #[test]
    fn ones_own_lease_is_renewed_also_after_a_crash() {
        assert_eq!(decided(&[(Some(lease("me", "1")), 0)], 100).0, Decision::Renew);
    }

    #[test]
    fn a_holder_is_respected_until_it_was_silent_for_the_whole_duration() {
        let seen = [(Some(lease("other", "1")), 0)];
        let (decision, start) = decided(&seen, 14);
        assert_eq!(decision, Decision::WaitUntil(start + DURATION));
        assert_eq!(decided(&seen, 15).0, Decision::Take);
    }

    #[test]
    fn each_renewal_starts_the_wait_again_and_a_repeated_sighting_does_not() {
        let (decision, start) = decided(&[(Some(lease("other", "1")), 0), (Some(lease("other", "2")), 10)], 15);
        assert_eq!(decision, Decision::WaitUntil(start + Duration::from_secs(25)));
        let seen_again = [(Some(lease("other", "1")), 0), (Some(lease("other", "1")), 10)];
        assert_eq!(decided(&seen_again, 15).0, Decision::Take);
    }

    #[test]
    fn taking_counts_a_transition_and_renewing_does_not() {
        let now = jiff::Timestamp::from_second(100).unwrap();
        let taken = held(&lease("other", "7"), "me", DURATION, now);
        assert_eq!(
            taken.metadata.resource_version.as_deref(),
            Some("7"),
            "the precondition"
        );
        let spec = taken.spec.clone().unwrap();
        assert_eq!(
            (spec.lease_transitions, spec.acquire_time),
            (Some(5), Some(MicroTime(now)))
        );
        assert_eq!(spec.lease_duration_seconds, Some(15));
        let later = jiff::Timestamp::from_second(105).unwrap();
        let renewed = held(&taken, "me", DURATION, later).spec.unwrap();
        assert_eq!(
            (renewed.lease_transitions, renewed.acquire_time),
            (Some(5), Some(MicroTime(now)))
        );
        assert_eq!(renewed.renew_time, Some(MicroTime(later)));
    }

    #[test]
    fn a_released_lease_has_no_holder_and_keeps_its_count() {
        let released = released(&lease("me", "7"), jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(holder(&released), "");
        assert_eq!(released.spec.unwrap().lease_transitions, Some(4));
        assert_eq!(released.metadata.resource_version.as_deref(), Some("7"));
    }
}
