//! The file of a batch while it is uploaded. Its lines are requests that the provider reads later and the gateway never:
//! ids in them would be the provider's own, and whoever knew one could reach what is another's. So a file that is uploaded
//! for a batch may name no stored object.
//!
//! The file is not held and not parsed: strings are told apart from what is between them, and a string that a colon follows
//! is a key. Whether it is for a batch may be said behind the file; the form is broken off there, unfinished.

use crate::json;
use crate::multipart::Step;

/// Keys that name what is stored where a string or a list stands behind them, and the one word that does as a value.
const NAMES: [&str; 3] = ["file_id", "file_ids", "previous_response_id"];
const REFERENCE: &str = "item_reference";

/// The longest of them if each letter is escaped, with its quotes.
const TOKEN_BYTES_MAX: usize = 6 * 20 + 2;
/// The longest purpose that is looked at.
const PURPOSE_BYTES_MAX: usize = 64;

/// Watches a form that brings a file.
#[derive(Debug, Default)]
pub struct BatchFile {
    strings: Strings,
    /// Where the value of `purpose` begins that has not ended yet, and what came of it.
    purpose: Option<(u64, Vec<u8>)>,
    is_for_batch: bool,
}

impl BatchFile {
    /// Takes the next bytes of a form, which begin at `start` in it, and the steps that a scanner saw with them.
    pub fn push(&mut self, start: u64, bytes: &[u8], steps: &[Step]) {
        self.strings.push(bytes);
        if let Some((_, value)) = &mut self.purpose {
            extend(value, bytes);
        }
        for step in steps {
            match step {
                Step::Part { name, value_start, .. } if name.eq_ignore_ascii_case("purpose") => {
                    let skipped = usize::try_from(value_start.saturating_sub(start)).unwrap_or(usize::MAX);
                    let mut value = Vec::new();
                    extend(&mut value, bytes.get(skipped..).unwrap_or_default());
                    self.purpose = Some((*value_start, value));
                }
                Step::PartEnd { value_end } => {
                    if let Some((value_start, mut value)) = self.purpose.take() {
                        value.truncate(usize::try_from(value_end - value_start).unwrap_or(usize::MAX));
                        self.is_for_batch |= value.trim_ascii().eq_ignore_ascii_case(b"batch");
                    }
                }
                Step::Part { .. } | Step::End => {}
            }
        }
    }

    /// By what the file names something stored, if it is for a batch.
    pub fn names(&self) -> Option<&'static str> {
        self.strings.named.filter(|_| self.is_for_batch)
    }
}

