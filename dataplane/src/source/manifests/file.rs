//! One file of the folder: its text, and the lines that findings may show of it.
//!
//! A finding shows the line it is about, and that line may hold a secret. So a line is shown only through
//! [`SourceFile::place`], which masks: in a readable document every value of a Secret but its name and type, the values
//! of static headers, and a base URL with user info; in a file that cannot be read every letter of a document that looks like a Secret. Keys
//! stay readable where they are known to be keys.

use std::ops::Range;

use serde_json::Value;

use super::yaml::{Document, Spot, Unreadable};
use crate::diagnostic::Place;

/// Longer lines (minified JSON, base64) are named by line and column but not shown.
const SHOWN_CHARACTERS_MAX: usize = 400;

/// A file as it was read.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// The path for people: the folder as they named it, and the path below it.
    pub(super) name: String,
    /// What it says.
    pub(super) text: String,
    /// Byte offset at which each line begins.
    line_starts: Vec<usize>,
    /// Bytes that are never shown, in no order.
    masked: Vec<Range<usize>>,
}

impl SourceFile {
    /// Takes a file's text; nothing is masked yet.
    pub(super) fn new(name: String, text: String) -> Self {
        let line_starts = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1))
            .collect();
        Self {
            name,
            text,
            line_starts,
            masked: Vec::new(),
        }
    }

    /// Masks what is secret in a document of this file.
    pub(super) fn mask(&mut self, document: &Document) {
        for pointer in secret_pointers(document) {
            let spot = document.position(&pointer).value;
            let range = self.bytes_of(spot);
            self.masked.push(range);
        }
    }

    /// Masks what might be secret in a file that cannot be read, and says what is wrong with it.
    pub(super) fn mask_unreadable(&mut self, error: &Unreadable) -> String {
        let suspects: Vec<_> = documents_by_line(&self.text)
            .filter(|range| looks_secret(&self.text[range.clone()]))
            .collect();
        let at = error.spot.map(|spot| self.bytes_of(spot).start);
        let is_suspect = at.map_or(!suspects.is_empty(), |at| {
            suspects.iter().any(|range| range.start <= at && at <= range.end)
        });
        self.masked.extend(suspects);
        if is_suspect {
            without_quotes(&error.message)
        } else {
            error.message.clone()
        }
    }

    /// A place in this file, with the line as it may be shown.
    pub(super) fn place(&self, spot: Spot) -> Place {
        let line = spot.line.min(self.line_starts.len());
        let line_text = self.shown_line(line);
        let after = line_text.chars().count().saturating_sub(spot.column - 1);
        Place {
            file: self.name.clone(),
            line,
            column: spot.column,
            length: spot.length.min(after).max(1),
            line_text,
        }
    }

    fn shown_line(&self, line: usize) -> String {
        let bytes = self.bytes_of_line(line);
        let text = &self.text[bytes.clone()];
        if text.chars().count() > SHOWN_CHARACTERS_MAX {
            return String::new();
        }
        let is_masked = |at: usize| self.masked.iter().any(|range| range.contains(&(bytes.start + at)));
        let shown = |(at, letter): (usize, char)| {
            if letter.is_alphanumeric() && is_masked(at) {
                '*'
            } else {
                letter
            }
        };
        text.char_indices().map(shown).collect()
    }

    fn bytes_of_line(&self, line: usize) -> Range<usize> {
        let start = self.line_starts[line - 1];
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        let end = if self.text[start..end].ends_with('\r') {
            end - 1
        } else {
            end
        };
        start..end
    }

    /// From the spot to the end of the line in which it ends: what follows on that line may belong to it.
    fn bytes_of(&self, spot: Spot) -> Range<usize> {
        let line = self.bytes_of_line(spot.line.min(self.line_starts.len()));
        let after = |from: usize, characters: usize| {
            self.text[from..]
                .char_indices()
                .nth(characters)
                .map_or(self.text.len(), |(at, _)| from + at)
        };
        let start = after(line.start, spot.column - 1).min(line.end);
        let end = after(start, spot.length);
        let written = self.text[start..end].trim_end();
        if self.text[start + written.len()..end].contains('\n') {
            return start..start + written.len(); // a block of lines reaches to where the next value begins
        }
        start..memchr::memchr(b'\n', &self.text.as_bytes()[end..]).map_or(self.text.len(), |at| end + at)
    }
}

