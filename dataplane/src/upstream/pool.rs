//! Idle connections to one provider, and how a request gets one.
//!
//! Last in, first out: the connection that was used last is the one the provider is least likely to have closed, and the
//! others get to grow old and go. A request that hyper could not hand to a connection any more goes to the next one; one
//! that was handed over is never sent again here, whether to try again is the route's decision.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::time::Instant;

use super::connect::{ConnectError, Connector};
use super::request_body::RequestBody;

/// How long an idle connection is kept, give or take a sweep. Below the 60 s after which common load balancers drop idle connections, so that we
/// close first and no request meets a dead one.
const IDLE_MAX: Duration = Duration::from_secs(45);
/// How often old connections are looked for.
const SWEEP: Duration = Duration::from_secs(10);
/// Idle connections kept. Above it connections close after use instead of adding memory.
const IDLE_CONNECTIONS_MAX: usize = 512;
/// How large a head of an answer may be, and how many headers it may have.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;

type Sender = SendRequest<RequestBody>;

/// Why a request got no head of an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection ended before it could be used.
    #[error("the connection could not be used")]
    Handshake(#[source] hyper::Error),
    /// The request was sent, and no head came back.
    #[error("the call failed")]
    Call(#[source] hyper::Error),
}

/// Connections to one provider.
pub(super) struct Pool {
    connector: Connector,
    idle: Mutex<VecDeque<Idle>>,
    sweeper: OnceLock<()>,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

/// The connection that an answer is read from. Given back when the body has ended; dropped, it closes the connection.
pub struct Lease {
    sender: Sender,
    pool: Weak<Pool>,
}

impl Lease {
    /// The body was read to its end: the connection can take the next request.
    pub fn give_back(self) {
        if let Some(pool) = self.pool.upgrade()
            && !self.sender.is_closed()
        {
            pool.keep(self.sender);
        }
    }
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            connector,
            idle: Mutex::default(),
            sweeper: OnceLock::new(),
        }
    }

    /// Sends on an idle connection, or on a new one.
    pub(super) async fn send(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        while let Some(mut sender) = self.take() {
            if sender.ready().await.is_err() {
                continue; // closed by the provider while it was idle
            }
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, self.lease(sender))),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(SendError::Call(error.into_error())),
                },
            }
        }
        let mut sender = self.dial().await?;
        let response = sender.send_request(request).await.map_err(SendError::Call)?;
        Ok((response, self.lease(sender)))
    }

    fn lease(self: &Arc<Self>, sender: Sender) -> Lease {
        Lease {
            sender,
            pool: Arc::downgrade(self),
        }
    }

    async fn dial(self: &Arc<Self>) -> Result<Sender, SendError> {
        self.sweeper.get_or_init(|| {
            tokio::spawn(sweep(Arc::downgrade(self)));
        });
        let stream = self.connector.connect().await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .handshake(stream)
            .await
            .map_err(SendError::Handshake)?;
        // Ends when the sender is dropped or the provider closes; what it failed of, the request that was on it says.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        sender.ready().await.map_err(SendError::Handshake)?;
        Ok(sender)
    }

    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Idle { sender, .. }) = idle.pop_back() {
            if !sender.is_closed() {
                return Some(sender); // its age is the sweep's business
            }
        }
        None
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push_back(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    fn drop_old(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.sender.is_closed() && connection.since.elapsed() < IDLE_MAX);
    }
}

/// Closes old connections of a pool that no request visits, as long as the pool is there.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match pool.upgrade() {
            Some(pool) => pool.drop_old(),
            None => return,
        }
    }
}
