//! The whole list of public noes: status, stable code, client-safe words, what the client should do next.
//!
//! Every refusal of the gateway is made here and nowhere else; nothing internal (causes, addresses, other tenants' names)
//! can reach a client, since no variant carries it. Rendered in the client's dialect by `reply.rs`.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use headgate_llm::failure::{Failure, FailureKind};
use headgate_llm::request::{BadRequest, STORED_OBJECTS_FORBIDDEN};

/// Why a request gets no answer.
#[derive(Debug)]
pub enum Refusal {
    /// No credential in any header we read.
    MissingKey,
    /// A credential that opens nothing, or is not readable, or stands twice.
    InvalidKey,
    /// `VirtualKey.spec.suspended`.
    KeySuspended,
    /// `VirtualKey.spec.expiresAt`, or the end of a rotation's overlap, has passed.
    KeyExpired,
    /// The key fails closed: something that must guard it cannot be enforced.
    KeyRefused(String),
    /// The key's allow-lists do not have it.
    ModelNotAllowed(String),
    /// The request names no model, and nothing says which provider it is for.
    NoProvider,
    /// No route, declared model or `provider/model` of that name, as far as this key can see.
    ModelNotFound(String),
    /// `x-headgate-provider` names a provider that the model's route does not lead to, or where the stored object is not.
    ProviderNotOnRoute,
    /// The request would leave objects at this provider, or use such, and its LLMProvider does not allow that.
    StoredObjectsForbidden(String),
    /// No object of that id, as far as this key can see: whose an id is, nobody else learns. The family's noun.
    NoSuchObject(&'static str),
    /// A batch names its models inside its file, and this key may only use some.
    BatchForbidden,
    /// A header brings routing of its own, and no route allows that.
    RequestConfigForbidden,
    /// The provider demands prices, and this model has none.
    UnknownPrice(String),
    /// The route's only target cannot be used; the reason is the operator's own words about names in Git.
    TargetUnavailable(String),
    /// The body is at fault.
    BadRequest(BadRequest),
    /// `content-type` is not JSON.
    UnsupportedMediaType,
    /// `content-encoding` of a request: a compressed body would hide its size.
    UnsupportedEncoding,
    /// Longer than the bound in bytes.
    BodyTooLarge(usize),
    /// The client fell silent in the middle of its body.
    BodyTimeout,
    /// The client's body broke off.
    BodyCut,
    /// No such path.
    NoSuchPath,
    /// The path exists for another method.
    MethodNotAllowed,
    /// No snapshot is live yet.
    NotReady,
    /// The admin endpoint needs the admin token.
    AdminOnly,
    /// What went wrong at the provider.
    Upstream(Failure),
    /// The gateway is stopping and the answer did not end in time.
    Stopping,
    /// A defect of ours; the log has it under the request id.
    Internal,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Upstream(failure)
    }
}

impl From<BadRequest> for Refusal {
    fn from(bad: BadRequest) -> Self {
        Self::BadRequest(bad)
    }
}

