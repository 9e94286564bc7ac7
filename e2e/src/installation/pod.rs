//! One pod of the stand-in for the kubelet: from its volumes to its end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Preconditions};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::container::{Host, Started, component, container};
use super::kubelet::report;
use super::volumes::{Place, mount};
use crate::leash::Signal;
use crate::raw_http;

/// A kubelet asks every ten seconds; tests wait for this.
const PROBE_EVERY: Duration = Duration::from_millis(50);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const RESTART_AFTER: Duration = Duration::from_millis(100);

/// How a pod is to stop.
#[derive(Clone, Copy)]
struct Stop {
    pause: Duration,
    grace: Duration,
}

/// A pod on this machine.
pub struct RunningPod {
    /// Its name.
    pub name: String,
    /// `gateway` or `operator`.
    pub component: String,
    state: Mutex<State>,
    stop: watch::Sender<Option<Stop>>,
    folder: TempDir,
}

#[derive(Default)]
struct State {
    started: Option<Started>,
    starts: u32,
    is_ready: bool,
    /// Not to be started again for now: the test wants it dead.
    is_held: bool,
    is_gone: bool,
}

impl RunningPod {
    pub(super) fn start(api: Api<Pod>, host: Arc<Host>, pod: &Pod) -> Arc<Self> {
        let running = Arc::new(Self {
            name: pod.name_any(),
            component: component(pod).to_owned(),
            state: Mutex::default(),
            stop: watch::channel(None).0,
            folder: tempfile::tempdir().expect("a folder for a pod"),
        });
        tokio::spawn(Arc::clone(&running).run(api, host, pod.clone()));
        running
    }

    /// Where clients go. Another one after each start of the container.
    pub fn address(&self) -> SocketAddr {
        self.started(|started| started.listen)
    }

    /// Probes, metrics, `/snapshot`.
    pub fn admin_address(&self) -> SocketAddr {
        self.started(|started| started.admin)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.started(|started| started.process.pid())
    }

    /// How often its container was started.
    pub fn starts(&self) -> u32 {
        self.lock().starts
    }

    /// Its process said so when it was last asked, and nobody asked it to stop.
    pub fn is_ready(&self) -> bool {
        self.lock().is_ready && self.stop.borrow().is_none()
    }

    /// Everything its processes printed so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What stands for its volume of that name.
    pub fn volume(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Sends a signal to its process.
    pub fn signal(&self, signal: Signal) {
        if let Some(started) = &mut self.lock().started {
            started.process.signal(signal);
        }
    }

    /// SIGKILL. The container is started again at once, in the same pod, with the same state.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.is_ready = false; // before anybody probes again
        if let Some(started) = &mut state.started {
            started.process.kill();
        }
    }

    /// SIGKILL, and no new start before [`Self::let_start`].
    pub fn kill_and_hold(&self) {
        self.lock().is_held = true;
        self.kill();
    }

    /// Ends [`Self::kill_and_hold`].
    pub fn let_start(&self) {
        self.lock().is_held = false;
    }

