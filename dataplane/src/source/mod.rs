//! Where snapshots come from: a folder or the environment ([`Source`], applied by [`local`]), or a cluster
//! ([`kubernetes`]).
//!
//! A source puts snapshots in force itself, through [`Gateway::prepare`] and [`Gateway::swap`], since only so it learns
//! what is really served; to operations it tells its [`Standing`]. What a local source brings is a [`Delivery`]: a whole
//! snapshot, what opens it, and what was found on the way. A delivery is a state, not an event: the channel holds the
//! newest one, a reader that was busy misses nothing that still counts. A load that must be refused delivers the snapshot
//! before it together with the new findings, so that "the last good is kept" is a property of what is delivered.
//!
//! [`Gateway::prepare`]: crate::gateway::Gateway::prepare
//! [`Gateway::swap`]: crate::gateway::Gateway::swap

mod banner;
pub mod environment;
pub mod kubernetes;
pub mod local;
pub mod manifests;

use std::net::SocketAddr;
use std::sync::Arc;

use headgate_snapshot::{SealingKey, Snapshot};
use serde::Serialize;
use tokio::sync::watch;

use crate::diagnostic::Report;

pub use self::banner::describe;

/// Looks an environment variable up. An argument, so that tests have an environment of their own.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Tells the person at the terminal something that must not reach a log: a fresh key, once.
pub type Announce = Arc<dyn Fn(&str) + Send + Sync>;

/// What is to be served now.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// All that is served.
    pub snapshot: Arc<Snapshot>,
    /// Its content version ([`Snapshot::version`]), computed once.
    pub version: String,
    /// What opens its credentials and digests tokens.
    pub sealing_key: Arc<SealingKey>,
    /// What was found in the newest load, be it served or refused. Without secrets.
    pub findings: Vec<Report>,
    /// Whether the newest load was refused, so that this is the snapshot before it.
    pub is_kept_from_before: bool,
}

/// What operations are told about the source, beside the runtime in force. Without secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Standing {
    /// Whether the newest load was refused, so that what is served is older.
    pub is_kept_from_before: bool,
    /// What was found in the newest load. In a cluster the operator reports that, in the status of each object.
    pub findings: Vec<Report>,
    /// Where a cluster is followed: how far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<kubernetes::ClusterStanding>,
}

/// Serving cannot begin.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StartError {
    /// One sentence that says what to do.
    pub message: String,
    /// What was found, to be drawn before the message.
    pub findings: Vec<Report>,
}

impl StartError {
    /// An error without findings.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            findings: Vec::new(),
        }
    }
}

/// A folder or the environment, after its first delivery.
pub struct Source {
    deliveries: watch::Receiver<Arc<Delivery>>,
    watching: Option<manifests::Watching>,
}

impl Source {
    /// Loads a folder of manifests. The error says why it cannot be served at all; a folder in which only some objects
    /// are wrong is served without those.
    pub async fn manifests(folder: manifests::Folder) -> Result<Self, StartError> {
        let (deliveries, watching) = manifests::start(folder).await?;
        Ok(Self {
            deliveries,
            watching: Some(watching),
        })
    }

    /// Serves what the environment offers, to be reached at `listen`. Looks for a local Ollama, 300 ms at most.
    pub async fn environment(
        environment: Environment,
        announce: Announce,
        listen: SocketAddr,
    ) -> Result<Self, StartError> {
        let delivery = environment::deliver(environment, announce, listen).await?;
        Ok(Self {
            deliveries: watch::channel(Arc::new(delivery)).1,
            watching: None,
        })
    }

    /// The deliveries: the first is there already, each change follows.
    pub fn deliveries(&self) -> watch::Receiver<Arc<Delivery>> {
        self.deliveries.clone()
    }

    /// Keeps the deliveries current until dropped; returns at once where nothing can change. To be spawned on a tracker.
    pub async fn keep_current(self) {
        if let Some(watching) = self.watching {
            watching.run().await;
        }
    }
}
