//! The endpoints that ask a model, each with a request, an answer, a stream and an error of its own.

use crate::pass_through::PassThrough;

/// What a client calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`, `OpenAI`'s chat.
    #[default]
    ChatCompletions,
    /// `POST /v1/completions`, `OpenAI`'s older one: a prompt instead of messages.
    Completions,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/responses`, `OpenAI`'s newer one.
    Responses,
    /// `POST /v1/messages`, Anthropic's.
    Messages,
    /// `POST /v1/messages/count_tokens`: what the input of such a request comes to.
    CountTokens,
    /// One whose bodies pass unread.
    PassThrough(PassThrough),
}

/// The form of an error that a client's SDK reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorShape {
    /// `{"error": {"message", "type", "param", "code"}}`.
    OpenAI,
    /// `{"type": "error", "error": {"type", "message"}, "request_id"}`.
    Anthropic,
}

impl Endpoint {
    /// Those whose requests are read.
    pub const ALL: [Self; 6] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
    ];

    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::PassThrough(what) => what.path(),
        }
    }

    /// The form of its errors.
    pub const fn error_shape(self) -> ErrorShape {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings | Self::Responses | Self::PassThrough(_) => {
                ErrorShape::OpenAI
            }
            Self::Messages | Self::CountTokens => ErrorShape::Anthropic,
        }
    }
}
