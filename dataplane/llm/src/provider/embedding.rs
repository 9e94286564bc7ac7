//! What providers with a dialect of their own for embeddings have in common: they take text only, one or several, and
//! have no word for who asks.

use serde_json::json;

use super::leftovers::{Leftovers, raw};
use crate::hub::{EmbeddingInput, EmbeddingRequest};
use crate::request::BadRequest;

/// Who asks, which none of them has a field for.
pub(crate) fn leave_user_over(request: &EmbeddingRequest<'_>, leftovers: &mut Leftovers<'_>) -> Result<(), BadRequest> {
    match request.user.as_deref() {
        Some(user) => leftovers.parameter("user", raw(json!(user).to_string())),
        None => Ok(()),
    }
}

/// The texts of a request.
pub(crate) fn texts<'r>(request: &'r EmbeddingRequest<'_>) -> Result<Vec<&'r str>, BadRequest> {
    let inputs = request.inputs.iter().map(|input| match input {
        EmbeddingInput::Text(text) => Ok(text.as_ref()),
        EmbeddingInput::Tokens(_) => {
            let message = "`input` holds tokens, and this model's provider takes text only; send the text".to_owned();
            Err(BadRequest::new("unsupported_parameter", Some("input"), message))
        }
    });
    inputs.collect()
}

/// The text of a request to a model that takes one at a time.
pub(crate) fn only_text<'r>(request: &'r EmbeddingRequest<'_>) -> Result<&'r str, BadRequest> {
    if let [text] = texts(request)?[..] {
        return Ok(text);
    }
    let message = "`input` holds several texts, and this model takes one at a time; ask once for each".to_owned();
    Err(BadRequest::new("unsupported_parameter", Some("input"), message))
}
