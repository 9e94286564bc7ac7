//! What to write, decided from what is published and what is wanted. Pure: equal intent is nothing to write.
//!
//! A format or a key that the readers do not have would strand them, so both are given; the sequence only ever grows,
//! since a running data plane refuses a lower one.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_snapshot::delivery::{Digest, Generation, KeyRing, Layout, Pointer, Removed, Shard, TooLarge, shards_of};
use headgate_snapshot::record::{records_of, root_digest};
use headgate_snapshot::{SealingKey, Snapshot};
use jiff::Timestamp;

use super::compilation::Compilation;
use super::guard::{self, Hold, Limits, Removals, carry};
use super::removed::{self, Step};
use super::report::kinds::name_of;
use crate::args::Config;

/// What is published, as far as it can be believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    /// The highest sequence that was ever published, as far as anybody knows.
    pub(crate) highest_sequence: u64,
    /// What is in force.
    pub(crate) head: Option<Head>,
    /// Whether the pointer itself says so. If not, it has to be written, whatever is wanted.
    pub(crate) is_in_place: bool,
}

/// A published generation.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// What the pointer says.
    pub(crate) pointer: Pointer,
    /// What it comes to; `None` where its shards cannot be read any more.
    pub(crate) content: Option<Arc<Snapshot>>,
}

/// What is to be published.
pub(crate) struct Wanted<'a> {
    /// Whose it is.
    pub(crate) installation: &'a str,
    /// All of it, held removals included.
    pub(crate) snapshot: &'a Snapshot,
    /// The same under the key of what is published; `None` where that is the same key.
    pub(crate) under_published_key: Option<&'a Snapshot>,
    /// Seals and signs.
    pub(crate) key: &'a SealingKey,
    /// How shards are stored.
    pub(crate) format: u32,
    /// See [`Step::served_by_all`].
    pub(crate) served_by_all: Option<u64>,
    /// For deadlines that were brought forward.
    pub(crate) now: Timestamp,
}

/// What to write, in this order: shards, then the pointer.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What will be in force.
    pub(crate) head: Generation,
    /// All of its shards.
    pub(crate) shards: Vec<Shard>,
    /// The pointer that puts it in force; `None`: it is already.
    pub(crate) pointer: Option<Pointer>,
    /// Digests of all records, by their key.
    pub(crate) records: BTreeMap<String, [u8; 32]>,
}

/// Plans the publication of `wanted`.
pub(crate) fn plan(before: &Before, wanted: &Wanted<'_>) -> Result<Plan, TooLarge> {
    let records = records_of(wanted.snapshot);
    let digests: BTreeMap<_, _> = records
        .iter()
        .map(|record| (record.key.to_string(), record.digest()))
        .collect();
    let root = Digest(root_digest(digests.iter().map(|(key, digest)| (key.as_str(), *digest))));
    let published = before.head.as_ref().map(|head| &head.pointer);
    let layout_before = published.map_or_else(Layout::default, |pointer| pointer.head.layout);
    let (layout, shards) = shards_of(&records, layout_before)?;
    let sequence = before.highest_sequence + 1;
    let mut head = Generation {
        sequence,
        format: wanted.format,
        root,
        key_id: wanted.key.id().to_owned(),
        layout,
        shards: shards.iter().map(|shard| shard.reference).collect(),
    };
    if let Some(published) = published {
        head.sequence = published.head.sequence;
        if before.is_in_place && head == published.head {
            return Ok(Plan {
                head,
                shards,
                pointer: None,
                records: digests,
            });
        }
        head.sequence = sequence;
    }
    let removed = removed_with(before, wanted, sequence);
    let pointer = Pointer {
        installation: wanted.installation.to_owned(),
        previous: previous_with(before, wanted, &removed),
        removed,
        head: head.clone(),
    };
    Ok(Plan {
        head,
        shards,
        pointer: Some(pointer),
        records: digests,
    })
}

