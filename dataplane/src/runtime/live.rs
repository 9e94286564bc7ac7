//! The runtime in force, and its replacement: prepare aside, swap, keep the last good on every failure.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;

use headgate_snapshot::{SealingKey, Snapshot};

use super::{PrepareError, Runtime};
use crate::metrics::Metrics;
use crate::upstream::address::AddressPolicy;

/// Holds the runtime in force. Readers never wait; a request keeps the one it began with.
#[derive(Default)]
pub struct Live {
    current: ArcSwapOption<Runtime>,
}

impl Live {
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
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let previous = self.get();
        let prepared = Runtime::prepare(
            snapshot,
            version,
            sealing_key,
            addresses,
            metrics,
            previous.as_deref(),
            now,
        );
        let runtime = match prepared {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => {
                metrics.reloaded("refused");
                return Err(error);
            }
        };
        metrics.reloaded("applied");
        metrics
            .snapshot_loaded_timestamp
            .set(i64::try_from(now).unwrap_or(i64::MAX));
        metrics
            .virtual_keys
            .set(i64::try_from(runtime.keys.len()).unwrap_or(i64::MAX));
        self.current.store(Some(Arc::clone(&runtime)));
        Ok(runtime)
    }
}
