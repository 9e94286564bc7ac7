//! Which head may be taken: a decision without IO, in the order in which trust grows. First the signature, then whose it
//! is, then whether it is older than what was served, then whether this build can read it.
//!
//! What a head says about removed keys counts as soon as the head itself is trusted, even if its snapshot cannot be used:
//! [`Refused::trusted`].

use std::sync::Arc;

use headgate_snapshot::OLDEST_READABLE_FORMAT;
use headgate_snapshot::delivery::{Digest, Generation, KeyRing, Pointer, PointerError, RefusedHead, Signed};

/// A pointer whose signature holds and that is for this installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trusted {
    /// As it was delivered.
    pub(super) signed: Signed,
    /// What it says.
    pub(super) pointer: Pointer,
}

/// What a head is held against.
pub(super) struct Rules<'a> {
    pub(super) ring: &'a KeyRing,
    pub(super) installation: &'a str,
    pub(super) format_max: u32,
    /// The newest generation that was served or kept on disk: nothing older is taken.
    pub(super) floor: Option<Floor>,
}

/// A generation below which nothing is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) sequence: u64,
    pub(super) root: Digest,
}

impl Floor {
    /// The floor that this generation sets.
    pub(super) fn of(generation: &Generation) -> Self {
        Self {
            sequence: generation.sequence,
            root: generation.root,
        }
    }
}

/// Why a head is not taken: the label of the metric, and what decides whether it is worth another look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Not signed, or not by a key of the ring, or of another text.
    Signature,
    /// Signed with a key that is not in the ring (yet).
    UnknownKey,
    /// Signed, and in words of a newer operator.
    Unreadable,
    /// Of another installation.
    Installation,
    /// Older than what was served, or of the same number with other content.
    Sequence,
    /// In a format that this build does not read.
    Format,
    /// A shard that it names is not there, or may not be read.
    ShardMissing,
    /// A shard is not what the pointer names.
    Shard,
    /// The snapshot cannot be made ready.
    Unservable,
    /// Neither can it be kept on disk, nor what is kept there be removed.
    NotKept,
}

impl Reason {
    /// The label of the metric.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::UnknownKey => "unknown_key",
            Self::Unreadable => "unreadable",
            Self::Installation => "installation",
            Self::Sequence => "sequence",
            Self::Format => "format",
            Self::ShardMissing => "shard_missing",
            Self::Shard => "shard",
            Self::Unservable => "unservable",
            Self::NotKept => "not_kept",
        }
    }

    /// Whether the same pointer may be fine later, without a change of it.
    pub(super) fn may_pass(self) -> bool {
        match self {
            Self::UnknownKey | Self::ShardMissing | Self::Shard | Self::NotKept => true,
            Self::Signature
            | Self::Unreadable
            | Self::Installation
            | Self::Sequence
            | Self::Format
            | Self::Unservable => false,
        }
    }
}

/// A head that is not taken.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    /// One sentence for the operator's status and the log.
    pub(super) sentence: String,
    /// Number and digest, where the signature holds.
    pub(super) named: Option<Floor>,
    /// The pointer, where what it says about removed keys counts.
    pub(super) trusted: Option<Arc<Trusted>>,
}

impl Refused {
    /// A head that is trusted and cannot be used.
    pub(super) fn unusable(trusted: &Arc<Trusted>, reason: Reason, sentence: String) -> Self {
        Self {
            reason,
            sentence,
            named: Some(Floor::of(&trusted.pointer.head)),
            trusted: Some(Arc::clone(trusted)),
        }
    }

    /// As it is acknowledged.
    pub(super) fn to_ack(&self) -> RefusedHead {
        RefusedHead {
            sequence: self.named.map(|named| named.sequence),
            root: self.named.map(|named| named.root),
            reason: self.sentence.clone(),
        }
    }
}

/// Whether the head of this pointer may be fetched.
pub(super) fn judge(signed: &Signed, rules: &Rules<'_>) -> Result<Arc<Trusted>, Refused> {
    let pointer = Pointer::verify(signed, rules.ring).map_err(|error| Refused {
        reason: match &error {
            PointerError::TooLong | PointerError::NotSigned | PointerError::Forged => Reason::Signature,
            PointerError::UnknownKey { .. } => Reason::UnknownKey,
            PointerError::Unreadable(_) | PointerError::TooManyShards(_) => Reason::Unreadable,
        },
        sentence: error.to_string(),
        named: None,
        trusted: None,
    })?;
    let head = Floor::of(&pointer.head);
    let refused = |reason, sentence, trusted| Refused {
        reason,
        sentence,
        named: Some(head),
        trusted,
    };
    if pointer.installation != rules.installation {
        let sentence = format!(
            "the pointer is of installation `{}`, and this data plane belongs to `{}`; set HEADGATE_INSTALLATION or \
             HEADGATE_SNAPSHOT_NAMESPACE right",
            pointer.installation, rules.installation
        );
        return Err(refused(Reason::Installation, sentence, None));
    }
    if let Some(sentence) = rules.floor.and_then(|floor| goes_back(head, floor)) {
        return Err(refused(Reason::Sequence, sentence, None));
    }
    let format = pointer.head.format;
    let trusted = Arc::new(Trusted {
        signed: signed.clone(),
        pointer,
    });
    if !(OLDEST_READABLE_FORMAT..=rules.format_max).contains(&format) {
        let sentence = format!(
            "snapshot format {format} is not one of {OLDEST_READABLE_FORMAT} to {} that this data plane reads; upgrade it, \
             or have the operator write an older one",
            rules.format_max
        );
        return Err(refused(Reason::Format, sentence, Some(trusted)));
    }
    Ok(trusted)
}

