//! Which programs make a control plane, and the flags that make them one on loopback that lives for a test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::leash::{Process, Program};
use crate::workspace;

/// Everything that service accounts ask, one line each, without bodies: which verbs a role really needs. The controllers
/// of the control plane itself are left out.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
{"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
{"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
{"level": "None"}]}"#;

/// What makes Deployments roll out, namespaces and owned objects go away, and says whether an admission policy makes sense.
/// Nothing that knows nodes or volumes: there are none.
const CONTROLLERS: [&str; 9] = [
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "endpointslice-controller",
    "disruption-controller",
    "clusterrole-aggregation-controller",
    "validatingadmissionpolicy-status-controller",
];

/// Where the binaries are.
pub(super) struct Programs {
    etcd: PathBuf,
    kube_apiserver: PathBuf,
    /// Both are the one binary of `e2e/controlplane`, which takes the role as its first argument.
    is_ours: bool,
}

impl Programs {
    /// `KUBEBUILDER_ASSETS`, else our own, built if need be.
    pub(super) fn find() -> Self {
        if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
            return Self {
                etcd: assets.join("etcd"),
                kube_apiserver: assets.join("kube-apiserver"),
                is_ours: false,
            };
        }
        let ours = built();
        Self {
            etcd: ours.clone(),
            kube_apiserver: ours,
            is_ours: true,
        }
    }

    pub(super) fn etcd(&self, folder: &Path, client_url: &str, peer_url: &str) -> Process {
        let data = folder.join("etcd").display().to_string();
        let arguments = if self.is_ours {
            vec!["etcd".to_owned(), data, client_url.to_owned(), peer_url.to_owned()]
        } else {
            vec![
                format!("--data-dir={data}"),
                format!("--listen-client-urls={client_url}"),
                format!("--advertise-client-urls={client_url}"),
                format!("--listen-peer-urls={peer_url}"),
                format!("--initial-advertise-peer-urls={peer_url}"),
                format!("--initial-cluster=default={peer_url}"),
                "--unsafe-no-fsync".to_owned(),
            ]
        };
        // It is the last to be missed, so its leash takes the folder along.
        start(&self.etcd, arguments, folder, "etcd", Some(folder))
    }

    pub(super) fn kube_apiserver(&self, folder: &Path, etcd_url: &str, port: u16) -> Process {
        let file = |name: &str| folder.join(name).display().to_string();
        std::fs::write(file("audit.json"), AUDIT_POLICY).expect("write the audit policy");
        let mut arguments: Vec<String> = if self.is_ours {
            vec!["kube-apiserver".to_owned()]
        } else {
            Vec::new()
        };
        arguments.extend([
            format!("--etcd-servers={etcd_url}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            // No other member, and loopback is no address for an Endpoints object.
            "--endpoint-reconciler-type=none".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("service-account.pub")),
            format!("--service-account-signing-key-file={}", file("service-account.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--token-auth-file={}", file("tokens.csv")),
            format!("--cert-dir={}", folder.display()),
            format!("--audit-policy-file={}", file("audit.json")),
            format!("--audit-log-path={}", file(super::AUDIT_LOG)),
        ]);
        start(&self.kube_apiserver, arguments, folder, "kube-apiserver", None)
    }
}

/// Controllers come from our own binary always: nobody ships them beside an API server for tests.
pub(super) fn controllers(folder: &Path, kubeconfig: &Path) -> Process {
    let file = |name: &str| folder.join(name).display().to_string();
    let arguments = vec![
        "kube-controller-manager".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!("--service-account-private-key-file={}", file("service-account.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        // The defaults are a tenth of it, and what slow tests wait for.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
        "--concurrent-deployment-syncs=5".to_owned(),
        format!("--controllers={}", CONTROLLERS.join(",")),
    ];
    start(&built(), arguments, folder, "kube-controller-manager", None)
}

fn built() -> PathBuf {
    workspace::set_up("controlplane/build").unwrap_or_else(|error| panic!("{error}"))
}

fn start(path: &Path, arguments: Vec<String>, folder: &Path, name: &str, removes: Option<&Path>) -> Process {
    Process::start(Program {
        path,
        arguments: arguments.into_iter().map(OsString::from).collect(),
        environment: None,
        log: folder.join(format!("{name}.log")),
        removes,
    })
}