/// The scalars of a document that are never shown.
fn secret_pointers(document: &Document) -> Vec<String> {
    let mut pointers = Vec::new();
    match document.value.get("kind").and_then(Value::as_str) {
        Some("Secret") => collect_scalars(&document.value, String::new(), &mut pointers),
        Some("LLMProvider") => {
            let headers = document
                .value
                .pointer("/spec/headers")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            pointers.extend((0..headers).map(|index| format!("/spec/headers/{index}/value")));
            // User info is refused, and shown by nobody.
            let base_url = document.value.pointer("/spec/baseURL").and_then(Value::as_str);
            pointers.extend(
                base_url
                    .filter(|url| url.contains('@'))
                    .map(|_| "/spec/baseURL".to_owned()),
            );
        }
        // A Secret whose kind is misspelt is still one.
        _ => ["data", "stringData"]
            .iter()
            .filter_map(|field| Some((document.value.get(field)?, format!("/{field}"))))
            .for_each(|(value, pointer)| collect_scalars(value, pointer, &mut pointers)),
    }
    pointers
}

fn collect_scalars(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                collect_scalars(
                    value,
                    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
                    pointers,
                );
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect_scalars(value, format!("{pointer}/{index}"), pointers);
            }
        }
        scalar => {
            let is_public = matches!(
                pointer.as_str(),
                "/apiVersion" | "/kind" | "/type" | "/metadata/name" | "/metadata/namespace"
            );
            let is_variable = scalar
                .as_str()
                .is_some_and(|text| super::secret::variable(text).is_some());
            if !is_public && !is_variable {
                pointers.push(pointer);
            }
        }
    }
}

/// The documents of a file by its `---` lines, for files that the parser gave up on.
fn documents_by_line(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.match_indices("\n---").map(|(at, _)| at + 1));
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| start..end)
}

fn looks_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("secret") && !text.contains("headgate.dev") || text.contains("stringdata") || text.contains("\ndata:")
}

/// Takes the words of the file out of a message.
fn without_quotes(message: &str) -> String {
    message
        .split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 0 { part } else { "`…`" })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: openai, annotations: {last: canary-1}}
stringData:
  key: canary-2
  block: |
    canary-3
  variable: ${OPENAI_API_KEY}
";

    fn spot(line: usize, column: usize) -> Spot {
        Spot {
            line,
            column,
            length: 3,
        }
    }

    fn readable(text: &str) -> SourceFile {
        let mut file = SourceFile::new("a.yaml".to_owned(), text.to_owned());
        let documents = yaml::read_all(std::iter::once(text)).remove(0).unwrap();
        for document in &documents {
            file.mask(document);
        }
        file
    }

    #[test]
    fn a_secret_shows_its_name_and_its_keys_and_no_value() {
        let file = readable(SECRET);
        let lines: Vec<_> = (1..=8).map(|line| file.place(spot(line, 1)).line_text).collect();
        assert_eq!(lines[1], "kind: Secret");
        assert!(
            lines[2].contains("name: openai") && lines[4].starts_with("  key: *"),
            "{lines:?}"
        );
        assert_eq!(lines[7], "  variable: ${OPENAI_API_KEY}");
        assert!(!lines.concat().contains("canary"), "{lines:?}");
    }

    #[test]
    fn static_headers_of_a_provider_keep_their_values_to_themselves() {
        let file = readable("kind: LLMProvider\nspec:\n  headers: [{name: authorization, value: canary}]\n");
        assert_eq!(
            file.place(spot(3, 1)).line_text,
            "  headers: [{name: authorization, value: ******}]"
        );
    }

    #[test]
    fn an_unreadable_secret_shows_no_letter_and_its_neighbours_do() {
        let text = "kind: LLMProvider\nspec: a: b\n---\nkind: Secret\nstringData:\n  a: !canary x\n";
        let mut file = SourceFile::new("a.yaml".to_owned(), text.to_owned());
        let error = |line| Unreadable {
            message: "tag `!canary` is unknown".to_owned(),
            spot: Some(spot(line, 3)),
        };
        assert_eq!(file.mask_unreadable(&error(6)), "tag `…` is unknown");
        assert_eq!(file.place(spot(6, 1)).line_text, "  *: !****** *");
        assert_eq!(file.place(spot(2, 1)).line_text, "spec: a: b");
        assert_eq!(file.mask_unreadable(&error(2)), "tag `!canary` is unknown");
    }

    #[test]
    fn a_place_never_reaches_beyond_its_line() {
        let file = readable("a: bc\n");
        let place = file.place(Spot {
            line: 1,
            column: 4,
            length: 99,
        });
        assert_eq!((place.length, place.line_text.as_str()), (2, "a: bc"));
        assert_eq!(
            file.place(Spot {
                line: 9,
                column: 1,
                length: 0
            })
            .line,
            2
        );
    }
}
