//! From what data planes acknowledge to whether an object is served: `Programmed`, told from facts only.
//!
//! An object needs the sequence that first held it as it is now. It is served when every ready pod that is not about to go
//! serves that sequence or a later one, and said so within its Lease. One that went silent may serve anything, so it
//! counts as lagging, not as fine.

use headgate_snapshot::delivery::Generation;
use jiff::Timestamp;

use crate::world::DataPlane;

/// So many names stand in a message.
const NAMES_MAX: usize = 5;

/// A ready data-plane pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    /// The pod.
    pub(crate) name: String,
    /// The sequence that it serves; `None`: nothing, or nobody knows.
    pub(crate) serves: Option<u64>,
    /// The head that it would not take.
    pub(crate) refuses: Option<Refusal>,
}

/// A head that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its sequence; `None`: the pointer itself was not trusted.
    pub(crate) sequence: Option<u64>,
    /// Why.
    pub(crate) reason: String,
}

/// Who serves, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readers {
    /// Those who take traffic.
    pub(crate) ready: Vec<Reader>,
    /// One that is not ready and refuses the head: why there may be no ready one.
    pub(crate) refused_aside: Option<(String, String)>,
}

impl Readers {
    /// Looks at all data planes. `head` is what is published.
    pub(crate) fn of(data_planes: &[DataPlane], installation: &str, head: Option<&Generation>, now: Timestamp) -> Self {
        let mut readers = Self::default();
        for data_plane in data_planes {
            let Some(pod) = data_plane.pod.filter(|pod| !pod.is_terminating) else {
                continue;
            };
            let reader = reader(data_plane, installation, head, now);
            if pod.is_ready {
                readers.ready.push(reader);
            } else if let Some(refusal) = reader.refuses {
                readers.refused_aside.get_or_insert((reader.name, refusal.reason));
            }
        }
        readers
    }

    /// Whether all of them serve that sequence or a later one; `true` if there are none.
    pub(crate) fn all_serve(&self, sequence: u64) -> bool {
        self.ready.iter().all(|reader| reader.serves >= Some(sequence))
    }
}

fn reader(data_plane: &DataPlane, installation: &str, head: Option<&Generation>, now: Timestamp) -> Reader {
    let lease = data_plane.lease.as_ref().filter(|lease| !lease.is_expired(now));
    let ack = lease.and_then(|lease| lease.ack.as_ref().ok());
    let ack = ack.filter(|ack| ack.installation == installation);
    // The number alone proves nothing where the pointer was lost once: the content has to be the published one.
    let serving = ack
        .and_then(|ack| ack.serving)
        .filter(|serving| head.is_none_or(|head| serving.sequence != head.sequence || serving.root == head.root));
    let refused = ack.and_then(|ack| ack.refused.as_ref());
    Reader {
        name: data_plane.name.clone(),
        serves: serving.map(|serving| serving.sequence),
        refuses: refused.map(|refused| Refusal {
            sequence: refused.sequence,
            reason: refused.reason.clone(),
        }),
    }
}

/// How far an object has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Every ready pod serves it.
    Everywhere,
    /// These do not yet.
    Lagging { names: String, lagging: usize, of: usize },
    /// One will not.
    Refused { name: String, reason: String },
    /// There is no ready pod.
    Nowhere { because: Option<(String, String)> },
}

/// How far an object has come that needs `sequence`.
pub(crate) fn delivery(readers: &Readers, sequence: u64) -> Delivery {
    if readers.ready.is_empty() {
        return Delivery::Nowhere {
            because: readers.refused_aside.clone(),
        };
    }
    let behind = |reader: &&Reader| reader.serves.is_none_or(|serves| serves < sequence);
    let lagging: Vec<&Reader> = readers.ready.iter().filter(behind).collect();
    let refusing = lagging.iter().find_map(|reader| {
        let refusal = reader.refuses.as_ref()?;
        let holds_it = refusal.sequence.is_none_or(|refused| refused >= sequence);
        holds_it.then(|| (reader.name.clone(), refusal.reason.clone()))
    });
    match refusing {
        Some((name, reason)) => Delivery::Refused { name, reason },
        None if lagging.is_empty() => Delivery::Everywhere,
        None => Delivery::Lagging {
            names: names_of(&lagging),
            lagging: lagging.len(),
            of: readers.ready.len(),
        },
    }
}

