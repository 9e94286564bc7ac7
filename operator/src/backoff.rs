//! How long to wait after a failure: twice as long after each, up to a cap, spread by chance so that what failed together
//! does not come back together.

use std::time::Duration;

/// Waits that double. Half of each wait is fixed and half is chance, so that two in a row are never close to nothing.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `first`, never waits longer than `cap`.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap,
            failures: 0,
        }
    }

    /// Counts a failure and tells how long to wait. `chance` is a number from 0 to 1.
    pub fn fail(&mut self, chance: f64) -> Duration {
        // Beyond 2^30 every cap is reached.
        let doubled = self.first.saturating_mul(1 << self.failures.min(30));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.cap).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// The next failure is a first one again.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Whether the last try failed.
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn waits_double_up_to_the_cap() {
        let mut backoff = Backoff::new(FIRST, CAP);
        let waits: Vec<u128> = (0..11).map(|_| backoff.fail(1.0).as_millis()).collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]
        );
        for _ in 0..100 {
            assert_eq!(backoff.fail(1.0), CAP, "no overflow, however long it goes on");
        }
    }

    #[test]
    fn chance_spreads_over_the_upper_half() {
        assert_eq!(Backoff::new(FIRST, CAP).fail(0.0), FIRST / 2);
        assert_eq!(Backoff::new(FIRST, CAP).fail(0.5), FIRST * 3 / 4);
    }

    #[test]
    fn success_starts_over() {
        let mut backoff = Backoff::new(FIRST, CAP);
        backoff.fail(1.0);
        backoff.fail(1.0);
        assert!(backoff.is_failing());
        backoff.succeed();
        assert!(!backoff.is_failing());
        assert_eq!(backoff.fail(1.0), FIRST);
    }
}
