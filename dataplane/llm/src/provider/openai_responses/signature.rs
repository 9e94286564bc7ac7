//! What proves a thought here: the item's id and its sealed content, which go back together.
//!
//! In the hub both are one signature, marked with its issuer, since clients hand back other providers' proofs as well and
//! those are refused. Chat has no place that tells between which calls a thought stood, so the signature does.

use crate::provider::issuer::Issuer;

/// A thought as an item of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature<'a> {
    /// How many calls of tools the answer held before it.
    pub(super) calls_before: usize,
    /// The item's id.
    pub(super) id: &'a str,
    /// What only the provider can read.
    pub(super) encrypted_content: &'a str,
}

impl<'a> Signature<'a> {
    /// As it goes into the hub.
    pub(super) fn write(&self, issuer: Issuer) -> String {
        let Self {
            calls_before,
            id,
            encrypted_content,
        } = self;
        issuer.marked(&format!("{calls_before}:{id}:{encrypted_content}"))
    }

    /// As it came back; `None`: another issuer's.
    pub(super) fn read(text: &'a str, issuer: Issuer) -> Option<Self> {
        let (calls_before, rest) = issuer.unmarked(text)?.split_once(':')?;
        let (id, encrypted_content) = rest.split_once(':')?;
        let calls_before = calls_before.parse().ok()?;
        let is_whole = !id.is_empty() && !encrypted_content.is_empty();
        is_whole.then_some(Self {
            calls_before,
            id,
            encrypted_content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_as_it_went_and_no_other() {
        let signature = Signature {
            calls_before: 2,
            id: "rs_1",
            encrypted_content: "gAAAA:B=",
        };
        let written = signature.write(Issuer::OpenAI);
        assert_eq!(Signature::read(&written, Issuer::OpenAI), Some(signature));
        assert_eq!(Signature::read(&written, Issuer::Azure), None);
        for foreign in [
            "",
            "EqQBCgIYAhIM",
            "google:c2ln",
            "openai:",
            "openai:1::x",
            "openai:1:rs:",
            "openai:x:rs:y",
        ] {
            assert_eq!(Signature::read(foreign, Issuer::OpenAI), None, "{foreign}");
        }
    }
}