    /// Begins to stop it, as its deletion demands.
    pub(super) fn terminate(&self, pod: &Pod) {
        let pause = container(pod)
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.pre_stop.as_ref()?.sleep.as_ref())
            .map_or(0, |sleep| sleep.seconds);
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
        let seconds = |count: i64| Duration::from_secs(u64::try_from(count).unwrap_or_default());
        self.stop.send_modify(|stop| {
            stop.get_or_insert(Stop {
                pause: seconds(pause),
                grace: seconds(grace),
            });
        });
    }

    /// Ends it at once: the pod is gone.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.is_gone = true;
        state.is_ready = false;
        if let Some(started) = &mut state.started {
            started.process.kill();
        }
        drop(state);
        self.stop.send_modify(|stop| {
            stop.get_or_insert(Stop {
                pause: Duration::ZERO,
                grace: Duration::ZERO,
            });
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started<T>(&self, read: impl FnOnce(&Started) -> T) -> T {
        let state = self.lock();
        read(state.started.as_ref().expect("only started pods are given to tests"))
    }

    fn has_started(&self, started: Started) {
        let mut state = self.lock();
        state.started = Some(started);
        state.starts += 1;
    }

    /// Its process has; another may follow.
    fn has_ended(&self) -> bool {
        let mut state = self.lock();
        state
            .started
            .as_mut()
            .is_none_or(|started| started.process.ended().is_some())
    }

    async fn run(self: Arc<Self>, api: Api<Pod>, host: Arc<Host>, pod: Pod) {
        let place = Place::of(&pod, self.folder.path().to_owned());
        let mut stops = self.stop.subscribe();
        let stopped = async {
            let stop = stops.wait_for(Option::is_some).await;
            stop.ok().and_then(|stop| *stop)
        };
        let stop = tokio::select! {
            stop = stopped => stop,
            () = self.work(&api, &host, &pod, &place) => None,
        };
        if let Some(stop) = stop {
            self.wind_down(stop).await;
        }
        if !self.lock().is_gone {
            let with_its_uid = DeleteParams::default().grace_period(0).preconditions(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: None,
            });
            let _ = api.delete(&self.name, &with_its_uid).await;
        }
    }

    /// Runs the container over and over, and keeps its Secrets and its status true. Never returns.
    async fn work(&self, api: &Api<Pod>, host: &Host, pod: &Pod, place: &Place) {
        let client = api.clone().into_client();
        let namespace = pod.namespace().expect("pods live in namespaces");
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        for (name, folder) in &place.secrets {
            while !mount(&secrets, name, folder).await {
                sleep(PROBE_EVERY).await;
            }
        }
        let keep_in_step = async {
            loop {
                for (name, folder) in &place.secrets {
                    mount(&secrets, name, folder).await;
                }
                sleep(PROBE_EVERY * 4).await;
            }
        };
        // One writer, which writes the latest: while the API server is away, containers are watched and started all the same.
        let (truth, mut truths) = watch::channel((false, 0));
        let keep_reported = async {
            while truths.changed().await.is_ok() {
                let (is_ready, starts) = *truths.borrow_and_update();
                report(api, &self.name, &status(pod, is_ready, starts)).await;
            }
        };
        let keep_running = async {
            loop {
                if !self.lock().is_held {
                    let started = host.start(&client, pod, place).await;
                    self.has_started(started);
                    self.probe_until_it_ends(&truth).await;
                }
                sleep(RESTART_AFTER).await;
            }
        };
        tokio::join!(keep_in_step, keep_reported, keep_running);
    }

    async fn probe_until_it_ends(&self, truth: &watch::Sender<(bool, u32)>) {
        loop {
            let has_ended = self.has_ended();
            let is_ready = !has_ended && is_ready(self.admin_address()).await;
            let starts = {
                let mut state = self.lock();
                state.is_ready = is_ready;
                state.starts
            };
            truth.send_if_modified(|told| std::mem::replace(told, (is_ready, starts)) != (is_ready, starts));
            if has_ended {
                return;
            }
            sleep(PROBE_EVERY).await;
        }
    }

    async fn wind_down(&self, stop: Stop) {
        let deadline = Instant::now() + stop.grace;
        sleep(stop.pause.min(stop.grace)).await;
        self.signal(Signal::Term);
        loop {
            if self.has_ended() || Instant::now() > deadline {
                break;
            }
            sleep(PROBE_EVERY).await;
        }
        self.kill();
    }
}

async fn is_ready(admin: SocketAddr) -> bool {
    let ask = async {
        let answer = raw_http::get(admin, "/readyz", &[]).await.ok()?;
        (answer.status == 200).then_some(())
    };
    timeout(PROBE_TIMEOUT, ask).await.is_ok_and(|ready| ready.is_some())
}

fn status(pod: &Pod, is_ready: bool, starts: u32) -> serde_json::Value {
    let container = container(pod);
    let condition = |kind: &str, is_true: bool| json!({"type": kind, "status": if is_true { "True" } else { "False" }});
    // Loopback addresses are refused in EndpointSlices; nothing is sent to this one.
    let address = "192.0.2.1";
    json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [
            condition("PodScheduled", true), condition("Initialized", true),
            condition("ContainersReady", is_ready), condition("Ready", is_ready),
        ],
        "containerStatuses": [{
            "name": container.name, "image": container.image, "imageID": "", "ready": is_ready, "started": true,
            "restartCount": starts.saturating_sub(1),
            "state": {"running": {}},
        }],
    })
}
