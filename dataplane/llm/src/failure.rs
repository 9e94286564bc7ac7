//! What went wrong at a provider, in one shape for all of them.

use std::time::Duration;

use bytes::Bytes;

/// A call that a provider, or the way to it, did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of trouble it is.
    pub kind: FailureKind,
    /// The provider's HTTP status, if it answered.
    pub status: Option<u16>,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// For logs only: what happened, without bodies or credentials.
    pub detail: String,
    /// The provider's error body in the client's dialect, scrubbed of credentials; `None`: ours is made from `kind`.
    pub body: Option<Bytes>,
}

/// Kinds of failure; routes name them in `onErrors`, metrics as `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: DNS, refused, TLS, or an address that is not allowed.
    Connection,
    /// A deadline passed.
    Timeout,
    /// 429.
    RateLimit,
    /// The provider refused our credential (401).
    Auth,
    /// 403 and other 4xx: the request is at fault; the client sees it as it is.
    Rejected,
    /// The provider blocked the content.
    ContentFilter,
    /// The input does not fit the model.
    ContextLength,
    /// 5xx.
    Server,
    /// The answer cannot be read: not the dialect, too large, a redirect.
    Protocol,
    /// The answer broke off.
    Cut,
}
