//! Members by name at any depth of a document that was validated, in one pass and without its containers: the next key is
//! the next string that a colon follows.

use std::ops::Range;

use super::fields::matching;
use super::plain_length;

/// A string that stands as the value of a member with a wanted name, or as an element of such a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Which name.
    pub name: usize,
    /// Where the string stands, quotes included.
    pub value: Range<usize>,
}

/// Finds the strings that members of these names hold, at any depth of `text`, which [`walk`](super::walk) has validated.
/// Names are compared after unescaping and without regard to case, as the most lenient reader would. Values that are
/// neither strings nor begin as arrays of strings are passed over, and what stands in them is looked at like all else.
pub fn strings_named(text: &[u8], names: &[&str], mut on_found: impl FnMut(Named)) {
    let mut at = 0;
    while let Some(quote) = memchr::memchr(b'"', &text[at..]) {
        let key = string_at(text, at + quote);
        at = key.end;
        let colon = behind_space(text, at);
        if text.get(colon) != Some(&b':') {
            continue;
        }
        let Some(name) = matching(&text[key], names) else {
            continue;
        };
        at = behind_space(text, colon + 1);
        if text.get(at) == Some(&b'[') {
            at = behind_space(text, at + 1);
            while text.get(at) == Some(&b'"') {
                let value = string_at(text, at);
                at = behind_space(text, value.end);
                if text.get(at) == Some(&b',') {
                    at = behind_space(text, at + 1);
                }
                on_found(Named { name, value });
            }
        } else if text.get(at) == Some(&b'"') {
            let value = string_at(text, at);
            at = value.end;
            on_found(Named { name, value });
        }
    }
}

/// The string whose opening quote is at `start`.
fn string_at(text: &[u8], start: usize) -> Range<usize> {
    let mut end = start + 1;
    loop {
        end += plain_length(text.get(end..).unwrap_or_default());
        match text.get(end) {
            Some(b'\\') => end += 2,
            Some(b'"') => return start..end + 1,
            Some(_) => end += 1,
            None => return start..text.len(),
        }
    }
}

fn behind_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let spaces = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    at + spaces.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &str)]) {
        super::super::walk(text.as_bytes(), |_| std::ops::ControlFlow::Continue(())).expect("JSON");
        let mut found = Vec::new();
        strings_named(text.as_bytes(), &["id", "ids"], |Named { name, value }| {
            found.push((name, text[value].to_owned()));
        });
        let found: Vec<_> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn members_are_found_at_any_depth_however_they_are_spelt() {
        check(
            r#"[{"a":[{"id" : "x"}]},{"i\u0064":"y"},{"ID":"z"}]"#,
            &[(0, r#""x""#), (0, r#""y""#), (0, r#""z""#)],
        );
        check(r#"{"id":"a\"b","id":"c"}"#, &[(0, r#""a\"b""#), (0, r#""c""#)]);
    }

    #[test]
    fn arrays_of_strings_are_found_and_what_stands_in_other_values_too() {
        check(r#"{"ids":[ "a" , "b" ],"ids":[]}"#, &[(1, r#""a""#), (1, r#""b""#)]);
        check(
            r#"{"ids":["a",{"id":"b"}],"id":{"id":"c"},"id":7}"#,
            &[(1, r#""a""#), (0, r#""b""#), (0, r#""c""#)],
        );
    }

    #[test]
    fn words_in_texts_and_values_are_no_members() {
        check(r#"{"text":"\"id\":\"x\"","x":["id",":"],"y":"id"}"#, &[]);
        check(r#""id""#, &[]);
        check(r#"{"idx":"a","xid":"b"}"#, &[]);
    }
}
