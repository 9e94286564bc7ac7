//! What a finding must not show: credentials that stand where none belongs, and characters that command a terminal.
//!
//! What a Secret holds is known and masked before it gets here. This is for the key that somebody put into a wrong field:
//! no schema tells, so words are judged by their looks, and every value of a field that is named after a credential is
//! hidden. Masks are as long as what they hide, so that carets stay where they were. Model names, DNS names and paths
//! stay readable: their parts are short, or all letters.

use std::borrow::Cow;

/// How keys of the usual vendors begin, and ours.
const PREFIXES: [&str; 4] = ["sk-", "vk-", "gsk_", "AIza"];
/// What a key has behind its prefix at least; shorter ones are talk about keys (`sk-…`).
const BEHIND_PREFIX_MIN: usize = 4;
/// From this length on a word of letters and digits may be a key.
const WORD_MIN: usize = 20;
/// From this length on letters and digits without a dash between them are a key, not a part of a name.
const RUN_MIN: usize = 12;
/// Words in the path of a field that say its value is a credential.
const SENSITIVE: [&str; 7] = [
    "credential",
    "secret",
    "token",
    "apikey",
    "password",
    "authorization",
    "headers",
];

/// Whether a field of this path may hold a credential, rightly or not.
pub(crate) fn is_sensitive(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    SENSITIVE.iter().any(|word| path.contains(word))
}

/// The text with `*` for every letter of what looks like a credential.
pub(crate) fn credentials(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut word = String::new();
    let mut follows_bearer = false;
    // A last character that belongs to no word ends the last word.
    for letter in text.chars().map(Some).chain([None]) {
        if let Some(letter) = letter.filter(|letter| letter.is_ascii_alphanumeric() || "_+/=-".contains(*letter)) {
            word.push(letter);
            continue;
        }
        // What follows `Bearer` in prose is a word, a placeholder or a key; only the first is worth reading.
        let is_key = looks_secret(&word) || (follows_bearer && word.len() >= BEHIND_PREFIX_MIN);
        if is_key {
            masked.extend(word.chars().map(|_| '*'));
        } else {
            masked += &word;
        }
        if !word.is_empty() {
            follows_bearer = word.eq_ignore_ascii_case("bearer");
        }
        follows_bearer &= letter == Some(' ') || letter == Some('\t');
        word.clear();
        masked.extend(letter);
    }
    masked
}

fn looks_secret(word: &str) -> bool {
    // A prefix counts at the start of any part: `key=sk-…` is one word.
    let starts = |prefix: &str| {
        word.match_indices(prefix).any(|(at, _)| {
            let is_start =
                !word[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || "-_".contains(before));
            is_start && word.len() - at - prefix.len() >= BEHIND_PREFIX_MIN
        })
    };
    PREFIXES.iter().any(|prefix| starts(prefix)) || (word.len() >= WORD_MIN && is_mixed(word) && !is_name(word))
}

