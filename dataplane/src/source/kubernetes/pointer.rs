//! The pointer as the API server last told it: watched, and read every 30 s besides.
//!
//! A watch is quick and can be dead without anybody noticing: the other end is gone, or a proxy holds the connection open.
//! So it lasts 30 s at most, and next to it the pointer is read through a call of its own. A watch is opened anew when that
//! call brings more than the watch did, and when any call goes unanswered: the Lease is written each 10 s, so a way that is
//! cut without a word is mostly noticed within 20 s.
//!
//! A watch may be served from a cache that lags, hence what it tells counts only if it is newer; a read comes from the
//! storage itself and always counts, also after that was restored to an older state.

use std::time::Duration;

use headgate_snapshot::delivery::{POINTER_KEY, SIGNATURE_KEY, Signed};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::WatchEvent;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::api::{Api, ApiError};
use super::backoff::{Backoff, jittered};

/// How often the pointer is read without being told.
const READ_EVERY: Duration = Duration::from_secs(30);
/// Waits between failing calls.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A watch that ends sooner than this has failed, whatever it says: opening it anew at once would be a storm.
const WATCH_MIN: Duration = Duration::from_secs(1);

/// What is known of the pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing yet: the API server has not answered.
    #[default]
    Nothing,
    /// There is none.
    Absent,
    /// This is it.
    Pointer {
        /// As it is stored; what is missing is empty and will not verify.
        signed: Signed,
        /// Which state of the storage it is from.
        resource_version: u64,
    },
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Watch,
    Read,
}

/// Follows one pointer.
pub(super) struct PointerFeed {
    api: Api,
    name: String,
    told: watch::Sender<Told>,
    watch_anew: Notify,
}

impl PointerFeed {
    pub(super) fn new(api: Api, name: String) -> Self {
        Self {
            api,
            name,
            told: watch::Sender::default(),
            watch_anew: Notify::new(),
        }
    }

    /// What is told, the newest at any time.
    pub(super) fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// Reads the pointer now; what it brings is told.
    pub(super) async fn read(&self) -> Result<(), ApiError> {
        let news = match self.api.pointer(&self.name).await {
            Ok(object) => told(&object),
            Err(ApiError::NotFound) => Told::Absent,
            Err(error) => return Err(error),
        };
        self.hear(From::Read, news);
        Ok(())
    }

    /// Follows for ever. May be dropped at any time.
    pub(super) async fn run(&self) {
        tokio::join!(self.read_repeatedly(), self.watch_repeatedly());
    }

    async fn read_repeatedly(&self) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            let wait = match self.read().await {
                Ok(()) => {
                    backoff.reset();
                    jittered(READ_EVERY, fastrand::f64())
                }
                Err(_told_where_the_call_is_made) => backoff.after_failure(fastrand::f64()),
            };
            sleep(wait).await;
        }
    }

    async fn watch_repeatedly(&self) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            let begun = Instant::now();
            let has_failed = self.watch_once().await.is_err() || begun.elapsed() < WATCH_MIN;
            if has_failed {
                sleep(backoff.after_failure(fastrand::f64())).await;
            } else {
                backoff.reset();
            }
        }
    }

    async fn watch_once(&self) -> Result<(), ApiError> {
        let mut events = self.api.watch_pointer(&self.name).await?;
        loop {
            let event = tokio::select! {
                event = events.next() => event?,
                () = self.watch_anew.notified() => return Ok(()),
                () = self.api.doubted() => return Ok(()),
            };
            match event {
                None => return Ok(()),
                Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                    self.hear(From::Watch, told(&object));
                }
                Some(WatchEvent::Deleted(_)) => self.hear(From::Watch, Told::Absent),
                Some(WatchEvent::Bookmark(_) | WatchEvent::Error(_)) => {}
            }
        }
    }

    fn hear(&self, from: From, news: Told) {
        let was_nothing = *self.told.borrow() == Told::Nothing;
        let is_news = self.told.send_if_modified(|current| {
            let counts = counts(from, current, &news);
            if counts {
                *current = news;
            }
            counts
        });
        if is_news && from == From::Read && !was_nothing {
            self.watch_anew.notify_one();
        }
    }
}

/// Whether `news` replaces what is known.
fn counts(from: From, current: &Told, news: &Told) -> bool {
    match (from, current, news) {
        (
            From::Watch,
            Told::Pointer {
                resource_version: current,
                ..
            },
            Told::Pointer {
                resource_version: news, ..
            },
        ) => news > current,
        (_, current, news) => current != news,
    }
}

/// What the stored object says.
pub(super) fn told(object: &ConfigMap) -> Told {
    let entry = |key: &str| {
        let entry = object.data.as_ref().and_then(|data| data.get(key));
        entry.cloned().unwrap_or_default()
    };
    Told::Pointer {
        signed: Signed {
            text: entry(POINTER_KEY),
            signature: entry(SIGNATURE_KEY),
        },
        // A number in fact since etcd 3 and by promise since Kubernetes 1.35.
        resource_version: object
            .metadata
            .resource_version
            .as_deref()
            .and_then(|version| version.parse().ok())
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(resource_version: u64) -> Told {
        Told::Pointer {
            signed: Signed {
                text: format!("text {resource_version}"),
                signature: String::new(),
            },
            resource_version,
        }
    }

    #[test]
    fn what_a_lagging_watch_tells_does_not_count() {
        assert!(counts(From::Watch, &at(7), &at(8)));
        assert!(!counts(From::Watch, &at(8), &at(7)));
        assert!(!counts(From::Watch, &at(8), &at(8)));
        assert!(counts(From::Watch, &Told::Absent, &at(7)));
    }

    #[test]
    fn what_is_read_counts_also_after_the_storage_went_back() {
        assert!(counts(From::Read, &at(8), &at(7)));
        assert!(!counts(From::Read, &at(8), &at(8)));
        assert!(counts(From::Read, &at(8), &Told::Absent));
        assert!(!counts(From::Read, &Told::Absent, &Told::Absent));
    }

    #[test]
    fn a_config_map_without_the_entries_is_a_pointer_that_nobody_signed() {
        let Told::Pointer { signed, .. } = told(&ConfigMap::default()) else {
            panic!("a pointer");
        };
        assert_eq!((signed.text.as_str(), signed.signature.as_str()), ("", ""));
    }
}
