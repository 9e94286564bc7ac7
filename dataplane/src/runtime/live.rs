//! The runtime in force, and its replacement: prepare aside, swap, keep the last good on every failure.
//!
//! Preparing and swapping are two steps, since a source may have to do something in between: what comes from a cluster is
//! kept on disk first, so that a restart never goes back behind what was served.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;

use headgate_snapshot::{SealingKey, Snapshot};

use super::{Installation, PrepareError, Runtime};
use crate::identity::clouds::Clouds;
use crate::metrics::Metrics;
use crate::upstream::address::AddressPolicy;

/// Holds the runtime in force. Readers never wait; a request keeps the one it began with.
#[derive(Default)]
pub struct Live {
    current: ArcSwapOption<Runtime>,
    clouds: Clouds,
}

impl Live {
    /// Holds none yet; accounts will be opened by who the pod is at these clouds.
    pub fn at(clouds: Clouds) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            clouds,
        }
    }

    /// The runtime in force; `None` before the first snapshot.
    pub fn get(&self) -> Option<Arc<Runtime>> {
        self.current.load_full()
    }

    /// Makes `snapshot` the one in force, or refuses it and leaves everything as it was.
    pub fn replace(
        &self,
        snapshot: Snapshot,
        version: String,
        sealing_key: &SealingKey,
        addresses: AddressPolicy,
        metrics: &Metrics,
    ) -> Result<Arc<Runtime>, PrepareError> {
        let runtime = self.prepare(snapshot, version, sealing_key, addresses, metrics)?;
        Ok(self.swap(runtime, metrics))
    }

    /// Makes a snapshot ready, aside from the one in force.
    pub fn prepare(
        &self,
        snapshot: Snapshot,
        version: String,
        sealing_key: &SealingKey,
        addresses: AddressPolicy,
        metrics: &Metrics,
    ) -> Result<Runtime, PrepareError> {
        let previous = self.get();
        Runtime::prepare(
            snapshot,
            version,
            sealing_key,
            Installation {
                addresses,
                clouds: &self.clouds,
            },
            metrics,
            previous.as_deref(),
            unix_seconds(),
        )
        .inspect_err(|_| metrics.reloaded("refused"))
    }

    /// Puts a prepared runtime in force. Requests that have begun keep theirs.
    pub fn swap(&self, runtime: Runtime, metrics: &Metrics) -> Arc<Runtime> {
        let runtime = Arc::new(runtime);
        metrics.reloaded("applied");
        metrics
            .snapshot_loaded_timestamp
            .set(i64::try_from(unix_seconds()).unwrap_or(i64::MAX));
        metrics
            .virtual_keys
            .set(i64::try_from(runtime.keys.len()).unwrap_or(i64::MAX));
        self.current.store(Some(Arc::clone(&runtime)));
        runtime
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
