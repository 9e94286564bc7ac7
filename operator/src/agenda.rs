//! What the controller does next, and when: decisions only, the moment is an argument.
//!
//! Changes are gathered until they pause (or for the longest time that people should wait), a failure holds everything back
//! for a while, and now and then everything is looked at once more although nothing happened. A reconcile reports as well,
//! so a report that waits is done by it.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::world::Change;

/// A burst of changes is over after this pause. An `apply` of a folder sends its objects a few milliseconds apart.
const QUIET: Duration = Duration::from_millis(50);
/// A burst that does not end is dealt with after this long, since the goal from apply to served is one second.
const GATHER_CAP: Duration = Duration::from_millis(300);
/// After a first failure, and at the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_CAP: Duration = Duration::from_secs(30);
/// A new change of intent may be the cure, so it ends a long wait; but never sooner than this after the failure.
const CURE_AFTER: Duration = Duration::from_secs(1);
/// How often everything is looked at although nothing happened. A net under the watches; it writes nothing.
const RESYNC: Duration = Duration::from_secs(600);

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Compile, publish, report.
    Reconcile,
    /// Report alone: acknowledgements or time moved.
    Report,
}

/// When to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This, now.
    Now(Task),
    /// Nothing before this moment, unless something changes.
    At(Instant),
}

/// Changes of one kind that wait.
#[derive(Debug, Default)]
struct Gathered {
    /// The first and the last of them.
    span: Option<(Instant, Instant)>,
}

impl Gathered {
    fn note(&mut self, now: Instant) {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
    }

    fn due(&self) -> Option<Instant> {
        self.span.map(|(first, last)| (last + QUIET).min(first + GATHER_CAP))
    }
}

/// Everything that waits.
#[derive(Debug)]
pub(crate) struct Agenda {
    intent: Gathered,
    acks: Gathered,
    /// When something is to be reported without any change.
    wake_at: Option<Instant>,
    resync_at: Instant,
    backoff: Backoff,
    /// When the last try failed, and until when nothing is tried again.
    hold: Option<(Instant, Instant)>,
}

