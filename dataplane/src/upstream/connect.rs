//! Dialling: resolve, check the address, connect, TLS, all under one deadline.
//!
//! The address that is checked is the address that is dialled: nothing between the two resolves again.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{AddressPolicy, RefusedAddress};

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether TLS is spoken there.
    pub is_tls: bool,
}

impl Target {
    /// The target of an absolute `http` or `https` URL.
    pub fn of(url: &Uri) -> Option<Self> {
        let is_tls = match url.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = url.host()?.trim_matches(['[', ']']).to_owned();
        Some(Self {
            host,
            port: url.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
        })
    }
}

/// Opens connections to one place.
#[derive(Clone)]
pub struct Connector {
    target: Target,
    /// `None` only for what the installation itself names.
    addresses: Option<AddressPolicy>,
    timeout: Duration,
    tls: Arc<ClientConfig>,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
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
    /// To a provider: whoever may write a manifest chooses the target.
    pub(super) fn to_provider(
        target: Target,
        addresses: AddressPolicy,
        timeout: Duration,
        tls: Arc<ClientConfig>,
    ) -> Self {
        Self {
            target,
            addresses: Some(addresses),
            timeout,
            tls,
        }
    }

    /// To where the pod's own identity is handed out, the clouds' metadata servers among it, which no provider may ever be
    /// at. The target must come from this program or its environment, never from a manifest.
    pub(crate) fn to_identities(target: Target, timeout: Duration, tls: Arc<ClientConfig>) -> Self {
        Self {
            target,
            addresses: None,
            timeout,
            tls,
        }
    }

    /// A connection, or why there is none.
    pub async fn connect(&self) -> Result<Stream, ConnectError> {
        tokio::time::timeout(self.timeout, self.dial())
            .await
            .unwrap_or_else(|_| {
                Err(ConnectError::Timeout {
                    host: self.host(),
                    after_ms: self.timeout.as_millis(),
                })
            })
    }

    async fn dial(&self) -> Result<Stream, ConnectError> {
        let Target { host, port, is_tls } = &self.target;
        let tcp = self.dial_tcp(host, *port).await?;
        // A request is written whole and waits for its answer: Nagle's algorithm would only add its delay.
        let _ = tcp.set_nodelay(true);
        if !is_tls {
            return Ok(Stream::Plain(TokioIo::new(tcp)));
        }
        let tls_error = |source| ConnectError::Tls {
            host: self.host(),
            source,
        };
        let name = ServerName::try_from(host.clone()).map_err(|error| tls_error(io::Error::other(error)))?;
        let session = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await
            .map_err(tls_error)?;
        Ok(Stream::Tls(Box::new(TokioIo::new(session))))
    }

    fn host(&self) -> String {
        self.target.host.clone()
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
            let checked = self.addresses.map_or(Ok(()), |policy| policy.check(address.ip()));
            if let Err(source) = checked {
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

/// A connection to a provider.
pub enum Stream {
    /// `http://`: servers inside the cluster.
    Plain(TokioIo<TcpStream>),
    /// `https://`.
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_from_a_url_with_the_ports_that_schemes_have() {
        let of = |url: &str| {
            Target::of(&url.parse().expect("a URL")).map(|target| (target.host, target.port, target.is_tls))
        };
        assert_eq!(
            of("https://api.openai.com/v1"),
            Some(("api.openai.com".to_owned(), 443, true))
        );
        assert_eq!(
            of("http://vllm.ml.svc:8000/v1"),
            Some(("vllm.ml.svc".to_owned(), 8000, false))
        );
        assert_eq!(of("http://[::1]:8000"), Some(("::1".to_owned(), 8000, false)));
        assert_eq!(of("ftp://host/"), None);
        assert_eq!(of("/v1"), None);
    }
}
