//! What all data planes together can read and have read: it decides in which format, with which key and above which
//! sequence the operator publishes. Only what is unexpired has a say in what is written from now on; a pod that is gone
//! must not hold an upgrade up.

use headgate_snapshot::delivery::{Ack, KeyRing};
use headgate_snapshot::{FORMAT, OLDEST_READABLE_FORMAT, SealingKey};
use jiff::Timestamp;
use std::sync::Arc;

use crate::world::DataPlane;

/// Acknowledgements above this are not believed: no operator publishes so often, and a pod that claims it would use up
/// the numbers that are left.
const SEQUENCE_BELIEVED_MAX: u64 = 1 << 53;

/// The data planes of one installation at one moment.
pub(crate) struct Readers<'a> {
    /// What those say whose Lease counts.
    acks: Vec<&'a Ack>,
    /// Whether one whose Lease counts says nothing that can be read.
    has_unreadable: bool,
    /// Also of those whose Lease does not count any more.
    highest_acknowledged: u64,
}

impl<'a> Readers<'a> {
    /// Sums up what is known of the data planes of `installation`.
    pub(crate) fn of(data_planes: &'a [DataPlane], installation: &str, now: Timestamp) -> Self {
        let mut readers = Self {
            acks: Vec::new(),
            has_unreadable: false,
            highest_acknowledged: 0,
        };
        for lease in data_planes.iter().filter_map(|data_plane| data_plane.lease.as_ref()) {
            let ack = lease.ack.as_ref().ok().filter(|ack| ack.installation == installation);
            let served = ack.and_then(|ack| ack.serving).map(|serving| serving.sequence);
            let refused = ack
                .and_then(|ack| ack.refused.as_ref())
                .and_then(|refused| refused.sequence);
            let believed = [served, refused].into_iter().flatten();
            let believed = believed.filter(|&sequence| sequence <= SEQUENCE_BELIEVED_MAX).max();
            readers.highest_acknowledged = readers.highest_acknowledged.max(believed.unwrap_or(0));
            match ack {
                _ if lease.is_expired(now) => {}
                Some(ack) => readers.acks.push(ack),
                None => readers.has_unreadable = true,
            }
        }
        readers
    }

    /// The format to write: the newest that all of them read and `format_max` allows. Never older than this build can
    /// write; a reader of something older keeps what it has.
    pub(crate) fn format(&self, format_max: u32) -> u32 {
        let lowest = self.lowest_format().unwrap_or(FORMAT);
        lowest.min(format_max).clamp(OLDEST_READABLE_FORMAT, FORMAT)
    }

    /// The format of a reader that this operator cannot write for, if there is one.
    pub(crate) fn unreachable_format(&self) -> Option<u32> {
        self.lowest_format().filter(|&format| format < OLDEST_READABLE_FORMAT)
    }

    fn lowest_format(&self) -> Option<u32> {
        self.acks.iter().map(|ack| ack.format_max).min()
    }