/// The list of removed tokens. What is published and cannot be read leaves nothing to compare with: then nothing older
/// than the new generation may be served.
fn removed_with(before: &Before, wanted: &Wanted<'_>, sequence: u64) -> Removed {
    let Some(Head {
        pointer,
        content: Some(older),
    }) = &before.head
    else {
        return removed::from_now_on(sequence);
    };
    let previous = pointer.previous.as_ref();
    let is_other_key = previous.is_some_and(|previous| previous.key_id != pointer.head.key_id);
    removed::after(&Step {
        before: &pointer.removed,
        older,
        newer: wanted.under_published_key.unwrap_or(wanted.snapshot),
        sequence,
        served_by_all: wanted.served_by_all,
        now_unix_seconds: wanted.now.as_second(),
        key_changed_at: is_other_key.then_some(pointer.head.sequence),
    })
}

/// The generation that a fresh reader may fall back to: the published one, if its shards are there in the same format
/// (shards are named by their text, so storing them in another way replaces them) and the list of removed tokens covers
/// it.
fn previous_with(before: &Before, wanted: &Wanted<'_>, removed: &Removed) -> Option<Generation> {
    let head = before.head.as_ref().filter(|head| head.content.is_some())?;
    let previous = &head.pointer.head;
    (previous.format == wanted.format && previous.sequence >= removed.since).then(|| previous.clone())
}

/// What is given to decide on.
pub(crate) struct Given {
    pub(crate) config: Arc<Config>,
    pub(crate) ring: KeyRing,
    pub(crate) before: Before,
    /// The key that all readers have.
    pub(crate) key: Arc<SealingKey>,
    /// What went lately.
    pub(crate) recent: Removals,
    /// What a person lets through.
    pub(crate) approval: Option<String>,
    pub(crate) format: u32,
    pub(crate) served_by_all: Option<u64>,
    pub(crate) now: Timestamp,
}

/// What is to be published.
pub(crate) struct Built {
    pub(crate) plan: Plan,
    pub(crate) snapshot: Snapshot,
    pub(crate) key: Arc<SealingKey>,
    pub(crate) hold: Option<Hold>,
}

/// Guards what was compiled and plans its publication. Takes the snapshot out of the compilation.
pub(crate) fn decide(given: Given, compilation: &mut Compilation) -> Result<Built, TooLarge> {
    let Given {
        config,
        ring,
        mut before,
        key,
        recent,
        approval,
        format,
        served_by_all,
        now,
    } = given;
    // What was sealed with a key that is not in the ring any more, nobody can open, compare with or fall back to.
    if let Some(head) = before
        .head
        .as_mut()
        .filter(|head| ring.get(&head.pointer.head.key_id).is_none())
    {
        head.content = None;
    }
    let compiled = std::mem::take(&mut compilation.compiled.snapshot);
    let published = before
        .head
        .as_ref()
        .and_then(|head| Some((head, head.content.as_deref()?)));
    let published_key = published.and_then(|(head, _)| ring.get(&head.pointer.head.key_id));
    // Removed tokens are told in digests of the published key, and held records are sealed with it.
    let other_key = published_key.filter(|published_key| published_key.id() != key.id());
    let under_published_key = other_key.map(|published_key| compilation.under(published_key, &config));
    let limits = Limits {
        percent: config.guard_percent,
        min: config.guard_min,
    };
    let hold =
        published.and_then(|(_, content)| guard::judge(content, &compiled, limits, &recent, approval.as_deref()));
    let (snapshot, key, under_published_key, hold) = match (hold, published, published_key) {
        (Some(hold), Some((_, content)), Some(published_key)) => {
            let existing = compilation.resources.providers.iter();
            let surroundings = carry::Surroundings {
                existing_providers: &existing.map(|provider| name_of(provider.as_ref())).collect(),
                shared_namespaces: &config.shared_namespaces,
            };
            let compiled = under_published_key.unwrap_or(compiled);
            let snapshot = carry::over(content, compiled, &hold.removals, &surroundings);
            (snapshot, Arc::clone(published_key), None, Some(hold))
        }
        _ => (compiled, key, under_published_key, None),
    };
    let wanted = Wanted {
        installation: &config.installation,
        snapshot: &snapshot,
        under_published_key: under_published_key.as_ref(),
        key: &key,
        format,
        served_by_all,
        now,
    };
    let plan = plan(&before, &wanted)?;
    Ok(Built {
        plan,
        snapshot,
        key,
        hold,
    })
}

