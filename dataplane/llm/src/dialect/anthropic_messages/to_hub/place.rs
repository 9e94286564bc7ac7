//! Values read by their type; one that does not fit is named by its path, as in `messages[3].content[1].text`.
//!
//! Serde tells only where in the text it stopped, so the path is found by walking down to there. That is a second pass,
//! which only a request takes that is refused.

use std::ops::{ControlFlow, Range};

use serde::Deserialize;

use crate::json;
use crate::request::BadRequest;

/// Reads the value of `name`, JSON of a body that was validated.
pub(super) fn typed<'a, T: Deserialize<'a>>(name: &str, json: &'a str) -> Result<T, BadRequest> {
    serde_json::from_str(json).map_err(|error| misfit(name, json, &error))
}

/// A member that must be there and is not.
pub(super) fn missing(name: &str) -> BadRequest {
    BadRequest::new(
        "missing_field",
        Some(name),
        format!("`{name}` is required; add it to the request body"),
    )
}

fn misfit(name: &str, json: &str, error: &serde_json::Error) -> BadRequest {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(&*words, |(words, _)| words);
    let wrong_bracket = match words {
        _ if words.starts_with("invalid type: map") => Some('{'),
        _ if words.starts_with("invalid type: sequence") => Some('['),
        _ => None,
    };
    let path = path(name, json, offset(json, error), wrong_bracket);
    let named = |start: &str| words.strip_prefix(start).and_then(|rest| rest.split('`').next());
    if let Some(field) = named("missing field `") {
        return missing(&format!("{path}.{field}"));
    }
    if let Some(field) = named("duplicate field `") {
        let object = path.strip_suffix(field).and_then(|path| path.strip_suffix('.'));
        return BadRequest::repeated(&format!("{}.{field}", object.unwrap_or(&path)));
    }
    // Serde quotes what was written before it says what it wanted.
    let wanted = words.rsplit_once(", expected ").map_or("", |(_, wanted)| wanted);
    let wanted = match wanted {
        "" => "of another form",
        "u32" | "u64" => "a non-negative integer",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        wanted => wanted,
    };
    BadRequest::wrong_type(&path, wanted)
}

/// How many bytes serde had read.
fn offset(json: &str, error: &serde_json::Error) -> usize {
    let lines = json.split_inclusive('\n').take(error.line().saturating_sub(1));
    (lines.map(str::len).sum::<usize>() + error.column()).min(json.len())
}

/// The path of the value at which serde stopped: somewhere in it, or before it where the type alone is wrong. Of a list or
/// an object that should be something else, serde may have read the bracket.
fn path(name: &str, json: &str, offset: usize, wrong_bracket: Option<char>) -> String {
    let mut path = name.to_owned();
    let mut value = 0..json.len();
    while offset > value.start
        && !(offset == value.start + 1 && wrong_bracket.is_some_and(|bracket| json[value.start..].starts_with(bracket)))
        && let Some((step, inner)) = step_to(&json[value.clone()], offset - value.start)
    {
        path.push_str(&step);
        value = value.start + inner.start..value.start + inner.end;
    }
    path
}

/// The member in which `offset` is, and how it is written. At the end of a container, of which serde knows then that
/// something is missing, there is none.
fn step_to(container: &str, offset: usize) -> Option<(String, Range<usize>)> {
    if !container.starts_with(['{', '[']) {
        return None;
    }
    let (mut index, mut found) = (0, None);
    let _ = json::walk(container.as_bytes(), |member| {
        if offset > member.value.end {
            index += 1;
            return ControlFlow::Continue(());
        }
        if member.key.is_empty() {
            found = Some((format!("[{index}]"), member.value));
        } else {
            let key = json::string_value(&container.as_bytes()[member.key]);
            found = Some((format!(".{}", key.unwrap_or_default()), member.value));
        }
        ControlFlow::Break(())
    });
    found
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(expecting = "an object")]
    struct Outer {
        #[expect(dead_code, reason = "only its type matters")]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(expecting = "an object")]
    struct Inner {
        #[expect(dead_code, reason = "only its type matters")]
        text: String,
        #[expect(dead_code, reason = "only its type matters")]
        count: Option<u64>,
    }

    #[track_caller]
    fn check(json: &str, code: &str, message: &str) {
        let refusal = typed::<Outer>("outer", json).expect_err("accepted");
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message), "{json}");
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_path_and_never_quoted() {
        check("5", "invalid_type", "`outer` must be an object");
        check(r#"{"list": {}}"#, "invalid_type", "`outer.list` must be an array");
        check(
            r#"{"list": "secret, expected x"}"#,
            "invalid_type",
            "`outer.list` must be an array",
        );
        check(
            r#"{"list": [ 7 ]}"#,
            "invalid_type",
            "`outer.list[0]` must be an object",
        );
        let with = |inner: &str| format!("{{\"other\": [1],\n \"list\": [{{\"text\": \"a\"}},\n {inner} ]}}");
        for wrong in ["5", "null", "{}", "{\"text\": 1}", "[]", "true", "-1.5e9"] {
            let text = with(&format!("{{\"count\": 1, \"text\" : {wrong} , \"x\": 3}}"));
            check(&text, "invalid_type", "`outer.list[1].text` must be a string");
        }
        for wrong in ["-1", "\"secret\"", "1.5", "[ ]"] {
            let text = with(&format!("{{\"text\":\"\", \"count\":{wrong}}}"));
            check(
                &text,
                "invalid_type",
                "`outer.list[1].count` must be a non-negative integer",
            );
        }
    }

    #[test]
    fn what_stands_twice_is_named() {
        let words =
            |path| format!("`{path}` must be given once and spelt exactly so; remove the other spellings of it");
        check(
            r#"{"list":[{"text":"a", "text" : "b"}]}"#,
            "duplicate_field",
            &words("outer.list[0].text"),
        );
        check(r#"{"list":[], "list": []}"#, "duplicate_field", &words("outer.list"));
    }

    #[test]
    fn what_is_missing_is_named_by_the_path_that_it_would_have() {
        let words = |path| format!("`{path}` is required; add it to the request body");
        check("{ }", "missing_field", &words("outer.list"));
        check(
            "{\"list\":[{\"text\":\"\"}, {\"count\": 1}]}",
            "missing_field",
            &words("outer.list[1].text"),
        );
    }
}
