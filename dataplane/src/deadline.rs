//! A deadline that moves with each read, under one that does not.
//!
//! Re-arming a timer for every read would cost more than the read. So there is no timer while data flows: it is made at
//! the first wait, runs on, and looks at the time of the last read when it fires.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A timer that is made at the first wait and moved only when it must be.
#[derive(Default)]
pub struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// Ready once `deadline` has passed. The deadline may differ from call to call.
    pub fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// How long a peer may be silent, and until when it must be done.
pub struct MovingDeadline {
    idle: Duration,
    since: Option<Instant>,
    total: Option<Duration>,
    until: Option<Instant>,
    timer: LazyTimer,
}

/// Which bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// Nothing was read for the whole idle time.
    Silence,
    /// The peer was busy but not done.
    Total,
}

impl MovingDeadline {
    /// Bounds each silence by `idle`, the first from the first wait on, and the whole by `until`. The clock is not asked
    /// before there is something to wait for.
    pub fn new(idle: Duration, until: Option<Instant>) -> Self {
        Self {
            idle,
            since: None,
            total: None,
            until,
            timer: LazyTimer::default(),
        }
    }

    /// Bounds each silence by `idle` and the whole by `total`, both from the first wait on.
    pub fn within(idle: Duration, total: Duration) -> Self {
        Self {
            total: Some(total),
            ..Self::new(idle, None)
        }
    }

    /// For what cannot wait.
    pub fn never() -> Self {
        Self::new(Duration::MAX, None)
    }

    /// Something was read: the next silence begins with the next wait.
    pub fn restart(&mut self) {
        self.since = None;
    }

    /// Ready once a bound is reached. To be polled only where there is nothing to read.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Passed> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if let Some(total) = self.total.take() {
            self.until = since.checked_add(total);
        }
        let silence_ends = since.checked_add(self.idle);
        let (deadline, passed) = match (silence_ends, self.until) {
            (Some(silence), Some(until)) if until <= silence => (until, Passed::Total),
            (Some(silence), _) => (silence, Passed::Silence),
            (None, Some(until)) => (until, Passed::Total),
            (None, None) => return Poll::Pending,
        };
        self.timer.poll(deadline, cx).map(|()| passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn wait(deadline: &mut MovingDeadline, seconds: u64) -> Option<Passed> {
        let passed = std::future::poll_fn(|cx| deadline.poll(cx));
        tokio::time::timeout(Duration::from_secs(seconds), passed).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_wait_and_every_read_starts_it_anew() {
        let mut deadline = MovingDeadline::new(Duration::from_secs(10), None);
        assert_eq!(wait(&mut deadline, 9).await, None);
        deadline.restart();
        assert_eq!(wait(&mut deadline, 9).await, None);
        assert_eq!(wait(&mut deadline, 2).await, Some(Passed::Silence));
    }

    #[tokio::test(start_paused = true)]
    async fn no_read_moves_the_end_of_the_whole() {
        let until = Instant::now() + Duration::from_secs(15);
        let mut deadline = MovingDeadline::new(Duration::from_secs(10), Some(until));
        assert_eq!(wait(&mut deadline, 9).await, None);
        deadline.restart();
        assert_eq!(wait(&mut deadline, 7).await, Some(Passed::Total));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_wait_never_ends() {
        assert_eq!(wait(&mut MovingDeadline::never(), 1_000_000).await, None);
    }
}