    /// The key to seal with: the newest that all of them have. If they have none in common, the one in use, so that
    /// nobody loses what they can read now.
    pub(crate) fn key<'r>(&self, ring: &'r KeyRing, in_use: Option<&str>) -> &'r Arc<SealingKey> {
        let held = self.acks.iter().map(|ack| ack.key_ids.as_slice());
        ring.newest_held_by_all(held)
            .or_else(|| in_use.and_then(|id| ring.get(id)))
            .unwrap_or_else(|| ring.newest())
    }

    /// The sequence that each of them serves or has passed; `None` if one of them serves nothing, or does not say.
    /// `u64::MAX` if there are none.
    pub(crate) fn served_by_all(&self) -> Option<u64> {
        if self.has_unreadable {
            return None;
        }
        let served = self.acks.iter().map(|ack| ack.serving.map(|serving| serving.sequence));
        served.min().unwrap_or(Some(u64::MAX))
    }

    /// The highest sequence that any of them has ever served or refused, as far as Leases still tell: a number that was
    /// refused has been used as well.
    pub(crate) fn highest_acknowledged(&self) -> u64 {
        self.highest_acknowledged
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headgate_snapshot::delivery::{Digest, RefusedHead, Serving};
    use zeroize::Zeroizing;

    use super::*;
    use crate::world::LeaseState;

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn reader(format_max: u32, key_ids: &[&str], sequence: Option<u64>, age_s: i64) -> DataPlane {
        let ack = Ack {
            installation: "i".into(),
            serving: sequence.map(|sequence| Serving {
                sequence,
                root: Digest([0; 32]),
            }),
            refused: None,
            format_max,
            key_ids: key_ids.iter().map(|&id| id.to_owned()).collect(),
            build: "0".into(),
        };
        DataPlane {
            name: "pod".into(),
            pod: None,
            lease: Some(LeaseState {
                renewed_at: Timestamp::from_second(1_000 - age_s).unwrap(),
                duration: Duration::from_secs(40),
                ack: Ok(ack),
            }),
        }
    }

    fn silent() -> DataPlane {
        let mut silent = reader(1, &[], None, 0);
        silent.lease.as_mut().unwrap().ack = Err("unreadable".into());
        silent
    }

    #[test]
    fn the_oldest_reader_decides_the_format_as_long_as_its_lease_counts() {
        for (formats, format_max, expected) in [
            (&[][..], FORMAT, FORMAT),
            (&[(FORMAT, 0), (1, 0)], FORMAT, 1),
            (&[(FORMAT, 0), (1, 41)], FORMAT, FORMAT),
            (&[(FORMAT, 0)], 1, 1),
            (&[(FORMAT + 7, 0)], FORMAT, FORMAT),
            (&[(0, 0)], FORMAT, OLDEST_READABLE_FORMAT),
        ] {
            let planes: Vec<_> = formats
                .iter()
                .map(|&(format, age)| reader(format, &[], None, age))
                .collect();
            let readers = Readers::of(&planes, "i", now());
            assert_eq!(readers.format(format_max), expected, "{formats:?} up to {format_max}");
        }
        let planes = [reader(0, &[], None, 0)];
        assert_eq!(Readers::of(&planes, "i", now()).unreachable_format(), Some(0));
    }

    #[test]
    fn a_new_key_is_used_once_every_reader_has_it() {
        let entry = |name: &str, byte| (name.to_owned(), Zeroizing::new(vec![byte; 32]));
        let ring = KeyRing::from_entries([entry("key-0001", 1), entry("key-0002", 2)]).unwrap();
        let ids = ring.ids();
        let (old, new) = (ids[0].as_str(), ids[1].as_str());
        for (held, in_use, expected) in [
            (vec![], Some(old), new),
            (vec![vec![old, new]], Some(old), new),
            (vec![vec![old, new], vec![old]], Some(old), old),
            (vec![vec!["other"]], Some(old), old),
            (vec![vec!["other"]], None, new),
        ] {
            let planes: Vec<_> = held.iter().map(|ids| reader(2, ids, None, 0)).collect();
            assert_eq!(
                Readers::of(&planes, "i", now()).key(&ring, in_use).id(),
                expected,
                "{held:?}"
            );
        }
    }

    #[test]
    fn all_have_passed_what_the_slowest_serves_and_nobody_waits_for_the_dead() {
        let served = |planes: &[DataPlane]| Readers::of(planes, "i", now()).served_by_all();
        assert_eq!(served(&[]), Some(u64::MAX));
        assert_eq!(
            served(&[reader(2, &[], Some(7), 0), reader(2, &[], Some(5), 0)]),
            Some(5)
        );
        assert_eq!(
            served(&[reader(2, &[], Some(7), 0), reader(2, &[], Some(5), 40)]),
            Some(7)
        );
        assert_eq!(served(&[reader(2, &[], Some(7), 0), reader(2, &[], None, 0)]), None);
        assert_eq!(served(&[reader(2, &[], Some(7), 0), silent()]), None);
    }

    #[test]
    fn the_highest_acknowledgement_outlives_its_lease_but_is_believed_within_reason() {
        let highest = |planes: &[DataPlane]| Readers::of(planes, "i", now()).highest_acknowledged();
        assert_eq!(
            highest(&[reader(2, &[], Some(7), 9_000), reader(2, &[], Some(5), 0)]),
            7
        );
        assert_eq!(
            highest(&[reader(2, &[], Some(u64::MAX), 0), reader(2, &[], Some(5), 0)]),
            5
        );
        let planes = [reader(2, &[], Some(7), 0)];
        assert_eq!(Readers::of(&planes, "another", now()).highest_acknowledged(), 0);
    }

    #[test]
    fn a_sequence_that_was_refused_has_been_used() {
        let mut refusing = reader(2, &[], Some(7), 0);
        let lease = refusing.lease.as_mut().unwrap();
        lease.ack.as_mut().unwrap().refused = Some(RefusedHead {
            sequence: Some(9),
            root: None,
            reason: "a shard is missing".to_owned(),
        });
        assert_eq!(Readers::of(&[refusing], "i", now()).highest_acknowledged(), 9);
    }
}
