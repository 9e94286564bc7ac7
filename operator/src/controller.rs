//! The one worker: while this process leads, it reconciles when something matters, and sleeps otherwise.
//!
//! It begins when every watch has delivered its first list and ends with the leadership, also in the middle of a
//! reconcile: whatever is not written by then is the next leader's. A stop is gentler, it lets the work under way finish.
//! A panic costs what the reconciler remembers, never the process.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::agenda::{Agenda, Step, Task};
use crate::args::Config;
use crate::backoff::Backoff;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::reconcile::{Outcome, ReconcileError, Reconciler};
use crate::world::{Change, Changes, World};

/// The most that one piece of work may take. Each request has its own, much shorter deadline; what takes longest is the
/// first look at ten thousand polled Secrets, at 20 a second.
const WORK_TIMEOUT: Duration = Duration::from_secs(900);
/// Between two tries to begin as a leader.
const BEGIN_RETRY_FIRST: Duration = Duration::from_millis(100);
const BEGIN_RETRY_CAP: Duration = Duration::from_secs(30);

/// What the worker needs.
pub struct Controller {
    /// For the reconciler.
    pub client: Client,
    /// For the reconciler.
    pub config: Arc<Config>,
    /// What is looked at.
    pub world: Arc<World>,
    /// When it may work.
    pub leadership: Arc<Leadership>,
    /// What it did.
    pub metrics: Arc<Metrics>,
}

/// Why work as a leader ended.
enum End {
    /// The process stops.
    Stopped,
    /// Somebody else leads, or nobody.
    Lost,
    /// The reconciler is not to be trusted any more.
    Broken,
}

/// Why a piece of work did not end well.
enum Failure {
    /// It may go well later.
    Error(ReconcileError),
    /// It took too long, and was dropped.
    Timeout,
    /// It panicked.
    Panic,
}

