//! Accepting connections: bounded in number, in the size and time of a head, and in idleness; drained at the end.
//!
//! HTTP/1.1 only. Clients come through ingresses and service meshes that speak it, and every SDK does.

mod guard;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::gateway::{Bounds, Gateway};
use crate::http_api::DataRoutes;
use guard::{GuardedIo, Phase, TrackedBody};

/// How large a request's head may be. hyper answers 431 beyond it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How many headers a request may have. hyper answers 431 beyond it.
const HEADERS_MAX: usize = 128;

/// An address that is listened on, and what is served there.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// What is served there.
    pub routes: Routes,
}

/// What a listener serves.
#[derive(Clone)]
pub enum Routes {
    /// Clients' requests.
    Data(DataRoutes),
    /// Operations; they need to know the peer.
    Admin(Router),
}

impl Routes {
    async fn answer(&self, peer: SocketAddr, mut request: Request<Incoming>) -> axum::response::Response {
        match self {
            Self::Data(routes) => routes.answer(request).await,
            Self::Admin(router) => {
                request.extensions_mut().insert(ConnectInfo(peer));
                let Ok(response) = router.clone().call(request).await;
                response
            }
        }
    }
}

impl Listener {
    /// Accepts until `closed`; connections run on `connections` until they end, close after their request once the gateway
    /// drains, and are dropped by whoever drops the tracker's tasks.
    pub async fn run(self, gateway: Arc<Gateway>, connections: TaskTracker, closed: CancellationToken) {
        let routes = Arc::new(self.routes);
        let permits = Arc::new(Semaphore::new(gateway.bounds.connections_max));
        let accept = async {
            loop {
                // Taken before accepting: beyond the bound clients wait in the kernel's queue instead of being cut off.
                let permit = Arc::clone(&permits)
                    .acquire_owned()
                    .await
                    .expect("the semaphore is never closed");
                let (stream, peer) = accept(&self.socket).await;
                let connection = Connection {
                    stream,
                    routes: Arc::clone(&routes),
                    peer,
                    gateway: Arc::clone(&gateway),
                };
                connections.spawn(async move {
                    connection.run().await;
                    drop(permit);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = closed.cancelled() => {}
        }
    }
}

/// The next connection. An error of accept concerns one connection (reset before it was taken) or passes (no file
/// descriptor left): neither is a reason to stop.
async fn accept(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    routes: Arc<Routes>,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
}

impl Connection {
    async fn run(self) {
        // An event is written when it is there: Nagle's algorithm would hold it back.
        let _ = self.stream.set_nodelay(true);
        let Bounds {
            head_timeout,
            keep_alive,
            ..
        } = self.gateway.bounds;
        let phase = Phase::default();
        let io = GuardedIo::new(self.stream, phase.clone(), head_timeout, keep_alive);
        let (routes, peer) = (self.routes, self.peer);
        let service = service_fn(move |request| answer(Arc::clone(&routes), peer, phase.clone(), request));
        // Accepted while draining (probes, and clients that have not heard yet): answered once, then closed. A graceful
        // shutdown would close it before its request was read.
        let is_late = self.gateway.draining.is_cancelled();
        let connection = http1::Builder::new()
            .keep_alive(!is_late)
            .timer(TokioTimer::new())
            .header_read_timeout(None) // `GuardedIo` has both deadlines, and answers 408
            .max_header_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .serve_connection(TokioIo::new(io), service);
        let mut connection = std::pin::pin!(connection);
        self.gateway.metrics.connections.inc();
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = self.gateway.draining.cancelled(), if !is_late => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        self.gateway.metrics.connections.dec();
        if let Err(error) = ended {
            tracing::debug!(error = crate::upstream::chain(&error), "a connection ended early");
        }
    }
}

async fn answer(
    routes: Arc<Routes>,
    peer: SocketAddr,
    phase: Phase,
    request: Request<Incoming>,
) -> Result<Response<TrackedBody>, Infallible> {
    phase.begin_request();
    let response = routes.answer(peer, request).await;
    Ok(response.map(|body| TrackedBody::new(body, phase)))
}
