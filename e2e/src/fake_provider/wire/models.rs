//! Lists of models. Which shape is wanted is told by the path, or where the path is the same, by a header.

use serde_json::{Value, json};

use super::super::asked::CREATED_S;
use super::{Body, Call};

/// `GET …/models`: `OpenAI`'s, or Anthropic's for who sends its version header, or Gemini's for who sends its key.
pub(super) fn list(call: &mut Call<'_>) -> Body {
    if call.request.header("x-goog-api-key").is_some() {
        return gemini(call);
    }
    if call.request.header("anthropic-version").is_none() {
        return Body::json(
            &json!({"object": "list", "data": [{"id": "chat", "object": "model", "created": CREATED_S, "owned_by": "fake"}]}),
        );
    }
    Body::json(
        &json!({"data": [{"type": "model", "id": "chat", "display_name": "Chat", "created_at": "2026-09-21T00:00:00Z"}],
        "has_more": false, "first_id": "chat", "last_id": "chat"}),
    )
}

/// `GET /v1beta/models`.
pub(super) fn gemini(_call: &mut Call<'_>) -> Body {
    let chat: Value = json!({"name": "models/chat", "displayName": "Chat", "version": "001", "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"]});
    Body::json(&json!({"models": [chat]}))
}
