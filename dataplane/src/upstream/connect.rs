//! Dialling a provider: resolve, check the address, connect, TLS, all under one deadline.
//!
//! hyper-util's own connector is not used because it would resolve where we cannot look: the address that is checked has
//! to be the address that is dialled.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{AddressPolicy, RefusedAddress};

/// Opens connections for one provider.
#[derive(Clone)]
pub struct Connector {
    pub(super) addresses: AddressPolicy,
    pub(super) timeout: Duration,
    pub(super) tls: Arc<ClientConfig>,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names no host.
    #[error("the provider's URL has no host")]
    NoHost,
    /// DNS has no answer.
    #[error("cannot resolve `{host}`")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The only addresses are ones that may not be dialled.
    #[error("`{host}` {source}")]
    Refused {
        /// The name.
        host: String,
        /// Why.
        source: RefusedAddress,
    },
    /// Nothing accepts connections there.
    #[error("cannot connect to `{host}`")]
    Connect {
        /// The name.
        host: String,
        /// What the system said of the last address.
        source: io::Error,
    },
    /// No TLS session.
    #[error("no TLS session with `{host}`")]
    Tls {
        /// The name.
        host: String,
        /// What the handshake ran into.
        source: io::Error,
    },
    /// The deadline passed.
    #[error("no connection to `{host}` within {after_ms} ms")]
    Timeout {
        /// The name.
        host: String,
        /// The deadline.
        after_ms: u128,
    },
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Stream, ConnectError> {
        let host = uri
            .host()
            .ok_or(ConnectError::NoHost)?
            .trim_matches(['[', ']'])
            .to_owned();
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.dial(&host, &uri)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::Timeout {
                host,
                after_ms: timeout.as_millis(),
            }),
        }
    }

    async fn dial(self, host: &str, uri: &Uri) -> Result<Stream, ConnectError> {
        let is_tls = uri.scheme_str() != Some("http");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tcp = self.dial_tcp(host, port).await?;
        // A request is written whole and waits for its answer: Nagle's algorithm would only add its delay.
        let _ = tcp.set_nodelay(true);
        if !is_tls {
            return Ok(Stream::Plain(TokioIo::new(tcp)));
        }
        let tls_error = |source| ConnectError::Tls {
            host: host.to_owned(),
            source,
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| tls_error(io::Error::other(error)))?;
        let session = TlsConnector::from(self.tls)
            .connect(name, tcp)
            .await
            .map_err(tls_error)?;
        Ok(Stream::Tls(Box::new(TokioIo::new(session))))
    }

    async fn dial_tcp(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let resolve_error = |source| ConnectError::Resolve {
            host: host.to_owned(),
            source,
        };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
            .await
            .map_err(resolve_error)?
            .collect();
        let mut last = resolve_error(io::Error::from(io::ErrorKind::NotFound));
        for address in addresses {
            if let Err(source) = self.addresses.check(address.ip()) {
                last = ConnectError::Refused {
                    host: host.to_owned(),
                    source,
                };
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => {
                    last = ConnectError::Connect {
                        host: host.to_owned(),
                        source,
                    }
                }
            }
        }
        Err(last)
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection to a provider.
pub enum Stream {
    /// `http://`: servers inside the cluster.
    Plain(TokioIo<TcpStream>),
    /// `https://`.
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

macro_rules! either {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Stream::Tls($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
        }
    };
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, bufs))
    }
}
