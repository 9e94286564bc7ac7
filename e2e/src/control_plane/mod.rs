//! A real Kubernetes API for tests: `KUBECONFIG`, else `KUBEBUILDER_ASSETS`, else our own etcd and kube-apiserver built
//! from `e2e/controlplane`. No kubelet and no scheduler, but the real CRD, CEL, apply and watch code.
//!
//! One serves all tests of a process; each test makes its own client, since a client belongs to the runtime it was made
//! in, and works in a namespace of its own.

mod apply;
mod certificates;
mod process;

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::workspace;
use process::Process;

pub use apply::{Applier, ApplyError, documents};

const READY_WITHIN: Duration = Duration::from_secs(60);
const ADMIN_TOKEN: &str = "headgate-e2e-admin"; // known only to loopback, for the life of a test

/// A running control plane, or the way to one that runs anyway.
pub struct ControlPlane {
    config: Config,
    /// Ended when this process ends, however that happens.
    _processes: Vec<Process>,
    _folder: Option<TempDir>,
}

/// Which programs make a control plane.
struct Programs {
    etcd: PathBuf,
    kube_apiserver: PathBuf,
    /// Both are the one binary of `e2e/controlplane`, which takes the role as its first argument.
    is_ours: bool,
}

impl ControlPlane {
    /// The one that the tests of this process share, started by whoever asks first.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        Client::try_from(self.config.clone()).expect("the harness made a valid configuration")
    }

    async fn start() -> Self {
        if std::env::var_os("KUBECONFIG").is_some() {
            let kubeconfig = Kubeconfig::from_env()
                .ok()
                .flatten()
                .expect("KUBECONFIG names a readable file");
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            let config = config.expect("the current context of KUBECONFIG can be used");
            return Self {
                config,
                _processes: Vec::new(),
                _folder: None,
            };
        }
        let programs = if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
            Programs {
                etcd: assets.join("etcd"),
                kube_apiserver: assets.join("kube-apiserver"),
                is_ours: false,
            }
        } else {
            let ours = workspace::set_up("controlplane/build").unwrap_or_else(|error| panic!("{error}"));
            Programs {
                etcd: ours.clone(),
                kube_apiserver: ours,
                is_ours: true,
            }
        };
        Self::run(&programs).await
    }

    async fn run(programs: &Programs) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the control plane");
        let [etcd_port, peer_port, api_port] = free_ports();
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let etcd = process::etcd(
            programs,
            folder.path(),
            &etcd_url,
            &format!("http://127.0.0.1:{peer_port}"),
        );
        let authority = certificates::write(folder.path());
        let tokens = format!("{ADMIN_TOKEN},admin,admin,system:masters\n");
        std::fs::write(folder.path().join("tokens.csv"), tokens).expect("write the tokens file");
        let api_server = process::kube_apiserver(programs, folder.path(), &etcd_url, api_port);

        let mut config = Config::new(format!("https://127.0.0.1:{api_port}").parse().expect("a literal URI"));
        config.root_cert = Some(vec![authority]);
        config.auth_info = AuthInfo {
            token: Some(ADMIN_TOKEN.to_owned().into()),
            ..AuthInfo::default()
        };
        let mut processes = vec![api_server, etcd];
        wait_until_ready(&config, &mut processes).await;
        Self {
            config,
            _processes: processes,
            _folder: Some(folder),
        }
    }
}

async fn wait_until_ready(config: &Config, processes: &mut [Process]) {
    let client = Client::try_from(config.clone()).expect("the harness made a valid configuration");
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let said = match client.request_text(http_get("/readyz")).await {
            Ok(text) if text == "ok" => return,
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline || processes.iter_mut().any(Process::has_ended) {
            let logs: String = processes.iter().map(Process::log_tail).collect();
            panic!("kube-apiserver did not become ready: {said}\n{logs}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn http_get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).body(Vec::new()).expect("a literal path")
}

fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free loopback port"));
    held.map(|listener| listener.local_addr().expect("a bound listener has an address").port())
}
