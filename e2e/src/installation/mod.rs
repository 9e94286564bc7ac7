//! Headgate installed as people install it: the chart rendered by the real helm, applied to a real API server, its pods
//! run by a stand-in for the kubelet as processes that hold nothing but their own service account's token. A verb that the
//! chart forgot to grant fails a test here and nowhere earlier.
//!
//! Everything ends with the test: processes die with the [`Installation`], objects with the control plane.

mod chart;
mod container;
mod fleet;
mod handling;
pub mod intents;
mod kubelet;
mod objects;
mod pod;
mod published;
mod rights;
mod settings;
mod traffic;
mod volumes;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::Client;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::control_plane::{Applier, ApplyError, ControlPlane, documents};
use crate::relay::Relay;
use container::Host;
use kubelet::Kubelet;

pub use chart::render;
pub use objects::Objects;
pub use pod::RunningPod;
pub use published::Published;
pub use settings::Settings;
pub use traffic::Traffic;
pub use wait::{Condition, condition_of};

/// Long enough for two cores that build and test three other things; whoever waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A running installation.
pub struct Installation {
    /// Where it is installed.
    pub control_plane: Arc<ControlPlane>,
    /// The release's namespace.
    pub namespace: String,
    /// Where pointer, shards and Leases are.
    pub snapshot_namespace: String,
    /// The namespaces whose objects it follows; never empty.
    pub watched: Vec<String>,
    /// The release.
    pub release: String,
    /// Objects in the first watched namespace, unless named otherwise.
    pub objects: Objects,
    /// Between the gateways and the API server, where the settings asked for it.
    pub relay: Option<Relay>,
    values: Value,
    applier: Applier,
    kubelet: Kubelet,
}

impl Installation {
    /// The settings of one that is installed in `name`.
    pub fn of(name: &str) -> Settings {
        Settings::of(name)
    }

    async fn start(settings: Settings, waits: bool) -> Self {
        let control_plane = match &settings.control_plane {
            Some(own) => Arc::clone(own),
            None => Arc::clone(ControlPlane::shared_ours().await),
        };
        control_plane.apply_kinds().await;
        control_plane.start_controllers().await;
        let client = control_plane.client();
        let namespace = settings.namespace.clone().unwrap_or_else(|| settings.name.clone());
        let applier = Applier::new(client.clone(), &namespace).await;
        for watched in &settings.watched {
            Applier::new(client.clone(), watched).await;
        }
        let mut values = settings.values.clone();
        if values["watchAllNamespaces"] != true {
            values["watchNamespaces"] = settings.watched.clone().into();
        }

        let relay = if settings.has_relay {
            Some(Relay::start(control_plane.address()).await)
        } else {
            None
        };
        let host = Host {
            control_plane: Arc::clone(&control_plane),
            gateway_relay: relay.as_ref().map(Relay::address),
            operator_environment: settings.operator_environment,
            gateway_environment: settings.gateway_environment,
            instance: settings.release.clone(),
        };
        let kubelet = Kubelet::start(client.clone(), &namespace, host).await;
        let watched = if settings.watched.is_empty() {
            vec![namespace.clone()]
        } else {
            settings.watched
        };
        let installation = Self {
            snapshot_namespace: snapshot_namespace(&values, &namespace),
            objects: Objects::of(client, &watched[0]),
            release: settings.release,
            control_plane,
            namespace,
            watched,
            relay,
            values,
            applier,
            kubelet,
        };
        installation.apply_chart().await;
        if waits {
            installation.wait_until_rolled_out().await;
        }
        installation
    }

    /// Changes values of the chart and applies it again, as `helm upgrade` does. Waits for nothing.
    pub async fn upgrade(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.values);
        self.apply_chart().await;
    }

    /// What helm makes of the chart for this installation.
    pub async fn rendered(&self) -> Vec<DynamicObject> {
        let yaml = render(&self.release, &self.namespace, &self.values)
            .await
            .unwrap_or_else(|error| panic!("helm template: {error}"));
        documents(&yaml).unwrap_or_else(|error| panic!("helm template prints no objects: {error}"))
    }

    async fn apply_chart(&self) {
        let mut objects = self.rendered().await;
        // As helm installs them: what others live in comes first.
        objects.sort_by_key(|object| kind(object) != "Namespace");
        for object in objects {
            let name = object.metadata.name.clone().unwrap_or_default();
            let taken = self.applier.apply(&object).await;
            taken.unwrap_or_else(|error| panic!("{} {name} of the chart is refused: {error}", kind(&object)));
        }
    }

    /// Waits until every Deployment of the release says that all its pods are new and ready, and none is left over.
    pub async fn wait_until_rolled_out(&self) {
        let rendered = self.rendered().await;
        for object in rendered.iter().filter(|object| kind(object) == "Deployment") {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let deployment = format!("{}/deployment/{name}", self.namespace);
            let is_done = |now: &DynamicObject| {
                let (spec, status) = (&now.data["spec"], &now.data["status"]);
                let wanted = spec["replicas"].as_u64();
                status["observedGeneration"].as_i64() == now.metadata.generation
                    && [
                        &status["replicas"],
                        &status["updatedReplicas"],
                        &status["readyReplicas"],
                    ]
                    .iter()
                    .all(|count| count.as_u64().or(Some(0)) == wanted)
            };
            let within = self.objects.wait_for(&deployment, PATIENCE, is_done).await;
            within.unwrap_or_else(|last| panic!("{name} does not roll out: {last:.2000}\n{}", self.logs()));
        }
    }

    /// Applies manifests to the first watched namespace, unless they name another. Panics with what the API server says
    /// when one is refused.
    pub async fn apply(&self, yaml: &str) -> Vec<DynamicObject> {
        self.try_apply(yaml)
            .await
            .unwrap_or_else(|error| panic!("refused: {error}\n{yaml}"))
    }

    /// Applies manifests, and may be refused.
    pub async fn try_apply(&self, yaml: &str) -> Result<Vec<DynamicObject>, ApplyError> {
        let mut applied = Vec::new();
        for mut object in documents(yaml)? {
            if object.metadata.namespace.is_none() {
                object.metadata.namespace = Some(self.watched[0].clone());
            }
            applied.push(self.applier.apply(&object).await?);
        }
        Ok(applied)
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.objects.client()
    }

    /// Creates many objects in the first watched namespace, some at a time: an apply of each would take twice as long.
    pub async fn create_many(&self, manifests: impl IntoIterator<Item = String>) {
        const AT_ONCE: usize = 16;
        let create = async |yaml: String| {
            for mut object in documents(&yaml).unwrap_or_else(|error| panic!("{error}")) {
                object.metadata.namespace = Some(self.watched[0].clone());
                let created = self.applier.create(&object).await;
                created.unwrap_or_else(|error| panic!("refused: {error}\n{yaml}"));
            }
        };
        futures_util::stream::iter(manifests)
            .map(create)
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }
}

fn snapshot_namespace(values: &Value, namespace: &str) -> String {
    match values["snapshotNamespace"]["name"].as_str() {
        None | Some("") => format!("{namespace}-snapshots"),
        Some(name) => name.to_owned(),
    }
}

fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}