fn is_mixed(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Words joined as in `meta-llama/Llama-3-70B-instruct`: each a word or a number, or short and of both.
fn is_name(word: &str) -> bool {
    word.split(['-', '/', '_']).all(|part| {
        let rest = part
            .strip_prefix(|first: char| first.is_ascii_uppercase())
            .unwrap_or(part);
        let rest = rest.strip_suffix(['B', 'K', 'M', 'T']).unwrap_or(rest); // 70B
        let is_plain = rest
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_plain && (part.len() < RUN_MIN || !is_mixed(part))
    })
}

/// The line with every value behind character `from` masked; keys, brackets and quotes stay.
pub(super) fn values_behind(line: &str, from: usize) -> String {
    let letters: Vec<char> = line.chars().collect();
    let mut masked: String = letters.iter().take(from).collect();
    let mut at = from.min(letters.len());
    while at < letters.len() {
        let end = token_end(&letters, at);
        let token = &letters[at..end];
        if is_structure(token[0]) || token[0].is_whitespace() || is_key(&letters, end) {
            masked.extend(token);
        } else {
            masked.extend(
                token
                    .iter()
                    .map(|&letter| if " \t\"'".contains(letter) { letter } else { '*' }),
            );
        }
        at = end;
    }
    masked
}

fn is_structure(letter: char) -> bool {
    ",[]{}:".contains(letter)
}

/// Where the token that begins at `at` ends: a quoted text, white space, a bracket, or what stands up to the next of them.
fn token_end(letters: &[char], at: usize) -> usize {
    let rest = &letters[at..];
    let length = match rest[0] {
        quote @ ('"' | '\'') => quoted_length(rest, quote),
        first if is_structure(first) => 1,
        first if first.is_whitespace() => rest.iter().take_while(|letter| letter.is_whitespace()).count(),
        '#' => rest.len(),
        _ => {
            let ends = |index: usize| ",[]{}".contains(rest[index]) || (rest[index] == ':' && ends_key(rest, index));
            (1..rest.len()).find(|&index| ends(index)).unwrap_or(rest.len())
        }
    };
    at + length
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut is_escaped = false;
    for (index, &letter) in rest.iter().enumerate().skip(1) {
        if letter == quote && !is_escaped {
            return index + 1;
        }
        is_escaped = quote == '"' && letter == '\\' && !is_escaped;
    }
    rest.len()
}

/// Whether the colon at `index` ends a key rather than being part of a value.
fn ends_key(letters: &[char], index: usize) -> bool {
    letters.get(index + 1).is_none_or(|next| next.is_whitespace())
}

/// Whether the token that ends at `end` is a key.
fn is_key(letters: &[char], end: usize) -> bool {
    letters.get(end) == Some(&':')
}

/// The text with control characters spelt out, for messages and file names.
pub(crate) fn controls(text: &str) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return text.into();
    }
    let spelt = |letter: char| {
        if is_command(letter) {
            letter.escape_default().to_string()
        } else {
            letter.to_string()
        }
    };
    text.chars().map(spelt).collect::<String>().into()
}

/// The line with a placeholder for each control character, so that columns stay.
pub(super) fn controls_in_place(line: &str) -> String {
    let shown = |letter| {
        if letter != '\t' && is_command(letter) {
            char::REPLACEMENT_CHARACTER
        } else {
            letter
        }
    };
    line.chars().map(shown).collect()
}

/// Control characters, and those that turn the direction of a line around.
fn is_command(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_masked_at_its_length() {
        for (text, masked) in [
            ("a: sk-live-abc, b: 1", "a: ***********, b: 1"),
            ("x Bearer abcd1 y", "x Bearer ***** y"),
            ("\"gsk_abcdef\"", "\"**********\""),
            ("AIzaSyA1b2C3d4", "**************"),
            ("vk-0aB-_x", "*********"),
            ("q3VhZ8fK2mN7pR4tW9xY", "********************"),
            ("YWJjZGVmMTIzNDU2Nzg5MA==", "************************"),
            ("abc-0123456789abcdef0123", "************************"),
        ] {
            assert_eq!(credentials(text), masked);
        }
    }

    #[test]
    fn names_stay_readable() {
        for text in [
            "claude-3-5-sonnet-20241022",
            "meta-llama/Meta-Llama-3-70B-Instruct",
            "team-a1.gateway-prod-eu-west-1.svc.cluster.local",
            "apiVersion: headgate.dev/v1alpha1",
            "risk-free-1 `sk-\u{2026}` maximumOutputTokensPerMinute",
        ] {
            assert_eq!(credentials(text), text);
        }
    }

    #[test]
    fn values_behind_a_key_are_masked_and_keys_are_not() {
        let line = "spec: {type: x, secretRef: {name: a b, \"key\": \"c,d\"}, e: [f, 'g'] } # h";
        let masked = "spec: {type: x, secretRef: {name: * *, \"key\": \"***\"}, e: [*, '*'] } * *";
        assert_eq!(values_behind(line, 16), masked);
        assert_eq!(values_behind("k: a b", 3), "k: * *");
        assert_eq!(values_behind("k: a", 99), "k: a");
    }

    #[test]
    fn a_terminal_is_commanded_by_nothing() {
        assert_eq!(controls("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(controls_in_place("a\u{1b}\tb"), "a\u{fffd}\tb");
    }
}
