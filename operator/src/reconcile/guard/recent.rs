//! What was removed lately, so that "at once" means to the guard what it means to a person: a prune that deletes one object
//! after another reaches the operator as many small changes, none of which would be worth a question.
//!
//! Kept in memory only: a new leader begins to count anew.

use jiff::{SignedDuration, Timestamp};

use super::Removals;

/// How long a removal counts. Deleting thousands of objects takes Argo CD or Flux minutes.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// Published removals of the last minutes.
#[derive(Debug, Default)]
pub(crate) struct Recent(Vec<(Timestamp, Removals)>);

impl Recent {
    /// These were published.
    pub(crate) fn note(&mut self, removals: Removals, now: Timestamp) {
        self.forget_old(now);
        if removals.len() > 0 {
            self.0.push((now, removals));
        }
    }

    /// A person has approved what went; it is not held against what goes next.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// All of them together.
    pub(crate) fn at(&self, now: Timestamp) -> Removals {
        let mut all = Removals::default();
        for (_, removals) in self.0.iter().filter(|(at, _)| now.duration_since(*at) < WINDOW) {
            all.callers.extend(removals.callers.iter().cloned());
            all.routes.extend(removals.routes.iter().cloned());
        }
        all
    }

    fn forget_old(&mut self, now: Timestamp) {
        self.0.retain(|(at, _)| now.duration_since(*at) < WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use headgate_snapshot::ObjectName;

    use super::*;

    fn key(name: &str) -> Removals {
        Removals {
            callers: [ObjectName::new("team", name)].into(),
            ..Removals::default()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_removal_counts_for_ten_minutes_or_until_a_person_approves() {
        let mut recent = Recent::default();
        recent.note(key("a"), at(0));
        recent.note(key("b"), at(300));
        assert_eq!(recent.at(at(599)).callers.len(), 2);
        assert_eq!(recent.at(at(600)), key("b"));
        recent.forget();
        assert_eq!(recent.at(at(300)), Removals::default());
    }
}
