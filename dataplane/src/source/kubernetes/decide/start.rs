//! The start: keys, what was kept on disk, then the head or what is left.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::super::backoff::jittered;
use super::super::keep::EncodedShard;
use super::super::pointer::Told;
use super::super::verify::{Floor, Refused};
use super::{Decider, Outcome, Own};

/// How long a start waits for the head before it serves what was kept.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look for sealing keys before there are any.
const RING_PATIENCE: Duration = Duration::from_secs(1);

impl Decider {
    /// Without a key nothing can be trusted. In a pod the folder is there before the container is.
    pub(super) async fn wait_for_keys(&mut self) {
        loop {
            self.ring.refresh().await;
            if self.ring.get().is_some() {
                return self.publish();
            }
            sleep(jittered(RING_PATIENCE, fastrand::f64())).await;
        }
    }

    /// Reads what was kept and holds it against the signature, like anything from the API server.
    pub(super) async fn load_kept(&mut self) {
        let keep = self.keep.clone();
        let read = tokio::task::spawn_blocking(move || (keep.pointer(), keep.removals())).await;
        let Ok((pointer, removals)) = read else { return };
        for kept in [&pointer, &removals].into_iter().flatten() {
            match self.judge(&kept.signed()) {
                Ok(trusted)
                | Err(Refused {
                    trusted: Some(trusted), ..
                }) => self.learn(&trusted),
                Err(refused) => tracing::warn!(
                    reason = refused.sentence,
                    "a pointer that was kept on disk cannot be trusted; it is passed over"
                ),
            }
        }
        let Some(kept) = pointer else { return };
        let Ok(trusted) = self.judge(&kept.signed()) else {
            return;
        };
        let Some(generation) = kept.generation().of(&trusted.pointer).cloned() else {
            return;
        };
        self.floor = Some(Floor::of(&generation));
        let (keep, digests) = (
            self.keep.clone(),
            generation.shards.iter().map(|shard| shard.digest).collect::<Vec<_>>(),
        );
        let read = move || -> Vec<EncodedShard> {
            let shards = digests.into_iter();
            shards
                .filter_map(|digest| Some((digest, keep.shard(&digest)?)))
                .collect()
        };
        for (digest, bytes) in tokio::task::spawn_blocking(read).await.unwrap_or_default() {
            self.shards.insert(digest, bytes);
        }
        self.own = Some(Own {
            trusted,
            which: kept.generation(),
            in_force: None,
        });
    }

    /// Serves the head if it can be had soon, else the best that is left.
    pub(super) async fn begin(&mut self, told: &mut watch::Receiver<Told>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let first = timeout_at(deadline, told.wait_for(|told| *told != Told::Nothing)).await;
            let Ok(Ok(news)) = first.map(|news| news.map(|news| news.clone())) else {
                break;
            };
            let Told::Pointer { signed, .. } = news else { break };
            told.mark_unchanged();
            match self.attempt(&signed, Some(deadline)).await {
                Outcome::Served => return,
                Outcome::Refused(_) => break,
                Outcome::Superseded => {}
                Outcome::Away => {
                    let next_try = self.retry_at.unwrap_or(deadline).min(deadline);
                    sleep_until(next_try).await;
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        self.fall_back().await;
    }
}
