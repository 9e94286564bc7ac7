//! The only way to a provider: pooled HTTP/1.1 connections to checked addresses, and answers read under bounds.
//!
//! HTTP/1.1, and a pool of our own over hyper's connections. The usual client keeps one HTTP/2 connection per host and
//! queues streams at its limit (fifty one-second calls at ten streams took five seconds); it also costs a request a
//! tenth of its instructions, for choices that a provider with one address does not have.

pub mod address;
pub mod body;
pub mod connect;
mod pool;
pub mod request_body;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;

use headgate_llm::failure::{Failure, FailureKind};

use address::AddressPolicy;
use connect::{ConnectError, Connector, Target};
use pool::{Pool, SendError};
use request_body::RequestBody;
use tls::TlsError;

pub use pool::Lease;

/// What makes two providers able to share connections; a reload keeps the pool of an equal one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transport {
    /// Where it is.
    pub target: Target,
    /// Which addresses may be dialled.
    pub addresses: AddressPolicy,
    /// Until connected, TLS included.
    pub connect_timeout: Duration,
    /// A certificate authority instead of the public ones, PEM.
    pub ca_pem: Option<String>,
}

/// Connections to one provider.
pub struct Upstream {
    pool: Arc<Pool>,
}

impl Upstream {
    /// An empty pool.
    pub fn new(transport: &Transport) -> Result<Self, TlsError> {
        let connector = Connector::to_provider(
            transport.target.clone(),
            transport.addresses,
            transport.connect_timeout,
            tls::client_config(transport.ca_pem.as_deref())?,
        );
        Ok(Self {
            pool: Arc::new(Pool::new(connector)),
        })
    }

    /// Sends a request (path and `Host` in it) and waits for the head of its answer. The caller sets the deadline;
    /// dropping the future, or the body of the answer before its end, closes the connection, which is how a provider
    /// learns that nobody listens any more. Whoever reads the body to its end gives the lease back.
    pub async fn send(&self, request: Request<RequestBody>) -> Result<(Response<Incoming>, Lease), Failure> {
        self.pool
            .send(request)
            .await
            .map_err(|error| Failure::new(kind_of(&error), chain(&error)))
    }
}

/// A connection that broke before the head is a failure to connect (nothing of an answer was seen); a head that is not
/// HTTP is the provider's fault.
fn kind_of(error: &SendError) -> FailureKind {
    match error {
        SendError::Connect(ConnectError::Timeout { .. }) => FailureKind::Timeout,
        SendError::Call(error) if error.is_parse() => FailureKind::Protocol,
        SendError::Connect(_) | SendError::Handshake(_) | SendError::Call(_) => FailureKind::Connection,
    }
}

/// An error with its causes, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
