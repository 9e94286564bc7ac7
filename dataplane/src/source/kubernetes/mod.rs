//! A cluster as a source: what the operator publishes is followed, verified, kept and acknowledged. The only module of the
//! data plane that knows Kubernetes.
//!
//! Three things run beside each other and meet in channels that hold the newest state: [`pointer`] says what is published,
//! [`decide`] makes of it what is served, [`ack`] tells the operator. Trust comes from the signature of the pointer and the
//! digests in it ([`verify`]), never from who could write an object; the API server is asked, and nothing depends on it for
//! longer than a start.
//!
//! Promises: nothing that was not signed is served, nothing older than what was served is taken, and a key that was removed
//! stays removed in every fallback ([`fallback`]), also across a restart ([`keep`]). Once something is served the gateway
//! never becomes un-ready again, whatever is published and whoever is away. Every wait has a deadline, every read a bound.

mod ack;
mod api;
mod backoff;
mod decide;
mod fallback;
mod install;
mod keep;
mod pointer;
mod ring;
mod shards;
pub mod status;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use self::ack::LeaseHolder;
use self::api::Api;
use self::decide::Decider;
use self::pointer::PointerFeed;
use super::{Standing, StartError};
use crate::args::ServeArgs;
use crate::gateway::Gateway;

/// What is followed, and as whom.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of pointer, shards and Leases.
    pub snapshot_namespace: String,
    /// Name of the pointer.
    pub snapshot_name: String,
    /// Folder with the sealing keys.
    pub sealing_keys: PathBuf,
    /// Where the last good is kept.
    pub state_dir: PathBuf,
    /// Name of this pod and of its Lease.
    pub pod_name: String,
    /// Whose snapshots.
    pub installation: String,
    /// Newest format to accept.
    pub format_max: u32,
}

impl Settings {
    /// What the command line asks for; `None` where no cluster is to be followed. [`crate::args::complete`] has checked that
    /// all of it is there.
    pub fn of(args: &ServeArgs) -> Option<Self> {
        let cluster = args.cluster.clone();
        Some(Self {
            snapshot_namespace: cluster.snapshot_namespace?,
            snapshot_name: cluster.snapshot_name,
            sealing_keys: cluster.sealing_keys?,
            state_dir: args.state_dir.clone()?,
            pod_name: cluster.pod_name?,
            installation: cluster.installation?,
            format_max: cluster.format_max,
        })
    }
}

/// How far a cluster is followed, as `/snapshot` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterStanding {
    /// Where snapshots come from: `<namespace>/<pointer>`.
    pub source: String,
    /// The generation that is served; `None` before the first.
    pub sequence: Option<u64>,
    /// The newest generation that could be trusted, served or not.
    pub newest_sequence: Option<u64>,
    /// The pointer that is not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedStanding>,
    /// The sealing keys at hand, oldest first.
    pub key_ids: Vec<String>,
}

/// Why a pointer is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedStanding {
    /// Its number, where its signature holds.
    pub sequence: Option<u64>,
    /// One of a closed set, the label of `headgate_snapshot_refused_total`.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

/// Follows a cluster.
pub struct Follower {
    api: Api,
    feed: Arc<PointerFeed>,
    lease: LeaseHolder,
    decider: Decider,
    standing: watch::Receiver<Arc<Standing>>,
}

impl Follower {
    /// Prepares to follow. Nothing is contacted: the error is about what was configured.
    pub async fn new(settings: Settings, gateway: Arc<Gateway>) -> Result<Self, StartError> {
        let metrics = gateway.metrics.delivery();
        let config = Api::config().await.map_err(StartError::new)?;
        let api = Api::new(config, &settings.snapshot_namespace, Some(metrics.clone())).map_err(StartError::new)?;
        let feed = Arc::new(PointerFeed::new(api.clone(), settings.snapshot_name.clone()));
        let lease = LeaseHolder {
            namespace: settings.snapshot_namespace.clone(),
            pod_name: settings.pod_name.clone(),
            installation: settings.installation.clone(),
        };
        let decider = Decider::new(settings, gateway, api.clone(), Arc::clone(&feed), metrics);
        Ok(Self {
            standing: decider.standing(),
            api,
            feed,
            lease,
            decider,
        })
    }

    /// What operations are told.
    pub fn standing(&self) -> watch::Receiver<Arc<Standing>> {
        self.standing.clone()
    }

    /// Follows for ever. May be dropped at any time.
    pub async fn run(self) {
        let acks = self.decider.acks();
        tokio::join!(self.feed.run(), self.lease.run(self.api, acks), self.decider.run());
    }
}
