//! The only way to a provider: a pooled HTTP/1.1 client with checked addresses, and answers read under bounds.
//!
//! HTTP/1.1 because hyper-util's client keeps one HTTP/2 connection per host and queues streams at its limit: fifty
//! one-second calls at ten streams took five seconds. A pool of HTTP/1.1 connections has no such queue.

pub mod address;
pub mod body;
pub mod connect;
pub mod tls;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use headgate_llm::failure::{Failure, FailureKind};

use address::AddressPolicy;
use connect::{ConnectError, Connector};
use tls::TlsError;

/// How long an idle connection is kept. Below the 60 s after which common load balancers drop idle connections, so that we
/// close first and no request meets a dead one.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept per provider. Above it connections close after use instead of adding memory.
const POOL_IDLE_CONNECTIONS_MAX: usize = 512;

/// What makes two providers able to share connections; a reload keeps the pool of an equal one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transport {
    /// Which addresses may be dialled.
    pub addresses: AddressPolicy,
    /// Until connected, TLS included.
    pub connect_timeout: Duration,
    /// A certificate authority instead of the public ones, PEM.
    pub ca_pem: Option<String>,
}

/// A pool of connections to one provider.
pub struct Upstream {
    client: Client<Connector, Full<Bytes>>,
}

impl Upstream {
    /// An empty pool.
    pub fn new(transport: &Transport) -> Result<Self, TlsError> {
        let connector = Connector {
            addresses: transport.addresses,
            timeout: transport.connect_timeout,
            tls: tls::client_config(transport.ca_pem.as_deref())?,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_CONNECTIONS_MAX)
            .http1_max_headers(128)
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a request and waits for the head of its answer. The caller sets the deadline; dropping the future, or the
    /// body of the answer, closes the connection, which is how a provider learns that nobody listens any more.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.client.request(request).await.map_err(|error| failure_of(&error))
    }
}

fn failure_of(error: &Error) -> Failure {
    let connect_error = error.source().and_then(|source| source.downcast_ref::<ConnectError>());
    let kind = match connect_error {
        Some(ConnectError::Timeout { .. }) => FailureKind::Timeout,
        Some(_) => FailureKind::Connection,
        None if error.is_connect() => FailureKind::Connection,
        None => kind_of_http_error(error),
    };
    Failure::new(kind, chain(error))
}

/// A connection that broke before the head is a failure to connect (nothing of an answer was seen); a head that is not
/// HTTP is the provider's fault.
fn kind_of_http_error(error: &Error) -> FailureKind {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            return if hyper.is_parse() {
                FailureKind::Protocol
            } else {
                FailureKind::Connection
            };
        }
        source = cause.source();
    }
    FailureKind::Connection
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
