//! From the moment the API server took a change to the moment the last data plane acts on it, asked by requests.

use std::time::{Duration, Instant};

use headgate_e2e::installation::{Installation, intents};
use serde_json::json;

use super::{Figure, wait_until_programmed};

/// What the clock is read in: a request to each gateway takes about as long.
const ASK_EVERY: Duration = Duration::from_millis(1);

pub(super) async fn of_edits(installation: &Installation, count: usize) -> Vec<Figure> {
    installation
        .apply(&intents::route("bench", "bench-0", "fake", "chat"))
        .await;
    wait_until_programmed(installation, "routepolicy/bench").await;
    let (mut served, mut reported) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let model = format!("bench-{number}");
        let since = Instant::now();
        let edit = json!({"spec": {"models": [model]}});
        installation.objects.patch("routepolicy/bench", edit).await;
        until_all_answer(installation, &model, 200).await;
        served.push(since.elapsed());
        wait_until_programmed(installation, "routepolicy/bench").await;
        reported.push(since.elapsed());
    }
    let mut figures = percentiles("apply to served on two data planes", served, "p99 at most 1 s");
    figures.extend(percentiles("apply to Programmed", reported, ""));
    figures
}

pub(super) async fn of_revocations(installation: &Installation, count: usize) -> Vec<Figure> {
    let mut refused = Vec::new();
    for _ in 0..count {
        for (suspended, status) in [(true, 401), (false, 200)] {
            let since = Instant::now();
            let edit = json!({"spec": {"suspended": suspended}});
            installation.objects.patch("virtualkey/caller", edit).await;
            until_all_answer(installation, intents::MODEL, status).await;
            if suspended {
                refused.push(since.elapsed());
            }
            wait_until_programmed(installation, "virtualkey/caller").await;
        }
    }
    percentiles("revoke to refused on two data planes", refused, "at most 2 s")
}

async fn until_all_answer(installation: &Installation, model: &str, status: u16) {
    for pod in installation.gateways() {
        while installation.ask(&pod, intents::CALLER_KEY, model).await.status != status {
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

fn percentiles(what: &str, mut times: Vec<Duration>, goal: &'static str) -> Vec<Figure> {
    times.sort();
    let count = times.len();
    // The nearest rank: of 100 times the 99th, and never one that was not measured.
    let at = |percent: usize| {
        times
            .get((count * percent).div_ceil(100).saturating_sub(1))
            .copied()
            .unwrap_or_default()
    };
    [("p50", at(50)), ("p99", at(99)), ("max", at(100))]
        .into_iter()
        .map(|(name, time)| {
            let goal = if name == "p99" { goal } else { "" };
            Figure::new(
                format!("{what}, {name} of {count}"),
                format!("{} ms", time.as_millis()),
                goal,
            )
        })
        .collect()
}
