//! What this data plane says about itself: one Lease, named after its pod, with an acknowledgement as annotation.
//!
//! Written at once when something changes and every 10 s besides. An API server that does not take it stops nothing: what
//! is served does not depend on who knows.

use std::time::Duration;

use headgate_snapshot::delivery::{Ack, LEASE_DURATION, LEASE_RENEW, annotation, label};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::api::Api;
use super::backoff::Backoff;

/// The label that tells the Leases of data planes from others, and its value.
pub(super) const COMPONENT: (&str, &str) = ("app.kubernetes.io/component", "gateway");
/// Waits between failing writes. Two of the longest fit into the time by which one is due anyway.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Whose Lease it is.
pub(super) struct LeaseHolder {
    pub(super) namespace: String,
    pub(super) pod_name: String,
    pub(super) installation: String,
}

impl LeaseHolder {
    /// Keeps the Lease current until `acks` ends. May be dropped at any time.
    pub(super) async fn run(self, api: Api, mut acks: watch::Receiver<Ack>) {
        let field_manager = format!("headgate.{}", self.installation);
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            let lease = self.lease(&acks.borrow_and_update(), jiff::Timestamp::now());
            // The trouble is logged and counted where the call is made.
            if api.apply_lease(&lease, &field_manager).await.is_err() {
                sleep(backoff.after_failure(fastrand::f64())).await;
                continue;
            }
            backoff.reset();
            if let Ok(Err(_ended)) = timeout(LEASE_RENEW, acks.changed()).await {
                return;
            }
        }
    }

    fn lease(&self, ack: &Ack, now: jiff::Timestamp) -> Lease {
        let labels = [
            (label::INSTALLATION, self.installation.as_str()),
            (COMPONENT.0, COMPONENT.1),
        ];
        Lease {
            metadata: ObjectMeta {
                name: Some(self.pod_name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                annotations: Some([(annotation::ACK.to_owned(), ack.to_annotation())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.pod_name.clone()),
                lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_is_of_the_form_that_an_api_server_takes() {
        let holder = LeaseHolder {
            namespace: "snapshots".to_owned(),
            pod_name: "headgate-0".to_owned(),
            installation: "headgate.gateway.headgate".to_owned(),
        };
        let ack = Ack {
            installation: holder.installation.clone(),
            serving: None,
            refused: None,
            format_max: 2,
            key_ids: vec!["0011223344556677".to_owned()],
            build: "1.2.3".to_owned(),
        };
        let now = "2026-11-21T10:00:00.25Z".parse().unwrap();
        let expected = serde_json::json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": "headgate-0",
                "namespace": "snapshots",
                "labels": {
                    "app.kubernetes.io/component": "gateway",
                    "headgate.dev/installation": "headgate.gateway.headgate",
                },
                "annotations": {"headgate.dev/ack": ack.to_annotation()},
            },
            "spec": {
                "holderIdentity": "headgate-0",
                "leaseDurationSeconds": 40,
                "renewTime": "2026-11-21T10:00:00.250000Z",
            },
        });
        assert_eq!(serde_json::to_value(holder.lease(&ack, now)).unwrap(), expected);
    }
}