fn goes_back(head: Floor, floor: Floor) -> Option<String> {
    if head.sequence < floor.sequence {
        return Some(format!(
            "the pointer went back from sequence {} to {}; an older one was put in its place",
            floor.sequence, head.sequence
        ));
    }
    (head.sequence == floor.sequence && head.root != floor.root).then(|| {
        format!(
            "sequence {} was served with other content before; the operator has to publish under a higher one",
            head.sequence
        )
    })
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::delivery::{Layout, Removed};
    use zeroize::Zeroizing;

    use super::*;

    const OURS: &str = "headgate.gateway.headgate";

    fn ring(keys: &[u8]) -> KeyRing {
        let entry = |&byte: &u8| (format!("key-{byte:04}"), Zeroizing::new(vec![byte; 32]));
        KeyRing::from_entries(keys.iter().map(entry)).unwrap()
    }

    fn pointer(sequence: u64, root: u8) -> Pointer {
        Pointer {
            installation: OURS.to_owned(),
            head: Generation {
                sequence,
                format: 2,
                root: Digest([root; 32]),
                key_id: String::new(),
                layout: Layout::default(),
                shards: Vec::new(),
            },
            previous: None,
            removed: Removed::default(),
        }
    }

    /// Judges `pointer`, signed with key 1, by one who has served sequence 5 with root 5 and reads format 2.
    fn verdict(pointer: &Pointer) -> Result<u64, Refused> {
        let ring = ring(&[1]);
        judged(&pointer.sign(ring.newest()), &ring)
    }

    fn judged(signed: &Signed, ring: &KeyRing) -> Result<u64, Refused> {
        let rules = Rules {
            ring,
            installation: OURS,
            format_max: 2,
            floor: Some(Floor {
                sequence: 5,
                root: Digest([5; 32]),
            }),
        };
        judge(signed, &rules).map(|trusted| trusted.pointer.head.sequence)
    }

    #[test]
    fn what_is_newer_or_the_same_may_be_taken() {
        assert_eq!(verdict(&pointer(6, 6)).unwrap(), 6);
        assert_eq!(verdict(&pointer(5, 5)).unwrap(), 5);
    }

    #[test]
    fn nothing_older_is_taken_and_its_removals_do_not_count() {
        let refused = verdict(&pointer(4, 4)).unwrap_err();
        assert_eq!(refused.reason, Reason::Sequence);
        assert_eq!(refused.to_ack().sequence, Some(4));
        assert!(refused.trusted.is_none());
        assert!(
            refused.sentence.contains("from sequence 5 to 4"),
            "{}",
            refused.sentence
        );
    }

    #[test]
    fn the_same_number_with_other_content_is_refused() {
        let refused = verdict(&pointer(5, 6)).unwrap_err();
        assert_eq!(refused.reason, Reason::Sequence);
        assert!(refused.sentence.contains("higher"), "{}", refused.sentence);
    }

    #[test]
    fn an_edited_pointer_is_refused_and_nothing_of_it_is_believed() {
        let ring = ring(&[1]);
        let mut signed = pointer(6, 6).sign(ring.newest());
        signed.text = signed.text.replace("\"sequence\":6", "\"sequence\":7");
        let refused = judged(&signed, &ring).unwrap_err();
        assert_eq!(refused.reason, Reason::Signature);
        assert_eq!((refused.to_ack().sequence, refused.to_ack().root), (None, None));
        assert!(refused.trusted.is_none());
    }

    #[test]
    fn an_unsigned_pointer_is_refused() {
        let nothing = Signed {
            text: String::new(),
            signature: String::new(),
        };
        assert_eq!(judged(&nothing, &ring(&[1])).unwrap_err().reason, Reason::Signature);
    }

    #[test]
    fn a_key_that_is_not_in_the_ring_may_come_later() {
        let signed = pointer(6, 6).sign(ring(&[2]).newest());
        let refused = judged(&signed, &ring(&[1])).unwrap_err();
        assert_eq!(refused.reason, Reason::UnknownKey);
        assert!(refused.reason.may_pass());
        assert_eq!(judged(&signed, &ring(&[1, 2])).unwrap(), 6);
    }

    #[test]
    fn another_installation_is_refused_even_with_the_same_ring() {
        let mut other = pointer(6, 6);
        other.installation = "headgate.other.headgate".to_owned();
        let refused = verdict(&other).unwrap_err();
        assert_eq!(refused.reason, Reason::Installation);
        assert!(refused.trusted.is_none());
    }

    #[test]
    fn a_format_that_cannot_be_read_is_refused_and_its_removals_count() {
        let mut newer = pointer(6, 6);
        newer.head.format = 3;
        let refused = verdict(&newer).unwrap_err();
        assert_eq!(refused.reason, Reason::Format);
        assert_eq!(refused.trusted.unwrap().pointer.head.sequence, 6);
    }
}
