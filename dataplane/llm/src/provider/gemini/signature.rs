//! Thought signatures: proofs of what the model thought, which it wants back.
//!
//! A call's signature travels in `extra_content.google`, where Google's own layer for `OpenAI`'s clients has it. One that
//! stands on text or on a thought travels in `reasoning_details`, where other providers' proofs travel too. Both are marked
//! with their [`Issuer`], save a call's of AI Studio, which stands as Google's layer writes it. A foreign one is left out
//! as a lost one is; on text and thoughts the provider demands none.

use crate::provider::issuer::{self, Issuer};

/// Google's documented value for a call whose signature was lost, or that another model made: it is not validated.
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>)
pub(super) const SKIP: &str = "skip_thought_signature_validator";

/// A call's, as it goes to the client.
pub(super) fn of_call(signature: String, issuer: Issuer) -> String {
    match issuer {
        Issuer::AIStudio => signature,
        issuer => issuer.marked(&signature),
    }
}

/// A call's, as it came from the provider; `None`: another's, or none.
pub(super) fn own_of_call(signature: &str, issuer: Issuer) -> Option<&str> {
    match issuer {
        Issuer::AIStudio if !issuer::is_marked(signature) => Some(signature).filter(|text| !text.is_empty()),
        issuer => issuer.unmarked(signature),
    }
}
