//! The world as the API server tells it: watched, kept, never asked what changed.
//!
//! Every replica watches, leader or not, so that a new leader knows everything at once. A watch tells only *that*
//! something matters ([`Change`]); the reconciler looks at the whole. Nothing may be decided before every watch has
//! delivered its first list ([`World::synced`]): half a world looks like a deletion of the other half.

mod data_planes;
mod kinds;
mod secrets;
mod sources;
mod store;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_compile::Resources;
use headgate_crds::{Budget, GuardrailPolicy, LLMProvider, RoutePolicy, VirtualKey};
use headgate_snapshot::ObjectName;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Config, Watch};
use crate::leader::{Elector, Leadership};
use crate::metrics::Metrics;
use data_planes::KeptLease;
use secrets::Secrets;
use sources::Spawner;
use store::Store;
use watch::Reachability;

pub use data_planes::{DataPlane, LeaseState, PodState};
pub use secrets::{PREVIOUS_NOT_AFTER, SERIAL};

/// What a change means for the reconciler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// What people want may be something else: compile again.
    Intent,
    /// What data planes serve may be something else: report again.
    Acks,
}

/// How often each kind of change happened since the start. Only the difference between two looks says anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Changes of intent.
    pub intent: u64,
    /// Changes of acknowledgements.
    pub acks: u64,
}

/// Everything that is watched. Shared; locks are short and never held over an await.
pub struct World {
    client: Client,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    leadership: Arc<Leadership>,
    providers: Store<Arc<LLMProvider>>,
    routes: Store<Arc<RoutePolicy>>,
    keys: Store<Arc<VirtualKey>>,
    budgets: Store<Arc<Budget>>,
    guardrails: Store<Arc<GuardrailPolicy>>,
    secrets: Secrets,
    namespace_labels: Store<BTreeMap<String, String>>,
    pods: Store<PodState>,
    leases: Store<KeptLease>,
    pointers: Store<Arc<ConfigMap>>,
    rings: Store<Arc<Secret>>,
    reachability: Reachability,
    changes: channel::Sender<Changes>,
    /// Titles of the watches that have not delivered their first list; `None`: they have not even been started.
    unlisted: channel::Sender<Option<BTreeSet<String>>>,
}

impl World {
    /// An empty world; [`watch`](Self::watch) fills it.
    pub fn new(client: Client, config: Arc<Config>, metrics: Arc<Metrics>, leadership: Arc<Leadership>) -> Arc<Self> {
        let is_polled = config.watch == Watch::All;
        Arc::new(Self {
            client,
            config,
            metrics,
            leadership,
            providers: Store::new(),
            routes: Store::new(),
            keys: Store::new(),
            budgets: Store::new(),
            guardrails: Store::new(),
            secrets: Secrets::new(is_polled),
            namespace_labels: Store::new(),
            pods: Store::new(),
            leases: Store::new(),
            pointers: Store::new(),
            rings: Store::new(),
            reachability: Reachability::default(),
            changes: channel::Sender::new(Changes::default()),
            unlisted: channel::Sender::new(None),
        })
    }

    /// The five kinds, the named Secrets fetched so far, the labels of namespaces.
    pub fn resources(&self) -> Resources {
        let labels = self.namespace_labels.objects();
        Resources {
            providers: self.providers.objects().values().cloned().collect(),
            routes: self.routes.objects().values().cloned().collect(),
            keys: self.keys.objects().values().cloned().collect(),
            budgets: self.budgets.objects().values().cloned().collect(),
            guardrails: self.guardrails.objects().values().cloned().collect(),
            secrets: self.secrets.fetched(),
            namespace_labels: labels
                .iter()
                .map(|(name, labels)| (name.name.clone(), labels.clone()))
                .collect(),
        }
    }

    /// Every pod of the data plane with its Lease, and the Leases whose pod is gone, by name.
    pub fn data_planes(&self) -> Vec<DataPlane> {
        data_planes::joined(&self.pods.objects(), &self.leases.objects())
    }

    /// Which Leases of data planes are expired, by name, and when the next one will be if it is not renewed.
    pub fn lease_expiries(&self, now: Timestamp) -> (BTreeSet<String>, Option<Timestamp>) {
        data_planes::expiries(&self.leases.objects(), now)
    }

    /// The pointer as last seen, with uid, resourceVersion and annotations.
    pub fn pointer(&self) -> Option<Arc<ConfigMap>> {
        self.pointers.objects().values().next().cloned()
    }

    /// The Secret with the sealing keys as last seen.
    pub fn ring(&self) -> Option<Arc<Secret>> {
        self.rings.objects().values().next().cloned()
    }

    /// Fetches the named Secrets that are not known or not current, and forgets all others. Returns whether any of them is
    /// another one than before, so that it has to be compiled again. Not found and forbidden count as absent; any other
    /// error ends the round, and what was fetched by then stays.
    pub async fn fetch_secrets(&self, named: &BTreeSet<ObjectName>) -> Result<bool, kube::Error> {
        self.secrets.fetch(&self.client, named).await
    }

    /// Whether this process leads at this very moment: nobody else may write.
    pub fn is_leader(&self) -> bool {
        self.leadership.is_held()
    }

    /// Counts changes from now on.
    pub fn changes(&self) -> channel::Receiver<Changes> {
        self.changes.subscribe()
    }

    /// Returns once every watch has delivered its first list.
    pub async fn synced(&self) {
        let is_complete = |unlisted: &Option<BTreeSet<String>>| unlisted.as_ref().is_some_and(BTreeSet::is_empty);
        // The sender is in `self`, so this ends only by completion.
        let _ = self.unlisted.subscribe().wait_for(is_complete).await;
    }

    /// Which watches have not delivered their first list; `None`: none was started yet.
    pub fn unlisted(&self) -> Option<BTreeSet<String>> {
        self.unlisted.borrow().clone()
    }

    /// Starts every watch. They end with `stop`; `tasks` knows when.
    pub fn watch(self: &Arc<Self>, elector: &Arc<Elector>, tasks: &TaskTracker, stop: &CancellationToken) {
        let spawner = Spawner {
            world: self,
            tasks,
            stop,
        };
        self.unlisted.send_modify(|unlisted| {
            unlisted.get_or_insert_default();
        });
        let scopes: Vec<Option<&str>> = match &self.config.watch {
            Watch::Namespaces(names) => names.iter().map(|name| Some(name.as_str())).collect(),
            Watch::All => vec![None],
        };
        for scope in scopes {
            spawner.kind::<LLMProvider>(scope, |world| &world.providers);
            spawner.kind::<RoutePolicy>(scope, |world| &world.routes);
            spawner.kind::<VirtualKey>(scope, |world| &world.keys);
            spawner.kind::<Budget>(scope, |world| &world.budgets);
            spawner.kind::<GuardrailPolicy>(scope, |world| &world.guardrails);
            match scope {
                Some(namespace) => spawner.secret_versions(namespace),
                None => spawner.secret_poll(),
            }
        }
        if self.config.read_namespace_labels {
            spawner.namespaces();
        }
        spawner.delivery();
        spawner.data_planes();
        spawner.leader_lease(elector);
    }

    fn wake(&self, change: Change) {
        self.metrics.queue_adds.inc();
        self.changes.send_modify(|changes| match change {
            Change::Intent => changes.intent += 1,
            Change::Acks => changes.acks += 1,
        });
    }
}
