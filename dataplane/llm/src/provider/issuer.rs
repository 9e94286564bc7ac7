//! Who made the proof of a thought: nobody else can read it, and most refuse a request that holds one of another's.
//!
//! Clients hand back every thought they were given, whichever model they go on with. So a proof is marked with its issuer
//! on the way to the client, and on the way back each adapter takes its own and leaves out the others. Claude's proofs go
//! as they are, since people know them and every host of Claude makes the same; those of all others begin with a word and
//! a colon. Proofs are base64, which has no colon: none is mistaken for another.

/// A maker of proofs. Two services of one company are two makers where they refuse each other's proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// Claude, at Anthropic and in other clouds.
    Claude,
    /// Gemini in AI Studio.
    AIStudio,
    /// Gemini in Vertex AI, which refuses AI Studio's proofs as AI Studio refuses its.
    Vertex,
    /// `OpenAI`'s models at `OpenAI`.
    OpenAI,
    /// The same at Azure, which refuses `OpenAI`'s proofs as `OpenAI` refuses its
    /// (<https://github.com/manaflow-ai/subrouter/pull/259>).
    Azure,
    /// Any other server that speaks `OpenAI`'s Responses.
    Responses,
}

/// How far into a proof the colon of a mark can stand.
pub(crate) const MARK_BYTES_MAX: usize = 32;

impl Issuer {
    const fn mark(self) -> &'static str {
        match self {
            Self::Claude => "",
            Self::AIStudio => "google:",
            Self::Vertex => "vertex:",
            Self::OpenAI => "openai:",
            Self::Azure => "azure:",
            Self::Responses => "responses:",
        }
    }

    /// A proof as it goes to the client.
    pub(crate) fn marked(self, proof: &str) -> String {
        format!("{}{proof}", self.mark())
    }

    /// A proof as it came from this issuer; `None`: it is another's, or none.
    pub(crate) fn unmarked(self, proof: &str) -> Option<&str> {
        if self == Self::Claude && is_marked(proof) {
            return None;
        }
        proof.strip_prefix(self.mark()).filter(|proof| !proof.is_empty())
    }
}

/// Whether a proof names its issuer, be it one that is known here or not.
pub(crate) fn is_marked(proof: &str) -> bool {
    let start = proof.as_bytes().get(..MARK_BYTES_MAX).unwrap_or(proof.as_bytes());
    memchr::memchr(b':', start).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Issuer; 6] = [
        Issuer::Claude,
        Issuer::AIStudio,
        Issuer::Vertex,
        Issuer::OpenAI,
        Issuer::Azure,
        Issuer::Responses,
    ];

    #[test]
    fn each_takes_its_own_proofs_and_nobody_elses() {
        for maker in ALL {
            let proof = maker.marked("EqQBCgIYAhIM+/=");
            for reader in ALL {
                let read = (reader == maker).then_some("EqQBCgIYAhIM+/=");
                assert_eq!(reader.unmarked(&proof), read, "{maker:?} {reader:?}");
                assert_eq!(reader.unmarked("other:EqQB"), None, "{reader:?}");
            }
        }
    }

    #[test]
    fn an_empty_proof_proves_nothing() {
        for issuer in ALL {
            assert_eq!(issuer.unmarked(&issuer.marked("")), None, "{issuer:?}");
        }
    }
}
