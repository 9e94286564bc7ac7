//! Whole answers of providers that speak the dialect: validated and read for usage, never rewritten.

use bytes::Bytes;

use super::failure::WireError;
use super::usage;
use crate::failure::{Failure, FailureKind};
use crate::json::{self, FieldsError, Kind, Member, Repeats};
use crate::provider::WholeAnswer;
use crate::translate::WireFailure;
use crate::usage::Usage;

const NAMES: [&str; 4] = ["usage", "output", "status", "error"];

/// Reads a whole answer. Refuses what is no response, and one that failed, which comes under status 200.
pub fn read(body: Bytes) -> Result<WholeAnswer, Failure> {
    if let Some(usage) = usage_at_the_end(&body) {
        return Ok(WholeAnswer {
            body,
            usage: Some(usage),
        });
    }
    let mut found = [const { None }; NAMES.len()];
    json::find_fields(&body, &NAMES, Repeats::TakeLast, &mut found).map_err(|error| {
        let detail = match error {
            FieldsError::Syntax(error) => format!("the answer is not valid JSON: {error}"),
            FieldsError::NotAnObject | FieldsError::Repeated(_) => "the answer is not a JSON object".to_owned(),
        };
        Failure::new(FailureKind::Protocol, detail)
    })?;
    let value = |member: &Option<Member>| {
        let value = &body[member.as_ref()?.value.clone()];
        (json::kind(value) != Kind::Null).then_some(value)
    };
    let [usage_member, output, status, error] = &found;
    let has_failed = value(status).is_some_and(|status| status == b"\"failed\"");
    if has_failed || (value(error).is_some() && value(output).is_none()) {
        return Err(failed(value(error)).into_failure(""));
    }
    let usage = value(usage_member).and_then(usage::read);
    Ok(WholeAnswer { body, usage })
}

/// What the error of a response that failed says.
pub(crate) fn failed(error: Option<&[u8]>) -> WireFailure {
    let error = error.and_then(|error| serde_json::from_slice::<WireError>(error).ok());
    error.unwrap_or_default().unannounced()
}

/// The usage of an answer that looks like one which succeeded, read without the rest: usage stands behind the output, and
/// a provider that closes its answer well from there on is believed about the text before.
fn usage_at_the_end(body: &[u8]) -> Option<Usage> {
    let has = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
    let begins_as_answer = body.trim_ascii_start().first() == Some(&b'{');
    // A quote inside a text is escaped, so the word stands for itself wherever it is found.
    if !begins_as_answer || !has("\"output\"") || has("\"failed\"") {
        return None;
    }
    usage::read(&body[json::last_member(body, b"\"usage\"")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(body: &'static str) -> Result<WholeAnswer, Failure> {
        read(Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn usage_is_found_wherever_it_stands() {
        for body in [
            r#"{"object":"response","output":[],"usage":{"input_tokens":7},"user":null}"#,
            r#"{"usage":{"input_tokens":7},"output":[{"text":"\"usage\" has \"failed\""}]}"#,
            r#"{"output":[{"usage":{"input_tokens":9},"status":"failed"}],"usage":{"input_tokens":7}}"#,
        ] {
            let usage = read_text(body).expect("an answer").usage;
            assert_eq!(usage.map(|usage| usage.input_tokens), Some(7), "{body}");
        }
        assert_eq!(
            read_text(r#"{"output":[],"usage":null}"#).expect("an answer").usage,
            None
        );
    }

    #[test]
    fn a_response_that_failed_is_a_failure() {
        let body = r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"Slow down."},"output":[],
            "usage":{"input_tokens":7}}"#;
        let failure = read_text(body).expect_err("a failure");
        assert_eq!((failure.kind, failure.status), (FailureKind::RateLimit, Some(429)));
        assert!(
            failure
                .body
                .is_some_and(|body| body.ends_with(b"\"code\":\"rate_limit_exceeded\"}}"))
        );
        assert_eq!(
            read_text(r#"{"error":{}}"#).expect_err("a failure").kind,
            FailureKind::Server
        );
        assert_eq!(read_text("[]").expect_err("a failure").kind, FailureKind::Protocol);
    }
}
