//! A scripted provider on a real port: what a provider does on a good day and on its worst.
//!
//! It speaks the dialects of all of them at once; the path of a request tells which one (`wire`). A request plays the next
//! behaviour of the queue, else the one that its model names (see [`Behaviour::named`]), so a test in another language
//! chooses by model. It is written on the bare socket and not on an HTTP library: half of its
//! repertoire (a reset, garbage, a length that lies) is what HTTP libraries exist to prevent.

mod asked;
mod behaviour;
mod compressed;
mod connection;
mod form;
mod play;
mod request;
mod sample;
mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use behaviour::Behaviour;
pub use wire::{ACCESS_KEY_ID, EVENT_BYTES, SECRET_ACCESS_KEY};

/// Requests kept for tests to look at; a bench sends millions and must not fill the memory with them.
const RECEIVED_MAX: usize = 4096;

/// A request as it arrived, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// Counts from 0 over the life of the server.
    pub id: usize,
    /// The HTTP method.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// Names in the case they arrived in, in order, duplicates kept.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from its transfer encoding; what is not UTF-8 is replaced.
    pub body: String,
    /// Stream events written so far.
    pub events_sent: u64,
    /// The answer was written to its end.
    pub finished: bool,
    /// The caller closed the connection before the answer was finished.
    pub hung_up: bool,
    /// When that was noticed, in milliseconds since the server started.
    pub hung_up_at_ms: Option<u64>,
}

impl Received {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` when it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What connections share: the script, the record, and a bell that rings on every change of the record.
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    started: Instant,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Behaviour>,
    received: VecDeque<Received>,
    stored: wire::Stored,
    count: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes what is recorded of request `id`, unless it is so old that it was dropped.
    fn update(&self, id: usize, change: impl FnOnce(&mut Received)) {
        if let Some(received) = self.state().received.iter_mut().rev().find(|r| r.id == id) {
            change(received);
        }
        self.changed.send_modify(|n| *n += 1);
    }
}

/// A running fake provider; dropping it closes the port and every connection.
pub struct FakeProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl FakeProvider {
    /// Starts one on a free loopback port.
    pub async fn start() -> Self {
        Self::listen("127.0.0.1:0".parse().expect("a literal address"))
            .await
            .expect("bind a loopback port")
    }

    /// Starts one on `address`; port 0 takes any free one.
    pub async fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: watch::channel(0).0,
            started: Instant::now(),
        });
        let server = tokio::spawn(connection::accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes into `baseURL` of an `OpenAICompatible` provider.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The next request that has no behaviour queued before it plays this one, whatever its model.
    pub fn then(&self, behaviour: Behaviour) {
        self.shared.state().queue.push_back(behaviour);
    }

    /// Everything received, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.shared.state().received.iter().cloned().collect()
    }

    /// How many requests arrived in all.
    pub fn count(&self) -> usize {
        self.shared.state().count
    }

    /// The newest request. Panics when there was none: a test that asks has just sent one.
    pub fn last(&self) -> Received {
        self.shared
            .state()
            .received
            .back()
            .cloned()
            .expect("the provider received a request")
    }

    /// Waits until a request fulfils `condition` and returns it, or `None` after `within`.
    pub async fn wait_for(&self, within: Duration, condition: impl Fn(&Received) -> bool) -> Option<Received> {
        let mut bell = self.shared.changed.subscribe();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some(found) = self.received().into_iter().find(&condition) {
                return Some(found);
            }
            if tokio::time::timeout_at(deadline, bell.changed()).await.is_err() {
                return None;
            }
        }
    }

    /// Serves until the process ends; for the binary.
    pub async fn serve_forever(mut self) {
        let _ = (&mut self.server).await;
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}
