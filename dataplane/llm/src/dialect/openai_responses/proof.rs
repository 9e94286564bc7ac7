//! What `encrypted_content` of a reasoning item carries when the answer came from another provider: its proof of a thought,
//! which clients hand back as it is, without knowing what it is.
//!
//! Each is marked as ours and with what it proves; whose it is, the provider's own mark says that stands behind (proofs
//! without one are Anthropic's). What carries no mark of ours was sealed by `OpenAI` and is for nobody else.

use std::borrow::Cow;

/// What stands before everything of ours; base64 has no colon, so that nothing of `OpenAI`'s begins so.
pub(crate) const MARK: &str = "headgate:";

const THOUGHT: &str = "thought:";
const SEALED: &str = "sealed:";
const CALL: &str = "call:";

/// A proof, by what it proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof<'a> {
    /// The thought whose words stand beside it.
    Thought(Cow<'a, str>),
    /// A thought that only its provider can read.
    Sealed(Cow<'a, str>),
    /// A call of a tool.
    Call {
        /// The call.
        id: Cow<'a, str>,
        /// Its signature.
        signature: Cow<'a, str>,
    },
}

impl<'a> Proof<'a> {
    /// As it goes to the client.
    pub(super) fn write(&self) -> String {
        match self {
            Self::Thought(proof) => format!("{MARK}{THOUGHT}{proof}"),
            Self::Sealed(data) => format!("{MARK}{SEALED}{data}"),
            // Both may hold anything; the length tells where the one ends.
            Self::Call { id, signature } => format!("{MARK}{CALL}{}:{id}{signature}", id.len()),
        }
    }

    /// As it came back; `None`: it is not ours.
    pub(super) fn read(text: Cow<'a, str>) -> Option<Self> {
        let kind = text.strip_prefix(MARK)?;
        if kind.starts_with(THOUGHT) {
            return Some(Self::Thought(behind(text, MARK.len() + THOUGHT.len())));
        }
        if kind.starts_with(SEALED) {
            return Some(Self::Sealed(behind(text, MARK.len() + SEALED.len())));
        }
        let (length, rest) = kind.strip_prefix(CALL)?.split_once(':')?;
        let (id, signature) = rest.split_at_checked(length.parse().ok()?)?;
        Some(Self::Call {
            id: Cow::Owned(id.to_owned()),
            signature: Cow::Owned(signature.to_owned()),
        })
    }
}

fn behind(text: Cow<'_, str>, start: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_comes_back_as_it_went() {
        for proof in [
            Proof::Thought("google:c2ln".into()),
            Proof::Thought("".into()),
            Proof::Sealed("a:b\n\"".into()),
            Proof::Call {
                id: "call:7".into(),
                signature: "9:ế".into(),
            },
            Proof::Call {
                id: "".into(),
                signature: "".into(),
            },
        ] {
            assert_eq!(Proof::read(proof.write().into()), Some(proof.clone()));
            assert_eq!(Proof::read(Cow::Borrowed(&proof.write())), Some(proof));
        }
    }

    #[test]
    fn what_is_not_ours_proves_nothing() {
        for text in [
            "",
            "gAAAAABo",
            "headgate:",
            "headgate:other:x",
            "headgate:call:9:x",
            "headgate:call:1:ế",
            "headgate:call::",
            "thought:x",
        ] {
            assert_eq!(Proof::read(text.into()), None, "{text}");
        }
    }
}
