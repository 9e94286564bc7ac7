//! What all requests share: the runtime in force, the counters, the bounds, and whether the gateway is stopping.

use std::time::Duration;

use arc_swap::ArcSwap;
use headgate_snapshot::{Binder, SealingKey, Snapshot};
use tokio_util::sync::CancellationToken;

use crate::identity::clouds::Clouds;
use crate::metrics::Metrics;
use crate::runtime::live::Live;
use crate::runtime::{PrepareError, Runtime};
use crate::signed_turns::SignedTurnStore;
use crate::upstream::address::AddressPolicy;

/// One deployed data plane.
pub struct Gateway {
    /// The runtime in force.
    pub live: Live,
    /// The counters.
    pub metrics: Metrics,
    /// What callers were given that must come back.
    pub signed_turns: SignedTurnStore,
    /// The bounds.
    pub bounds: Bounds,
    /// Which addresses providers may have.
    pub addresses: AddressPolicy,
    /// By which keys ids of stored objects are known beside that of the runtime: in a cluster all of the ring, which
    /// changes between publications.
    pub ring: ArcSwap<Vec<Binder>>,
    /// SIGTERM came: not ready any more, and no connection is kept alive.
    pub draining: CancellationToken,
    /// The time to drain is over: what still runs ends now.
    pub stopping: CancellationToken,
}

/// Bounds on clients. Each has a flag.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Client connections at once.
    pub connections_max: usize,
    /// How long a request's head may take from its first byte.
    pub head_timeout: Duration,
    /// How long a request's body may be silent.
    pub body_idle_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub keep_alive: Duration,
}

impl Gateway {
    /// A gateway without a snapshot: alive, not ready.
    pub fn new(bounds: Bounds, addresses: AddressPolicy) -> Self {
        Self {
            live: Live::default(),
            metrics: Metrics::new(),
            signed_turns: SignedTurnStore::default(),
            bounds,
            addresses,
            ring: ArcSwap::default(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// The same, knowing who the pod is at the clouds.
    #[must_use]
    pub fn at(self, clouds: Clouds) -> Self {
        Self {
            live: Live::at(clouds),
            ..self
        }
    }

    /// Makes a snapshot ready, aside from the one in force. This is how a source learns whether what it brings can be
    /// served. For a blocking thread: it opens every credential and hashes every key.
    pub fn prepare(
        &self,
        snapshot: Snapshot,
        version: String,
        sealing_key: &SealingKey,
    ) -> Result<Runtime, PrepareError> {
        self.live
            .prepare(snapshot, version, sealing_key, self.addresses, &self.metrics)
    }

    /// Puts a prepared runtime in force.
    pub fn swap(&self, runtime: Runtime) {
        self.live.swap(runtime, &self.metrics);
    }

    /// Whether new requests should come here: a whole snapshot is live and we are not stopping. Nothing else un-readies a
    /// gateway, no bad snapshot and no store or API server that is away.
    pub fn is_ready(&self) -> bool {
        self.live.get().is_some() && !self.draining.is_cancelled()
    }
}