fn names_of(readers: &[&Reader]) -> String {
    let names: Vec<&str> = readers
        .iter()
        .take(NAMES_MAX)
        .map(|reader| reader.name.as_str())
        .collect();
    let more = readers.len() - names.len();
    let names = names.join(", ");
    if more > 0 {
        format!("{names} and {more} more")
    } else {
        names
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use headgate_snapshot::delivery::{Ack, Digest, Layout, RefusedHead, Serving};

    use super::*;
    use crate::world::{LeaseState, PodState};

    const HEAD: u64 = 9;

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn head() -> Generation {
        Generation {
            sequence: HEAD,
            format: 2,
            root: Digest([9; 32]),
            key_id: String::new(),
            layout: Layout::default(),
            shards: Vec::new(),
        }
    }

    fn root_of(sequence: u64) -> Digest {
        Digest([u8::try_from(sequence).unwrap(); 32])
    }

    fn pod(name: &str, serving: Option<u64>) -> DataPlane {
        let ack = Ack {
            installation: "i".into(),
            serving: serving.map(|sequence| Serving {
                sequence,
                root: root_of(sequence),
            }),
            refused: None,
            format_max: 2,
            key_ids: Vec::new(),
            build: String::new(),
        };
        DataPlane {
            name: name.into(),
            pod: Some(PodState {
                is_ready: true,
                is_terminating: false,
            }),
            lease: Some(LeaseState {
                renewed_at: now(),
                duration: Duration::from_secs(40),
                ack: Ok(ack),
            }),
        }
    }

    fn edited(mut pod: DataPlane, edit: impl FnOnce(&mut DataPlane)) -> DataPlane {
        edit(&mut pod);
        pod
    }

    fn ack(pod: &mut DataPlane) -> &mut Ack {
        pod.lease.as_mut().unwrap().ack.as_mut().unwrap()
    }

    fn refusing(pod: DataPlane, sequence: Option<u64>) -> DataPlane {
        edited(pod, |pod| {
            ack(pod).refused = Some(RefusedHead {
                sequence,
                root: None,
                reason: "because".into(),
            });
        })
    }

    fn unready(pod: DataPlane) -> DataPlane {
        edited(pod, |pod| pod.pod.as_mut().unwrap().is_ready = false)
    }

    fn fold(pods: &[DataPlane], needs: u64) -> Delivery {
        delivery(&Readers::of(pods, "i", Some(&head()), now()), needs)
    }

    fn lagging(names: &str, lagging: usize, of: usize) -> Delivery {
        Delivery::Lagging {
            names: names.into(),
            lagging,
            of,
        }
    }

    #[test]
    fn an_object_is_served_when_every_ready_pod_serves_what_it_needs() {
        let pods = [pod("a", Some(9)), pod("b", Some(7))];
        assert_eq!(fold(&pods, 7), Delivery::Everywhere);
        assert_eq!(fold(&pods, 8), lagging("b", 1, 2));
        assert_eq!(fold(&[pod("a", Some(8)), pod("b", None)], 9), lagging("a, b", 2, 2));
    }

    #[test]
    fn pods_that_take_no_traffic_have_no_say() {
        let going = edited(pod("b", Some(1)), |pod| pod.pod.as_mut().unwrap().is_terminating = true);
        let gone = edited(pod("c", Some(1)), |pod| pod.pod = None);
        let coming = unready(pod("d", Some(1)));
        assert_eq!(fold(&[pod("a", Some(9)), going, gone, coming], 9), Delivery::Everywhere);
    }

    #[test]
    fn whoever_went_silent_counts_as_lagging() {
        let expired = edited(pod("b", Some(9)), |pod| {
            pod.lease.as_mut().unwrap().renewed_at = Timestamp::from_second(960).unwrap();
        });
        let never = edited(pod("c", Some(9)), |pod| pod.lease = None);
        let unreadable = edited(pod("d", Some(9)), |pod| {
            pod.lease.as_mut().unwrap().ack = Err("no".into());
        });
        let foreign = edited(pod("e", Some(9)), |pod| ack(pod).installation = "other".into());
        let pods = [pod("a", Some(9)), expired, never, unreadable, foreign];
        assert_eq!(fold(&pods, 1), lagging("b, c, d, e", 4, 5));
    }

    #[test]
    fn without_a_ready_pod_nothing_is_served_and_the_reason_is_told_if_there_is_one() {
        assert_eq!(fold(&[], 1), Delivery::Nowhere { because: None });
        let pods = [unready(refusing(pod("a", None), Some(9)))];
        assert_eq!(
            fold(&pods, 1),
            Delivery::Nowhere {
                because: Some(("a".into(), "because".into()))
            }
        );
    }

    #[test]
    fn one_refusal_of_a_head_that_holds_it_rejects_an_object_and_no_other() {
        let pods = [pod("a", Some(9)), refusing(pod("b", Some(7)), Some(9))];
        let refused = Delivery::Refused {
            name: "b".into(),
            reason: "because".into(),
        };
        assert_eq!(fold(&pods, 7), Delivery::Everywhere, "b serves it");
        assert_eq!(fold(&pods, 8), refused);
        assert_eq!(fold(&pods, 9), refused);
        let older = [refusing(pod("b", Some(7)), Some(8))];
        assert_eq!(
            fold(&older, 9),
            lagging("b", 1, 1),
            "what it refused did not hold the object yet"
        );
        assert_eq!(
            fold(&[refusing(pod("b", Some(7)), None)], 9),
            refused,
            "the pointer itself is refused"
        );
    }

    #[test]
    fn the_right_number_with_other_content_is_not_served() {
        let other = edited(pod("a", Some(HEAD)), |pod| {
            ack(pod).serving.as_mut().unwrap().root = root_of(1);
        });
        assert_eq!(fold(&[other], HEAD), lagging("a", 1, 1));
        let reduced = edited(pod("a", Some(7)), |pod| {
            ack(pod).serving.as_mut().unwrap().root = root_of(1);
        });
        assert_eq!(
            fold(&[reduced], 7),
            Delivery::Everywhere,
            "an older one less removed keys holds the rest"
        );
    }

    #[test]
    fn many_lagging_pods_are_named_in_part() {
        let pods: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| pod(name, None)).into();
        assert_eq!(fold(&pods, 1), lagging("a, b, c, d, e and 2 more", 7, 7));
    }
}
