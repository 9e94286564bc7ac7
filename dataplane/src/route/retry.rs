//! Whether and when the same backend is tried again. Arithmetic only; chance and time are arguments.

use std::time::Duration;

use headgate_llm::failure::{Failure, FailureKind};
use headgate_snapshot::Retry;

/// The longest `Retry-After` that is waited for; a provider that asks for more is reported to the client instead, who can
/// wait better than an open connection can.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long to wait before try number `retries_done + 1`, or `None`: no more tries. `chance` lies in `0.0..1.0`.
///
/// Only failures in which the provider cannot have begun to answer are tried again: a call that may have been carried out
/// (a time-out, an answer that broke off) might be paid for twice.
pub fn wait_before_next(retry: &Retry, failure: &Failure, retries_done: u32, chance: f64) -> Option<Duration> {
    if retries_done >= retry.attempts || !is_retried(retry, failure) {
        return None;
    }
    if retry.honor_retry_after
        && let Some(asked) = failure.retry_after
    {
        return (asked <= RETRY_AFTER_MAX).then_some(asked);
    }
    let ceiling = retry
        .backoff_base_ms
        .saturating_mul(1 << retries_done.min(30))
        .min(retry.backoff_max_ms);
    // Full jitter: spread over the whole interval, so that callers who failed together do not come back together.
    Some(Duration::from_millis(ceiling).mul_f64(chance.clamp(0.0, 1.0)))
}

fn is_retried(retry: &Retry, failure: &Failure) -> bool {
    match failure.status {
        Some(status) => retry.on_status.contains(&status),
        None => failure.kind == FailureKind::Connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: FailureKind, status: Option<u16>, retry_after_s: Option<u64>) -> Failure {
        let retry_after = retry_after_s.map(Duration::from_secs);
        Failure {
            status,
            retry_after,
            ..Failure::new(kind, "")
        }
    }

    #[test]
    fn back_off_doubles_up_to_its_cap_with_full_jitter() {
        let retry = Retry {
            attempts: 40,
            ..Retry::default()
        };
        let failure = failed(FailureKind::Server, Some(503), None);
        let wait = |done, chance| {
            wait_before_next(&retry, &failure, done, chance)
                .expect("a try is left")
                .as_millis()
        };
        assert_eq!([wait(0, 1.0), wait(1, 1.0), wait(2, 1.0)], [1_000, 2_000, 4_000]);
        assert_eq!([wait(6, 1.0), wait(39, 1.0)], [60_000, 60_000]);
        assert_eq!([wait(0, 0.0), wait(1, 0.25)], [0, 500]);
    }

    #[test]
    fn the_providers_wish_is_waited_for_unless_it_is_too_long() {
        let retry = Retry::default();
        let wait = |seconds| {
            wait_before_next(
                &retry,
                &failed(FailureKind::RateLimit, Some(429), Some(seconds)),
                0,
                0.5,
            )
        };
        assert_eq!(wait(7), Some(Duration::from_secs(7)));
        assert_eq!(wait(61), None);
        let deaf = Retry {
            honor_retry_after: false,
            ..retry.clone()
        };
        let failure = failed(FailureKind::RateLimit, Some(429), Some(7));
        assert_eq!(wait_before_next(&deaf, &failure, 0, 1.0), Some(Duration::from_secs(1)));
    }

    #[test]
    fn only_what_cannot_have_been_answered_is_tried_again() {
        let retry = Retry::default();
        let tried = |failure| wait_before_next(&retry, &failure, 0, 0.5).is_some();
        assert!(tried(failed(FailureKind::Connection, None, None)));
        for status in [408, 429, 500, 502, 503, 504, 529] {
            assert!(tried(failed(FailureKind::Server, Some(status), None)), "{status}");
        }
        for status in [400, 401, 403, 404, 422] {
            assert!(!tried(failed(FailureKind::Rejected, Some(status), None)), "{status}");
        }
        for kind in [FailureKind::Timeout, FailureKind::Cut, FailureKind::Protocol] {
            assert!(!tried(failed(kind, None, None)), "{kind:?}");
        }
    }

    #[test]
    fn tries_end() {
        let failure = failed(FailureKind::Connection, None, None);
        let retry = Retry::default();
        assert!(wait_before_next(&retry, &failure, 2, 0.5).is_some());
        assert!(wait_before_next(&retry, &failure, 3, 0.5).is_none());
        assert!(wait_before_next(&Retry { attempts: 0, ..retry }, &failure, 0, 0.5).is_none());
    }
}
