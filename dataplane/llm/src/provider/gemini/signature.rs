//! Thought signatures: proofs of what the model thought, which it wants back.
//!
//! A call's signature travels in `extra_content.google`, whose name tells its issuer. One that stands on text or on a thought
//! travels in `reasoning_details`, where other providers' proofs travel too, so it is marked: a client that goes on
//! with another model hands everything back, and a foreign proof is refused by the provider. One without our mark, like a
//! thought without any, is left out; the provider demands neither.

/// What stands before a signature of ours in `reasoning_details`. Base64 has no colon, so no proof of another provider
/// begins with it.
const MARK: &str = "google:";

/// Google's documented value for a call whose signature was lost, or that another model made: it is not validated.
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>)
pub(super) const SKIP: &str = "skip_thought_signature_validator";

/// As it goes to the client.
pub(super) fn marked(signature: &str) -> String {
    format!("{MARK}{signature}")
}

/// As it came from the provider; `None`: another provider's.
pub(super) fn unmarked(signature: &str) -> Option<&str> {
    signature.strip_prefix(MARK).filter(|signature| !signature.is_empty())
}
