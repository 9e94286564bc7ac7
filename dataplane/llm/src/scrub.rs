//! Credentials out of provider messages. `OpenAI` quotes part of a wrong key in its 401, other servers quote all of it,
//! and gateways have leaked their accounts to callers that way.
//!
//! Two rules: words that begin as keys do are replaced, and the exact credential that was sent is replaced wherever it
//! stands. Too much is removed rather than too little: the words around it say enough.

use std::borrow::Cow;

/// What stands in the place of a credential.
pub const REDACTED: &str = "[redacted]";

/// Beginnings of keys in use at providers, and of our own virtual keys.
const PREFIXES: [&str; 15] = [
    "sk-", "vk-", "pk-", "rk-", "gsk_", "xai-", "pplx-", "hf_", "r8_", "nvapi-", "AIza", "ya29.", "AKIA", "ASIA", "eyJ",
];
/// Shorter words are prose: `sk-` itself, or `sk-...` in a sentence about keys.
const KEY_LENGTH_MIN: usize = 8;

/// `text` without what looks like a credential and without `credential` itself (empty: none was sent).
pub fn scrub<'a>(text: &'a str, credential: &str) -> Cow<'a, str> {
    let text = if !credential.is_empty() && text.contains(credential) {
        Cow::Owned(text.replace(credential, REDACTED))
    } else {
        Cow::Borrowed(text)
    };
    let mut clean = String::new();
    let mut kept_to = 0;
    let mut after_bearer = false;
    for (start, word) in words(&text) {
        if word.len() >= KEY_LENGTH_MIN && (after_bearer || looks_like_a_key(word)) {
            clean.push_str(&text[kept_to..start]);
            clean.push_str(REDACTED);
            kept_to = start + word.len();
        }
        after_bearer = word.eq_ignore_ascii_case("bearer");
    }
    if kept_to == 0 {
        return text;
    }
    clean.push_str(&text[kept_to..]);
    Cow::Owned(clean)
}

/// Also behind a slash: keys end up in URLs.
fn looks_like_a_key(word: &str) -> bool {
    word.split('/')
        .any(|part| PREFIXES.iter().any(|prefix| part.starts_with(prefix)))
}

/// Runs of the characters that keys and tokens are made of, and the asterisks and dots that mask them.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_.*+/~".contains(character);
    text.split(move |character| !is_part(character))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_looks_like_a_key_is_replaced() {
        let check = |text, clean| assert_eq!(scrub(text, ""), clean);
        check(
            "Incorrect API key provided: sk-abcd****wxyz. Find it",
            "Incorrect API key provided: [redacted] Find it",
        );
        check("key 'gsk_0123456789' is off", "key '[redacted]' is off");
        check(
            "?key=AIza0123456 at host/v1/sk-0123456789",
            "?key=[redacted] at [redacted]",
        );
        check("(vk-0123456789abcdef)", "([redacted])");
        check(
            "got Authorization: Bearer abcdefgh.ijkl and",
            "got Authorization: Bearer [redacted] and",
        );
        check("\"bearer\" 0123456789abc", "\"bearer\" [redacted]");
    }

    #[test]
    fn the_credential_that_was_sent_is_replaced_wherever_it_stands() {
        assert_eq!(scrub("no account for x7y8z9!", "x7y8z9"), "no account for [redacted]!");
        assert_eq!(scrub("a-secret-inside-a-word", "secret"), "a-[redacted]-inside-a-word");
    }

    #[test]
    fn prose_stays_as_it_is() {
        for text in [
            "",
            "The model `gpt-4o` does not exist",
            "keys begin with sk- here",
            "Der Träger ist bearer of news",
        ] {
            assert!(
                matches!(scrub(text, "another"), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }
}
