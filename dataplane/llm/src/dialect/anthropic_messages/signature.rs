//! Proofs of tool calls, as Gemini gives them and wants them back. The dialect has no place for one in a `tool_use` block,
//! and many clients put such a block together anew; but every client hands thoughts back as they came, since Claude
//! demands it. So the proof of a call travels in a `redacted_thinking` block before it, with the call's id: a client may
//! put its blocks in another order.

/// What stands before it. Base64 has no colon, so no thought of another provider looks like this.
const MARK: &str = "tool_use:";

/// Stands for a colon in a proof that names its issuer, so that an id may hold colons.
const COLON: &str = "~";

/// The proof of a call, as the data of a `redacted_thinking` block.
pub(super) fn for_call(id: &str, proof: &str) -> String {
    format!("{MARK}{id}:{}", proof.replace(':', COLON))
}

/// The call's id and its proof, if the data of a block hold one.
pub(super) fn of_call(data: &str) -> Option<(&str, String)> {
    let (id, proof) = data.strip_prefix(MARK)?.rsplit_once(':')?;
    Some((id, proof.replace(COLON, ":")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_comes_back_with_its_call_whatever_the_id_holds() {
        for id in ["call_1", "functions.f:0", "", "a:b:c"] {
            for proof in ["c2ln+/=", "vertex:c2ln-_"] {
                assert_eq!(of_call(&for_call(id, proof)), Some((id, proof.to_owned())));
            }
        }
        for thought in ["EqQBCg==", "google:c2ln", "tool_use:"] {
            assert_eq!(of_call(thought), None, "{thought}");
        }
    }
}
