//! Globs of allow-lists: `*` stands for any run of characters, everything else for itself.

/// Whether one of `globs` fits; no list at all allows everything, an empty one nothing.
pub fn any_matches(globs: Option<&[String]>, text: &str) -> bool {
    globs.is_none_or(|globs| globs.iter().any(|glob| matches(glob, text)))
}

/// Each literal between stars is sought once, from left to right, which is enough since a star takes anything: no
/// backtracking, so no glob is slow.
fn matches(glob: &str, text: &str) -> bool {
    let Some((prefix, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(prefix) else {
        return false;
    };
    let mut literals = rest.split('*').peekable();
    while let Some(literal) = literals.next() {
        if literals.peek().is_none() {
            return text.ends_with(literal);
        }
        let Some(at) = text.find(literal) else { return false };
        text = &text[at + literal.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_takes_any_run_and_all_else_stands_for_itself() {
        for (glob, text) in [
            ("gpt-5", "gpt-5"),
            ("gpt-*", "gpt-5-mini"),
            ("gpt-*", "gpt-"),
            ("*", ""),
            ("*", "anything/at all"),
            ("*-mini", "gpt-5-mini"),
            ("openai/*", "openai/gpt-5"),
            ("g*5*i", "gpt-5-mini"),
            ("a*b*a*b", "abab"),
            ("**", "x"),
        ] {
            assert!(matches(glob, text), "{glob} should match {text}");
        }
        for (glob, text) in [
            ("gpt-5", "gpt-5-mini"),
            ("gpt-*", "GPT-5"),
            ("*-mini", "mini"),
            ("a*a", "a"),
            ("a*b*a*b", "aba"),
            ("g?t", "gpt"),
            ("", "x"),
        ] {
            assert!(!matches(glob, text), "{glob} should not match {text}");
        }
    }
}
