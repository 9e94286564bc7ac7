//! Headgate installed as people install it: the chart rendered by the real helm, applied to a real API server, its pods
//! run by a stand-in for the kubelet as processes that hold nothing but their own service account's token. A verb that the
//! chart forgot to grant fails a test here and nowhere earlier.
//!
//! Everything ends with the test: processes die with the [`Installation`], objects with the control plane.

mod chart;
mod container;
pub mod intents;
mod kubelet;
mod objects;
mod pod;
mod published;
mod settings;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::Client;
use kube::api::DynamicObject;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::control_plane::{Applier, ApplyError, ControlPlane, Request, documents};
use crate::relay::Relay;
use container::Host;
use kubelet::Kubelet;

pub use chart::render;
pub use objects::{Condition, Objects, condition_of};
pub use pod::RunningPod;
pub use published::Published;
pub use settings::Settings;
pub use traffic::Traffic;

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
            within.unwrap_or_else(|last| {
                let logs: Vec<_> = self.pods().iter().map(|pod| tail(&pod.name, &pod.output())).collect();
                panic!("{name} does not roll out: {last:.2000}\n{}", logs.join("\n"))
            });
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

    /// Every running pod, by name.
    pub fn pods(&self) -> Vec<Arc<RunningPod>> {
        self.kubelet.pods()
    }

    /// The running gateways, by name.
    pub fn gateways(&self) -> Vec<Arc<RunningPod>> {
        self.pods()
            .into_iter()
            .filter(|pod| pod.component == "gateway")
            .collect()
    }

    /// The running operators, by name.
    pub fn operators(&self) -> Vec<Arc<RunningPod>> {
        self.pods()
            .into_iter()
            .filter(|pod| pod.component == "operator")
            .collect()
    }

    /// The operator that holds the leader's Lease, waited for.
    pub async fn leader(&self) -> Arc<RunningPod> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leases = self.objects.list("lease", &self.namespace).await;
            let holder = leases
                .iter()
                .find_map(|lease| lease.data["spec"]["holderIdentity"].as_str());
            let operators = self.operators();
            if let Some(leader) = operators.into_iter().find(|pod| holder == Some(pod.name.as_str())) {
                return leader;
            }
            assert!(Instant::now() < deadline, "no operator leads: {leases:?}");
            sleep(POLL_EVERY).await;
        }
    }

    /// The leader, once it is another one, waited for.
    pub async fn leader_other_than(&self, before: &str) -> Arc<RunningPod> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader().await;
            if leader.name != before {
                return leader;
            }
            assert!(Instant::now() < deadline, "{before} still leads\n{}", self.logs());
            sleep(POLL_EVERY).await;
        }
    }

    /// A gateway that is none of these, waited for; it need not be ready.
    pub async fn gateway_other_than(&self, before: &[&str]) -> Arc<RunningPod> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let fresh = self
                .gateways()
                .into_iter()
                .find(|pod| !before.contains(&pod.name.as_str()));
            if let Some(fresh) = fresh {
                return fresh;
            }
            assert!(Instant::now() < deadline, "there are only {before:?}\n{}", self.logs());
            sleep(POLL_EVERY).await;
        }
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

    /// What the API server said when it refused; until then, tried again: an admission policy takes effect a moment after
    /// it was written.
    pub async fn refused<T>(&self, write: impl AsyncFn() -> Result<T, kube::Error>) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match write().await {
                Err(kube::Error::Api(error)) => return error.message.clone(),
                Err(error) => panic!("{error}"),
                Ok(_) => assert!(Instant::now() < deadline, "it is never refused"),
            }
            sleep(POLL_EVERY).await;
        }
    }

    /// What its service accounts asked of the API server so far, the tests' own use of their tokens included.
    pub fn own_requests(&self) -> Vec<Request> {
        let prefix = format!("system:serviceaccount:{}:", self.namespace);
        let requests = self.control_plane.requests().into_iter();
        requests.filter(|request| request.user.starts_with(&prefix)).collect()
    }

    /// What they wrote that was taken, Leases left out.
    pub fn writes_but_leases(&self) -> Vec<Request> {
        let is_write = |request: &Request| {
            ["create", "update", "patch", "delete", "deletecollection"].contains(&request.verb.as_str())
                && request.resource != "leases"
                && request.code < 400
        };
        self.own_requests().into_iter().filter(is_write).collect()
    }

    /// The end of what every pod printed, for the message of a failure.
    pub fn logs(&self) -> String {
        let pods = self.pods();
        pods.iter().map(|pod| tail(&pod.name, &pod.output())).collect()
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

fn tail(name: &str, output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
}
