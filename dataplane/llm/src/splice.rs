//! Edits of a body by byte range: what is not edited stays exactly as the client wrote it, unknown fields, number
//! spellings and key order included. Nothing is parsed here; the ranges come from `json`.
//!
//! No edit costs nothing (the same `Bytes` again), and any number of them one allocation of the exact size.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::json::Member;

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

    /// The same of a range that has no text yet. Many of them cost no search.
    pub fn insert(&mut self, range: Range<usize>, text: impl Into<Cow<'a, str>>) {
        self.list.push((range, text.into()));
    }

    /// Takes members out of a JSON object whose members are all in `members`, each with the comma beside it.
    pub fn remove_members(&mut self, members: &[Member], is_removed: impl Fn(usize) -> bool) {
        let Some(last_kept) = (0..members.len()).rev().find(|index| !is_removed(*index)) else {
            if let [first, ..] = members {
                self.replace(first.key.start..members[members.len() - 1].value.end, "");
            }
            return;
        };
        for index in (0..last_kept).filter(|index| is_removed(*index)) {
            self.list
                .push((members[index].key.start..members[index + 1].key.start, "".into()));
        }
        let end = members[last_kept].value.end;
        let all_end = members[members.len() - 1].value.end;
        if end < all_end {
            self.list.push((end..all_end, "".into()));
        }
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
        // Stable: insertions at one place keep their order. They come before what is replaced there.
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
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

    #[test]
    fn what_is_inserted_stands_before_what_is_replaced_there() {
        let mut edits = Edits::default();
        edits.replace(1..4, "\"b\"");
        edits.insert_field(1, "\"n\"", "0", false);
        assert_eq!(edits.apply(&Bytes::from_static(b"{\"a\":1}")), "{\"n\":0,\"b\":1}");
    }

    #[test]
    fn members_are_taken_out_with_their_commas() {
        let body = Bytes::from_static(b"{ \"a\":1 , \"b\" : 2,\"c\":3 }");
        let mut members = Vec::new();
        let on_member = |member| {
            members.push(member);
            std::ops::ControlFlow::Continue(())
        };
        crate::json::walk(&body, on_member).expect("JSON");
        for (removed, left) in [
            (vec![0], "{ \"b\" : 2,\"c\":3 }"),
            (vec![1], "{ \"a\":1 , \"c\":3 }"),
            (vec![2], "{ \"a\":1 , \"b\" : 2 }"),
            (vec![0, 2], "{ \"b\" : 2 }"),
            (vec![1, 2], "{ \"a\":1 }"),
            (vec![0, 1, 2], "{  }"),
        ] {
            let mut edits = Edits::default();
            edits.remove_members(&members, |index| removed.contains(&index));
            assert_eq!(edits.apply(&body), left, "{removed:?}");
        }
    }
}
