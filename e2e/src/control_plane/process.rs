//! etcd and kube-apiserver as child processes that cannot outlive this one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Programs;

/// Ends the program when the shell's standard input ends, which the kernel sees to when a test process dies: also by
/// SIGKILL, also when the process lives in a `static` that is never dropped. Ends itself when the program ends.
/// The input goes by descriptor 3, since a shell gives what it starts in the background an empty standard input.
/// An API server that lost its etcd is slow to leave, hence the second, harder signal; the folder goes last, since nobody
/// else is left to remove it.
const LEASH: &str = r#"folder=$1; shift; exec 3<&0; "$@" 3<&- & child=$!
(cat <&3 >/dev/null; kill "$child"; sleep 5; kill -9 "$child"; rm -rf "$folder") 2>/dev/null &
wait "$child""#;
const LOG_TAIL_BYTES: usize = 4000;

/// A program on a leash, its output in a file.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(program: &Path, arguments: &[String], folder: &Path, name: &str) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).expect("create a log file");
        let child = Command::new("sh")
            .args(["-c", LEASH, "sh"])
            .arg(folder)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a file handle can be cloned"))
            .stderr(output)
            .spawn()
            .expect("sh can be started");
        Self { child, log }
    }

    /// It ended, which is never meant to happen before it is dropped.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_some()
    }

    /// The end of what it printed, for the message of a failed start.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned();
        format!("--- {}\n{tail}\n", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // pulls the leash
        let _ = self.child.wait();
    }
}

pub(super) fn etcd(programs: &Programs, folder: &Path, client_url: &str, peer_url: &str) -> Process {
    let data = folder.join("etcd").display().to_string();
    let arguments = if programs.is_ours {
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
    Process::start(&programs.etcd, &arguments, folder, "etcd")
}

pub(super) fn kube_apiserver(programs: &Programs, folder: &Path, etcd_url: &str, port: u16) -> Process {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut arguments: Vec<String> = if programs.is_ours {
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
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--cert-dir={}", folder.display()),
    ]);
    Process::start(&programs.kube_apiserver, &arguments, folder, "kube-apiserver")
}
