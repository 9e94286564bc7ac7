//! What went wrong at a provider, in one shape for all of them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, header};

use crate::scrub;

/// A call that a provider, or the way to it, did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of trouble it is.
    pub kind: FailureKind,
    /// The provider's HTTP status, if it answered; where that was 200, the one that its error names, if it does.
    pub status: Option<u16>,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// For logs only: what happened, without bodies or credentials.
    pub detail: String,
    /// The provider's error body in the client's dialect, scrubbed of credentials; `None`: ours is made from `kind`.
    pub body: Option<Bytes>,
}

impl Failure {
    /// A failure of which nothing is known but its kind and what to write into the log.
    pub fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            retry_after: None,
            detail: detail.into(),
            body: None,
        }
    }

    /// Removes `credential` from the words of a failure that was read without knowing it, as in a stream. A body in
    /// which it stands in any other way is dropped.
    #[must_use]
    pub fn scrubbed(mut self, credential: &str) -> Self {
        if credential.is_empty() {
            return self;
        }
        self.detail = scrub::scrub(&self.detail, credential).into_owned();
        let holds = |body: &Bytes| memchr::memmem::find(body, credential.as_bytes()).is_some();
        if self.body.as_ref().is_some_and(holds) {
            self.body = None;
        }
        self
    }
}

/// Kinds of failure; routes name them in `onErrors`, metrics as `error_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection: DNS, refused, TLS, or an address that is not allowed.
    Connection,
    /// A deadline passed, here or at the provider (408).
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

impl FailureKind {
    /// Every kind, for metrics that are registered ahead.
    pub const ALL: [Self; 10] = [
        Self::Connection,
        Self::Timeout,
        Self::RateLimit,
        Self::Auth,
        Self::Rejected,
        Self::ContentFilter,
        Self::ContextLength,
        Self::Server,
        Self::Protocol,
        Self::Cut,
    ];

    /// What an HTTP status that is not 2xx says, where nothing says more.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 407 => Self::Auth,
            408 => Self::Timeout,
            429 => Self::RateLimit,
            400..=499 => Self::Rejected,
            500..=599 => Self::Server,
            _ => Self::Protocol,
        }
    }

    /// The value of the metric label and log field `error_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::RateLimit => "rate_limit",
            Self::Auth => "auth",
            Self::Rejected => "rejected",
            Self::ContentFilter => "content_filter",
            Self::ContextLength => "context_length",
            Self::Server => "5xx",
            Self::Protocol => "protocol",
            Self::Cut => "cut",
        }
    }

    /// Whether the same backend may answer when asked again, as long as nothing went to the client. `Cut` counts: it is
    /// a connection failure that came late. `Protocol` does not: a server that speaks something else goes on doing so.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Connection | Self::Timeout | Self::RateLimit | Self::Server | Self::Cut => true,
            Self::Auth | Self::Rejected | Self::ContentFilter | Self::ContextLength | Self::Protocol => false,
        }
    }
}

/// How long the provider asks to wait: `retry-after-ms` (`OpenAI`'s, finer), else `Retry-After` in seconds or as an HTTP
/// date. A date in the past is no wait; what cannot be read is ignored.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|value| value.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(milliseconds / 1000.0).ok();
    }
    let value = text(header::RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(name: &'static str, value: &'static str) -> Option<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        retry_after(
            &HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]),
            now,
        )
    }

    #[test]
    fn retry_after_is_read_in_every_form_in_use() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait("retry-after", "20"), seconds(20));
        assert_eq!(wait("retry-after", " 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), seconds(30));
        assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:49:07 GMT"), seconds(0));
    }

    #[test]
    fn a_retry_after_that_makes_no_sense_is_ignored() {
        for value in ["", "soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(wait("retry-after", value), None, "{value}");
        }
    }

    #[test]
    fn a_failure_read_without_the_credential_can_be_scrubbed_of_it() {
        let mut failure = Failure::new(FailureKind::Server, "no account abc123xyz");
        failure.body = Some(Bytes::from_static(b"{\"error\":{\"message\":\"abc123xyz\"}}"));
        let scrubbed = failure.clone().scrubbed("abc123xyz");
        assert_eq!(
            (scrubbed.detail.as_str(), scrubbed.body),
            ("no account [redacted]", None)
        );
        assert_eq!(failure.clone().scrubbed(""), failure);
    }
}
