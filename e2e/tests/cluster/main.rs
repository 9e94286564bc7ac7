//! Headgate on Kubernetes: from `kubectl apply` to served, and a status that is true. The real chart, a real API server,
//! the built binaries, and nothing but the rights that the chart grants.
//!
//! One test binary on purpose: linking is most of what a further one costs, and its tests share one control plane. That
//! one is always ours, also where `KUBECONFIG` names a cluster: a stand-in for the kubelet has no place in a cluster that
//! has real ones, and a person's API server is not to be killed. The harness says so on standard error.

mod apply;
mod canary;
mod deletion;
mod delivery;
mod faults;
mod generated;
mod guard;
mod idle;
mod leader;
mod outage;
mod rbac;
mod revoke;
mod scale;
mod secrets;
mod status;
mod tenants;
mod trust;
mod upgrade;

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{Condition, Installation, PATIENCE, Settings, intents};

/// What a request needs, under the names that [`intents::served`] gives it.
const SERVED: [&str; 2] = ["llmprovider/fake", "virtualkey/caller"];

const PROGRAMMED: Condition<'_> = Condition {
    kind: "Programmed",
    status: "True",
    reason: "Programmed",
};

/// An installation that answers [`intents::CALLER_KEY`] from a fake provider, two gateways strong.
async fn scene(name: &str) -> (FakeProvider, Installation) {
    serve(Installation::of(name)).await
}

/// The same with settings.
async fn serve(settings: Settings) -> (FakeProvider, Installation) {
    let provider = FakeProvider::start().await;
    let installation = settings.start().await;
    installation.apply(&intents::served(&provider.base_url())).await;
    wait_until_programmed(&installation, &SERVED).await;
    (provider, installation)
}

/// Waits until each of these says, about its present generation, that every data plane serves it.
async fn wait_until_programmed(installation: &Installation, objects: &[&str]) {
    for object in objects {
        let programmed = |now: &kube::api::DynamicObject| {
            headgate_e2e::installation::condition_of(now, PROGRAMMED.kind)
                .is_some_and(|found| found["status"] == "True" && found["reason"] == PROGRAMMED.reason)
        };
        let waited = installation.objects.wait_for(object, PATIENCE, programmed).await;
        waited.unwrap_or_else(|last| panic!("{object} is not programmed: {last}\n{}", installation.logs()));
    }
}

/// A condition to wait for.
fn condition<'a>(kind: &'a str, status: &'a str, reason: &'a str) -> Condition<'a> {
    Condition { kind, status, reason }
}
