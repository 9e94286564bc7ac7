//! Edits of a body by byte range: what is not edited stays exactly as the client wrote it, unknown fields, number
//! spellings and key order included. Nothing is parsed here; the ranges come from `json`.
//!
//! No edit costs nothing (the same `Bytes` again), and any number of them one allocation of the exact size.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

/// Edits collected for one body. They must not overlap; several insertions at one place keep their order.
#[derive(Debug, Default)]
pub struct Edits<'a> {
    list: Vec<(Range<usize>, Cow<'a, str>)>,
}

impl<'a> Edits<'a> {
    /// Puts `text` in the place of `range`, which is not empty. The same range again: the last text stands.
    pub fn replace(&mut self, range: Range<usize>, text: impl Into<Cow<'a, str>>) {
        self.list.retain(|(other, _)| *other != range);
        self.list.push((range, text.into()));
    }

    /// Writes a field into a JSON object, before its first one. `at` stands behind the opening brace; `name` and
    /// `value` are JSON text.
    pub fn insert_field(&mut self, at: usize, name: &str, value: &str, object_is_empty: bool) {
        let comma = if object_is_empty { "" } else { "," };
        self.list.push((at..at, format!("{name}:{value}{comma}").into()));
    }

    /// The body with all edits made.
    pub fn apply(mut self, body: &Bytes) -> Bytes {
        if self.list.is_empty() {
            return body.clone();
        }
        self.list.sort_by_key(|(range, _)| range.start); // stable: insertions at one place keep their order
        let removed: usize = self.list.iter().map(|(range, _)| range.len()).sum();
        let added: usize = self.list.iter().map(|(_, text)| text.len()).sum();
        let mut edited = Vec::with_capacity(body.len() - removed + added);
        let mut at = 0;
        for (range, text) in &self.list {
            edited.extend_from_slice(&body[at..range.start]);
            edited.extend_from_slice(text.as_bytes());
            at = range.end;
        }
        edited.extend_from_slice(&body[at..]);
        edited.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_without_edits_is_the_same_bytes_and_not_a_copy() {
        let body = Bytes::from_static(b"{\"a\":1}");
        assert_eq!(Edits::default().apply(&body).as_ptr(), body.as_ptr());
    }

    #[test]
    fn of_two_texts_for_one_place_the_last_stands() {
        let mut edits = Edits::default();
        edits.replace(1..2, "x");
        edits.replace(1..2, "yz");
        assert_eq!(edits.apply(&Bytes::from_static(b"abc")), "ayzc");
    }

    #[test]
    fn edits_are_made_in_place_whatever_their_order() {
        let body = Bytes::from_static(b"{\"a\":1, \"b\" : 2}");
        let mut edits = Edits::default();
        edits.replace(14..15, "[3]");
        edits.replace(5..6, "\"x\"");
        edits.insert_field(1, "\"n\"", "0", false);
        edits.insert_field(1, "\"m\"", "9", false);
        assert_eq!(edits.apply(&body), "{\"n\":0,\"m\":9,\"a\":\"x\", \"b\" : [3]}");
    }
}
