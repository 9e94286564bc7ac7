//! What is watched, and what of it matters: one function for each kind of object, all of the same shape.

use std::fmt::Debug;
use std::sync::Arc;

use headgate_snapshot::ObjectName;
use headgate_snapshot::delivery::label;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use kube::api::{ApiResource, DynamicObject};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::store::{Store, Update};
use super::watch::{Source, follow};
use super::{Change, World, data_planes, kinds};
use crate::args::Watch;
use crate::leader::Elector;
use crate::metrics::Metrics;

/// Starts watches on behalf of a world.
pub(super) struct Spawner<'a> {
    pub(super) world: &'a Arc<World>,
    /// Knows when they ended.
    pub(super) tasks: &'a TaskTracker,
    /// Ends them.
    pub(super) stop: &'a CancellationToken,
}

impl Spawner<'_> {
    /// One of the five kinds in one namespace, or in all.
    pub(super) fn kind<K>(&self, scope: Option<&str>, store: fn(&World) -> &Store<Arc<K>>)
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
    pub(super) fn secret_versions(&self, namespace: &str) {
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
    pub(super) fn secret_poll(&self) {
        let world = Arc::clone(self.world);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let poll = world.secrets.poll(&world.client, || world.wake(Change::Intent));
            stop.run_until_cancelled(poll).await;
        });
    }

    /// The labels of the namespaces that are served.
    pub(super) fn namespaces(&self) {
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
    pub(super) fn delivery(&self) {
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
    pub(super) fn data_planes(&self) {
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
    pub(super) fn leader_lease(&self, elector: &Arc<Elector>) {
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
