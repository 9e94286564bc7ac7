//! Whether acknowledgements are worth waiting for: for a moment after a publication, and after a pod has come, they are on
//! their way, and a status that is written before they arrive is written twice.

use std::time::Duration;

use jiff::Timestamp;

use super::fold::Readers;

/// How long acknowledgements may take before they are reported as missing.
const SETTLE: Duration = Duration::from_secs(1);

/// Whether it is worth waiting for acknowledgements that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    until: Option<Timestamp>,
    /// Whether all served the head when it was last looked.
    was_settled: bool,
}

impl Settling {
    /// Something was published. What was published before it and is not settled either does not put it off.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.until.get_or_insert(now.saturating_add(SETTLE).unwrap_or(now));
    }

    /// Until when to wait; `None`: what is there is to be reported.
    pub(crate) fn wait(&mut self, readers: &Readers, head_sequence: u64, now: Timestamp) -> Option<Timestamp> {
        let is_refused = readers.ready.iter().any(|reader| reader.refuses.is_some());
        let is_settled = is_refused || readers.all_serve(head_sequence);
        if !is_settled && self.was_settled {
            self.begin(now);
        }
        self.was_settled = is_settled;
        if let Some(until) = self.until
            && now < until
            && !is_settled
        {
            return Some(until);
        }
        self.until = None;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::report::fold;

    #[test]
    fn what_is_on_its_way_is_waited_for_once_and_not_for_long() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let readers = |serves: &[Option<u64>]| Readers {
            ready: serves
                .iter()
                .map(|&serves| fold::Reader {
                    name: "a".into(),
                    serves,
                    refuses: None,
                })
                .collect(),
            refused_aside: None,
        };
        let mut settling = Settling::default();
        settling.begin(at(10));
        assert_eq!(settling.wait(&readers(&[Some(1)]), 2, at(10)), Some(at(11)));
        settling.begin(at(10));
        assert_eq!(
            settling.wait(&readers(&[Some(1)]), 2, at(11)),
            None,
            "one second, whatever follows"
        );
        assert_eq!(
            settling.wait(&readers(&[Some(1)]), 2, at(12)),
            None,
            "it is known to lag"
        );
        assert_eq!(
            settling.wait(&readers(&[Some(2)]), 2, at(13)),
            None,
            "nothing to wait for"
        );
        let one_more = readers(&[Some(2), None]);
        assert_eq!(settling.wait(&one_more, 2, at(14)), Some(at(15)), "a pod has just come");
        assert_eq!(settling.wait(&one_more, 2, at(15)), None);
        let mut refusing = readers(&[None]);
        refusing.ready[0].refuses = Some(fold::Refusal {
            sequence: Some(2),
            reason: "no".into(),
        });
        settling.begin(at(20));
        assert_eq!(settling.wait(&refusing, 2, at(20)), None, "a refusal is told at once");
    }
}
