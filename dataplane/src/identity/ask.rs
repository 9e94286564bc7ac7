//! Asking for a token: one call on a connection of its own, everything bounded.
//!
//! By hyper and the connector of `upstream/`, which a client such as reqwest would add nothing to: tokens are asked for
//! once an hour, a redirect must not be followed with an assertion in hand, and a proxy that the environment names has no
//! business between the pod and a metadata server. Who is asked stands in this program or its environment, never in a
//! manifest; so the metadata servers, which no provider may be at, can be reached from here, and only from here.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use headgate_llm::failure::{Failure, FailureKind};

use super::said::said;
use crate::upstream::chain;
use crate::upstream::connect::{Connector, Target};
use crate::upstream::tls::{self, TlsError};

/// Until connected. Metadata servers are on the node, and the others answer within a second.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// The longest answer. Tokens have a few kilobytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Calls whoever hands out tokens. The public authorities are read once, at the first call that needs them.
#[derive(Default)]
pub(super) struct Asker {
    tls: OnceLock<Arc<ClientConfig>>,
}

/// An answer of status 200.
pub(super) struct Answer {
    body: Zeroizing<Vec<u8>>,
    who: &'static str,
}

impl Asker {
    /// Asks for what is handed out. `who` begins the sentences of failures; `secret` is what proves us in the request
    /// and is taken out of them (empty: nothing does). Whoever calls sets the deadline.
    pub(super) async fn ask(
        &self,
        who: &'static str,
        request: Request<Bytes>,
        secret: &str,
    ) -> Result<Answer, Failure> {
        let (status, body) = self.send(request).await.map_err(|error| {
            Failure::new(
                FailureKind::Connection,
                format!("{who} cannot be asked: {}", chain(&error)),
            )
        })?;
        if status == StatusCode::OK {
            return Ok(Answer { body, who });
        }
        // What may be better in a moment can be tried again; a no stays one until somebody changes something.
        let is_passing =
            status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
        let kind = if is_passing {
            FailureKind::Connection
        } else {
            FailureKind::Auth
        };
        let said = said(&body, secret);
        Err(Failure::new(
            kind,
            format!("{who} answers with status {}{said}", status.as_u16()),
        ))
    }

    async fn send(&self, request: Request<Bytes>) -> Result<(StatusCode, Zeroizing<Vec<u8>>), AskError> {
        let (mut parts, body) = request.into_parts();
        let target = Target::of(&parts.uri).ok_or(AskError::Address)?;
        let authority = parts.uri.authority().ok_or(AskError::Address)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| AskError::Address)?;
        parts.headers.insert(header::HOST, host);
        parts.uri = match parts.uri.into_parts().path_and_query {
            Some(path) => Uri::from(path),
            None => Uri::from_static("/"),
        };
        let stream = Connector::to_identities(target, CONNECT_MAX, self.tls()?)
            .connect()
            .await?;
        let (mut sender, connection) = http1::handshake(stream).await?;
        // Ends with the sender, which is dropped when this call is; what it fails of, the call fails of, too.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let request = Request::from_parts(parts, Full::new(body));
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(AskError::Body)?.to_bytes();
        Ok((status, Zeroizing::new(body.into())))
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = tls::client_config(None)?;
        Ok(Arc::clone(self.tls.get_or_init(|| config)))
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("its address is no http or https URL with a host")]
    Address,
    #[error(transparent)]
    Connect(#[from] crate::upstream::connect::ConnectError),
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    #[error("the call failed")]
    Call(#[from] hyper::Error),
    #[error("the answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Answer {
    /// Reads JSON. What was found instead is not repeated: it may be half a token.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|_| self.unreadable("is not the JSON that it should be"))
    }

    /// Reads text.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        let text = std::str::from_utf8(&self.body).map_err(|_| self.unreadable("is not text"))?;
        Ok(text.trim_ascii())
    }

    /// An answer that opens nothing.
    pub(super) fn unreadable(&self, what: &str) -> Failure {
        Failure::new(FailureKind::Auth, format!("the answer of {} {what}", self.who))
    }
}
