//! The data-plane pods and their Leases, joined by name.
//!
//! When a Lease was renewed is taken from our own clock, at the moment its `renewTime` was seen to change: a pod whose
//! clock is wrong would otherwise look dead, or outlive itself. Only what was there before we looked is believed by its own
//! word, and never beyond now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headgate_snapshot::ObjectName;
use headgate_snapshot::delivery::{Ack, LEASE_DURATION, annotation};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;

use super::store::Update;

/// One data plane, as far as it is known.
#[derive(Clone, Debug)]
pub struct DataPlane {
    /// The pod's name, and its Lease's.
    pub name: String,
    /// Its pod; `None`: only a Lease is left.
    pub pod: Option<PodState>,
    /// Its Lease; `None`: it has not reported yet.
    pub lease: Option<LeaseState>,
}

/// What matters of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodState {
    /// It takes traffic.
    pub is_ready: bool,
    /// It is about to go.
    pub is_terminating: bool,
}

/// What matters of a data plane's Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseState {
    /// When it was last renewed, by our clock.
    pub renewed_at: Timestamp,
    /// How long a renewal counts.
    pub duration: Duration,
    /// What the data plane says; an error is one sentence.
    pub ack: Result<Ack, String>,
}

impl LeaseState {
    /// The moment from which on it no longer counts.
    pub fn expires_at(&self) -> Timestamp {
        self.renewed_at.saturating_add(self.duration).unwrap_or(Timestamp::MAX)
    }

    /// Whether it no longer counts.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at() <= now
    }
}

/// A Lease as it is kept: its state, and what it said itself, to see it move.
#[derive(Clone, Debug)]
pub(super) struct KeptLease {
    pub(super) state: LeaseState,
    renew_time: Option<Timestamp>,
}

/// Reduces a pod to what matters.
pub(super) fn keep_pod(pod: &Pod) -> PodState {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    PodState {
        is_ready: conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        is_terminating: pod.metadata.deletion_timestamp.is_some(),
    }
}

/// Reduces a Lease to what matters.
pub(super) fn keep_lease(lease: &Lease, now: Timestamp) -> KeptLease {
    let spec = lease.spec.clone().unwrap_or_default();
    let renew_time = spec.renew_time.map(|time| time.0);
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    let annotations = lease.metadata.annotations.as_ref();
    let ack = match annotations.and_then(|annotations| annotations.get(annotation::ACK)) {
        Some(text) => Ack::from_annotation(text).map_err(|error| error.to_string()),
        None => Err(format!("the lease has no annotation {}", annotation::ACK)),
    };
    KeptLease {
        state: LeaseState {
            renewed_at: renew_time.unwrap_or(Timestamp::MIN).min(now),
            // What a data plane says about its own death is believed within reason.
            duration: seconds
                .map_or(LEASE_DURATION, Duration::from_secs)
                .min(LEASE_DURATION * 10),
            ack,
        },
        renew_time,
    }
}

/// Puts our own clock in where a Lease was seen to be renewed.
pub(super) fn observed(
    known: &BTreeMap<ObjectName, KeptLease>,
    mut update: Update<KeptLease>,
    now: Timestamp,
) -> Update<KeptLease> {
    let observe = |name: &ObjectName, lease: &mut KeptLease, is_new_now: bool| match known.get(name) {
        Some(before) if before.renew_time == lease.renew_time => lease.state.renewed_at = before.state.renewed_at,
        Some(_) => lease.state.renewed_at = now,
        None if is_new_now => lease.state.renewed_at = now,
        None => {}
    };
    match &mut update {
        Update::One(name, Some(lease)) => observe(name, lease, true),
        Update::One(_, None) => {}
        Update::Whole(leases) => {
            for (name, lease) in leases {
                observe(name, lease, false);
            }
        }
    }
    update
}

/// Whether a Lease says something else than before, or is alive again. A mere renewal is nothing.
pub(super) fn differs(old: Option<&KeptLease>, new: Option<&KeptLease>, now: Timestamp) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            old.state.ack != new.state.ack || old.state.is_expired(now) != new.state.is_expired(now)
        }
        (old, new) => old.is_some() || new.is_some(),
    }
}

/// Every pod with its Lease, and the Leases whose pod is gone, by name.
pub(super) fn joined(
    pods: &BTreeMap<ObjectName, PodState>,
    leases: &BTreeMap<ObjectName, KeptLease>,
) -> Vec<DataPlane> {
    let mut names: BTreeMap<&str, (Option<PodState>, Option<LeaseState>)> = BTreeMap::new();
    for (name, pod) in pods {
        names.entry(&name.name).or_default().0 = Some(*pod);
    }
    for (name, lease) in leases {
        names.entry(&name.name).or_default().1 = Some(lease.state.clone());
    }
    let joined = names.into_iter().map(|(name, (pod, lease))| DataPlane {
        name: name.to_owned(),
        pod,
        lease,
    });
    joined.collect()
}

