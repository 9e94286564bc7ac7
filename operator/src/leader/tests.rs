//! Several operators and one Lease, on a clock that the test moves: who leads, and that it is never two.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Elector, Leadership, claim};
use crate::args::{Args, Config};
use crate::metrics::Metrics;

/// As much of an API server as one Lease takes: preconditions, conflicts, and an outage.
#[derive(Default)]
struct Api {
    lease: Option<Lease>,
    version: u64,
    is_away: bool,
}

impl Api {
    fn answer(&mut self, method: &Method, sent: &[u8]) -> (StatusCode, Value) {
        let failure = |code: StatusCode, reason: &str| {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                "message": reason, "reason": reason, "code": code.as_u16()});
            (code, status)
        };
        if self.is_away {
            return failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
        }
        match (method, self.lease.as_ref()) {
            (&Method::GET, Some(lease)) => (StatusCode::OK, json!(lease)),
            (&Method::GET | &Method::PUT, None) => failure(StatusCode::NOT_FOUND, "NotFound"),
            (&Method::POST, Some(_)) => failure(StatusCode::CONFLICT, "AlreadyExists"),
            (_, stored) => {
                let mut lease: Lease = serde_json::from_slice(sent).unwrap();
                let version = stored.and_then(|stored| stored.metadata.resource_version.clone());
                if lease.metadata.resource_version != version {
                    return failure(StatusCode::CONFLICT, "Conflict");
                }
                self.version += 1;
                lease.metadata.resource_version = Some(self.version.to_string());
                self.lease = Some(lease.clone());
                (StatusCode::OK, json!(lease))
            }
        }
    }
}

/// One API server and the operators at it.
#[derive(Default)]
struct Cluster {
    api: Arc<Mutex<Api>>,
    operators: Vec<Operator>,
}

