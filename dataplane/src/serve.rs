//! `headgate serve`: source, listeners, reloads, and an orderly end.
//!
//! The end, on SIGTERM: not ready any more; go on accepting for the shutdown delay, until load balancers have noticed;
//! stop accepting, close each connection after its request; after the drain timeout end what still runs with an error
//! that says so.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use headgate_snapshot::Snapshot;

use crate::admin::{self, Admin};
use crate::args::ServeArgs;
use crate::diagnostic::{self, Style};
use crate::gateway::{Bounds, Gateway};
use crate::http_api::DataRoutes;
use crate::listener::{Listener, Routes};
use crate::source::manifests::Folder;
use crate::source::{self, Announce, Delivery, Environment, Source, StartError};
use crate::upstream::address::AddressPolicy;

/// How long connections get to write their last words once everything was told to stop.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until a signal ends it. The error is for the person who started it.
pub async fn serve(args: ServeArgs, environment: Environment, announce: Announce) -> Result<(), StartError> {
    let data = bind(args.listen, "--listen").await?;
    let admin = bind(args.admin_listen, "--admin-listen").await?;
    let listen = local_addr(&data)?;
    let style = Style::of(std::io::stderr().is_terminal(), &*environment);
    let source = open_source(&args, environment, announce, listen).await?;
    let gateway = Arc::new(Gateway::new(bounds(&args), folder_addresses()));
    let deliveries = source.deliveries();
    let first = Arc::clone(&deliveries.borrow());
    apply(&gateway, &first).map_err(|message| StartError {
        message,
        findings: first.findings.clone(),
    })?;
    print!("{}", source::describe(&first, listen));

    // Before anything says that it is ready: whoever waits for that may stop us right after.
    let mut stop = StopSignals::catch();
    let tasks = TaskTracker::new();
    let connections = TaskTracker::new();
    let closed = CancellationToken::new();
    let admin_routes = admin::router(Admin {
        gateway: Arc::clone(&gateway),
        token: args.admin_token.clone(),
        deliveries: deliveries.clone(),
    });
    let data = Listener {
        socket: data,
        routes: Routes::Data(DataRoutes::new(Arc::clone(&gateway))),
    };
    let admin = Listener {
        socket: admin,
        routes: Routes::Admin(admin_routes),
    };
    tasks.spawn(data.run(Arc::clone(&gateway), connections.clone(), closed.clone()));
    // Operations can look until the very end.
    let admin_connections = TaskTracker::new();
    let admin_task = tokio::spawn(admin.run(Arc::clone(&gateway), admin_connections, CancellationToken::new()));
    let watching = tokio::spawn(source.keep_current());
    let reloading = tokio::spawn(reload(Arc::clone(&gateway), deliveries, style));
    tracing::info!(listen = %listen, version = first.version, "serving");

    stop.wait().await;
    watching.abort();
    reloading.abort();
    drain(&gateway, &args, &closed, &tasks, &connections).await;
    admin_task.abort();
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| StartError {
        message: format!("cannot listen on {address}: {error}; free it or choose another with {flag}"),
        findings: Vec::new(),
    })
}

fn local_addr(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError {
        message: format!("the listening socket has no address: {error}"),
        findings: Vec::new(),
    })
}

async fn open_source(
    args: &ServeArgs,
    environment: Environment,
    announce: Announce,
    listen: SocketAddr,
) -> Result<Source, StartError> {
    match &args.manifests {
        None => Source::environment(environment, announce, listen).await,
        Some(dir) => {
            let folder = Folder::new(dir.clone(), args.state_dir.clone(), environment, announce)?;
            Source::manifests(folder).await
        }
    }
}

fn bounds(args: &ServeArgs) -> Bounds {
    Bounds {
        connections_max: args.max_connections,
        head_timeout: args.head_timeout,
        body_idle_timeout: args.body_idle_timeout,
        keep_alive: args.keep_alive_timeout,
    }
}

/// From a folder, the provider next door (Ollama, vLLM) is on loopback.
fn folder_addresses() -> AddressPolicy {
    AddressPolicy {
        allow_loopback: true,
        allow_private: true,
    }
}

fn apply(gateway: &Gateway, delivery: &Delivery) -> Result<(), String> {
    let snapshot = Snapshot::clone(&delivery.snapshot);
    let version = delivery.version.clone();
    let applied = gateway.live.replace(
        snapshot,
        version,
        &delivery.sealing_key,
        gateway.addresses,
        &gateway.metrics,
    );
    applied
        .map(|_| ())
        .map_err(|error| format!("the snapshot cannot be served: {error}"))
}

/// Applies each change and tells the person at the terminal what it brought.
async fn reload(gateway: Arc<Gateway>, mut deliveries: watch::Receiver<Arc<Delivery>>, style: Style) {
    let mut findings = deliveries.borrow_and_update().findings.clone();
    while deliveries.changed().await.is_ok() {
        let delivery = Arc::clone(&deliveries.borrow_and_update());
        if delivery.findings != findings {
            findings.clone_from(&delivery.findings);
            eprint!("{}", diagnostic::render(&findings, style));
        }
        if delivery.is_kept_from_before {
            gateway.metrics.reloaded("unreadable");
            tracing::warn!(
                version = delivery.version,
                "the manifests cannot be loaded; the last good ones stay in force"
            );
            continue;
        }
        match apply(&gateway, &delivery) {
            Ok(()) => tracing::info!(version = delivery.version, "reloaded"),
            Err(error) => tracing::error!(
                version = delivery.version,
                error,
                "the last good snapshot stays in force"
            ),
        }
    }
}

/// SIGTERM, SIGINT and SIGHUP, caught from the moment this exists: without a handler they would end the process undrained.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl StopSignals {
    fn catch() -> Self {
        let caught = |kind| signal(kind).expect("signals can be handled in this runtime");
        Self {
            terminate: caught(SignalKind::terminate()),
            interrupt: caught(SignalKind::interrupt()),
            hang_up: caught(SignalKind::hangup()),
        }
    }

    async fn wait(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // Others reload on it; here every change is followed anyway, and ending would surprise.
                _ = self.hang_up.recv() => tracing::info!("SIGHUP: nothing to do, changes are followed as they are saved"),
            }
        }
    }
}

async fn drain(
    gateway: &Gateway,
    args: &ServeArgs,
    closed: &CancellationToken,
    tasks: &TaskTracker,
    connections: &TaskTracker,
) {
    tracing::info!(
        in_flight = gateway.metrics.in_flight.get(),
        "stopping: not ready any more, requests may finish"
    );
    gateway.draining.cancel();
    tokio::time::sleep(args.shutdown_delay).await;
    closed.cancel();
    tasks.close();
    tasks.wait().await;
    connections.close();
    if tokio::time::timeout(args.drain_timeout, connections.wait())
        .await
        .is_ok()
    {
        tracing::info!("stopped");
        return;
    }
    tracing::warn!(
        in_flight = gateway.metrics.in_flight.get(),
        "the drain timeout is over: ending what still runs"
    );
    gateway.stopping.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, connections.wait()).await;
}
