//! The world as the API server tells it: watched, kept, never asked what changed.
//!
//! Every replica watches, leader or not, so that a new leader knows everything at once. A watch tells only *that*
//! something matters ([`Change`]); the reconciler looks at the whole. Nothing may be decided before every watch has
//! delivered its first list ([`World::synced`]): half a world looks like a deletion of the other half.

mod data_planes;
mod kinds;
mod secrets;
mod store;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use headgate_compile::Resources;
use headgate_crds::{Budget, GuardrailPolicy, LLMProvider, RoutePolicy, VirtualKey};
use headgate_snapshot::ObjectName;
use headgate_snapshot::delivery::label;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use kube::api::{ApiResource, DynamicObject};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Config, Watch};
use crate::leader::{Elector, Leadership};
use crate::metrics::Metrics;
use data_planes::KeptLease;
use secrets::Secrets;
use store::{Store, Update};
use watch::{Reachability, Source, follow};

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

/// Starts watches on behalf of a world.
struct Spawner<'a> {
    world: &'a Arc<World>,
    tasks: &'a TaskTracker,
    stop: &'a CancellationToken,
}

impl Spawner<'_> {
    /// One of the five kinds in one namespace, or in all.
    fn kind<K>(&self, scope: Option<&str>, store: fn(&World) -> &Store<Arc<K>>)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Send + Sync + 'static,
    {
        let resource = ApiResource::erase::<K>(&());
        let client = self.world.client.clone();
        let api: Api<DynamicObject> = match scope {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        };
        let kind = headgate_kind::<K>();
        let source = Source {
            api,
            selection: watcher::Config::default(),
            title: format!("{kind} in {}", scope.unwrap_or("all namespaces")),
            kind,
        };
        let (world, scope) = (Arc::clone(self.world), scope.map(ToOwned::to_owned));
        self.start(
            source,
            |object, metrics| kinds::keep::<K>(object, metrics),
            move |update| {
                if store(&world).absorb(scope.as_deref(), update, |_, old, new| kinds::differs(old, new)) {
                    world.wake(Change::Intent);
                }
            },
        );
    }

    /// Which Secrets there are in a namespace, and in which version.
    fn secret_versions(&self, namespace: &str) {
        let source = Source {
            api: Api::<PartialObjectMeta<Secret>>::namespaced(self.world.client.clone(), namespace),
            selection: watcher::Config::default(),
            title: format!("Secret metadata in {namespace}"),
            kind: "Secret",
        };
        let (world, namespace) = (Arc::clone(self.world), namespace.to_owned());
        self.start(
            source,
            |secret, _| secret.metadata.resource_version,
            move |update| {
                let is_news =
                    |name: &ObjectName, _: Option<&String>, new: Option<&String>| world.secrets.is_news(name, new);
                if world.secrets.versions.absorb(Some(&namespace), update, is_news) {
                    world.wake(Change::Intent);
                }
            },
        );
    }

    /// The named Secrets of all namespaces, one after the other.
    fn secret_poll(&self) {
        let world = Arc::clone(self.world);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let poll = world.secrets.poll(&world.client, || world.wake(Change::Intent));
            stop.run_until_cancelled(poll).await;
        });
    }

    /// The labels of the namespaces that are served.
    fn namespaces(&self) {
        let source = Source {
            api: Api::<PartialObjectMeta<Namespace>>::all(self.world.client.clone()),
            selection: watcher::Config::default(),
            title: "Namespace".to_owned(),
            kind: "Namespace",
        };
        let served = self.world.config.watch.clone();
        let world = Arc::clone(self.world);
        self.start(
            source,
            move |namespace, _| {
                let is_served = match &served {
                    Watch::Namespaces(names) => names.contains(&namespace.name_any()),
                    Watch::All => true,
                };
                is_served.then(|| namespace.metadata.labels.unwrap_or_default())
            },
            move |update| {
                if world.namespace_labels.absorb(None, update, |_, old, new| old != new) {
                    world.wake(Change::Intent);
                }
            },
        );
    }

    /// The pointer and the sealing keys, each by name. Any other pointer than before is worth a look: somebody may have
    /// edited it, deleted it, or approved a removal.
    fn delivery(&self) {
        let (client, config) = (&self.world.client, &self.world.config);
        let source = Source {
            api: Api::<ConfigMap>::namespaced(client.clone(), &config.snapshot_namespace),
            selection: watcher::Config::default().fields(&format!("metadata.name={}", config.snapshot_name)),
            title: format!("ConfigMap {}/{}", config.snapshot_namespace, config.snapshot_name),
            kind: "ConfigMap",
        };
        let world = Arc::clone(self.world);
        self.start(
            source,
            |mut pointer, _| {
                pointer.metadata.managed_fields = None;
                Some(Arc::new(pointer))
            },
            move |update| {
                let differs = |_: &ObjectName, old: Option<&Arc<ConfigMap>>, new: Option<&Arc<ConfigMap>>| old != new;
                if world.pointers.absorb(None, update, differs) {
                    world.wake(Change::Intent);
                }
            },
        );
        let source = Source {
            api: Api::<Secret>::namespaced(client.clone(), &config.namespace),
            selection: watcher::Config::default().fields(&format!("metadata.name={}", config.sealing_keys_secret)),
            title: format!("Secret {}/{}", config.namespace, config.sealing_keys_secret),
            kind: "Secret",
        };
        let world = Arc::clone(self.world);
        self.start(
            source,
            |mut ring, _| {
                ring.metadata.managed_fields = None;
                Some(Arc::new(ring))
            },
            move |update| {
                let differs = |_: &ObjectName, old: Option<&Arc<Secret>>, new: Option<&Arc<Secret>>| {
                    old.map(|ring| (&ring.metadata.uid, &ring.data)) != new.map(|ring| (&ring.metadata.uid, &ring.data))
                };
                if world.rings.absorb(None, update, differs) {
                    world.wake(Change::Intent);
                }
            },
        );
    }

    /// The pods of the data plane, and the Leases by which they speak.
    fn data_planes(&self) {
        let (client, config) = (&self.world.client, &self.world.config);
        let source = Source {
            api: Api::<Pod>::namespaced(client.clone(), &config.namespace),
            selection: watcher::Config::default().labels(&config.data_plane_selector),
            title: format!("Pod in {}", config.namespace),
            kind: "Pod",
        };
        let world = Arc::clone(self.world);
        self.start(
            source,
            |pod, _| Some(data_planes::keep_pod(&pod)),
            move |update| {
                if world.pods.absorb(None, update, |_, old, new| old != new) {
                    world.wake(Change::Acks);
                }
            },
        );
        let labels = format!(
            "{}={},app.kubernetes.io/component=gateway",
            label::INSTALLATION,
            config.installation
        );
        let source = Source {
            api: Api::<Lease>::namespaced(client.clone(), &config.snapshot_namespace),
            selection: watcher::Config::default().labels(&labels),
            title: format!("Lease in {}", config.snapshot_namespace),
            kind: "Lease",
        };
        let world = Arc::clone(self.world);
        self.start(
            source,
            |lease, _| Some(data_planes::keep_lease(&lease, Timestamp::now())),
            move |update| {
                let now = Timestamp::now();
                let update = data_planes::observed(&world.leases.objects(), update, now);
                if world
                    .leases
                    .absorb(None, update, |_, old, new| data_planes::differs(old, new, now))
                {
                    world.wake(Change::Acks);
                }
            },
        );
    }

    /// The Lease of the leader: a release is seen at once.
    fn leader_lease(&self, elector: &Arc<Elector>) {
        let (client, config) = (&self.world.client, &self.world.config);
        let source = Source {
            api: Api::<Lease>::namespaced(client.clone(), &config.namespace),
            selection: watcher::Config::default().fields(&format!("metadata.name={}", config.leader_lease)),
            title: format!("Lease {}/{}", config.namespace, config.leader_lease),
            kind: "Lease",
        };
        let elector = Arc::clone(elector);
        self.start(
            source,
            |lease, _| Some(lease),
            move |update| match update {
                Update::One(_, lease) => elector.see(lease.as_ref()),
                Update::Whole(leases) => elector.see(leases.values().next()),
            },
        );
    }

    /// Follows `source` in a task of its own. It counts as unlisted until its first delivery.
    fn start<K, V>(
        &self,
        source: Source<K>,
        keep: impl Fn(K, &Metrics) -> Option<V> + Send + Sync + 'static,
        deliver: impl Fn(Update<V>) + Send + Sync + 'static,
    ) where
        K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
        V: Send + 'static,
    {
        let title = source.title.clone();
        self.world.unlisted.send_modify(|unlisted| {
            unlisted.get_or_insert_default().insert(title.clone());
        });
        let world = Arc::clone(self.world);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let metrics = Arc::clone(&world.metrics);
            let deliver = |update| {
                deliver(update);
                world
                    .unlisted
                    .send_if_modified(|unlisted| unlisted.as_mut().is_some_and(|titles| titles.remove(&title)));
            };
            let keep = |object| keep(object, &metrics);
            let watch = follow(source, &metrics, &world.reachability, keep, deliver);
            stop.run_until_cancelled(watch).await;
        });
    }
}

/// The kind's own name, which lives as long as the program.
fn headgate_kind<K: Resource<DynamicType = ()>>() -> &'static str {
    let kind = K::kind(&());
    let known = headgate_crds::Kind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind);
    known.map_or("unknown", headgate_crds::Kind::as_str)
}
