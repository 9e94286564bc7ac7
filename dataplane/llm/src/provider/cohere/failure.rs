//! Errors: a sentence in `message`, or a finish reason that is none.

use serde::Deserialize;

use crate::failure::FailureKind;
use crate::translate::WireFailure;

#[derive(Deserialize)]
struct WireError {
    message: String,
}

/// Reads an answer that is not 2xx. What is no error object (a proxy's page) is replaced by words of ours.
pub(super) fn read(status: u16, body: &[u8]) -> WireFailure {
    if let Ok(error) = serde_json::from_slice::<WireError>(body) {
        return describe(status, error.message, format!("status {status}"));
    }
    let detail = format!("status {status} with a body that is no error object");
    WireFailure::new(kind_of(status), detail)
}

/// The error in a body or an event that came under status 200, if it is one.
pub(super) fn unannounced(json: &[u8]) -> Option<WireFailure> {
    let error: WireError = serde_json::from_slice(json).ok()?;
    Some(describe(
        500,
        error.message,
        "an error in an answer with status 200".to_owned(),
    ))
}

/// What an answer says that ended with `ERROR` or `TIMEOUT`; `None` for the reasons that are reasons.
pub(super) fn of_finish_reason(reason: &str, message: Option<String>) -> Option<WireFailure> {
    let (kind, status) = match reason {
        "TIMEOUT" => (FailureKind::Timeout, 504),
        reason if reason.starts_with("ERROR") => (FailureKind::Server, 500),
        _ => return None,
    };
    Some(WireFailure {
        status: Some(status),
        message: message.map(Into::into),
        ..WireFailure::new(kind, "the answer ended with an error as its finish reason")
    })
}

fn describe(status: u16, message: String, detail: String) -> WireFailure {
    let kind = match kind_of(status) {
        FailureKind::Rejected if speaks_of_context(&message) => FailureKind::ContextLength,
        kind => kind,
    };
    WireFailure {
        status: Some(status),
        message: Some(message.into()),
        ..WireFailure::new(kind, detail)
    }
}

/// 498 is the provider's own number for a token that is blocked or worn out.
fn kind_of(status: u16) -> FailureKind {
    match status {
        498 => FailureKind::Auth,
        status => FailureKind::of_status(status),
    }
}

/// There is no code for it, only sentences that begin alike; one of them is about `max_tokens`.
fn speaks_of_context(message: &str) -> bool {
    message.starts_with("too many tokens") && !message.contains("max tokens must be")
}
