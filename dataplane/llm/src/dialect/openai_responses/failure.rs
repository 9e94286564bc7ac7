//! Errors that stand in a response that failed, or in an event of a stream: `code` and `message`, and no HTTP status.

use serde::Deserialize;

use crate::failure::FailureKind;
use crate::translate::WireFailure;

/// An error object. In events its members stand at the top, or in `error`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct WireError {
    #[serde(default, deserialize_with = "text")]
    pub(crate) code: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) message: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) param: Option<String>,
    #[serde(default, rename = "type", deserialize_with = "text")]
    pub(crate) error_type: Option<String>,
}

/// A text; servers that write a number or an object there say nothing by it.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().map(ToOwned::to_owned))
}

/// Codes of what the gateway's client asked for wrongly (`ResponseError` in the SDK); all that name an image do too.
const REQUEST_CODES: [&str; 5] = [
    "invalid_prompt",
    "invalid_request_error",
    "data_residency_mismatch",
    "empty_image_file",
    "failed_to_download_image",
];
const FILTER_CODES: [&str; 4] = [
    "content_filter",
    "bio_policy",
    "misalignment_policy_violation",
    "image_content_policy_violation",
];
const RATE_CODES: [&str; 2] = ["rate_limit_exceeded", "insufficient_quota"];
const AUTH_CODES: [&str; 2] = ["invalid_api_key", "authentication_error"];

impl WireError {
    /// What the error means under a status of 200. What nobody knows is the server's trouble.
    pub(crate) fn unannounced(self) -> WireFailure {
        let is_any = |words: &[&str]| {
            let said = [self.code.as_deref(), self.error_type.as_deref()];
            said.into_iter().flatten().any(|said| words.contains(&said))
        };
        let is_about_image = self.code.as_deref().is_some_and(|code| code.contains("image"));
        let (kind, status) = if self.is_about_context() {
            (FailureKind::ContextLength, 400)
        } else if is_any(&FILTER_CODES) {
            (FailureKind::ContentFilter, 400)
        } else if is_any(&RATE_CODES) {
            (FailureKind::RateLimit, 429)
        } else if is_any(&AUTH_CODES) {
            (FailureKind::Auth, 401)
        } else if is_any(&REQUEST_CODES) || is_about_image {
            (FailureKind::Rejected, 400)
        } else {
            (FailureKind::Server, 500)
        };
        let mut detail = "an error in an answer with status 200".to_owned();
        for (name, word) in [("type", &self.error_type), ("code", &self.code)] {
            if let Some(word) = word.as_deref().filter(|word| is_word(word)) {
                for part in [", ", name, " ", word] {
                    detail.push_str(part);
                }
            }
        }
        WireFailure {
            status: Some(status),
            message: self.message.map(Into::into),
            error_type: self.error_type.map(Into::into),
            code: self.code.map(Into::into),
            param: self.param.map(Into::into),
            ..WireFailure::new(kind, detail)
        }
    }

    /// vLLM and its relatives have no code for it, only this sentence.
    fn is_about_context(&self) -> bool {
        let has_words = |message: &str| message.contains("maximum context length");
        self.code.as_deref() == Some("context_length_exceeded") || self.message.as_deref().is_some_and(has_words)
    }
}

/// Whether a type or code may stand in a log line: the dialect's are short and of small letters.
fn is_word(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_what_kind_of_trouble_it_is() {
        let kind = |code: &str| {
            let error = WireError {
                code: Some(code.to_owned()),
                ..WireError::default()
            };
            error.unannounced().kind
        };
        assert_eq!(kind("server_error"), FailureKind::Server);
        assert_eq!(kind("rate_limit_exceeded"), FailureKind::RateLimit);
        assert_eq!(kind("invalid_image_url"), FailureKind::Rejected);
        assert_eq!(kind("image_content_policy_violation"), FailureKind::ContentFilter);
        assert_eq!(kind("context_length_exceeded"), FailureKind::ContextLength);
        assert_eq!(kind("invented_tomorrow"), FailureKind::Server);
    }

    #[test]
    fn a_member_of_another_type_says_nothing() {
        let error: WireError = serde_json::from_str(r#"{"code":7,"message":"Hm.","param":{}}"#).expect("an error");
        assert_eq!(
            (error.code, error.message.as_deref(), error.param),
            (None, Some("Hm."), None)
        );
    }
}
