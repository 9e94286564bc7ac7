//! Errors: an object, or a list of one of them, as an answer or in the middle of a stream.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::failure::FailureKind;
use crate::translate::WireFailure;

/// `error`.
#[derive(Debug, Deserialize)]
pub(in crate::provider) struct WireError {
    #[serde(default, deserialize_with = "code")]
    code: Option<u16>,
    message: Option<String>,
    /// Google's word for it, as in `RESOURCE_EXHAUSTED`.
    status: Option<String>,
    #[serde(default)]
    details: Vec<Value>,
}

#[derive(Deserialize)]
struct Envelope {
    error: WireError,
}

/// A number, which some endpoints write as text.
fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    Ok(number.and_then(|number| u16::try_from(number).ok()))
}

/// Whether a body is an error as Google writes them. A publisher's model behind the same address has errors of its own.
pub(in crate::provider) fn is_googles(body: &[u8]) -> bool {
    let is_list = body.trim_ascii_start().first() == Some(&b'[');
    parse(body).is_some_and(|error| is_list || error.status.is_some())
}

/// The error in a body, if it is one; some endpoints wrap it in a list.
pub(in crate::provider) fn parse(body: &[u8]) -> Option<WireError> {
    // Told apart by their first byte: a list can also be read as an object whose members come in order.
    if body.trim_ascii_start().first() != Some(&b'[') {
        return serde_json::from_slice(body).ok().map(|Envelope { error }| error);
    }
    let mut list: Vec<Envelope> = serde_json::from_slice(body).ok()?;
    (list.len() == 1).then(|| list.remove(0).error)
}

/// Reads an answer that is not 2xx. What is no error object (a proxy's page) is replaced by words of ours.
pub(in crate::provider) fn read(status: u16, body: &[u8]) -> WireFailure {
    if let Some(error) = parse(body) {
        return describe(error, status, format!("status {status}"));
    }
    let detail = format!("status {status} with a body that is no error object");
    WireFailure::new(FailureKind::of_status(status), detail)
}

/// An error that came under status 200: in a stream, or as a whole body. It names the status it would have had.
pub(in crate::provider) fn unannounced(error: WireError) -> WireFailure {
    let named = error.code.filter(|code| (400..600).contains(code));
    let status = named.unwrap_or(match error.status.as_deref() {
        Some("INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE") => 400,
        Some("UNAUTHENTICATED") => 401,
        Some("PERMISSION_DENIED") => 403,
        Some("NOT_FOUND") => 404,
        Some("RESOURCE_EXHAUSTED") => 429,
        Some("CANCELLED") => 499,
        Some("UNAVAILABLE") => 503,
        Some("DEADLINE_EXCEEDED") => 504,
        _ => 500,
    });
    describe(error, status, "an error in an answer with status 200".to_owned())
}

fn describe(error: WireError, status: u16, mut detail: String) -> WireFailure {
    let kind = match FailureKind::of_status(status) {
        // A key that is wrong is reported as a bad request; the caller's is fine.
        FailureKind::Rejected if refuses_the_key(&error) => FailureKind::Auth,
        FailureKind::Rejected if error.message.as_deref().is_some_and(speaks_of_context) => FailureKind::ContextLength,
        kind => kind,
    };
    if let Some(word) = error.status.as_deref().filter(|word| is_word(word)) {
        detail.push_str(", ");
        detail.push_str(word);
    }
    let code = error.code.filter(|_| kind != FailureKind::ContextLength);
    WireFailure {
        status: Some(status),
        retry_after: error.details.iter().find_map(retry_delay),
        message: error.message.map(Into::into),
        error_type: error.status.map(Into::into),
        code: code.map(|code| code.to_string().into()),
        ..WireFailure::new(kind, detail)
    }
}

/// `API_KEY_INVALID`, `API_KEY_SERVICE_BLOCKED` and their relatives.
fn refuses_the_key(error: &WireError) -> bool {
    let reasons = error.details.iter().filter_map(|detail| detail.get("reason")?.as_str());
    reasons.into_iter().any(|reason| reason.starts_with("API_KEY_"))
}

/// There is no code for it, only this sentence.
fn speaks_of_context(message: &str) -> bool {
    message.contains("exceeds the maximum number of tokens")
}

/// `google.rpc.RetryInfo`: `{"retryDelay": "37s"}`, with or without fractions.
fn retry_delay(detail: &Value) -> Option<Duration> {
    let seconds = detail.get("retryDelay")?.as_str()?.strip_suffix('s')?;
    Duration::try_from_secs_f64(seconds.parse().ok()?).ok()
}

/// Whether a word may stand in a log line: the provider's are short and of capital letters.
fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}