/// Which Leases are expired, and when the next one will be.
pub(super) fn expiries(
    leases: &BTreeMap<ObjectName, KeptLease>,
    now: Timestamp,
) -> (BTreeSet<String>, Option<Timestamp>) {
    let mut expired = BTreeSet::new();
    let mut next: Option<Timestamp> = None;
    for (name, lease) in leases {
        if lease.state.is_expired(now) {
            expired.insert(name.name.clone());
        } else {
            let at = lease.state.expires_at();
            next = Some(next.map_or(at, |next| next.min(at)));
        }
    }
    (expired, next)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn lease(renewed: i64, ack: Option<&str>, now: i64) -> KeptLease {
        let mut lease = Lease::default();
        lease.metadata.annotations = ack.map(|ack| BTreeMap::from([(annotation::ACK.to_owned(), ack.to_owned())]));
        lease.spec = Some(LeaseSpec {
            renew_time: Some(MicroTime(at(renewed))),
            lease_duration_seconds: Some(40),
            ..LeaseSpec::default()
        });
        keep_lease(&lease, at(now))
    }

    fn name() -> ObjectName {
        ObjectName::new("snapshots", "gateway-0")
    }

    fn renewed_at(known: &[KeptLease], update: KeptLease, is_list: bool, now: i64) -> Timestamp {
        let known = known.iter().map(|lease| (name(), lease.clone())).collect();
        let update = if is_list {
            Update::Whole(BTreeMap::from([(name(), update)]))
        } else {
            Update::One(name(), Some(update))
        };
        match observed(&known, update, at(now)) {
            Update::One(_, lease) => lease.unwrap().state.renewed_at,
            Update::Whole(leases) => leases[&name()].state.renewed_at,
        }
    }

    #[test]
    fn a_renewal_counts_from_when_it_was_seen_whatever_the_pods_clock_says() {
        for pods_clock in [-9_000, 1_010, 9_000] {
            let before = lease(pods_clock - 10, None, 1_000);
            assert_eq!(
                renewed_at(&[before], lease(pods_clock, None, 1_010), false, 1_010),
                at(1_010)
            );
        }
    }

    #[test]
    fn an_event_without_a_renewal_does_not_renew() {
        let before = lease(990, None, 1_000);
        assert_eq!(
            renewed_at(&[before], lease(990, Some("{}"), 1_020), false, 1_020),
            at(990)
        );
    }

    #[test]
    fn what_was_there_before_is_believed_by_its_own_word_but_not_beyond_now() {
        assert_eq!(renewed_at(&[], lease(100, None, 1_000), true, 1_000), at(100));
        assert_eq!(renewed_at(&[], lease(9_000, None, 1_000), true, 1_000), at(1_000));
        assert_eq!(
            renewed_at(&[], lease(100, None, 1_000), false, 1_000),
            at(1_000),
            "it was created just now"
        );
    }

    #[test]
    fn a_mere_renewal_wakes_nobody_and_a_return_from_the_dead_does() {
        let (old, renewed) = (lease(990, None, 990), lease(1_000, None, 1_000));
        assert!(!differs(Some(&old), Some(&renewed), at(1_000)));
        assert!(
            differs(Some(&old), Some(&renewed), at(1_035)),
            "the old one had expired"
        );
        assert!(differs(None, Some(&renewed), at(1_000)) && differs(Some(&old), None, at(1_000)));
        assert!(differs(
            Some(&old),
            Some(&lease(1_000, Some("no JSON"), 1_000)),
            at(1_000)
        ));
    }

    #[test]
    fn a_lease_without_an_acknowledgement_says_so() {
        assert!(lease(0, None, 0).state.ack.unwrap_err().contains("headgate.dev/ack"));
        assert!(lease(0, Some("no JSON"), 0).state.ack.is_err());
    }

    #[test]
    fn expiry_is_told_ahead() {
        let leases = BTreeMap::from([
            (ObjectName::new("s", "dead"), lease(900, None, 1_000)),
            (ObjectName::new("s", "old"), lease(970, None, 1_000)),
            (ObjectName::new("s", "young"), lease(999, None, 1_000)),
        ]);
        let (expired, next) = expiries(&leases, at(1_000));
        assert_eq!((expired, next), (BTreeSet::from(["dead".to_owned()]), Some(at(1_010))));
    }

    #[test]
    fn pods_and_leases_meet_by_name_across_their_namespaces() {
        let ready = PodState {
            is_ready: true,
            is_terminating: false,
        };
        let pods = BTreeMap::from([
            (ObjectName::new("gateway", "a"), ready),
            (ObjectName::new("gateway", "b"), ready),
        ]);
        let leases = BTreeMap::from([
            (ObjectName::new("snapshots", "b"), lease(0, None, 0)),
            (ObjectName::new("snapshots", "c"), lease(0, None, 0)),
        ]);
        let known: Vec<_> = joined(&pods, &leases)
            .into_iter()
            .map(|data_plane| (data_plane.name, data_plane.pod.is_some(), data_plane.lease.is_some()))
            .collect();
        assert_eq!(
            known,
            [
                ("a".to_owned(), true, false),
                ("b".to_owned(), true, true),
                ("c".to_owned(), false, true)
            ]
        );
    }
}