struct Operator {
    elector: Arc<Elector>,
    leadership: Arc<Leadership>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Cluster {
    /// Starts an operator; returns its index.
    fn start(&mut self, name: &str) -> usize {
        let api = Arc::clone(&self.api);
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = Arc::clone(&api);
            async move {
                let (head, body) = request.into_parts();
                let sent = body.collect_bytes().await?;
                let (code, answer) = api.lock().unwrap().answer(&head.method, &sent);
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                let response = Response::builder().status(code).body(body).unwrap();
                Ok::<_, kube::Error>(response)
            }
        });
        let config = config(name);
        let leadership = Arc::new(Leadership::new());
        let elector = Arc::new(Elector::new(
            Client::new(service, "gateway"),
            &config,
            Arc::clone(&leadership),
            Arc::new(Metrics::new()),
        ));
        let stop = CancellationToken::new();
        let (running, until) = (Arc::clone(&elector), stop.clone());
        let task = tokio::spawn(async move { running.run(&until).await });
        self.operators.push(Operator {
            elector,
            leadership,
            stop,
            task,
        });
        self.operators.len() - 1
    }

    /// What the watch does in life: tells every operator the Lease as it is.
    fn tell_all(&self) {
        let lease = self.api.lock().unwrap().lease.clone();
        for operator in &self.operators {
            operator.elector.see(lease.as_ref());
        }
    }

    /// Who leads now; asserts that it is one at most.
    fn leader(&self) -> Option<usize> {
        let mut leaders = (0..self.operators.len()).filter(|index| self.operators[*index].leadership.is_held());
        let leader = leaders.next();
        assert_eq!(leaders.next(), None, "two operators lead");
        leader
    }

    /// Lets time pass in small steps until `is_wanted`; returns how much did. Fails after a minute.
    async fn until(&self, is_wanted: impl Fn(Option<usize>) -> bool) -> Duration {
        let started = Instant::now();
        while !is_wanted(self.leader()) {
            sleep(Duration::from_millis(10)).await;
            assert!(started.elapsed() < Duration::from_secs(60), "waited in vain");
        }
        started.elapsed()
    }

    /// Lets so much time pass, and watches that there are never two leaders meanwhile.
    async fn pass(&self, duration: Duration) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.leader();
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn config(pod_name: &str) -> Config {
    let line = [
        "headgate-operator",
        "--namespace=gateway",
        "--installation=headgate.gateway.main",
        "--data-plane-selector=app=headgate",
        "--pod-name",
        pod_name,
    ];
    Config::from_args(<Args as clap::Parser>::parse_from(line)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_leads_and_the_others_wait_as_long_as_it_renews() {
    let mut cluster = Cluster::default();
    let first = cluster.start("a");
    cluster.until(|leader| leader == Some(first)).await;
    cluster.start("b");
    cluster.start("c");
    cluster.pass(Duration::from_secs(120)).await;
    assert_eq!(cluster.leader(), Some(first));
    let writes = cluster.api.lock().unwrap().version;
    assert!(
        (24..=26).contains(&writes),
        "one write each 5 s, and {writes} in two minutes"
    );
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_within_a_second() {
    let mut cluster = Cluster::default();
    let first = cluster.start("a");
    cluster.until(|leader| leader == Some(first)).await;
    let second = cluster.start("b");
    cluster.pass(Duration::from_secs(7)).await;
    cluster.operators[first].stop.cancel();
    let task = std::mem::replace(&mut cluster.operators[first].task, tokio::spawn(async {}));
    task.await.unwrap();
    cluster.tell_all();
    let waited = cluster.until(|leader| leader == Some(second)).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_died_is_replaced_after_the_lease_and_not_before() {
    let mut cluster = Cluster::default();
    let first = cluster.start("a");
    cluster.until(|leader| leader == Some(first)).await;
    let second = cluster.start("b");
    cluster.pass(Duration::from_secs(7)).await;
    cluster.tell_all();
    cluster.operators[first].task.abort();
    let waited = cluster.until(|leader| leader == Some(second)).await;
    let allowed = Duration::from_secs(10)..Duration::from_secs(17);
    assert!(allowed.contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_anybody_else_may_start() {
    let mut cluster = Cluster::default();
    let first = cluster.start("a");
    cluster.until(|leader| leader == Some(first)).await;
    cluster.start("b");
    cluster.pass(Duration::from_secs(7)).await;
    cluster.api.lock().unwrap().is_away = true;
    let waited = cluster.until(|leader| leader.is_none()).await;
    assert!(waited <= Duration::from_secs(10), "{waited:?}");
    cluster.pass(Duration::from_secs(60)).await;
    assert_eq!(cluster.leader(), None, "nobody leads what cannot be reached");
    cluster.api.lock().unwrap().is_away = false;
    let waited = cluster.until(|leader| leader.is_some()).await;
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    cluster.pass(Duration::from_secs(30)).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again_by_its_leader() {
    let mut cluster = Cluster::default();
    let first = cluster.start("a");
    cluster.until(|leader| leader == Some(first)).await;
    cluster.start("b");
    cluster.pass(Duration::from_secs(1)).await;
    cluster.api.lock().unwrap().lease = None;
    cluster.tell_all();
    cluster.pass(Duration::from_secs(30)).await;
    assert_eq!(cluster.leader(), Some(first));
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_steps_down_as_soon_as_it_sees_that() {
    let mut cluster = Cluster::default();
    let first = cluster.start("a");
    cluster.until(|leader| leader == Some(first)).await;
    {
        let mut api = cluster.api.lock().unwrap();
        let stored = api.lease.clone().unwrap();
        let taken = claim::held(&stored, "stranger", Duration::from_secs(15), jiff::Timestamp::now());
        let (code, _) = api.answer(&Method::PUT, &serde_json::to_vec(&taken).unwrap());
        assert_eq!(code, StatusCode::OK);
    }
    cluster.tell_all();
    let waited = cluster.until(|leader| leader.is_none()).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    // The stranger never renews, so the Lease is free again after its time.
    let waited = cluster.until(|leader| leader == Some(first)).await;
    assert!(waited >= Duration::from_secs(14), "{waited:?}");
}