#[cfg(test)]
mod tests {
    use headgate_compile::Resources;
    use headgate_snapshot::ObjectName;

    use super::*;
    use crate::reconcile::fixture::{self, caller, digest, sealing_key, snapshot_of};

    fn with(tokens: &[u8]) -> Snapshot {
        snapshot_of(|snapshot| {
            for &token in tokens {
                let name = ObjectName::new("team", format!("k{token}"));
                snapshot.callers.insert(name, caller(token));
            }
        })
    }

    fn planned(before: &Before, snapshot: &Snapshot) -> Plan {
        let key = sealing_key();
        plan(before, &wanted_of(snapshot, &key)).unwrap()
    }

    fn wanted_of<'a>(snapshot: &'a Snapshot, key: &'a SealingKey) -> Wanted<'a> {
        Wanted {
            installation: "i",
            snapshot,
            under_published_key: None,
            key,
            format: 2,
            served_by_all: Some(u64::MAX),
            now: Timestamp::from_second(1_000).unwrap(),
        }
    }

    fn published(plan: &Plan, snapshot: &Snapshot) -> Before {
        let pointer = plan.pointer.clone().unwrap();
        Before {
            highest_sequence: pointer.head.sequence,
            head: Some(Head {
                pointer,
                content: Some(Arc::new(snapshot.clone())),
            }),
            is_in_place: true,
        }
    }

    fn first(snapshot: &Snapshot) -> Before {
        published(&planned(&Before::default(), snapshot), snapshot)
    }

    #[test]
    fn the_first_publication_has_sequence_one_and_nothing_before_it() {
        let pointer = planned(&Before::default(), &with(&[1])).pointer.unwrap();
        assert_eq!(
            (pointer.head.sequence, pointer.previous, pointer.removed.since),
            (1, None, 1)
        );
    }

    #[test]
    fn equal_intent_is_nothing_to_write() {
        let snapshot = with(&[1, 2]);
        let plan = planned(&first(&snapshot), &snapshot);
        assert!(plan.pointer.is_none());
        assert_eq!(plan.head.sequence, 1);
        assert_eq!(
            plan.shards.len(),
            plan.head.shards.len(),
            "a shard that is missing can be made again"
        );
    }

    #[test]
    fn a_change_follows_with_what_it_removed_and_what_was_before() {
        let before = first(&with(&[1, 2]));
        let pointer = planned(&before, &with(&[2])).pointer.unwrap();
        assert_eq!(pointer.head.sequence, 2);
        assert_eq!(
            pointer.previous.as_ref(),
            before.head.as_ref().map(|head| &head.pointer.head)
        );
        assert_eq!(pointer.removed.since, 1);
        assert_eq!(pointer.removed.digests, [(digest(1), 2)].into());
    }

    #[test]
    fn another_format_or_key_is_a_change() {
        let snapshot = with(&[1]);
        let (before, key, other_key) = (first(&snapshot), sealing_key(), SealingKey::new([8; 32]));
        let other_format = Wanted {
            format: 1,
            ..wanted_of(&snapshot, &key)
        };
        let pointer = plan(&before, &other_format).unwrap().pointer.unwrap();
        assert_eq!(pointer.head.format, 1);
        assert_eq!(
            pointer.previous, None,
            "its shards are about to be stored in another way"
        );
        let pointer = plan(&before, &wanted_of(&snapshot, &other_key))
            .unwrap()
            .pointer
            .unwrap();
        assert_eq!(pointer.head.key_id, other_key.id());
    }

    #[test]
    fn when_the_key_changes_removed_tokens_are_told_in_the_digests_that_older_generations_hold() {
        let before = first(&with(&[1, 2]));
        let (under_old_key, under_new_key, key) = (with(&[2]), with(&[102]), SealingKey::new([8; 32]));
        let wanted = Wanted {
            under_published_key: Some(&under_old_key),
            ..wanted_of(&under_new_key, &key)
        };
        let pointer = plan(&before, &wanted).unwrap().pointer.unwrap();
        assert_eq!(pointer.removed.digests, [(digest(1), 2)].into());
    }

