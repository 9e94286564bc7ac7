//! The built `headgate` as a process: a folder of its own, free ports, everything it prints kept.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::raw_http::{self, Answer};
use crate::workspace::headgate_binary;

const READY_WITHIN: Duration = Duration::from_secs(20);
const STOPPED_WITHIN: Duration = Duration::from_secs(40);
/// A port found free may be taken by another test before the gateway binds it; three collisions in a row do not happen.
const STARTS_MAX: u32 = 3;

/// What a gateway is started with.
pub struct Settings {
    folder: TempDir,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Settings {
    /// One that serves `manifests` and logs everything as JSON.
    pub fn serving(manifests: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for manifests");
        std::fs::create_dir(folder.path().join("manifests")).expect("a folder for manifests");
        let settings = Self {
            folder,
            environment: Vec::new(),
            arguments: Vec::new(),
        };
        settings.write("gateway.yaml", manifests);
        settings
            .environment("HEADGATE_LOG_LEVEL", "debug")
            .environment("HEADGATE_LOG_FORMAT", "json")
    }

    /// Sets a variable of its environment, which is otherwise empty.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an argument to `headgate serve`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    fn write(&self, file: &str, manifests: &str) {
        std::fs::write(self.folder.path().join("manifests").join(file), manifests).expect("write manifests");
    }

    /// Starts the gateway and waits until it is ready. Panics with all it printed when it does not become so.
    pub async fn start(self) -> Gateway {
        let mut settings = self;
        for attempt in 1.. {
            let mut gateway = settings.spawn();
            if gateway.becomes_ready().await {
                return gateway;
            }
            let output = gateway.output();
            let lost_its_port = output.contains("in use");
            assert!(
                lost_its_port && attempt < STARTS_MAX,
                "the gateway did not become ready; it printed:\n{output}"
            );
            settings = gateway.settings;
        }
        unreachable!("the loop returns or panics")
    }

    fn spawn(self) -> Gateway {
        let (address, admin_address) = free_addresses();
        let mut command = Command::new(headgate_binary());
        command
            .arg("serve")
            .arg("--manifests")
            .arg(self.folder.path().join("manifests"))
            .args([
                "--listen",
                &address.to_string(),
                "--admin-listen",
                &admin_address.to_string(),
            ])
            .args(&self.arguments)
            .env_clear()
            // A home of its own: state files of one test are no business of the next.
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the gateway can be started");
        let printed = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take().expect("piped"), &printed);
        keep(child.stderr.take().expect("piped"), &printed);
        Gateway {
            address,
            admin_address,
            child,
            printed,
            settings: self,
        }
    }
}

/// A running gateway; dropping it kills the process.
pub struct Gateway {
    /// Where clients go.
    pub address: SocketAddr,
    /// Probes, metrics, `/snapshot`.
    pub admin_address: SocketAddr,
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
    settings: Settings,
}

impl Gateway {
    /// One that serves `manifests`.
    pub async fn serving(manifests: &str) -> Self {
        Settings::serving(manifests).start().await
    }

    /// What clients take as base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the gateway runs")
    }

    /// Everything it printed so far, both streams.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Replaces a file of its folder as an editor does: written aside, then renamed, so no half of it is ever seen.
    pub fn save(&self, file: &str, manifests: &str) {
        let folder = self.settings.folder.path();
        let aside = folder.join("aside.tmp");
        std::fs::write(&aside, manifests).expect("write manifests aside");
        std::fs::rename(aside, folder.join("manifests").join(file)).expect("move manifests into place");
    }

    /// Its own folder: manifests and state.
    pub fn folder(&self) -> &Path {
        self.settings.folder.path()
    }

    /// GET on the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        raw_http::get(self.admin_address, path, &[])
            .await
            .expect("the admin listener answers")
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        self.admin("/metrics").await.text()
    }

    /// Asks `path` of the admin listener until its answer satisfies `wanted`; panics with the last answer after `within`.
    pub async fn wait_for(&self, path: &str, within: Duration, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + within;
        loop {
            let answer = self.admin(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(
                Instant::now() < deadline,
                "{path} did not become as wanted; it says {:.2000}",
                answer.text()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let sent = std::process::Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM could not be sent");
    }

    /// Waits for the process to end by itself.
    pub async fn stopped(&mut self) -> ExitStatus {
        let waited = timeout(STOPPED_WITHIN, self.child.wait()).await;
        waited
            .unwrap_or_else(|_| panic!("still running {STOPPED_WITHIN:?} after it should stop"))
            .expect("a child can be waited for")
    }

    /// `false`: it ended instead, or never said that it is ready.
    async fn becomes_ready(&mut self) -> bool {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            // The port may be bound a moment before anything is behind it: a refused connection is part of the wait.
            if tokio::net::TcpStream::connect(self.admin_address).await.is_ok()
                && raw_http::get(self.admin_address, "/readyz", &[])
                    .await
                    .is_ok_and(|answer| answer.status == 200)
            {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

fn keep(mut from: impl AsyncRead + Unpin + Send + 'static, printed: &Arc<Mutex<Vec<u8>>>) {
    let printed = Arc::clone(printed);
    tokio::spawn(async move {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            printed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&piece[..n]);
        }
    });
}

/// Two free loopback ports, held at once so that they differ.
fn free_addresses() -> (SocketAddr, SocketAddr) {
    let [one, two] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free loopback port"));
    let address = |listener: &TcpListener| listener.local_addr().expect("a bound listener has an address");
    (address(&one), address(&two))
}
