//! The life of the process: start, serve, and a stop that leaves nothing half done.
//!
//! A stop goes in two steps. First the queue ends and the work under way finishes, still as the leader; then the Lease is
//! given back and everything else ends. The other order would let the next leader write beside us.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::Config;
use crate::controller::Controller;
use crate::leader::{Elector, Leadership};
use crate::metrics::Metrics;
use crate::world::World;
use crate::{admin, client};

/// How long the work under way may take to finish after SIGTERM; with [`END_TIMEOUT`] it fits in the 30 s that Kubernetes
/// grants by default.
const FINISH_TIMEOUT: Duration = Duration::from_secs(20);
/// How long everything else may take to end, the release of the Lease included.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// No core dump and no debugger of the same user can read keys out of this process. What the system refuses is not worth
/// refusing to run.
pub fn harden() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, nothing);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Runs until SIGTERM or SIGINT. The error is one sentence: what kept it from starting, or what ended it.
pub async fn run(config: Config) -> Result<(), String> {
    let config = Arc::new(config);
    let stopped = stop_signal()?;
    let metrics = Arc::new(Metrics::new());
    let client = client::connect(&metrics).await?;
    let listener = TcpListener::bind(config.admin_listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.admin_listen))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        installation = config.installation,
        watch = ?config.watch,
        admin_listen = %config.admin_listen,
        "the operator starts"
    );

    let (stop_work, stop_rest, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let leadership = Arc::new(Leadership::new());
    let elector = Arc::new(Elector::new(
        client.clone(),
        &config,
        Arc::clone(&leadership),
        Arc::clone(&metrics),
    ));
    let world = World::new(
        client.clone(),
        Arc::clone(&config),
        Arc::clone(&metrics),
        Arc::clone(&leadership),
    );
    world.watch(&elector, &tasks, &stop_rest);
    tasks.spawn(admin::serve(
        listener,
        Arc::clone(&world),
        Arc::clone(&metrics),
        stop_rest.clone(),
    ));
    tasks.spawn(elect(elector, Arc::clone(&world), stop_rest.clone()));
    let controller = Controller {
        client,
        config,
        world,
        leadership,
        metrics,
    };
    // Here rather than in a task of its own: what runs here ends here, and a reconcile need not move between threads.
    let mut work = pin!(AssertUnwindSafe(controller.run(&stop_work)).catch_unwind());
    let mut outcome = Ok(());
    tokio::select! {
        () = stopped => {
            tracing::info!("the operator stops");
            stop_work.cancel();
            if timeout(FINISH_TIMEOUT, &mut work).await.is_err() {
                tracing::warn!(timeout_s = FINISH_TIMEOUT.as_secs(), "the work under way did not finish and is dropped");
            }
        }
        _ = &mut work => outcome = Err("the controller ended by itself, which is a defect; please report the lines above".to_owned()),
    }
    stop_rest.cancel();
    tasks.close();
    if timeout(END_TIMEOUT, tasks.wait()).await.is_err() {
        tracing::warn!(timeout_s = END_TIMEOUT.as_secs(), "not everything ended in time");
    }
    outcome
}

/// Leads only once the world is complete: a replica that may not watch must not keep the Lease from one that may.
async fn elect(elector: Arc<Elector>, world: Arc<World>, stop: CancellationToken) {
    if stop.run_until_cancelled(world.synced()).await.is_some() {
        elector.run(&stop).await;
    }
}

/// Resolves at the first SIGTERM or SIGINT from now on.
fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    let cannot = |error| format!("cannot listen for signals: {error}");
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