impl Refusal {
    /// The HTTP status. A provider's own status passes, except where it would accuse the caller of what is our doing: its
    /// 401 (our credential) and redirects become 502.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingKey | Self::InvalidKey | Self::KeySuspended | Self::KeyExpired | Self::AdminOnly => {
                StatusCode::UNAUTHORIZED
            }
            Self::ModelNotAllowed(_)
            | Self::UnknownPrice(_)
            | Self::RequestConfigForbidden
            | Self::StoredObjectsForbidden(_)
            | Self::BatchForbidden => StatusCode::FORBIDDEN,
            // An adapter's way to say the same of one field.
            Self::BadRequest(bad) if bad.code == STORED_OBJECTS_FORBIDDEN => StatusCode::FORBIDDEN,
            Self::ModelNotFound(_) | Self::NoSuchPath | Self::NoSuchObject(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) | Self::BodyCut | Self::ProviderNotOnRoute | Self::NoProvider => {
                StatusCode::BAD_REQUEST
            }
            Self::UnsupportedMediaType | Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::KeyRefused(_) | Self::TargetUnavailable(_) | Self::NotReady | Self::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Upstream(failure) => upstream_status(failure),
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code in the error body, also the metric label `error_type`: clients and dashboards match on it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingKey | Self::InvalidKey | Self::KeySuspended | Self::KeyExpired => "invalid_api_key",
            Self::AdminOnly => "admin_token_required",
            Self::KeyRefused(_) => "key_not_enforceable",
            Self::ModelNotAllowed(_) => "model_not_allowed",
            Self::ModelNotFound(_) => "model_not_found",
            Self::ProviderNotOnRoute => "provider_not_on_route",
            Self::NoProvider => "provider_not_named",
            Self::StoredObjectsForbidden(_) => STORED_OBJECTS_FORBIDDEN,
            Self::NoSuchObject(_) => "object_not_found",
            Self::BatchForbidden => "batch_not_allowed",
            Self::RequestConfigForbidden => "request_config_forbidden",
            Self::UnknownPrice(_) => "unknown_price",
            Self::TargetUnavailable(_) => "target_unavailable",
            Self::BadRequest(bad) => bad.code,
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyCut => "body_cut",
            Self::NoSuchPath => "unknown_url",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotReady => "not_ready",
            Self::Stopping => "gateway_stopping",
            Self::Upstream(failure) => upstream_code(failure.kind),
            Self::Internal => "internal_error",
        }
    }

    /// OpenAI's `error.type` for the status: SDKs show it, people search it.
    pub fn error_type(&self) -> &'static str {
        match self.status().as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        }
    }

    /// The field at fault, if one is.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::BadRequest(bad) => bad.param.as_deref(),
            Self::ModelNotAllowed(_) | Self::ModelNotFound(_) | Self::UnknownPrice(_) => Some("model"),
            Self::NoSuchObject(_) => Some("id"),
            _ => None,
        }
    }

    /// One or two sentences for the client: what happened, what to do next.
    pub fn message(&self) -> Cow<'_, str> {
        let text = match self {
            Self::MissingKey => "No API key. Send your virtual key as `Authorization: Bearer vk-…`.",
            Self::InvalidKey => "The API key is not valid here. Check that it is a virtual key of this gateway.",
            Self::KeySuspended => "The virtual key is suspended. Ask its owner.",
            Self::KeyExpired => "The virtual key has expired. Ask its owner for a new one.",
            Self::AdminOnly => "Send the admin token as `Authorization: Bearer …`, or ask from the gateway's own host.",
            Self::ProviderNotOnRoute => {
                "The header x-headgate-provider names another provider than the one that this request leads to. Leave it out."
            }
            Self::NoProvider => {
                "This request names no model, so it must say whose it is: name a provider that this key may use in the header x-headgate-provider, or give the key a defaultProvider."
            }
            Self::BatchForbidden => {
                "This key may use certain models or routes only, and a batch names its models inside its file, so that it may make none. Use a key without such a list."
            }
            Self::RequestConfigForbidden => {
                "A config header is not allowed on this route. Leave x-portkey-config and x-headgate-config out."
            }
            Self::UnsupportedMediaType => {
                "Send `content-type: application/json`, or a form (`multipart/form-data`) where the endpoint takes files."
            }
            Self::UnsupportedEncoding => "Send the body without `content-encoding`.",
            Self::BodyTimeout => "The request body stopped arriving. Send it again.",
            Self::BodyCut => "The request body broke off. Send it again.",
            Self::NoSuchPath => {
                "Unknown URL. Clients have chat/completions, completions, embeddings, responses, messages, models, images, audio, rerank, moderations, files and batches under /v1; operations have /metrics, /snapshot and the probes on the admin listener."
            }
            Self::MethodNotAllowed => "This URL does not take this method; the `allow` header names those it takes.",
            Self::NotReady => "The gateway has no configuration yet. Try again in a moment.",
            Self::Stopping => "The gateway is stopping. Send the request again.",
            Self::Internal => "The gateway failed. The operator finds it in the log under this request id.",
            Self::BadRequest(bad) => return Cow::Borrowed(&bad.message),
            Self::Upstream(failure) => upstream_message(failure.kind),
            Self::StoredObjectsForbidden(provider) => {
                return Cow::Owned(format!(
                    "The provider `{provider}` may not store objects, since all callers share its account. Ask the operator to set storedObjects: Allow in its LLMProvider."
                ));
            }
            Self::NoSuchObject(noun) => {
                return Cow::Owned(format!(
                    "There is no {noun} of this id for this key. Take the id from the answer of this gateway that made it."
                ));
            }
            Self::KeyRefused(reason) => return Cow::Owned(format!("This key cannot be served now: {reason}")),
            Self::TargetUnavailable(reason) => {
                return Cow::Owned(format!("This model cannot be served now: {reason}"));
            }
            Self::ModelNotAllowed(model) => {
                return Cow::Owned(format!(
                    "This key may not use the model `{model}`. GET /v1/models lists those it may."
                ));
            }
            Self::ModelNotFound(model) => {
                return Cow::Owned(format!(
                    "The model `{model}` does not exist here. GET /v1/models lists those that do."
                ));
            }
            Self::UnknownPrice(model) => {
                return Cow::Owned(format!(
                    "The model `{model}` has no price, and its provider demands one. Ask the operator."
                ));
            }
            Self::BodyTooLarge(bytes_max) => {
                return Cow::Owned(format!("The request body is longer than {bytes_max} bytes."));
            }
        };
        Cow::Borrowed(text)
    }

    /// How long the client should wait, where we know.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream(failure) => failure.retry_after,
            Self::NotReady | Self::Stopping => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// `x-should-retry: false`, which OpenAI's SDKs obey, on noes that a second try cannot turn into a yes.
    pub fn forbids_retry(&self) -> bool {
        matches!(
            self,
            Self::KeySuspended | Self::KeyExpired | Self::KeyRefused(_) | Self::TargetUnavailable(_)
        )
    }
}