fn extend(value: &mut Vec<u8>, bytes: &[u8]) {
    let room = PURPOSE_BYTES_MAX.saturating_sub(value.len());
    value.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// Reads lines of JSON as far as their keys.
#[derive(Debug, Default)]
struct Strings {
    state: State,
    /// The string that is being read, or was read last, from its opening quote; cut where it is too long to matter.
    token: Vec<u8>,
    named: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    InString,
    /// Behind a backslash.
    Escaped,
    /// Behind a string.
    Closed,
    /// Behind a key of such a name and its colon.
    Named(&'static str),
}

impl Strings {
    fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            self.state = match (self.state, byte) {
                // A line break ends a request, whatever was open in it: in JSON none can stand in a string.
                (_, b'\n') => State::Between,
                (State::InString, _) => {
                    let plain = json::plain_length(bytes);
                    if plain > 0 {
                        self.keep(&bytes[..plain]);
                        bytes = &bytes[plain..];
                        continue;
                    }
                    self.keep(&[byte]);
                    match byte {
                        b'\\' => State::Escaped,
                        b'"' => self.closed(),
                        _ => State::InString,
                    }
                }
                (State::Escaped, _) => {
                    self.keep(&[byte]);
                    State::InString
                }
                (State::Named(name), b'"' | b'[') => {
                    self.named.get_or_insert(name);
                    self.between(byte)
                }
                (State::Closed, b':') => self.key().map_or(State::Between, State::Named),
                (state @ (State::Closed | State::Named(_)), b' ' | b'\t' | b'\r') => state,
                (State::Between | State::Closed | State::Named(_), byte) => self.between(byte),
            };
            bytes = rest;
            if self.state == State::Between {
                bytes = &bytes[memchr::memchr(b'"', bytes).unwrap_or(bytes.len())..];
            }
        }
    }

    fn between(&mut self, byte: u8) -> State {
        if byte != b'"' {
            return State::Between;
        }
        self.token.clear();
        self.token.push(byte);
        State::InString
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (TOKEN_BYTES_MAX + 1).saturating_sub(self.token.len());
        self.token.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn closed(&mut self) -> State {
        if self.is(&[REFERENCE]).is_some() {
            self.named.get_or_insert(REFERENCE);
        }
        State::Closed
    }

    fn key(&self) -> Option<&'static str> {
        self.is(&NAMES).map(|index| NAMES[index])
    }

    fn is(&self, names: &[&str]) -> Option<usize> {
        if self.token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        json::matching(&self.token, names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multipart::Scanner;

    fn names(lines: &str) -> Option<&'static str> {
        let read = |piece: usize| {
            let mut strings = Strings::default();
            lines.as_bytes().chunks(piece).for_each(|bytes| strings.push(bytes));
            strings.named
        };
        let whole = read(lines.len().max(1));
        for piece in 1..9 {
            assert_eq!(read(piece), whole, "pieces of {piece}: {lines}");
        }
        whole
    }

    #[test]
    fn keys_are_told_from_texts_in_whatever_spelling() {
        for (lines, name) in [
            (r#"{"body":{"messages":[{"file":{"file_id" : "x"}}]}}"#, "file_id"),
            ("{}\n{\"FILE_IDS\":[\"x\"]}\n", "file_ids"),
            (r#"{"previous\u005fresponse_id":"x"}"#, "previous_response_id"),
            (r#"{"input":[{"id":"m","type":"item_reference"}]}"#, "item_reference"),
            ("{\"open\n{\"file_id\":\"x\"}", "file_id"),
            (r#"{"a":"\\","file_id":"x"}"#, "file_id"),
        ] {
            assert_eq!(names(lines), Some(name), "{lines}");
        }
        for lines in [
            r#"{"text":"\"file_id\":\"x\"","b":"file_id"}"#,
            r#"{"properties":{"file_id":{"type":"string"}},"required":["file_id"]}"#,
            r#"{"file_id":null,"previous_response_id": null}"#,
            r#"{"my_file_id":"x"}"#,
            "",
        ] {
            assert_eq!(names(lines), None, "{lines}");
        }
        let long = format!(
            r#"{{"{}file_id":"x","a":"{}"}}"#,
            "x".repeat(500),
            "\\u0041".repeat(500)
        );
        assert_eq!(names(&long), None);
    }

    #[test]
    fn only_a_file_that_is_for_a_batch_matters_wherever_that_is_said() {
        let part = |name: &str, value: &str| {
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a\"\r\n\r\n{value}\r\n")
        };
        let file = part("file", "{\"file_id\":\"x\"}\n");
        for (form, named) in [
            (format!("{}{file}--xyz--", part("purpose", "batch")), Some("file_id")),
            (format!("{file}{}--xyz--", part("purpose", " Batch ")), Some("file_id")),
            (format!("{file}{}--xyz--", part("purpose", "user_data")), None),
            (format!("{file}{}--xyz--", part("purpose", &"batch".repeat(100))), None),
            (
                format!("{}{}--xyz--", part("purpose", "batch"), part("file", "{}")),
                None,
            ),
            (format!("{file}{}", part("purpose", "batch")), None), // it has not ended
        ] {
            for piece in [1, 7, 64, form.len()] {
                let mut scanner = Scanner::new(b"multipart/form-data; boundary=xyz").expect("a form");
                let mut watched = BatchFile::default();
                let mut start = 0;
                for bytes in form.as_bytes().chunks(piece) {
                    let mut steps = Vec::new();
                    scanner.push(bytes, &mut steps).expect("a form");
                    watched.push(start, bytes, &steps);
                    start += bytes.len() as u64;
                }
                assert_eq!(watched.names(), named, "pieces of {piece}: {form}");
            }
        }
    }
}
