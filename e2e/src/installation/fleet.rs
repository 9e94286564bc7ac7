//! The processes of an installation: which run, which of them leads, which is new.

use std::sync::Arc;

use tokio::time::{Instant, sleep};

use super::{Installation, PATIENCE, POLL_EVERY, RunningPod};

impl Installation {
    /// Every running pod, by name.
    pub fn pods(&self) -> Vec<Arc<RunningPod>> {
        self.kubelet.pods()
    }

    /// The running gateways, by name.
    pub fn gateways(&self) -> Vec<Arc<RunningPod>> {
        self.pods()
            .into_iter()
            .filter(|pod| pod.component == "gateway")
            .collect()
    }

    /// The running operators, by name.
    pub fn operators(&self) -> Vec<Arc<RunningPod>> {
        self.pods()
            .into_iter()
            .filter(|pod| pod.component == "operator")
            .collect()
    }

    /// The operator that holds the leader's Lease, waited for.
    pub async fn leader(&self) -> Arc<RunningPod> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leases = self.objects.list("lease", &self.namespace).await;
            let holder = leases
                .iter()
                .find_map(|lease| lease.data["spec"]["holderIdentity"].as_str());
            let operators = self.operators();
            if let Some(leader) = operators.into_iter().find(|pod| holder == Some(pod.name.as_str())) {
                return leader;
            }
            assert!(Instant::now() < deadline, "no operator leads: {leases:?}");
            sleep(POLL_EVERY).await;
        }
    }

    /// The leader, once it is another one, waited for.
    pub async fn leader_other_than(&self, before: &str) -> Arc<RunningPod> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader().await;
            if leader.name != before {
                return leader;
            }
            assert!(Instant::now() < deadline, "{before} still leads\n{}", self.logs());
            sleep(POLL_EVERY).await;
        }
    }

    /// A gateway that is none of these, waited for; it need not be ready.
    pub async fn gateway_other_than(&self, before: &[&str]) -> Arc<RunningPod> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let fresh = self
                .gateways()
                .into_iter()
                .find(|pod| !before.contains(&pod.name.as_str()));
            if let Some(fresh) = fresh {
                return fresh;
            }
            assert!(Instant::now() < deadline, "there are only {before:?}\n{}", self.logs());
            sleep(POLL_EVERY).await;
        }
    }

    /// The end of what every pod printed, for the message of a failure.
    pub fn logs(&self) -> String {
        let pods = self.pods();
        pods.iter().map(|pod| tail(&pod.name, &pod.output())).collect()
    }
}

fn tail(name: &str, output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
}