fn upstream_status(failure: &Failure) -> StatusCode {
    match failure.kind {
        FailureKind::Connection | FailureKind::Auth | FailureKind::Protocol | FailureKind::Cut => {
            StatusCode::BAD_GATEWAY
        }
        FailureKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        FailureKind::RateLimit
        | FailureKind::Rejected
        | FailureKind::ContentFilter
        | FailureKind::ContextLength
        | FailureKind::Server => failure
            .status
            .and_then(|status| StatusCode::from_u16(status).ok())
            .filter(|status| status.is_client_error() || status.is_server_error())
            .filter(|status| *status != StatusCode::UNAUTHORIZED) // whatever it means there, the caller's key is fine
            .unwrap_or(StatusCode::BAD_GATEWAY),
    }
}

fn upstream_code(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connection => "upstream_unreachable",
        FailureKind::Timeout => "upstream_timeout",
        FailureKind::RateLimit => "upstream_rate_limit",
        FailureKind::Auth => "upstream_auth_failed",
        FailureKind::Rejected => "upstream_rejected",
        FailureKind::ContentFilter => "content_filter",
        FailureKind::ContextLength => "context_length_exceeded",
        FailureKind::Server => "upstream_error",
        FailureKind::Protocol => "upstream_invalid_answer",
        FailureKind::Cut => "upstream_cut",
    }
}

fn upstream_message(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connection => "The provider cannot be reached. Try again, or use another model.",
        FailureKind::Timeout => "The provider did not answer in time. Try again, or use another model.",
        FailureKind::RateLimit => "The provider's rate limit is reached. Wait, or use another model.",
        FailureKind::Auth => "The provider refused the gateway's own credential; your key is fine. Ask the operator.",
        FailureKind::Rejected => "The provider refused the request.",
        FailureKind::ContentFilter => "The provider blocked the content.",
        FailureKind::ContextLength => {
            "The input does not fit the model. Shorten it, or use a model with a larger context."
        }
        FailureKind::Server => "The provider failed. Try again, or use another model.",
        FailureKind::Protocol => "The provider's answer cannot be read. Try again, or use another model.",
        FailureKind::Cut => "The provider's answer broke off. Try again.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(kind: FailureKind, status: Option<u16>) -> Refusal {
        Refusal::Upstream(Failure {
            status,
            ..Failure::new(kind, "")
        })
    }

    #[test]
    fn a_providers_status_passes_unless_it_would_accuse_the_caller() {
        assert_eq!(upstream(FailureKind::RateLimit, Some(429)).status(), 429);
        assert_eq!(upstream(FailureKind::Rejected, Some(403)).status(), 403);
        assert_eq!(upstream(FailureKind::Server, Some(529)).status(), 529);
        assert_eq!(upstream(FailureKind::Auth, Some(401)).status(), 502);
        assert_eq!(upstream(FailureKind::Rejected, Some(401)).status(), 502);
        assert_eq!(upstream(FailureKind::Protocol, Some(302)).status(), 502);
        assert_eq!(upstream(FailureKind::Server, Some(200)).status(), 502);
        assert_eq!(upstream(FailureKind::Timeout, None).status(), 504);
    }

    #[test]
    fn stored_objects_are_forbidden_by_whoever_finds_them() {
        let of_a_field = Refusal::BadRequest(BadRequest {
            code: "stored_objects_forbidden",
            param: Some("store".to_owned()),
            message: String::new(),
        });
        for refusal in [Refusal::StoredObjectsForbidden("p".to_owned()), of_a_field] {
            assert_eq!(
                (refusal.status().as_u16(), refusal.code()),
                (403, "stored_objects_forbidden")
            );
        }
    }

    #[test]
    fn every_way_a_key_can_be_wrong_has_one_code_and_its_own_words() {
        let noes = [
            Refusal::MissingKey,
            Refusal::InvalidKey,
            Refusal::KeySuspended,
            Refusal::KeyExpired,
        ];
        let mut words: Vec<_> = noes.iter().map(|no| no.message().into_owned()).collect();
        assert!(
            noes.iter()
                .all(|no| no.code() == "invalid_api_key" && no.status() == 401)
        );
        words.sort();
        words.dedup();
        assert_eq!(words.len(), noes.len());
    }
}