impl Agenda {
    /// The agenda of a new leader, which looks at everything at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            intent: Gathered::default(),
            acks: Gathered::default(),
            wake_at: None,
            resync_at: now,
            backoff: Backoff::new(RETRY_FIRST, RETRY_CAP),
            hold: None,
        }
    }

    /// Something changed.
    pub(crate) fn note(&mut self, change: Change, now: Instant) {
        match change {
            Change::Intent => {
                self.intent.note(now);
                self.hold = self
                    .hold
                    .map(|(failed, until)| (failed, until.min(failed + CURE_AFTER)));
            }
            Change::Acks => self.acks.note(now),
        }
    }

    /// How many kinds of changes wait.
    pub(crate) fn depth(&self) -> usize {
        usize::from(self.intent.span.is_some()) + usize::from(self.acks.span.is_some())
    }

    /// What comes next.
    pub(crate) fn next(&self, now: Instant) -> Step {
        let reconcile_at = self.intent.due().map_or(self.resync_at, |due| due.min(self.resync_at));
        let report_at = [self.acks.due(), self.wake_at].into_iter().flatten().min();
        let first_at = report_at.map_or(reconcile_at, |report_at| report_at.min(reconcile_at));
        let held_until = self.hold.map_or(first_at, |(_, until)| until.max(first_at));
        if held_until > now {
            Step::At(held_until)
        } else if reconcile_at <= now {
            Step::Now(Task::Reconcile)
        } else {
            Step::Now(Task::Report)
        }
    }

    /// `task` begins and deals with everything of its kind that happened until now. Returns since when the oldest of it
    /// waited.
    pub(crate) fn start(&mut self, task: Task, now: Instant) -> Option<Instant> {
        let intent = match task {
            Task::Reconcile => {
                self.resync_at = now + RESYNC;
                self.intent.span.take()
            }
            Task::Report => None,
        };
        let acks = self.acks.span.take();
        self.wake_at = self.wake_at.filter(|at| *at > now);
        intent.into_iter().chain(acks).map(|(first, _)| first).min()
    }

    /// `task` went well, and asks for a report at `wake_at`. A report knows less than a reconcile, so what the last
    /// reconcile asked for stands beside it.
    pub(crate) fn succeeded(&mut self, task: Task, wake_at: Option<Instant>) {
        self.backoff.succeed();
        self.hold = None;
        self.wake_at = match task {
            Task::Reconcile => wake_at,
            Task::Report => [self.wake_at, wake_at].into_iter().flatten().min(),
        };
    }

    /// `task` failed and is to be tried again. `chance` is a number from 0 to 1. Returns how long everything waits.
    pub(crate) fn failed(&mut self, task: Task, now: Instant, chance: f64) -> Duration {
        let wait = self.backoff.fail(chance);
        self.hold = Some((now, now + wait));
        match task {
            Task::Reconcile => self.intent.note(now),
            Task::Report => self.acks.note(now),
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment, and how to name others by their distance in milliseconds.
    struct Clock(Instant);

    impl Clock {
        fn at(&self, milliseconds: u64) -> Instant {
            self.0 + Duration::from_millis(milliseconds)
        }
    }

    /// An agenda that has just done its first reconcile, at 0.
    fn idle() -> (Agenda, Clock) {
        let clock = Clock(Instant::now());
        let mut agenda = Agenda::new(clock.at(0));
        agenda.start(Task::Reconcile, clock.at(0));
        agenda.succeeded(Task::Reconcile, None);
        (agenda, clock)
    }

    #[test]
    fn a_new_leader_reconciles_at_once() {
        let now = Instant::now();
        assert_eq!(Agenda::new(now).next(now), Step::Now(Task::Reconcile));
    }

    #[test]
    fn a_burst_is_over_after_a_pause() {
        let (mut agenda, clock) = idle();
        for milliseconds in [0, 20, 40] {
            agenda.note(Change::Intent, clock.at(milliseconds));
        }
        assert_eq!(agenda.next(clock.at(89)), Step::At(clock.at(90)));
        assert_eq!(agenda.next(clock.at(90)), Step::Now(Task::Reconcile));
        assert_eq!(agenda.start(Task::Reconcile, clock.at(90)), Some(clock.at(0)));
        agenda.succeeded(Task::Reconcile, None);
        assert_eq!(
            agenda.next(clock.at(90)),
            Step::At(clock.at(600_090)),
            "nothing but the resync"
        );
    }

    #[test]
    fn a_burst_without_end_waits_no_longer_than_the_cap() {
        let (mut agenda, clock) = idle();
        for milliseconds in (0..1_000).step_by(10) {
            agenda.note(Change::Intent, clock.at(milliseconds));
        }
        assert_eq!(agenda.next(clock.at(299)), Step::At(clock.at(300)));
        assert_eq!(agenda.next(clock.at(300)), Step::Now(Task::Reconcile));
    }

    #[test]
    fn acknowledgements_are_reported_and_a_reconcile_reports_as_well() {
        let (mut agenda, clock) = idle();
        agenda.note(Change::Acks, clock.at(0));
        assert_eq!(agenda.next(clock.at(50)), Step::Now(Task::Report));
        agenda.note(Change::Intent, clock.at(0));
        assert_eq!(
            (agenda.next(clock.at(50)), agenda.depth()),
            (Step::Now(Task::Reconcile), 2)
        );
        agenda.start(Task::Reconcile, clock.at(50));
        assert_eq!(agenda.depth(), 0);
    }

    #[test]
    fn a_change_during_the_work_is_dealt_with_after_it() {
        let (mut agenda, clock) = idle();
        agenda.note(Change::Intent, clock.at(0));
        agenda.start(Task::Reconcile, clock.at(50));
        agenda.note(Change::Intent, clock.at(60));
        agenda.succeeded(Task::Reconcile, None);
        assert_eq!(agenda.next(clock.at(500)), Step::Now(Task::Reconcile));
    }

    #[test]
    fn a_failure_is_tried_again_later_and_later() {
        let (mut agenda, clock) = idle();
        let mut now = 0;
        for expected in [100, 200, 400, 800] {
            agenda.start(Task::Reconcile, clock.at(now));
            assert_eq!(agenda.failed(Task::Reconcile, clock.at(now), 1.0).as_millis(), expected);
            now += u64::try_from(expected).unwrap();
            assert_eq!(agenda.next(clock.at(now - 1)), Step::At(clock.at(now)));
            assert_eq!(agenda.next(clock.at(now)), Step::Now(Task::Reconcile));
        }
    }

    #[test]
    fn acknowledgements_do_not_end_the_wait_and_a_change_of_intent_does_after_a_second() {
        let (mut agenda, clock) = idle();
        for _ in 0..9 {
            agenda.failed(Task::Reconcile, clock.at(0), 1.0);
        }
        agenda.note(Change::Acks, clock.at(10));
        assert_eq!(agenda.next(clock.at(10)), Step::At(clock.at(25_600)));
        agenda.note(Change::Intent, clock.at(10));
        assert_eq!(agenda.next(clock.at(10)), Step::At(clock.at(1_000)));
        assert_eq!(agenda.next(clock.at(1_000)), Step::Now(Task::Reconcile));
    }

    #[test]
    fn a_failed_report_is_a_report_again() {
        let (mut agenda, clock) = idle();
        agenda.failed(Task::Report, clock.at(0), 1.0);
        assert_eq!(agenda.next(clock.at(100)), Step::Now(Task::Report));
    }

    #[test]
    fn what_was_asked_for_is_reported_at_its_time_and_once() {
        let (mut agenda, clock) = idle();
        agenda.succeeded(Task::Reconcile, Some(clock.at(30_000)));
        assert_eq!(agenda.next(clock.at(0)), Step::At(clock.at(30_000)));
        agenda.start(Task::Report, clock.at(1_000));
        agenda.succeeded(Task::Report, Some(clock.at(40_000)));
        assert_eq!(
            agenda.next(clock.at(1_000)),
            Step::At(clock.at(30_000)),
            "the reconcile's stands"
        );
        assert_eq!(agenda.next(clock.at(30_000)), Step::Now(Task::Report));
        agenda.start(Task::Report, clock.at(30_000));
        agenda.succeeded(Task::Report, None);
        assert_eq!(agenda.next(clock.at(30_000)), Step::At(clock.at(600_000)));
    }

    #[test]
    fn everything_is_looked_at_every_ten_minutes() {
        let (agenda, clock) = idle();
        assert_eq!(agenda.next(clock.at(599_999)), Step::At(clock.at(600_000)));
        assert_eq!(agenda.next(clock.at(600_000)), Step::Now(Task::Reconcile));
    }
}
