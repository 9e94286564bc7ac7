//! `bench-cluster`: what a change costs on Kubernetes, as a table: apply to served, revoke to refused, writes while idle,
//! ten thousand keys, requests lost to reloads and a rolling restart.
//!
//! The same installation as in the tests: the chart, a real API server, processes with their own rights. Name optimised
//! binaries by `HEADGATE_BIN` and `HEADGATE_OPERATOR_BIN`, or figures of debug builds come out. Everything shares this
//! machine, clients and control plane included, so figures are upper bounds.

mod latency;
mod load;
mod scale;

use std::time::Duration;

use clap::Parser;
use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{Installation, PATIENCE, condition_of, intents};

/// What a change costs on Kubernetes, as a table.
#[derive(Parser)]
#[command(name = "bench-cluster")]
struct Arguments {
    /// Edits of a route, each awaited on both data planes
    #[arg(long, default_value_t = 100)]
    edits: usize,
    /// Suspensions of a key, likewise
    #[arg(long, default_value_t = 20)]
    revocations: usize,
    /// Minutes without a change; 0 leaves it out
    #[arg(long, default_value_t = 10)]
    idle_minutes: u64,
    /// Keys of the large installation; 0 leaves it out
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    /// Reloads under load; 0 leaves it and the rolling restart out
    #[arg(long, default_value_t = 100)]
    reloads: usize,
}

/// A line of the table.
struct Figure {
    what: String,
    value: String,
    goal: &'static str,
}

impl Figure {
    fn new(what: impl Into<String>, value: impl Into<String>, goal: &'static str) -> Self {
        Self {
            what: what.into(),
            value: value.into(),
            goal,
        }
    }
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let provider = FakeProvider::start().await;
    let mut figures = Vec::new();
    {
        // Swept at once: what is left over from edits would be cleared away while idle, ten minutes after them.
        let settings = Installation::of("bench").operator_environment("HEADGATE_SHARD_GRACE", "5s");
        let mut installation = settings.start().await;
        installation.apply(&intents::served(&provider.base_url())).await;
        wait_until_programmed(&installation, "virtualkey/caller").await;
        figures.extend(latency::of_edits(&installation, arguments.edits).await);
        figures.extend(latency::of_revocations(&installation, arguments.revocations).await);
        if arguments.reloads > 0 {
            figures.extend(load::reloads_and_restart(&mut installation, arguments.reloads).await);
        }
        if arguments.idle_minutes > 0 {
            figures.push(idle(&installation, Duration::from_secs(60 * arguments.idle_minutes)).await);
        }
    }
    if arguments.keys > 0 {
        figures.extend(scale::of_keys(&provider, arguments.keys).await);
    }
    print(&figures);
}

async fn idle(installation: &Installation, time: Duration) -> Figure {
    tokio::time::sleep(Duration::from_secs(20)).await; // what the last edit left to do is no idling
    let before = installation.writes_but_leases().len();
    tokio::time::sleep(time).await;
    let writes = installation.writes_but_leases().split_off(before);
    for write in &writes {
        eprintln!("while idle: {write:?}");
    }
    let what = format!("writes in {} idle minutes, Leases aside", time.as_secs() / 60);
    Figure::new(what, writes.len().to_string(), "0")
}

/// Waits until every data plane serves the object's present generation.
async fn wait_until_programmed(installation: &Installation, object: &str) {
    let programmed =
        |now: &kube::api::DynamicObject| condition_of(now, "Programmed").is_some_and(|found| found["status"] == "True");
    let waited = installation.objects.wait_for(object, PATIENCE, programmed).await;
    waited.unwrap_or_else(|last| panic!("{object} is not programmed: {last}\n{}", installation.logs()));
}

fn print(figures: &[Figure]) {
    let width = |text: fn(&Figure) -> &str| {
        figures
            .iter()
            .map(|figure| text(figure).len())
            .max()
            .unwrap_or(0)
            .max(5)
    };
    let (what, value) = (width(|figure| &figure.what), width(|figure| &figure.value));
    println!("| {:what$} | {:>value$} | goal |", "what", "figure");
    println!("| {:-<what$} | {:->value$} | ---- |", "", "");
    for figure in figures {
        println!("| {:what$} | {:>value$} | {} |", figure.what, figure.value, figure.goal);
    }
}
