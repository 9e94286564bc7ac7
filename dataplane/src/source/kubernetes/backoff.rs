//! How long to wait before trying again: doubling, spread over the upper half so that a fleet does not come back in step.

use std::time::Duration;

/// Waits between tries that fail one after the other.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits of about `first`, then doubling up to `max`.
    pub(super) fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            failures: 0,
        }
    }

    /// After a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// After a failure: the wait before the next try. `chance`: 0 to 1.
    pub(super) fn after_failure(&mut self, chance: f64) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + chance / 2.0)
    }
}

/// Around `duration`, 20 % less to 20 % more. `chance`: 0 to 1.
pub(super) fn jittered(duration: Duration, chance: f64) -> Duration {
    duration.mul_f64(0.8 + 0.4 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(1));
        let waits: Vec<_> = (0..5).map(|_| backoff.after_failure(1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.after_failure(0.0).as_millis(), 500, "chance takes half at most");
        for _ in 0..100 {
            backoff.after_failure(0.5);
        }
        backoff.reset();
        assert_eq!(backoff.after_failure(1.0).as_millis(), 200);
    }

    #[test]
    fn jitter_is_a_fifth_either_way() {
        let half_a_minute = Duration::from_secs(30);
        assert_eq!(jittered(half_a_minute, 0.0).as_secs(), 24);
        assert_eq!(jittered(half_a_minute, 1.0).as_secs(), 36);
    }
}
