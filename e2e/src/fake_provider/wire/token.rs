//! Where service accounts and workloads exchange what they have for an access token, as Google's and Microsoft's
//! authorities do (RFC 6749): every assertion is believed.

use serde_json::json;

use super::{Body, Call};

/// The token that everybody gets.
const TOKEN: &str = "ya29.fake-access-token";

/// `POST …/token`.
pub(super) fn grant(call: &mut Call<'_>) -> Body {
    let form = String::from_utf8_lossy(&call.request.body);
    // A metadata server is asked with GET and without a form.
    if call.request.method == "POST" && !form.split('&').any(|field| field.starts_with("grant_type=")) {
        return Body {
            status: 400,
            ..Body::json(&json!({"error": "invalid_request", "error_description": "grant_type is missing"}))
        };
    }
    Body::json(&json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}))
}
