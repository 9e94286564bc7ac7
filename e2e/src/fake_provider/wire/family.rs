//! Whose service it is: how it words its errors, and the headers it adds.

use serde_json::{Value, json};

use super::Body;

/// A service, as far as its errors are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Family {
    /// `OpenAI`'s shapes at their barest, under `/v1` itself: what tests of framing and benches call, who count bytes.
    Bare,
    OpenAI,
    Azure,
    DeepSeek,
    Groq,
    Mistral,
    Together,
    Anthropic,
    Google,
    Bedrock,
    Cohere,
    Ollama,
}

impl Family {
    /// One fake plays all who have `OpenAI`'s paths: they are told apart by a first segment of our own, but for Azure,
    /// which has one. Any other segment is `OpenAI` or who does not differ from it.
    pub(super) fn of_openai_path(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("v1") => Self::Bare,
            Some("openai") => Self::Azure,
            Some("deepseek") => Self::DeepSeek,
            Some("groq") => Self::Groq,
            Some("mistral") => Self::Mistral,
            Some("together") => Self::Together,
            _ => Self::OpenAI,
        }
    }

    /// The answer that says no. `retry_after_s` is also worded where a service has words for it.
    pub(in super::super) fn error(self, status: u16, message: &str, retry_after_s: Option<u32>) -> Body {
        let mut headers = Vec::new();
        if let Some(seconds) = retry_after_s {
            headers.push(("retry-after", seconds.to_string()));
        }
        let value = match self {
            Self::Bare | Self::OpenAI | Self::DeepSeek | Self::Groq | Self::Together => openai(status, message),
            Self::Azure => json!({"error": {"code": azure_code(status), "message": message}}),
            Self::Mistral => json!({"object": "error", "message": message, "type": mistral_type(status), "param": null,
                "code": status.to_string()}),
            Self::Anthropic => json!({"type": "error", "error": {"type": anthropic_type(status), "message": message},
                "request_id": "req_fake"}),
            Self::Google => google(status, message, retry_after_s),
            Self::Bedrock => {
                headers.push((
                    "x-amzn-errortype",
                    format!("{}:http://internal.amazon.com/coral/", bedrock_type(status, message)),
                ));
                json!({"message": message})
            }
            Self::Cohere => json!({"id": "fake-error", "message": message}),
            Self::Ollama => json!({"error": message}),
        };
        if self == Self::Anthropic {
            headers.push(("request-id", "req_fake".to_owned()));
        }
        // AWS has no 401.
        let status = if self == Self::Bedrock && status == 401 {
            403
        } else {
            status
        };
        Body {
            status,
            headers,
            ..Body::json(&value)
        }
    }
}

fn openai(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        400 => ("invalid_request_error", "invalid_value"),
        401 => ("invalid_request_error", "invalid_api_key"),
        403 => ("invalid_request_error", "unsupported_country_region_territory"),
        404 => ("invalid_request_error", "model_not_found"),
        429 => ("requests", "rate_limit_exceeded"),
        _ => ("server_error", "fake_server_error"),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn azure_code(status: u16) -> String {
    match status {
        404 => "DeploymentNotFound".to_owned(),
        500 => "InternalServerError".to_owned(),
        _ => status.to_string(),
    }
}

fn mistral_type(status: u16) -> &'static str {
    match status {
        400 | 404 => "invalid_request_error",
        401 => "unauthorized",
        422 => "invalid_request_invalid_args",
        429 => "rate_limited",
        _ => "service_unavailable",
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}

fn google(status: u16, message: &str, retry_after_s: Option<u32>) -> Value {
    let word = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    };
    let mut error = json!({"error": {"code": status, "message": message, "status": word}});
    if let Some(seconds) = retry_after_s {
        error["error"]["details"] =
            json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")}]);
    }
    error
}

fn bedrock_type(status: u16, message: &str) -> &'static str {
    match status {
        400 => "ValidationException",
        403 if message.contains("signature") => "InvalidSignatureException",
        401 => "UnrecognizedClientException",
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        _ => "InternalServerException",
    }
}
