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

use crate::admin::{self, Admin};
use crate::args::ServeArgs;
use crate::diagnostic::Style;
use crate::gateway::{Bounds, Gateway};
use crate::http_api::DataRoutes;
use crate::listener::{Listener, Routes};
use crate::source::kubernetes::{Follower, Settings};
use crate::source::local::Local;
use crate::source::manifests::Folder;
use crate::source::{self, Announce, Environment, Source, Standing, StartError};
use crate::upstream::address::AddressPolicy;

/// How long connections get to write their last words once everything was told to stop.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until a signal ends it. The error is for the person who started it.
pub async fn serve(args: ServeArgs, environment: Environment, announce: Announce) -> Result<(), StartError> {
    let data = bind(args.listen, "--listen").await?;
    let admin = bind(args.admin_listen, "--admin-listen").await?;
    let listen = data
        .local_addr()
        .map_err(|error| StartError::new(format!("the listening socket has no address: {error}")))?;
    let gateway = Arc::new(Gateway::new(bounds(&args), addresses(&args)).at(args.clouds.clone()));
    let source = Opened::open(&args, environment, announce, listen, &gateway).await?;
    if let Opened::Local(local) = &source {
        print!("{}", source::describe(local.first(), listen));
    }

    // Before anything says that it is ready: whoever waits for that may stop us right after.
    let mut stop = StopSignals::catch();
    let tasks = TaskTracker::new();
    let connections = TaskTracker::new();
    let closed = CancellationToken::new();
    let admin_routes = admin::router(Admin {
        gateway: Arc::clone(&gateway),
        token: args.admin_token.clone(),
        standing: source.standing(),
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
    let mut following = tokio::spawn(source.run());
    if let Some(runtime) = gateway.live.get() {
        tracing::info!(listen = %listen, version = runtime.version, "serving");
    } else {
        tracing::info!(listen = %listen, "listening; not ready before the first snapshot");
    }

    let served = tokio::select! {
        () = stop.wait() => Ok(()),
        // Going on would be serving for ever what was once true; whoever restarts us begins with the last good.
        ended = &mut following => Err(StartError::new(format!(
            "following the source ended unexpectedly ({}); please report this",
            ended.err().map_or_else(|| "without an error".to_owned(), |error| error.to_string())
        ))),
    };
    // Followed until the end: a key that is revoked while the last requests finish is refused, too.
    drain(&gateway, &args, &closed, &tasks, &connections).await;
    following.abort();
    admin_task.abort();
    served
}

/// A source, opened.
enum Opened {
    Local(Box<Local>),
    Cluster(Box<Follower>),
}

impl Opened {
    /// A local source is in force when this returns; a cluster is followed from [`run`](Self::run) on, since probes must
    /// answer while nothing can be reached.
    async fn open(
        args: &ServeArgs,
        environment: Environment,
        announce: Announce,
        listen: SocketAddr,
        gateway: &Arc<Gateway>,
    ) -> Result<Self, StartError> {
        if let Some(settings) = Settings::of(args) {
            let follower = Follower::new(settings, Arc::clone(gateway)).await?;
            return Ok(Self::Cluster(Box::new(follower)));
        }
        let style = Style::of(std::io::stderr().is_terminal(), &*environment);
        let source = match &args.manifests {
            None => Source::environment(environment, announce, listen).await?,
            Some(dir) => {
                let folder = Folder::new(dir.clone(), args.state_dir.clone(), environment, announce)?;
                Source::manifests(folder).await?
            }
        };
        Ok(Self::Local(Box::new(Local::start(source, Arc::clone(gateway), style)?)))
    }

    fn standing(&self) -> watch::Receiver<Arc<Standing>> {
        match self {
            Self::Local(local) => local.standing(),
            Self::Cluster(follower) => follower.standing(),
        }
    }

    async fn run(self) {
        match self {
            Self::Local(local) => local.run().await,
            Self::Cluster(follower) => follower.run().await,
        }
    }
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| {
        StartError::new(format!(
            "cannot listen on {address}: {error}; free it or choose another with {flag}"
        ))
    })
}

fn bounds(args: &ServeArgs) -> Bounds {
    Bounds {
        connections_max: args.max_connections,
        head_timeout: args.head_timeout,
        body_idle_timeout: args.body_idle_timeout,
        keep_alive: args.keep_alive_timeout,
    }
}

/// Without a cluster the provider next door (Ollama, vLLM) is on loopback; a pod has no business there.
fn addresses(args: &ServeArgs) -> AddressPolicy {
    AddressPolicy {
        allow_loopback: args.allow_loopback.unwrap_or(args.cluster.snapshot_namespace.is_none()),
        allow_private: args.allow_private,
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
