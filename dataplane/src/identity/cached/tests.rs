use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::*;

const HOUR: u64 = 3600;
/// From when on the next one is asked for, and when the one that lives for an hour is used no more.
const REFRESH: u64 = HOUR - REFRESH_BEFORE.as_secs();
const LAPSED: u64 = HOUR - UNUSABLE_BEFORE.as_secs();
const PAUSED: u64 = PAUSE.as_secs();

#[derive(Clone, Copy)]
enum Answer {
    /// It lives for so many seconds.
    Secret(u32, Option<u64>),
    No(FailureKind),
    Never,
}

fn for_an_hour(secret: u32) -> Answer {
    Answer::Secret(secret, Some(HOUR))
}

/// Answers in order.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl Source for Script {
    type Secret = u32;

    async fn fetch(&self, _now: SystemTime) -> Result<Issued<u32>, Failure> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let answer = self.answers.lock().expect("no test panics with it").pop_front();
        match answer.expect("an answer for each call") {
            Answer::Secret(secret, seconds) => Ok(Issued {
                secret,
                lifetime: seconds.map(Duration::from_secs),
            }),
            Answer::No(kind) => Err(Failure::new(kind, "scripted")),
            Answer::Never => std::future::pending().await,
        }
    }
}

fn cached(answers: impl IntoIterator<Item = Answer>) -> (Arc<Cached<Script>>, Arc<AtomicUsize>) {
    let script = Script {
        answers: Mutex::new(answers.into_iter().collect()),
        ..Script::default()
    };
    let asked = Arc::clone(&script.asked);
    (Cached::new("ml/p".to_owned(), script), asked)
}

/// What it gives so many seconds after the beginning.
async fn get(cached: &Arc<Cached<Script>>, seconds: u64) -> Result<u32, FailureKind> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
    let outcome = cached.get(now).await;
    outcome.map(|secret| *secret).map_err(|failure| failure.kind)
}

/// Waits until no call is under way.
async fn settled(cached: &Arc<Cached<Script>>) {
    while cached.state().call.is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_call_answers_all_who_wait() {
    let (cached, asked) = cached([for_an_hour(1)]);
    let waiting: Vec<_> = (0..50).map(|_| get(&cached, 0)).collect();
    let got = futures_util::future::join_all(waiting).await;
    assert!(got.iter().all(|outcome| *outcome == Ok(1)), "{got:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn who_hangs_up_takes_nothing_from_the_others() {
    let (cached, asked) = cached([for_an_hour(1)]);
    let mut hanging_up = Box::pin(get(&cached, 0));
    let polled = std::future::poll_fn(|cx| Poll::Ready(hanging_up.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
    drop(hanging_up);
    assert_eq!(get(&cached, 0).await, Ok(1));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn before_it_lapses_the_next_one_is_asked_for_and_nobody_waits() {
    let (cached, asked) = cached([for_an_hour(1), for_an_hour(2)]);
    assert_eq!(get(&cached, 0).await, Ok(1));
    assert_eq!(get(&cached, REFRESH - 1).await, Ok(1));
    settled(&cached).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    for _ in 0..5 {
        assert_eq!(get(&cached, REFRESH).await, Ok(1));
    }
    settled(&cached).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(get(&cached, REFRESH).await, Ok(2));
}

#[tokio::test]
async fn a_failing_refresh_keeps_what_is_there_until_it_lapses() {
    let failing = [
        FailureKind::Auth,
        FailureKind::Connection,
        FailureKind::Auth,
        FailureKind::Auth,
    ];
    let answers = [for_an_hour(1)].into_iter().chain(failing.map(Answer::No));
    let (cached, asked) = cached(answers);
    for (seconds, calls) in [
        (0, 1),
        (REFRESH, 2),
        (REFRESH + 1, 2),
        (REFRESH + PAUSED, 3),
        (LAPSED - 1, 4),
    ] {
        assert_eq!(get(&cached, seconds).await, Ok(1));
        settled(&cached).await;
        assert_eq!(asked.load(Ordering::Relaxed), calls, "{seconds}");
    }
    assert_eq!(
        get(&cached, LAPSED).await,
        Err(FailureKind::Auth),
        "the no of a moment ago"
    );
    assert_eq!(get(&cached, LAPSED + PAUSED).await, Err(FailureKind::Auth));
    assert_eq!(asked.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_no_is_believed_for_a_moment_and_trouble_is_not() {
    let (refused, asked) = cached([Answer::No(FailureKind::Auth), for_an_hour(1)]);
    for seconds in [0, 1] {
        assert_eq!(get(&refused, seconds).await, Err(FailureKind::Auth));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(get(&refused, PAUSED).await, Ok(1));

    let (away, asked) = cached([Answer::No(FailureKind::Connection), for_an_hour(1)]);
    assert_eq!(get(&away, 0).await, Err(FailureKind::Connection));
    assert_eq!(get(&away, 0).await, Ok(1), "the route decides when it is tried again");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_is_ended() {
    let (cached, _) = cached([Answer::Never, for_an_hour(1)]);
    assert_eq!(get(&cached, 0).await, Err(FailureKind::Connection));
    assert_eq!(get(&cached, 0).await, Ok(1));
}

#[tokio::test]
async fn lifetimes_are_believed_within_reason() {
    let answers = [
        Answer::Secret(1, Some(60)),
        Answer::Secret(2, Some(u64::MAX)),
        for_an_hour(3),
    ];
    let (short, asked) = cached(answers);
    assert_eq!(get(&short, 0).await, Ok(1));
    assert_eq!(get(&short, 29).await, Ok(1));
    settled(&short).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1, "half of a short life is fresh");
    assert_eq!(get(&short, 60).await, Ok(2));
    assert_eq!(get(&short, 60 + LIFETIME_MAX.as_secs()).await, Ok(3));

    let (for_ever, _) = cached([Answer::Secret(1, None)]);
    for seconds in [0, 10_000 * HOUR] {
        assert_eq!(get(&for_ever, seconds).await, Ok(1));
    }
}

#[tokio::test]
async fn a_call_that_panics_costs_those_who_wait_and_not_those_who_come() {
    let (cached, _) = cached([]);
    assert_eq!(get(&cached, 0).await, Err(FailureKind::Connection));
    let answers = &cached.source.answers;
    answers
        .lock()
        .expect("the script panics without its lock")
        .push_back(for_an_hour(1));
    assert_eq!(get(&cached, 0).await, Ok(1));
}