    #[test]
    fn a_lost_pointer_restarts_above_everything_that_was_acknowledged() {
        let before = Before {
            highest_sequence: 41,
            ..Before::default()
        };
        let pointer = planned(&before, &with(&[1])).pointer.unwrap();
        assert_eq!((pointer.head.sequence, pointer.removed.since), (42, 42));
    }

    #[test]
    fn a_pointer_that_was_put_back_is_written_again_above_what_was_served() {
        let snapshot = with(&[1]);
        let mut before = first(&snapshot);
        before.is_in_place = false;
        before.highest_sequence = 9;
        assert_eq!(planned(&before, &snapshot).pointer.unwrap().head.sequence, 10);
    }

    #[test]
    fn what_is_published_and_cannot_be_read_is_no_generation_to_fall_back_to() {
        let mut before = first(&with(&[1, 2]));
        before.head.as_mut().unwrap().content = None;
        let pointer = planned(&before, &with(&[2])).pointer.unwrap();
        assert_eq!((pointer.previous, pointer.removed), (None, removed::from_now_on(2)));
    }

    /// A published world of four keys of which one is left, in a ring of two keys of which the older is in use.
    fn decided(guard_min: usize, approval: Option<&str>) -> (Built, KeyRing) {
        let ring = KeyRing::from_entries(
            [1, 2].map(|byte| (format!("key-{byte:04}"), zeroize::Zeroizing::new(vec![byte; 32]))),
        );
        let ring = ring.unwrap();
        let old_key = Arc::clone(ring.get(&ring.ids()[0]).unwrap());
        let mut config = fixture::config();
        config.guard_min = guard_min;
        let world = |names: &[&str]| {
            let mut resources = Resources::default();
            for name in names {
                let digest = Digest::of(name);
                let key = serde_json::json!({
                    "metadata": {"name": name, "namespace": "team"}, "spec": {"digests": [format!("sha256:{digest}")]},
                });
                resources.keys.push(Arc::new(serde_json::from_value(key).unwrap()));
            }
            resources
        };
        let all = Compilation::of(world(&["a", "b", "c", "d"]), &config, &old_key)
            .compiled
            .snapshot;
        let wanted = Wanted {
            format: 2,
            ..wanted_of(&all, &old_key)
        };
        let before = published(&plan(&Before::default(), &wanted).unwrap(), &all);
        let mut compilation = Compilation::of(world(&["d"]), &config, ring.newest());
        let given = Given {
            config: Arc::new(config),
            key: Arc::clone(ring.newest()),
            ring: ring.clone(),
            before,
            recent: Removals::default(),
            approval: approval.map(str::to_owned),
            format: 2,
            served_by_all: Some(u64::MAX),
            now: Timestamp::UNIX_EPOCH,
        };
        (decide(given, &mut compilation).unwrap(), ring)
    }

    #[test]
    fn while_removals_are_held_the_key_stays_that_they_are_sealed_with() {
        let (built, ring) = decided(3, None);
        let hold = built.hold.as_ref().unwrap();
        assert_eq!((hold.removals.callers.len(), built.snapshot.callers.len()), (3, 4));
        assert_eq!(built.key.id(), ring.ids()[0]);
        assert!(built.plan.pointer.is_none(), "nothing but removals was to be published");
        fixture::assert_whole(&built.snapshot);
    }

    #[test]
    fn once_they_are_let_through_they_are_told_and_the_key_moves_on() {
        let approval = decided(3, None).0.hold.unwrap().approval;
        for (guard_min, approval) in [(3, Some(approval.as_str())), (4, None)] {
            let (built, ring) = decided(guard_min, approval);
            assert!(built.hold.is_none() && built.snapshot.callers.len() == 1);
            assert_eq!(built.key.id(), ring.ids()[1]);
            let pointer = built.plan.pointer.unwrap();
            assert_eq!((pointer.removed.since, pointer.removed.digests.len()), (1, 3));
        }
    }
}
