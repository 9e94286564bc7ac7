//! Error objects: written with all four keys, read leniently, and passed on only after they were scrubbed.
//!
//! A provider's error goes to the client rebuilt from its parsed form, not as bytes: this is the one place where
//! fidelity gives way, since error messages quote keys. Keys that the provider added stay.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::failure::{self, Failure, FailureKind};
use crate::scrub;
use crate::translate::WireFailure;

/// Larger error bodies are no error objects but pages; they are replaced by ours.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest `type` or `code` that is copied into a log line.
const LOGGED_WORD_LENGTH_MAX: usize = 64;

/// An error in `OpenAI`'s shape. All four keys are always written: SDKs read them without looking.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ErrorObject<'a> {
    /// For people.
    pub message: &'a str,
    /// The family of the error, such as `invalid_request_error`.
    pub r#type: &'a str,
    /// The field at fault.
    pub param: Option<&'a str>,
    /// For programs.
    pub code: Option<&'a str>,
}

impl ErrorObject<'_> {
    /// The body of an error answer.
    pub fn body(&self) -> Bytes {
        self.body_with(None)
    }

    /// The same with what a provider says to programs beside, which must be scrubbed.
    pub(crate) fn body_with(&self, details: Option<&Value>) -> Bytes {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: Detailed<'a>,
        }
        #[derive(Serialize)]
        struct Detailed<'a> {
            #[serde(flatten)]
            error: &'a ErrorObject<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a Value>,
        }
        to_json(&Envelope {
            error: Detailed { error: self, details },
        })
    }
}

/// The event that ends a stream with an error. `body` is that of an error answer; it stands on one line, as all bodies
/// made here do. No `[DONE]` may follow: SDKs would take the stream for complete.
pub fn event(body: &[u8]) -> Bytes {
    [b"data: ".as_slice(), body, b"\n\n"].concat().into()
}

/// An answer that is not 2xx, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct FailedAnswer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Its headers; `retry-after` is read.
    pub headers: &'a HeaderMap,
    /// Its body, whole or as much as was read of it.
    pub body: &'a [u8],
    /// What was sent as credential, to be removed from the words; empty: none.
    pub credential: &'a str,
    /// Now, for a `Retry-After` that names a date.
    pub now: SystemTime,
}

/// Reads an answer that is not 2xx.
pub fn read(answer: FailedAnswer<'_>) -> Failure {
    let error = WireError::parse(answer.body);
    let kind = kind_of(Some(answer.status), error.as_ref());
    // The caller's key is fine when ours is refused, and a redirect is no answer: neither is the client's to see.
    let is_for_client = !matches!(kind, FailureKind::Auth | FailureKind::Protocol);
    let detail = detail_of(answer.status, error.as_ref());
    let body = error
        .filter(|_| is_for_client)
        .map(|error| error.into_body(answer.credential));
    Failure {
        kind,
        status: Some(answer.status),
        retry_after: failure::retry_after(answer.headers, answer.now),
        detail,
        body,
    }
    .scrubbed(answer.credential)
}

/// The same for a client of another dialect; credentials and `Retry-After` are the caller's.
pub(crate) fn read_wire(status: u16, body: &[u8]) -> WireFailure {
    let error = WireError::parse(body);
    let kind = kind_of(Some(status), error.as_ref());
    let failure = WireFailure {
        status: Some(status),
        ..WireFailure::new(kind, detail_of(status, error.as_ref()))
    };
    error.map_or(failure.clone(), |error| error.describe(failure))
}

/// [`read_unannounced`] for a client of another dialect.
pub(crate) fn read_unannounced_wire(text: &[u8]) -> Option<WireFailure> {
    let error = WireError::parse(text)?;
    let status = error.status();
    let failure = WireFailure {
        status,
        ..WireFailure::new(kind_of(status, Some(&error)), unannounced(&error))
    };
    Some(error.describe(failure))
}

fn detail_of(status: u16, error: Option<&WireError>) -> String {
    match error {
        Some(error) => format!("status {status}{}", error.words()),
        None => format!("status {status} with a body that is no error object"),
    }
}

fn unannounced(error: &WireError) -> String {
    format!("an error in an answer with status 200{}", error.words())
}

/// Reads an error that came in place of an answer under status 200: in a stream, or as a whole body. `None`: `text` is
/// no error object.
pub(crate) fn read_unannounced(text: &[u8]) -> Option<Failure> {
    let error = WireError::parse(text)?;
    let status = error.status();
    let kind = kind_of(status, Some(&error));
    let detail = unannounced(&error);
    let body = (kind != FailureKind::Auth).then(|| error.into_body(""));
    Some(Failure {
        kind,
        status,
        retry_after: None,
        detail,
        body,
    })
}

/// The members of an error object.
struct WireError(Map<String, Value>);