impl Controller {
    /// Works until `stop`, and finishes what is under way then.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut backoff = Backoff::new(BEGIN_RETRY_FIRST, BEGIN_RETRY_CAP);
        loop {
            let may_begin = async {
                self.world.synced().await;
                self.leadership.gained().await;
            };
            if stop.run_until_cancelled(may_begin).await.is_none() {
                return;
            }
            let end = self.lead(stop).await;
            // What keeps a leader from publishing is the next leader's to tell.
            self.metrics.not_publishing.set(0);
            match end {
                End::Stopped => return,
                End::Lost => backoff.succeed(),
                End::Broken => {
                    let wait = sleep(backoff.fail(fastrand::f64()));
                    stop.run_until_cancelled(wait).await;
                }
            }
        }
    }

    /// One leadership, from taking over to its end.
    async fn lead(&self, stop: &CancellationToken) -> End {
        // Before anything is looked at, so that nothing that happens meanwhile is missed.
        let mut changes = self.world.changes();
        let mut seen = *changes.borrow_and_update();
        let mut reconciler = Reconciler::new(
            self.client.clone(),
            Arc::clone(&self.config),
            Arc::clone(&self.world),
            Arc::clone(&self.metrics),
        );
        if let Err(end) = self.take_over(&mut reconciler, stop).await {
            return end;
        }
        let mut agenda = Agenda::new(Instant::now());
        let (mut expired, _) = self.world.lease_expiries(Timestamp::now());
        loop {
            let expiry_at = self.note_expiries(&mut expired, &mut agenda);
            note_changes(&mut changes, &mut seen, &mut agenda);
            self.count_waiting(&agenda);
            let next_at = match agenda.next(Instant::now()) {
                Step::Now(task) => {
                    if let Some(end) = self.work(task, &mut reconciler, &mut agenda).await {
                        return end;
                    }
                    if stop.is_cancelled() {
                        return End::Stopped;
                    }
                    continue;
                }
                Step::At(at) => expiry_at.map_or(at, |expiry_at| at.min(expiry_at)),
            };
            tokio::select! {
                () = stop.cancelled() => return End::Stopped,
                () = self.leadership.lost() => return End::Lost,
                // The world owns the sender and outlives this.
                _ = changes.changed() => {}
                () = sleep_until(next_at) => {}
            }
        }
    }

    /// Lets the reconciler take over, however often it takes.
    async fn take_over(&self, reconciler: &mut Reconciler, stop: &CancellationToken) -> Result<(), End> {
        let mut backoff = Backoff::new(BEGIN_RETRY_FIRST, BEGIN_RETRY_CAP);
        loop {
            let failure = match self.attempt(reconciler.take_over()).await? {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let wait = backoff.fail(fastrand::f64());
            if self.tell(&failure, "taking over", wait) {
                return Err(End::Broken);
            }
            tokio::select! {
                () = stop.cancelled() => return Err(End::Stopped),
                () = self.leadership.lost() => return Err(End::Lost),
                () = sleep(wait) => {}
            }
        }
    }

    /// Does one piece of work. Returns why there is no next one, if so.
    async fn work(&self, task: Task, reconciler: &mut Reconciler, agenda: &mut Agenda) -> Option<End> {
        let started = Instant::now();
        if let Some(since) = agenda.start(task, started) {
            self.metrics.queue_seconds.observe((started - since).as_secs_f64());
        }
        self.count_waiting(agenda);
        self.metrics.work_starts();
        let now = Timestamp::now();
        let attempted = match task {
            Task::Reconcile => self.attempt(reconciler.reconcile(now)).await,
            Task::Report => self.attempt(reconciler.report(now)).await,
        };
        let worked = self.metrics.work_ends();
        self.metrics.reconcile_seconds.observe(worked.as_secs_f64());
        match attempted {
            Err(end) => Some(end),
            Ok(Ok(Outcome { wake_at })) => {
                self.metrics.reconciles.with_label_values(&["success"]).inc();
                agenda.succeeded(task, wake_at.map(instant));
                None
            }
            Ok(Err(failure)) => {
                let wait = agenda.failed(task, Instant::now(), fastrand::f64());
                self.metrics.queue_retries.inc();
                let doing = match task {
                    Task::Reconcile => "reconciling",
                    Task::Report => "reporting",
                };
                self.tell(&failure, doing, wait).then_some(End::Broken)
            }
        }
    }

    /// Runs `work` while this process leads, within its time, and catches its panic.
    async fn attempt<T>(
        &self,
        work: impl Future<Output = Result<T, ReconcileError>>,
    ) -> Result<Result<T, Failure>, End> {
        // What a panic leaves behind is thrown away with the reconciler.
        let work = timeout(WORK_TIMEOUT, AssertUnwindSafe(work).catch_unwind());
        let ended = tokio::select! {
            biased;
            ended = work => ended,
            () = self.leadership.lost() => return Err(End::Lost),
        };
        Ok(match ended {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(Failure::Error(error)),
            Ok(Err(_panic)) => Err(Failure::Panic),
            Err(_elapsed) => Err(Failure::Timeout),
        })
    }

    /// Logs and counts a failure. Returns whether the reconciler is broken: whatever was dropped or torn out of its work
    /// may have left half a thought behind.
    fn tell(&self, failure: &Failure, doing: &str, wait: Duration) -> bool {
        self.metrics.reconciles.with_label_values(&["error"]).inc();
        self.metrics.reconcile_errors.inc();
        let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match failure {
            Failure::Error(error) => {
                tracing::warn!(%error, retry_in_ms, "{doing} failed; it is tried again");
                false
            }
            Failure::Timeout => {
                self.metrics.reconcile_timeouts.inc();
                tracing::error!(
                    timeout_s = WORK_TIMEOUT.as_secs(),
                    "{doing} took too long and was given up"
                );
                true
            }
            Failure::Panic => {
                self.metrics.reconcile_panics.inc();
                tracing::error!("{doing} panicked, which is a defect; please report the lines above");
                true
            }
        }
    }

    /// A Lease expires without any event. Returns when to look again.
    fn note_expiries(&self, expired: &mut BTreeSet<String>, agenda: &mut Agenda) -> Option<Instant> {
        let (expired_now, next) = self.world.lease_expiries(Timestamp::now());
        if !expired_now.is_subset(expired) {
            agenda.note(Change::Acks, Instant::now());
        }
        *expired = expired_now;
        next.map(instant)
    }

    fn count_waiting(&self, agenda: &Agenda) {
        self.metrics
            .queue_depth
            .set(i64::try_from(agenda.depth()).unwrap_or(i64::MAX));
    }
}

/// Puts on the agenda what happened since the last look.
fn note_changes(changes: &mut Receiver<Changes>, seen: &mut Changes, agenda: &mut Agenda) {
    let now = *changes.borrow_and_update();
    if now.intent != seen.intent {
        agenda.note(Change::Intent, Instant::now());
    }
    if now.acks != seen.acks {
        agenda.note(Change::Acks, Instant::now());
    }
    *seen = now;
}

/// The moment of the monotonic clock that a wall-clock time stands for now. What has passed is now.
fn instant(at: Timestamp) -> Instant {
    let ahead = at.duration_since(Timestamp::now());
    Instant::now() + Duration::try_from(ahead).unwrap_or(Duration::ZERO)
}
