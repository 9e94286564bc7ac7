//! Errors: of an answer that is not 2xx, and as messages of their own in a stream.

use http::HeaderMap;
use serde::Deserialize;

use crate::event_stream::Message;
use crate::failure::FailureKind;
use crate::translate::WireFailure;

/// The body of an error; what stands before the service (its front, a proxy of AWS's) spells the message with a capital.
#[derive(Default, Deserialize)]
struct WireError {
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(rename = "originalMessage")]
    original_message: Option<String>,
    #[serde(rename = "__type")]
    kind: Option<String>,
}

/// Reads an answer that is not 2xx. What is no error object (a proxy's page) is replaced by words of ours.
pub(super) fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> WireFailure {
    let named = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let error: Option<WireError> = serde_json::from_slice(body).ok();
    if error.is_none() && named.is_none() {
        let detail = format!("status {status} with a body that is no error object");
        return WireFailure::new(FailureKind::of_status(status), detail);
    }
    let error = error.unwrap_or_default();
    let name = named.or(error.kind.as_deref()).map(exception);
    describe(name.as_deref(), error.words(), Some(status), format!("status {status}"))
}

/// An error that came in a stream: an exception of the service's model, or an error that it does not know.
pub(super) fn of_stream(message: &Message<'_>) -> WireFailure {
    let error: WireError = serde_json::from_slice(message.payload).unwrap_or_default();
    let name = message
        .text_header(":exception-type")
        .or(message.text_header(":error-code"));
    let words = error
        .words()
        .or(message.text_header(":error-message").map(str::to_owned));
    let detail = "an error in an answer with status 200".to_owned();
    describe(name.map(exception).as_deref(), words, None, detail)
}

impl WireError {
    fn words(&self) -> Option<String> {
        let words = self.message.as_ref().or(self.original_message.as_ref());
        words.filter(|words| !words.is_empty()).cloned()
    }
}

/// The bare name of an exception: `com.amazon.coral#ThrottlingException:http://…` and, as the member of a stream is called,
/// `throttlingException` are `ThrottlingException`.
fn exception(name: &str) -> String {
    let name = name.split(':').next().unwrap_or_default();
    let name = name.rsplit('#').next().unwrap_or_default();
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

/// The status of an exception in the service model, and what kind of trouble it is. An error of the model is none of the
/// request, although its status says so.
fn known(name: &str) -> Option<(u16, FailureKind)> {
    Some(match name {
        "ValidationException" => (400, FailureKind::Rejected),
        "AccessDeniedException" => (403, FailureKind::Rejected),
        "ResourceNotFoundException" => (404, FailureKind::Rejected),
        "ModelTimeoutException" => (408, FailureKind::Timeout),
        "ModelErrorException" | "ModelStreamErrorException" => (424, FailureKind::Server),
        "ThrottlingException" | "ModelNotReadyException" => (429, FailureKind::RateLimit),
        "InternalServerException" | "InternalFailure" => (500, FailureKind::Server),
        "ServiceUnavailableException" | "ServiceUnavailable" => (503, FailureKind::Server),
        // Our key, its signature or its time.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => (403, FailureKind::Auth),
        _ => return None,
    })
}

fn describe(name: Option<&str>, message: Option<String>, status: Option<u16>, mut detail: String) -> WireFailure {
    let known = name.and_then(known);
    let status = status.or(known.map(|(status, _)| status)).unwrap_or(500);
    let says = |sentences: &[&str]| {
        let message = message.as_deref().unwrap_or_default();
        sentences.iter().any(|sentence| message.contains(sentence))
    };
    let kind = match known.map_or_else(|| FailureKind::of_status(status), |(_, kind)| kind) {
        FailureKind::Rejected if status == 403 && says(&[BAD_API_KEY]) => FailureKind::Auth,
        FailureKind::Rejected if says(&CONTEXT) => FailureKind::ContextLength,
        kind => kind,
    };
    if let Some(name) = name.filter(|name| is_word(name)) {
        detail.push_str(", type ");
        detail.push_str(name);
    }
    WireFailure {
        status: Some(status),
        message: message.map(Into::into),
        error_type: name.filter(|name| is_word(name)).map(Into::into),
        ..WireFailure::new(kind, detail)
    }
}

/// What a wrong API key is answered with, under the name of an access that is denied.
const BAD_API_KEY: &str = "Authentication failed";

/// There is no exception for it, only the sentences of the models (as collected by the SDK strands-agents 1.62).
const CONTEXT: [&str; 6] = [
    "Input is too long for requested model",
    "prompt is too long",
    "exceed context limit",
    "maximum context length",
    "too many total text bytes",
    "context window",
];

/// Whether a name may stand in a log line: the provider's are short and of letters.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_has_one_name_however_it_is_written() {
        for name in [
            "ThrottlingException",
            "throttlingException",
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            "com.amazon.coral.service#ThrottlingException",
        ] {
            assert_eq!(exception(name), "ThrottlingException", "{name}");
        }
        assert_eq!(exception(""), "");
    }
}
