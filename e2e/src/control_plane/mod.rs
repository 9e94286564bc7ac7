//! A real Kubernetes API for tests: `KUBECONFIG`, else `KUBEBUILDER_ASSETS`, else our own etcd and kube-apiserver built
//! from `e2e/controlplane`. No kubelet and no scheduler, but the real CRD, CEL, apply and watch code.
//!
//! One serves all tests of a process; each test makes its own client, since a client belongs to the runtime it was made
//! in, and works in a namespace of its own. A test that stops the API server starts a control plane for itself.

mod apply;
mod audit;
mod certificates;
mod outage;
mod programs;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::leash::Process;
use crate::workspace;
use programs::Programs;

pub use apply::{Applier, ApplyError, documents};
pub use audit::Request;

const READY_WITHIN: Duration = Duration::from_secs(60);
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);
const ADMIN_TOKEN: &str = "headgate-e2e-admin"; // known only to loopback, for the life of a test
const CONTROLLERS_TOKEN: &str = "headgate-e2e-controllers";
const AUDIT_LOG: &str = "audit.log";

/// A running control plane, or the way to one that runs anyway.
pub struct ControlPlane {
    config: Config,
    ours: Option<Ours>,
    kinds_applied: OnceCell<()>,
}

/// What we know of a control plane that we started. Its processes end when this one ends, however that happens.
struct Ours {
    programs: Programs,
    address: SocketAddr,
    etcd_url: String,
    // In the order in which they are stopped: who asks before who answers, the folder last.
    controllers: OnceCell<Mutex<Process>>,
    api_server: Mutex<Process>,
    _etcd: Process,
    folder: TempDir,
}

impl ControlPlane {
    /// The one that the tests of this process share, started by whoever asks first.
    pub async fn shared() -> &'static Arc<Self> {
        static SHARED: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
        SHARED.get_or_init(async || Arc::new(Self::start().await)).await
    }

    /// One that we started, also where `KUBECONFIG` names a cluster: for tests that stand in for its kubelets.
    pub async fn shared_ours() -> &'static Arc<Self> {
        static OURS: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
        if Self::is_ours() {
            return Self::shared().await;
        }
        let start = async || {
            // Not `eprintln!`, which a passing test swallows.
            let note = b"KUBECONFIG is left alone: these tests run pods themselves, so they start a control plane of their own\n";
            let _ = std::io::stderr().write_all(note);
            Self::own().await
        };
        OURS.get_or_init(start).await
    }

    /// One of the caller's own, to be stopped and frozen.
    pub async fn own() -> Arc<Self> {
        Arc::new(Self::run(Programs::find()).await)
    }

    /// The shared one is started by us; `false`: it is what `KUBECONFIG` names.
    fn is_ours() -> bool {
        std::env::var_os("KUBECONFIG").is_none()
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        Client::try_from(self.config.clone()).expect("the harness made a valid configuration")
    }

    /// Applies the five kinds of this tree, once, and waits until they are served.
    pub async fn apply_kinds(&self) {
        let apply = async || {
            let applier = Applier::of(self.client(), "default");
            for file in workspace::yaml_files(&workspace::root().join("crds")) {
                let yaml = std::fs::read_to_string(&file).expect("a listed file can be read");
                let taken = applier.apply_yaml(&yaml).await;
                let taken = taken.unwrap_or_else(|error| panic!("{} is refused: {error}", file.display()));
                for kind in taken {
                    applier.wait_until_established(&kind, ESTABLISHED_WITHIN).await;
                }
            }
        };
        self.kinds_applied.get_or_init(apply).await;
    }

    /// Starts the controllers, once: rollouts, garbage collection, namespaces.
    pub async fn start_controllers(&self) {
        let ours = self.ours();
        let start = async || {
            let folder = ours.folder.path();
            let kubeconfig = folder.join("controllers.kubeconfig");
            self.write_kubeconfig(&kubeconfig, CONTROLLERS_TOKEN, ours.address);
            Mutex::new(programs::controllers(folder, &kubeconfig))
        };
        ours.controllers.get_or_init(start).await;
    }

    /// Where the API server listens.
    pub fn address(&self) -> SocketAddr {
        self.ours().address
    }

    /// Writes a kubeconfig with `token` for an API server at `address`, which may be a relay before the real one.
    pub fn write_kubeconfig(&self, path: &Path, token: &str, address: SocketAddr) {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "e2e", "cluster": {
                "server": format!("https://{address}"),
                "certificate-authority": self.ours().folder.path().join("ca.crt"),
            }}],
            "users": [{"name": "e2e", "user": {"token": token}}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
            "current-context": "e2e",
        });
        std::fs::write(path, kubeconfig.to_string()).expect("write a kubeconfig");
    }

    /// A kubeconfig that may do everything, for command line tools.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        let path = self.ours().folder.path().join("admin.kubeconfig");
        self.write_kubeconfig(&path, ADMIN_TOKEN, self.address());
        path
    }

    fn ours(&self) -> &Ours {
        self.ours
            .as_ref()
            .expect("only tests that skip without a control plane of ours come here")
    }

    async fn start() -> Self {
        if Self::is_ours() {
            return Self::run(Programs::find()).await;
        }
        let kubeconfig = Kubeconfig::from_env()
            .ok()
            .flatten()
            .expect("KUBECONFIG names a readable file");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Self {
            config: config.expect("the current context of KUBECONFIG can be used"),
            ours: None,
            kinds_applied: OnceCell::new(),
        }
    }

    async fn run(programs: Programs) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the control plane");
        let [etcd_port, peer_port, api_port] = free_ports();
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let etcd = programs.etcd(folder.path(), &etcd_url, &format!("http://127.0.0.1:{peer_port}"));
        let authority = certificates::write(folder.path());
        let tokens = format!(
            "{ADMIN_TOKEN},admin,admin,system:masters\n\
             {CONTROLLERS_TOKEN},system:kube-controller-manager,controllers\n"
        );
        std::fs::write(folder.path().join("tokens.csv"), tokens).expect("write the tokens file");
        let api_server = programs.kube_apiserver(folder.path(), &etcd_url, api_port);

        let mut config = Config::new(format!("https://127.0.0.1:{api_port}").parse().expect("a literal URI"));
        config.root_cert = Some(vec![authority]);
        config.auth_info = AuthInfo {
            token: Some(ADMIN_TOKEN.to_owned().into()),
            ..AuthInfo::default()
        };
        let control_plane = Self {
            config,
            ours: Some(Ours {
                programs,
                address: SocketAddr::from(([127, 0, 0, 1], api_port)),
                etcd_url,
                controllers: OnceCell::new(),
                api_server: Mutex::new(api_server),
                _etcd: etcd,
                folder,
            }),
            kinds_applied: OnceCell::new(),
        };
        control_plane.wait_until_ready().await;
        control_plane
    }

    async fn wait_until_ready(&self) {
        let client = self.client();
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let said = match client.request_text(http_get("/readyz")).await {
                Ok(text) if text == "ok" => return,
                Ok(text) => text,
                Err(error) => error.to_string(),
            };
            self.assert_api_server_runs(Instant::now() < deadline, &said);
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn assert_api_server_runs(&self, has_time: bool, said: &str) {
        let mut api_server = lock(&self.ours().api_server);
        assert!(
            has_time && api_server.ended().is_none(),
            "kube-apiserver did not become ready: {said}\n{}",
            api_server.log_tail()
        );
    }
}

fn http_get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).body(Vec::new()).expect("a literal path")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loopback ports that nobody has, held at once so that they differ.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free loopback port"));
    held.map(|listener| listener.local_addr().expect("a bound listener has an address").port())
}
