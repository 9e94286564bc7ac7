//! One watch, for ever: a list, then events, and after each failure a wait and where it left off. What arrives is reduced
//! to what is kept before anything is gathered, so that a list of large objects is never held whole.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use headgate_snapshot::ObjectName;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::store::Update;
use crate::backoff::Backoff;
use crate::client::{self, WATCH_SECONDS};
use crate::metrics::Metrics;

/// After a first failure, and at the longest. An API server that is back is noticed within the latter, which a revoked key
/// may be waiting for.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_CAP: Duration = Duration::from_secs(3);
/// After this long without a failure the next one is a first one.
const STREAK_END: Duration = Duration::from_secs(60);
/// How often an outage is told while it lasts.
const OUTAGE_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What to watch.
pub(super) struct Source<K> {
    /// Where.
    pub(super) api: Api<K>,
    /// Which of them.
    pub(super) selection: watcher::Config,
    /// For people: what is watched.
    pub(super) title: String,
    /// For metrics: its kind.
    pub(super) kind: &'static str,
}

/// Whether the API server serves at all. Shared by all watches, since all of them fail when it goes away, and one line
/// says as much as a hundred.
#[derive(Default)]
pub(super) struct Reachability {
    /// When an outage that has not ended was last told.
    told_at: Mutex<Option<Instant>>,
}

impl Reachability {
    fn lost(&self, error: &str) {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.is_none_or(|told_at| told_at.elapsed() >= OUTAGE_TOLD_EVERY) {
            *told_at = Some(Instant::now());
            tracing::warn!(
                error,
                "the API server does not serve; what is known stays in force meanwhile"
            );
        }
    }

    fn found(&self) {
        let mut told_at = self.told_at.lock().unwrap_or_else(PoisonError::into_inner);
        if told_at.take().is_some() {
            tracing::info!("the API server serves again");
        }
    }
}

/// Watches `source` until it is dropped. `keep` reduces an object to what is worth keeping (`None`: nothing is),
/// `deliver` takes the updates, of which the first is a whole list.
pub(super) async fn follow<K, V>(
    source: Source<K>,
    metrics: &Metrics,
    reachability: &Reachability,
    keep: impl Fn(K) -> Option<V>,
    mut deliver: impl FnMut(Update<V>),
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut failures = Failures::new(&source.title, reachability);
    loop {
        let selection = source.selection.clone().timeout(WATCH_SECONDS);
        let mut events = pin!(watcher(source.api.clone(), selection));
        let mut listed = BTreeMap::new();
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    metrics.watch_errors.with_label_values(&[source.kind]).inc();
                    match after(&error) {
                        After::List => {}
                        After::Wait => sleep(failures.note(&error)).await,
                        After::Restart => {
                            sleep(failures.note(&error)).await;
                            break;
                        }
                    }
                    continue;
                }
            };
            // `Init` comes before the list was even asked for, and proves nothing.
            if !matches!(event, watcher::Event::Init) {
                failures.end();
            }
            match event {
                watcher::Event::Init => listed = BTreeMap::new(),
                watcher::Event::InitApply(object) => {
                    let name = name_of(&object);
                    if let Some(kept) = keep(object) {
                        listed.insert(name, kept);
                    }
                }
                watcher::Event::InitDone => deliver(Update::Whole(std::mem::take(&mut listed))),
                watcher::Event::Apply(object) => deliver(Update::One(name_of(&object), keep(object))),
                watcher::Event::Delete(object) => deliver(Update::One(name_of(&object), None)),
            }
        }
    }
}

/// The failures in a row of one watch: told once, and how long to wait.
struct Failures<'a> {
    title: &'a str,
    reachability: &'a Reachability,
    backoff: Backoff,
    last: Option<Instant>,
    /// The API server refused this very watch, and the log says so.
    is_refused: bool,
}

impl<'a> Failures<'a> {
    fn new(title: &'a str, reachability: &'a Reachability) -> Self {
        Self {
            title,
            reachability,
            backoff: Backoff::new(RETRY_FIRST, RETRY_CAP),
            last: None,
            is_refused: false,
        }
    }

    /// Counts one and tells how long to wait.
    fn note(&mut self, error: &watcher::Error) -> Duration {
        // A watch that works and has nothing to tell cannot be told from one that does not, but by time.
        if self.last.is_some_and(|last| last.elapsed() > STREAK_END) {
            self.backoff.succeed();
            self.is_refused = false;
        }
        self.last = Some(Instant::now());
        match cause(error) {
            Cause::Refused(reason) if !self.is_refused => {
                self.is_refused = true;
                tracing::warn!(
                    watch = self.title,
                    reason,
                    "a watch is refused; what is known stays in force meanwhile"
                );
            }
            Cause::Refused(_) => {}
            Cause::Unanswered(reason) => self.reachability.lost(&reason),
        }
        self.backoff.fail(fastrand::f64())
    }

    /// It works.
    fn end(&mut self) {
        if !self.backoff.is_failing() {
            return;
        }
        self.backoff.succeed();
        if std::mem::take(&mut self.is_refused) {
            tracing::info!(watch = self.title, "the watch works again");
        }
        self.reachability.found();
    }
}

/// What kind of trouble it is, in words.
enum Cause {
    /// This watch was answered, with a no.
    Refused(String),
    /// There was no answer, or none that is about this watch.
    Unanswered(String),
}

fn cause(error: &watcher::Error) -> Cause {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => match error {
            kube::Error::Api(status) if !is_passing(status.code) => Cause::Refused(client::reason(error)),
            _ => Cause::Unanswered(client::reason(error)),
        },
        WatchError(status) => {
            let reason = format!("{} {}: {}", status.code, status.reason, status.message);
            if is_passing(status.code) {
                Cause::Unanswered(reason)
            } else {
                Cause::Refused(reason)
            }
        }
        NoResourceVersion => Cause::Refused(error.to_string()),
    }
}

/// An API server that starts, or has too much to do, says so in these codes, to every watch alike.
fn is_passing(code: u16) -> bool {
    code == 429 || code >= 500
}

/// What follows an error.
enum After {
    /// The watcher lists again by itself.
    List,
    /// The watcher goes on where it was.
    Wait,
    /// The watcher would ask the same again for ever.
    Restart,
}

/// 410 means that the API server forgot the resourceVersion, as it does after some minutes. The watcher knows that from an
/// event, not from the answer to a request.
fn after(error: &watcher::Error) -> After {
    match error {
        watcher::Error::WatchError(status) if status.code == 410 => After::List,
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410 => After::Restart,
        _ => After::Wait,
    }
}

/// The namespace is empty for what has none.
fn name_of<K: Resource>(object: &K) -> ObjectName {
    let meta = object.meta();
    ObjectName::new(
        meta.namespace.clone().unwrap_or_default(),
        meta.name.clone().unwrap_or_default(),
    )
}
