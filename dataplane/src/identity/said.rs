//! What those say who hand out no token: their words, for our log.

use std::fmt::Write as _;

use serde::Deserialize;

use headgate_llm::scrub::scrub;

/// How much of somebody's words is repeated in ours.
const WORDS_CHARACTERS_MAX: usize = 300;

/// Behind a colon and on one line; empty: nothing that can be read. `secret` is what was sent, and taken out.
pub(super) fn said(body: &[u8], secret: &str) -> String {
    cut(&scrub(&words(body), secret))
}

/// The words of an error, in whichever of the forms in use: OAuth's, Google's, AWS's, or bare text. One line.
fn words(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Wire {
        error: serde_json::Value,
        error_description: String,
        message: String,
    }
    let text = String::from_utf8_lossy(body);
    let wire: Wire = serde_json::from_str(&text).unwrap_or_default();
    let said = match &wire.error {
        serde_json::Value::String(code) => format!("{code} {}", wire.error_description),
        serde_json::Value::Object(error) => error.get("message").map_or_else(String::new, member_text),
        _ if !wire.message.is_empty() => wire.message,
        _ => match (element(&text, "Code"), element(&text, "Message")) {
            (Some(code), message) => format!("{code} {}", message.unwrap_or_default()),
            (None, _) if text.trim_start().starts_with(['{', '<']) => String::new(),
            (None, _) => text.into_owned(),
        },
    };
    let mut line = String::new();
    for word in said.split(|character: char| character.is_whitespace() || character.is_control()) {
        if !word.is_empty() {
            let _ = write!(line, "{}{word}", if line.is_empty() { ": " } else { " " });
        }
    }
    line
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(WORDS_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn member_text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The text of the first XML element of that name that has no attributes and only text. Enough for the answers of STS,
/// whose keys and tokens are made of letters, digits, `+`, `/` and `=`.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, rest) = rest.split_once('<')?;
    rest.strip_prefix('/')?.strip_prefix(name)?.strip_prefix('>')?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_error_are_found_in_every_form_and_are_one_bounded_line() {
        for (body, expected) in [
            (
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
                ": invalid_grant Invalid JWT Signature.",
            ),
            (
                r#"{"error":{"code":403,"message":"Permission denied","status":"PERMISSION_DENIED"}}"#,
                ": Permission denied",
            ),
            (r#"{"code":"AccessDenied","message":"no role"}"#, ": no role"),
            (
                "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not\nauthorized</Message></Error></ErrorResponse>",
                ": AccessDenied Not authorized",
            ),
            ("<html>teapot</html>", ""),
            ("{\"other\": 1}", ""),
            (" not\r\nfound ", ": not found"),
            ("", ""),
        ] {
            assert_eq!(words(body.as_bytes()), expected, "{body}");
        }
        let long = "ä".repeat(1000);
        assert_eq!(cut(&long).chars().count(), WORDS_CHARACTERS_MAX + 1);
    }

    #[test]
    fn an_element_is_text_between_its_own_tags() {
        assert_eq!(element("<a><Code>x</Code></a>", "Code"), Some("x"));
        for xml in ["", "<Code>", "<Code>x", "<Code><b>x</b></Code>", "<Code>x</Other>"] {
            assert_eq!(element(xml, "Code"), None, "{xml}");
        }
    }
}
