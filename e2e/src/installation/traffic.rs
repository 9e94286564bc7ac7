//! Requests as clients of the Service send them, to every pod or to whichever is ready, and load that counts what fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Installation, PATIENCE, POLL_EVERY, RunningPod};
use crate::raw_http::{self, Answer};

/// Beyond it a request counts as failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

impl Installation {
    /// Asks every gateway the same, and returns the answers by pod.
    pub async fn ask_all(&self, key: &str, model: &str) -> BTreeMap<String, Answer> {
        let mut answers = BTreeMap::new();
        for pod in self.gateways() {
            let answer = ask(pod.address(), key, model).await;
            answers.insert(
                pod.name.clone(),
                answer.unwrap_or_else(|error| panic!("{}: {error}\n{}", pod.name, self.logs())),
            );
        }
        assert!(!answers.is_empty(), "no gateway runs");
        answers
    }

    /// Asks one of them.
    pub async fn ask(&self, pod: &RunningPod, key: &str, model: &str) -> Answer {
        let answer = ask(pod.address(), key, model).await;
        answer.unwrap_or_else(|error| panic!("{}: {error}\n{}", pod.name, self.logs()))
    }

    /// Every gateway answers with that status, now.
    pub async fn assert_all_answer(&self, key: &str, model: &str, status: u16) {
        for (pod, answer) in self.ask_all(key, model).await {
            let text = answer.text();
            assert_eq!(answer.status, status, "{pod} answers {text:.500}\n{}", self.logs());
        }
    }

    /// Waits until every gateway answers as wanted.
    pub async fn wait_until_all(&self, key: &str, model: &str, wanted: impl Fn(&Answer) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answers = self.ask_all(key, model).await;
            if answers.values().all(&wanted) {
                return;
            }
            if Instant::now() > deadline {
                let said: Vec<_> = answers
                    .iter()
                    .map(|(pod, answer)| format!("{pod}: {:.300}", answer.text()))
                    .collect();
                panic!(
                    "{model} is not answered as wanted: {}\n{}",
                    said.join("\n"),
                    self.logs()
                );
            }
            sleep(POLL_EVERY).await;
        }
    }

    /// Waits until every gateway answers with that status.
    pub async fn wait_until_all_answer(&self, key: &str, model: &str, status: u16) {
        self.wait_until_all(key, model, |answer| answer.status == status).await;
    }

    /// Sends traffic to whichever gateways there are, as a Service would, until the rollout is over and no pod of before is
    /// left.
    pub async fn follow_rollout(&self, traffic: &Traffic) {
        let follow = async {
            loop {
                traffic.send_to(&self.gateways());
                sleep(POLL_EVERY).await;
            }
        };
        tokio::select! {
            () = self.wait_until_rolled_out() => {}
            () = follow => {}
        }
        traffic.send_to(&self.gateways());
    }

    /// Starts clients that ask without pause, each the ready gateways in turn, as a Service would send them.
    pub fn start_traffic(&self, clients: usize, key: &str, model: &str) -> Traffic {
        let shared = Arc::new(Shared::default());
        let mut workers = JoinSet::new();
        for number in 0..clients {
            let (shared, key, model) = (Arc::clone(&shared), key.to_owned(), model.to_owned());
            workers.spawn(async move { shared.work(number, &key, &model).await });
        }
        let traffic = Traffic { shared, workers };
        traffic.send_to(&self.gateways());
        traffic
    }
}

/// One request on a connection of its own; a refused connection is an error, as all that is no HTTP answer.
pub(crate) async fn ask(address: SocketAddr, key: &str, model: &str) -> Result<Answer, String> {
    let body = raw_http::chat_body(model, false);
    let request = raw_http::chat_request(&[&format!("authorization: Bearer {key}")], body.as_bytes());
    timeout(REQUEST_TIMEOUT, raw_http::send(address, &request))
        .await
        .map_err(|_| format!("no answer within {REQUEST_TIMEOUT:?}"))?
}

#[derive(Default)]
struct Shared {
    targets: Mutex<Vec<Arc<RunningPod>>>,
    stops: AtomicBool,
    answered: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Shared {
    async fn work(&self, number: usize, key: &str, model: &str) {
        let mut turn = number;
        while !self.stops.load(Ordering::Relaxed) {
            turn += 1;
            let target = self.next(turn);
            let Some((name, address)) = target else {
                sleep(POLL_EVERY).await;
                continue;
            };
            let failure = match ask(address, key, model).await {
                Ok(answer) if answer.status == 200 && answer.complete => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Ok(answer) => format!("{name}: {} {:.300}", answer.status, answer.text()),
                Err(error) => format!("{name}: {error}"),
            };
            self.failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(failure);
        }
    }

    fn next(&self, turn: usize) -> Option<(String, SocketAddr)> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let ready: Vec<_> = targets.iter().filter(|pod| pod.is_ready()).collect();
        let pod = ready.get(turn.checked_rem(ready.len())?)?;
        Some((pod.name.clone(), pod.address()))
    }
}

/// Clients at work; dropping it stops them.
pub struct Traffic {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

impl Traffic {
    /// Sends to the ready ones of these from now on.
    pub fn send_to(&self, pods: &[Arc<RunningPod>]) {
        let mut targets = self.shared.targets.lock().unwrap_or_else(PoisonError::into_inner);
        *targets = pods.to_vec();
    }

    /// Requests answered with 200 so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Stops all clients after the request they are in; what was answered, and what failed and how.
    pub async fn stop(mut self) -> (u64, Vec<String>) {
        self.shared.stops.store(true, Ordering::Relaxed);
        while self.workers.join_next().await.is_some() {}
        let failures = self
            .shared
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        (self.answered(), failures)
    }
}
