//! Errors as the `anthropic` SDKs read them: the family in `error.type`, by which they choose their exception's words, and
//! the request's id beside it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The families that the dialect has (<https://docs.anthropic.com/en/api/errors>, and `ErrorType` of the SDK 2.14).
const TYPES: [&str; 12] = [
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "overloaded_error",
    "conflict_error",
    "memory_precondition_failed_error",
    "memory_path_conflict_error",
];

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    error: ErrorObject<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    r#type: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

/// What stands for programs beside the words: the provider's own, or the code of another dialect where the SDKs look for
/// one.
#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Said(&'a RawValue),
    Code { error_code: &'a str },
}

/// An error in `OpenAI`'s form, which all others are made from.
#[derive(Deserialize)]
struct OpenAI<'a> {
    #[serde(borrow)]
    error: Words<'a>,
}

#[derive(Deserialize)]
struct Words<'a> {
    #[serde(default)]
    message: String,
    r#type: Option<String>,
    code: Option<String>,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
}

impl Words<'_> {
    fn details(&self) -> Option<Details<'_>> {
        // Some providers repeat the status as a code.
        let is_word = |code: &&str| code.bytes().any(|byte| byte.is_ascii_alphabetic());
        let code = || {
            let error_code = self.code.as_deref().filter(is_word)?;
            Some(Details::Code { error_code })
        };
        self.details.map(Details::Said).or_else(code)
    }
}

/// The body of an error answer, from one in `OpenAI`'s form. A family that this dialect has stays, since an Anthropic
/// provider said it; any other is that of the status.
pub fn body(openai: &[u8], status: u16, request_id: &str) -> Bytes {
    let words = serde_json::from_slice::<OpenAI<'_>>(openai).map(|body| body.error);
    let (message, said, details) = match &words {
        Ok(words) => (words.message.as_str(), words.r#type.as_deref(), words.details()),
        Err(_) => ("The request failed.", None, None),
    };
    let said = said.filter(|said| TYPES.contains(said) && *said != "invalid_request_error");
    let envelope = Envelope {
        r#type: "error",
        error: ErrorObject {
            r#type: said.unwrap_or(type_of(status)),
            message,
            details,
        },
        request_id,
    };
    serde_json::to_vec(&envelope)
        .expect("structs can always be written as JSON")
        .into()
}

fn type_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// The event that ends a stream with an error; `body` is that of an error answer and stands on one line.
pub fn event(body: &[u8]) -> Bytes {
    [b"event: error\ndata: ".as_slice(), body, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(openai: &str, status: u16, error_type: &str, message: &str) {
        let body: serde_json::Value = serde_json::from_slice(&body(openai.as_bytes(), status, "r1")).expect("JSON");
        let error = serde_json::json!({"type": error_type, "message": message});
        assert_eq!(
            body,
            serde_json::json!({"type": "error", "error": error, "request_id": "r1"})
        );
    }

    #[test]
    fn the_family_is_the_providers_where_it_is_of_this_dialect_and_else_that_of_the_status() {
        let with = |error_type: &str| format!(r#"{{"error":{{"message":"Hm.","type":"{error_type}","code":null}}}}"#);
        check(&with("overloaded_error"), 529, "overloaded_error", "Hm.");
        check(&with("invalid_request_error"), 404, "not_found_error", "Hm.");
        check(&with("requests"), 429, "rate_limit_error", "Hm.");
        check(&with("server_error"), 502, "api_error", "Hm.");
        check(&with("api_error"), 504, "timeout_error", "Hm.");
        check(&with("conflict_error"), 409, "conflict_error", "Hm.");
        check("no JSON", 400, "invalid_request_error", "The request failed.");
    }
    #[test]
    fn what_the_provider_says_to_programs_stays() {
        let openai = r#"{"error":{"message":"Hm.","type":"rate_limit_error","details":{"error_code":"x","n":1.50}}}"#;
        let expected = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Hm.","details":{"error_code":"x","n":1.50}},"request_id":"r1"}"#;
        assert_eq!(body(openai.as_bytes(), 429, "r1"), expected);
    }

    #[test]
    fn a_code_is_where_the_sdks_look_for_one() {
        let openai =
            r#"{"error":{"message":"Hm.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#;
        let expected = r#"{"type":"error","error":{"type":"not_found_error","message":"Hm.","details":{"error_code":"model_not_found"}},"request_id":"r1"}"#;
        assert_eq!(body(openai.as_bytes(), 404, "r1"), expected);
    }
}
