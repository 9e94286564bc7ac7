//! What a test asks of a running pod: its rights, that it is back, what it takes of the machine.

use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::time::{Instant, sleep};

use super::{PATIENCE, POLL_EVERY, RunningPod};

impl RunningPod {
    /// A client with its rights and no others.
    pub async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.volume("kubeconfig")).expect("a started pod has one");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("we wrote it")).expect("we wrote it")
    }

    /// Waits until its container was started so many times and is ready.
    pub async fn wait_until_ready_again(&self, starts: u32) {
        let deadline = Instant::now() + PATIENCE;
        while self.starts() < starts || !self.is_ready() {
            assert!(
                Instant::now() < deadline,
                "{} is not ready after {} starts:\n{}",
                self.name,
                self.starts(),
                self.output()
            );
            sleep(POLL_EVERY).await;
        }
    }

    /// What its process takes of the memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
    }

    /// What its process has used of processors so far, user and system together.
    pub fn cpu_time(&self) -> Duration {
        const TICKS_A_SECOND: u64 = 100; // USER_HZ, the same on every Linux that there is
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // After the name, which may hold anything and ends with the last parenthesis.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<u64>().ok())
                .unwrap_or_default()
        };
        Duration::from_millis((ticks(11) + ticks(12)) * 1_000 / TICKS_A_SECOND)
    }
}
