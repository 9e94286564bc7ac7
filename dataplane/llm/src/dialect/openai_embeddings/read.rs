//! A request into the hub.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use crate::hub::{EmbeddingInput, EmbeddingRequest};
use crate::json::{self, Kind, Repeats};
use crate::request::{BadRequest, ModelRequest};

/// Most inputs of one request; `OpenAI`'s own bound.
pub const INPUTS_MAX: usize = 2048;

/// Fields that were read when the request was parsed.
const READ_BEFORE: [&str; 3] = ["model", "input", "user"];
const DIMENSIONS: &str = "dimensions";
const ENCODING_FORMAT: &str = "encoding_format";
const READ_HERE: [&str; 2] = [DIMENSIONS, ENCODING_FORMAT];

/// Reads a request that was parsed.
pub fn read(request: &ModelRequest) -> Result<EmbeddingRequest<'_>, BadRequest> {
    let body = std::str::from_utf8(&request.body).expect("parse refuses a body that is not UTF-8");
    let input = std::str::from_utf8(request.input()).expect("a part of a valid document is valid");
    let mut read = EmbeddingRequest {
        model: Cow::Borrowed(&request.model),
        inputs: inputs(input)?,
        user: request.user.as_deref().map(Cow::Borrowed),
        ..EmbeddingRequest::default()
    };
    let mut seen = [false; READ_HERE.len()];
    let mut result = Ok(());
    json::walk(body.as_bytes(), |member| {
        result = add(&mut read, &mut seen, &body[member.key], &body[member.value]);
        if result.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .expect("parse refuses a body that is not JSON");
    result.map(|()| read)
}

/// Whether the client wants vectors as base64 of 32-bit floats.
pub fn wants_base64(request: &ModelRequest) -> bool {
    let mut found = [None];
    let walked = json::find_fields(&request.body, &[ENCODING_FORMAT], Repeats::TakeLast, &mut found);
    let [member] = found;
    let is_base64 = |value: &[u8]| json::string_value(value).is_some_and(|format| format == "base64");
    walked.is_ok() && member.is_some_and(|member| is_base64(&request.body[member.value]))
}

fn add<'a>(
    read: &mut EmbeddingRequest<'a>,
    seen: &mut [bool; READ_HERE.len()],
    key: &'a str,
    value: &'a str,
) -> Result<(), BadRequest> {
    let name = json::string_value(key.as_bytes()).expect("the key of a member is a string");
    if READ_BEFORE.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
        return Ok(()); // other spellings of these were refused then
    }
    let known = READ_HERE.iter().position(|known| known.eq_ignore_ascii_case(&name));
    if let Some(index) = known
        && (std::mem::replace(&mut seen[index], true) || name != READ_HERE[index])
    {
        return Err(BadRequest::repeated(READ_HERE[index]));
    }
    if json::kind(value.as_bytes()) == Kind::Null {
        return Ok(()); // as good as absent
    }
    match name.as_ref() {
        DIMENSIONS => read.dimensions = Some(dimensions(value)?),
        ENCODING_FORMAT => check_encoding_format(value)?,
        _ => read.other.push((name, raw(value))),
    }
    Ok(())
}

fn dimensions(value: &str) -> Result<u32, BadRequest> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| BadRequest::wrong_type(DIMENSIONS, "a positive integer"))
}

fn check_encoding_format(value: &str) -> Result<(), BadRequest> {
    if let Some("float" | "base64") = json::string_value(value.as_bytes()).as_deref() {
        return Ok(());
    }
    let message = format!("`{ENCODING_FORMAT}` must be float or base64");
    Err(BadRequest::invalid(ENCODING_FORMAT, message))
}

/// One text, a list of texts, one text as tokens, or a list of such.
fn inputs(value: &str) -> Result<Vec<EmbeddingInput<'_>>, BadRequest> {
    let malformed = || {
        let wanted = "a string, a list of strings, a list of tokens, or a list of such lists";
        BadRequest::wrong_type("input", wanted)
    };
    if json::kind(value.as_bytes()) == Kind::String {
        return Ok(vec![text(value)]);
    }
    if is_tokens(value) {
        return Ok(vec![EmbeddingInput::Tokens(raw(value))]);
    }
    let (mut inputs, mut kind_of_all, mut result) = (Vec::new(), None, Ok(()));
    let walked = json::walk(value.as_bytes(), |member| {
        let element = &value[member.value];
        let kind = json::kind(element.as_bytes());
        result = match kind {
            _ if *kind_of_all.get_or_insert(kind) != kind => Err(malformed()),
            _ if inputs.len() == INPUTS_MAX => Err(too_many()),
            Kind::String => Ok(text(element)),
            Kind::Array if is_tokens(element) => Ok(EmbeddingInput::Tokens(raw(element))),
            _ => Err(malformed()),
        }
        .map(|input| inputs.push(input));
        if result.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    result?;
    if walked != Ok(Kind::Array) {
        return Err(malformed());
    }
    if inputs.is_empty() {
        let message = "`input` is empty; send at least one text".to_owned();
        return Err(BadRequest::invalid("input", message));
    }
    Ok(inputs)
}

fn too_many() -> BadRequest {
    let message = format!("`input` holds more than {INPUTS_MAX} entries; ask several times instead");
    BadRequest::invalid("input", message)
}

fn text(value: &str) -> EmbeddingInput<'_> {
    EmbeddingInput::Text(json::string_value(value.as_bytes()).expect("a value of this kind is a string"))
}

