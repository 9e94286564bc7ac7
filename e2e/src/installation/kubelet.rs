//! Stands in for scheduler and kubelet in one namespace: binds pods to the one node there is, runs their containers as
//! processes, and says in their status what they really are. Whatever owns pods follows by
//! itself.
//!
//! It honours what Headgate's promises rest on: a pod with a missing Secret waits, readiness is asked of the process,
//! deletion is a pause, a SIGTERM and a grace period, an ended container is started again in the same pod with the same
//! state. It knows nothing else of kubelets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::task::JoinHandle;

use super::container::Host;
use super::pod::RunningPod;

const NODE: &str = "headgate-e2e";
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// A running stand-in. Dropping it kills every process it started.
pub(super) struct Kubelet {
    pods: Arc<Pods>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Pods {
    by_name: Mutex<BTreeMap<String, Arc<RunningPod>>>,
}

impl Pods {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<RunningPod>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kubelet {
    /// Takes care of the pods of `namespace`.
    pub(super) async fn start(client: Client, namespace: &str, host: Host) -> Self {
        register_node(&client).await;
        let pods = Arc::new(Pods::default());
        let api: Api<Pod> = Api::namespaced(client, namespace);
        let task = tokio::spawn(run(api, Arc::clone(&pods), Arc::new(host)));
        Self { pods, task }
    }

    /// Every pod whose container was started at least once and which is not gone, by name.
    pub(super) fn pods(&self) -> Vec<Arc<RunningPod>> {
        self.pods
            .lock()
            .values()
            .filter(|pod| pod.starts() > 0)
            .cloned()
            .collect()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
        for (_, pod) in std::mem::take(&mut *self.pods.lock()) {
            pod.end();
        }
    }
}

/// One node for all installations of a control plane.
async fn register_node(client: &Client) {
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": NODE},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Test", "message": ""}]},
    }))
    .expect("a literal node");
    match Api::<Node>::all(client.clone())
        .create(&PostParams::default(), &node)
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(error)) if error.code == 409 => {}
        Err(error) => panic!("the node is refused: {error}"),
    }
}

async fn run(api: Api<Pod>, pods: Arc<Pods>, host: Arc<Host>) {
    // Comes back by itself after an outage, with a list that tells what went meanwhile.
    let selector = format!("app.kubernetes.io/instance={}", host.instance);
    let mut events = Box::pin(watcher(api.clone(), watcher::Config::default().labels(&selector)).default_backoff());
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => {
                listed.push(pod.name_any());
                see(&api, &pods, &host, &pod);
            }
            Ok(Event::InitDone) => pods.lock().retain(|name, pod| {
                let is_there = listed.contains(name);
                if !is_there {
                    pod.end();
                }
                is_there
            }),
            Ok(Event::Apply(pod)) => see(&api, &pods, &host, &pod),
            Ok(Event::Delete(pod)) => {
                if let Some(gone) = pods.lock().remove(&pod.name_any()) {
                    gone.end();
                }
            }
            // The API server is away: the next event comes when it is back.
            Err(_) => {}
        }
    }
}

fn see(api: &Api<Pod>, pods: &Arc<Pods>, host: &Arc<Host>, pod: &Pod) {
    let name = pod.name_any();
    let is_going = pod.metadata.deletion_timestamp.is_some();
    let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let known = pods.lock().get(&name).cloned();
    match (known, is_bound) {
        (Some(known), _) if is_going => known.terminate(pod),
        (Some(_), _) => {}
        (None, false) => drop(tokio::spawn(bind(api.clone(), name))),
        (None, true) => {
            let running = RunningPod::start(api.clone(), Arc::clone(host), pod);
            if is_going {
                running.terminate(pod);
            }
            pods.lock().insert(name, running);
        }
    }
}

async fn bind(api: Api<Pod>, name: String) {
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
        "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
    });
    loop {
        let bound: kube::Result<serde_json::Value> = api
            .create_subresource("binding", &name, &PostParams::default(), &binding)
            .await;
        match bound {
            // Gone, or bound by an earlier event.
            Ok(_) | Err(kube::Error::Api(_)) => return,
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}

/// Writes the status of a pod, until the API server took it or the pod is gone.
pub(super) async fn report(api: &Api<Pod>, name: &str, status: &serde_json::Value) {
    loop {
        let patch = Patch::Merge(json!({"status": status}));
        match api.patch_status(name, &PatchParams::default(), &patch).await {
            Ok(_) => return,
            Err(kube::Error::Api(error)) if error.code == 404 || error.code == 409 => return,
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}