impl WireError {
    /// Takes `{"error": {…}}`, and its near relatives: `{"error": "words"}` (Together, Ollama), the object without its
    /// envelope (Mistral, vLLM), and a `detail` that names the fields at fault (Mistral and what else is built on
    /// `FastAPI`).
    fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > BODY_BYTES_MAX {
            return None;
        }
        let Ok(Value::Object(mut envelope)) = serde_json::from_slice(body) else {
            return None;
        };
        let mut members = match envelope.remove("error") {
            Some(Value::Object(members)) => members,
            Some(Value::String(message)) => Map::from_iter([("message".to_owned(), message.into())]),
            Some(_) => return None,
            None => envelope,
        };
        if let Some(words) = detail(&members) {
            members.insert("message".to_owned(), words.into());
            members.remove("detail");
        }
        members
            .get("message")
            .is_some_and(Value::is_string)
            .then_some(Self(members))
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The status that an error names where HTTP said 200: vLLM and `OpenRouter` write it into `code`.
    fn status(&self) -> Option<u16> {
        let code = self.0.get("code").or_else(|| self.0.get("status"))?;
        let number = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (400..600).contains(status))
    }

    fn is_any(&self, words: &[&str]) -> bool {
        words.contains(&self.text("code")) || words.contains(&self.text("type"))
    }

    /// `type` and `code` for the log. Never the message: it may quote the prompt.
    fn words(&self) -> String {
        let mut words = String::new();
        for key in ["type", "code"] {
            let value = match self.0.get(key) {
                Some(Value::String(value)) => value.clone(),
                Some(Value::Number(value)) => value.to_string(),
                _ => continue,
            };
            let short: String = value
                .chars()
                .filter(|c| !c.is_control())
                .take(LOGGED_WORD_LENGTH_MAX)
                .collect();
            for part in [", ", key, " ", &scrub::scrub(&short, "")] {
                words.push_str(part);
            }
        }
        words
    }

    /// The failure with the provider's words; a code that is a number is one all the same.
    fn describe(self, failure: WireFailure) -> WireFailure {
        let text = |key: &str| match self.0.get(key) {
            Some(Value::String(text)) => Some(text.as_str().into()),
            Some(Value::Number(number)) => Some(number.to_string().into()),
            _ => None,
        };
        WireFailure {
            message: text("message"),
            error_type: text("type"),
            code: text("code"),
            param: text("param"),
            ..failure
        }
    }

    fn into_body(self, credential: &str) -> Bytes {
        let mut members = self.0;
        for key in ["type", "param", "code"] {
            members.entry(key).or_insert(Value::Null);
        }
        let mut error = Value::Object(members);
        scrub_strings(&mut error, credential);
        to_json(&json!({ "error": error }))
    }
}

/// Recursion is bounded: `serde_json` reads no deeper than 128 levels.
pub(crate) fn scrub_strings(value: &mut Value, credential: &str) {
    match value {
        Value::String(text) => *text = scrub::scrub(text, credential).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub_strings(item, credential)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| scrub_strings(member, credential)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The words of a `detail`: a text, or a list of what is wrong with which field.
fn detail(members: &Map<String, Value>) -> Option<String> {
    let message = members.get("message");
    if message.is_some_and(Value::is_string) {
        return None;
    }
    let detail = message
        .and_then(|message| message.get("detail"))
        .or(members.get("detail"))?;
    if let Some(words) = detail.as_str() {
        return Some(words.to_owned());
    }
    let entry = |entry: &Value| {
        let words = entry.get("msg")?.as_str()?;
        let place = entry.get("loc").and_then(Value::as_array).into_iter().flatten();
        let place = place.map(|step| step.as_str().map_or_else(|| step.to_string(), ToOwned::to_owned));
        let place: Vec<String> = place.collect();
        Some(format!("{}: {words}", place.join(".")))
    };
    let entries: Vec<String> = detail.as_array()?.iter().filter_map(entry).collect();
    (!entries.is_empty()).then(|| entries.join("; "))
}

const CONTEXT_WORDS: [&str; 3] = [
    "context_length_exceeded",
    "exceed_context_size_error",
    "string_above_max_length",
];
const FILTER_WORDS: [&str; 3] = [
    "content_filter",
    "content_policy_violation",
    "ResponsibleAIPolicyViolation",
];
const RATE_WORDS: [&str; 4] = [
    "rate_limit_exceeded",
    "rate_limit_error",
    "insufficient_quota",
    "rate_limit",
];
const AUTH_WORDS: [&str; 2] = ["invalid_api_key", "authentication_error"];
const REQUEST_WORDS: [&str; 2] = ["invalid_request_error", "BadRequestError"];

fn kind_of(status: Option<u16>, error: Option<&WireError>) -> FailureKind {
    let is_any = |words: &[&str]| error.is_some_and(|error| error.is_any(words));
    let may_be_about_content = matches!(status, None | Some(400 | 403 | 413 | 422));
    if may_be_about_content && (is_any(&CONTEXT_WORDS) || error.is_some_and(speaks_of_context)) {
        return FailureKind::ContextLength;
    }
    if may_be_about_content && is_any(&FILTER_WORDS) {
        return FailureKind::ContentFilter;
    }
    match status {
        Some(status) => FailureKind::of_status(status),
        None if is_any(&RATE_WORDS) => FailureKind::RateLimit,
        None if is_any(&AUTH_WORDS) => FailureKind::Auth,
        None if is_any(&REQUEST_WORDS) => FailureKind::Rejected,
        None => FailureKind::Server,
    }
}

/// vLLM and its relatives have no code for it, only this sentence.
fn speaks_of_context(error: &WireError) -> bool {
    error.text("message").contains("maximum context length")
}

fn to_json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("values with text for keys can always be written as JSON")
        .into()
}