/// A list of numbers of a vocabulary, not empty.
fn is_tokens(value: &str) -> bool {
    let (mut count, mut all) = (0, true);
    let walked = json::walk(value.as_bytes(), |member| {
        count += 1;
        all = value[member.value].parse::<u32>().is_ok();
        if all {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    walked == Ok(Kind::Array) && all && count > 0
}

/// JSON text that stands in a body which was validated.
fn raw(value: &str) -> &RawValue {
    serde_json::from_str(value).expect("a member of a valid document is valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use bytes::Bytes;

    fn request(rest: &str) -> ModelRequest {
        let body = format!("{{\"model\":\"m\"{rest}}}");
        ModelRequest::parse(Endpoint::Embeddings, Bytes::from(body)).unwrap()
    }

    fn inputs_of(input: &str) -> Result<Vec<String>, BadRequest> {
        let request = request(&format!(",\"input\":{input}"));
        let read = read(&request)?;
        let say = |input: &EmbeddingInput<'_>| match input {
            EmbeddingInput::Text(text) => text.to_string(),
            EmbeddingInput::Tokens(tokens) => format!("tokens {tokens}"),
        };
        Ok(read.inputs.iter().map(say).collect())
    }

    #[test]
    fn every_form_of_input_is_one_input_for_each_vector() {
        assert_eq!(inputs_of(r#""a\n😀""#).unwrap(), ["a\n😀"]);
        assert_eq!(inputs_of(r#"["a", "", "b"]"#).unwrap(), ["a", "", "b"]);
        assert_eq!(inputs_of("[1, 2, 3]").unwrap(), ["tokens [1, 2, 3]"]);
        assert_eq!(inputs_of("[[1], [2,3]]").unwrap(), ["tokens [1]", "tokens [2,3]"]);
    }

    #[test]
    fn an_input_of_another_form_is_refused_by_its_name() {
        for input in [
            "[]",
            "[[]]",
            "[null]",
            "[\"a\", 1]",
            "[1, \"a\"]",
            "[1, [2]]",
            "[[1], 2]",
            "[-1]",
            "[1.5]",
            "[4294967296]",
            "[{\"text\":\"a\"}]",
            "[[\"a\"]]",
        ] {
            assert_eq!(inputs_of(input).unwrap_err().param.as_deref(), Some("input"), "{input}");
        }
        let many = |count| format!("[{}]", vec!["\"a\""; count].join(","));
        assert_eq!(inputs_of(&many(INPUTS_MAX)).unwrap().len(), INPUTS_MAX);
        assert!(inputs_of(&many(INPUTS_MAX + 1)).is_err());
    }

    #[test]
    fn what_is_unknown_is_kept_and_what_is_null_is_absent() {
        let rest =
            r#","input":"a","dimensions":null,"encoding_format":"base64","user":"u","task_type":"X","y":null,"z":1.50"#;
        let request = request(rest);
        let read = read(&request).unwrap();
        assert_eq!((read.dimensions, read.user.as_deref()), (None, Some("u")));
        let other: Vec<_> = read
            .other
            .iter()
            .map(|(name, value)| (name.as_ref(), value.get()))
            .collect();
        assert_eq!(other, [("task_type", "\"X\""), ("z", "1.50")]);
        assert!(wants_base64(&request));
    }

    #[test]
    fn fields_of_the_wrong_type_or_given_twice_are_refused() {
        for (rest, name) in [
            (r#","dimensions":0"#, DIMENSIONS),
            (r#","dimensions":-5"#, DIMENSIONS),
            (r#","dimensions":"8""#, DIMENSIONS),
            (r#","dimensions":8,"dimensions":9"#, DIMENSIONS),
            (r#","Dimensions":8"#, DIMENSIONS),
            (r#","encoding_format":"hex""#, ENCODING_FORMAT),
            (r#","encoding_format":1"#, ENCODING_FORMAT),
        ] {
            let request = request(&format!(",\"input\":\"a\"{rest}"));
            assert_eq!(read(&request).unwrap_err().param.as_deref(), Some(name), "{rest}");
        }
    }
}
