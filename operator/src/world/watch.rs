//! One watch, for ever: a list, then events, and after each failure a wait and where it left off. What arrives is reduced
//! to what is kept before anything is gathered, so that a list of large objects is never held whole.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use headgate_snapshot::ObjectName;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::store::Update;
use crate::backoff::Backoff;
use crate::client::WATCH_SECONDS;
use crate::metrics::Metrics;

/// After a first failure, and at the longest. An API server that is back is noticed within the latter.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_CAP: Duration = Duration::from_secs(10);
/// After this long without a failure the next one is a first one.
const STREAK_END: Duration = Duration::from_secs(60);

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

/// Watches `source` until it is dropped. `keep` reduces an object to what is worth keeping (`None`: nothing is),
/// `deliver` takes the updates, of which the first is a whole list.
pub(super) async fn follow<K, V>(
    source: Source<K>,
    metrics: &Metrics,
    keep: impl Fn(K) -> Option<V>,
    mut deliver: impl FnMut(Update<V>),
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut failures = Failures::new(&source.title);
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

/// The failures in a row of one watch: logged once, and how long to wait.
struct Failures<'a> {
    title: &'a str,
    backoff: Backoff,
    last: Option<Instant>,
}

impl<'a> Failures<'a> {
    fn new(title: &'a str) -> Self {
        Self {
            title,
            backoff: Backoff::new(RETRY_FIRST, RETRY_CAP),
            last: None,
        }
    }

    /// Counts one and tells how long to wait.
    fn note(&mut self, error: &watcher::Error) -> Duration {
        // A watch that works and has nothing to tell cannot be told from one that does not, but by time.
        if self.last.is_some_and(|last| last.elapsed() > STREAK_END) {
            self.backoff.succeed();
        }
        self.last = Some(Instant::now());
        if !self.backoff.is_failing() {
            tracing::warn!(watch = self.title, %error, "a watch failed; what is known stays in force meanwhile");
        }
        self.backoff.fail(fastrand::f64())
    }

    /// It works.
    fn end(&mut self) {
        if self.backoff.is_failing() {
            tracing::info!(watch = self.title, "the watch works again");
            self.backoff.succeed();
        }
    }
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
