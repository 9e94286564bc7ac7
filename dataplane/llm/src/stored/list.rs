//! Lists: a provider's holds everybody's objects, of which the owner sees its own.
//!
//! So a page of ours is put together from as many of the provider's as it takes, and one object more is looked for than
//! was asked for, since only then `has_more` is known. How many pages are read is bounded by whoever reads them; a list
//! that is cut there goes on at [`Kind::Place`], behind an object that may be somebody else's.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::object::{Object, unreadable};
use super::{Family, Kind, Owner};
use crate::failure::Failure;
use crate::json::{self, Repeats};
use crate::provider::json_string;
use crate::request::BadRequest;

/// Most entries of a page, and how many there are unless the client says, as `OpenAI` has it.
const fn limits(family: Family) -> (usize, usize) {
    match family {
        Family::File => (10_000, 10_000),
        Family::Batch | Family::Response => (100, 20),
    }
}

/// How many entries the provider is asked for at once. Files are mostly somebody else's, and small.
const fn page_size(family: Family) -> usize {
    match family {
        Family::File => 1_000,
        Family::Batch | Family::Response => 100,
    }
}

/// A page on the way to its owner.
pub struct List {
    family: Family,
    limit: usize,
    /// Asked for by the client, so that the provider can be asked for a number, too.
    is_limited: bool,
    entries: Vec<Bytes>,
    ids: Vec<String>,
    /// The provider's id of the last object that was looked at.
    after: Option<String>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The provider's next page.
    Page,
    /// The page is whole, and there is nothing behind it.
    Done,
    /// The page is whole, and there is more.
    More,
}

impl List {
    /// Begins a page: `limit` is the client's, as it stands in the query, `after` the provider's id of the object that the
    /// client has last.
    pub fn begin(family: Family, limit: Option<&str>, after: Option<String>) -> Result<Self, BadRequest> {
        let (most, usual) = limits(family);
        let wanted = limit.map(|limit| {
            let limit = limit.parse().ok().filter(|limit| (1..=most).contains(limit));
            limit.ok_or_else(|| BadRequest::invalid("limit", format!("`limit` must be between 1 and {most}")))
        });
        Ok(Self {
            family,
            limit: wanted.transpose()?.unwrap_or(usual),
            is_limited: limit.is_some() || family != Family::File,
            entries: Vec::new(),
            ids: Vec::new(),
            after,
        })
    }

    /// What the provider's next page is asked with. Without a wish of the client it is as long as the provider likes.
    pub fn query(&self) -> String {
        let mut pairs = Vec::new();
        if self.is_limited {
            pairs.push(format!("limit={}", page_size(self.family)));
        }
        if let Some(after) = &self.after {
            pairs.push(format!("after={}", crate::provider::path::segment(after)));
        }
        pairs.join("&")
    }

    /// Takes a page of the provider.
    pub fn take(&mut self, page: &Bytes, owner: &Owner<'_>) -> Result<Next, Failure> {
        let mut found = [const { None }; 2];
        json::find_fields(page, &["data", "has_more"], Repeats::TakeLast, &mut found)
            .map_err(|_| unreadable("the answer is no list"))?;
        let [data, has_more] = found.map(|member| member.map(|member| member.value));
        let data = page.slice(data.ok_or_else(|| unreadable("the answer is no list"))?);
        if json::kind(&data) != json::Kind::Array {
            return Err(unreadable("the answer is no list"));
        }
        let mut last = None;
        let mut read = Ok(false);
        let _ = json::walk(&data, |entry| {
            read = self.read_entry(data.slice(entry.value), owner, &mut last);
            match read {
                Ok(false) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        if read? {
            return Ok(Next::More);
        }
        let has_more = has_more.is_some_and(|place| &page[place] == b"true");
        // A provider that repeats itself has no more to say.
        if !has_more || last.is_none() || last == self.after {
            return Ok(Next::Done);
        }
        self.after = last;
        Ok(Next::Page)
    }

    /// Takes an entry, if it is the owner's; whether it is one too many.
    fn read_entry(&mut self, entry: Bytes, owner: &Owner<'_>, last: &mut Option<String>) -> Result<bool, Failure> {
        let object = Object::read(self.family, entry)?;
        let Some(id) = object.id().map(std::borrow::Cow::into_owned) else {
            return Err(unreadable("an entry of the list has no id"));
        };
        if object.is_of(owner) {
            if self.entries.len() == self.limit {
                return Ok(true);
            }
            self.entries.push(object.edited(owner)?);
            self.ids.push(owner.issue(self.family.kind(), &id)?);
        }
        *last = Some(id);
        Ok(false)
    }

    /// The page as its owner sees it.
    pub fn finish(self, next: Next, owner: &Owner<'_>) -> Result<Bytes, Failure> {
        let last = match (next, &self.after) {
            // Cut where the provider's pages were too many.
            (Next::Page, Some(after)) => Some(owner.issue(Kind::Place, after)?),
            _ => self.ids.last().cloned(),
        };
        let or_null = |id: Option<&String>| id.map_or_else(|| "null".to_owned(), |id| json_string(id));
        let mut body = br#"{"object":"list","data":["#.to_vec();
        body.extend_from_slice(&self.entries.join(&b","[..]));
        let end = format!(
            r#"],"first_id":{},"last_id":{},"has_more":{}}}"#,
            or_null(self.ids.first()),
            or_null(last.as_ref()),
            next != Next::Done
        );
        body.extend_from_slice(end.as_bytes());
        Ok(body.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::tests::{TAG, with_owner};
    use super::*;

    fn file(id: u32, is_own: bool) -> String {
        let mark = if is_own { format!("hg-{TAG}-") } else { "x".to_owned() };
        format!(r#"{{"id":"f{id}","filename":"{mark}a"}}"#)
    }

    fn page(entries: &[String], has_more: bool) -> Bytes {
        let entries = entries.join(", ");
        format!(r#"{{"object":"list","data":[ {entries} ],"has_more":{has_more}}}"#).into()
    }

    fn begin(limit: &str) -> List {
        List::begin(Family::File, Some(limit), None).expect("a limit")
    }

    #[test]
    fn a_page_is_put_together_from_several_and_knows_whether_there_is_more() {
        with_owner(|owner| {
            let mut list = begin("2");
            assert_eq!(list.query(), "limit=1000");
            let first = page(&[file(1, false), file(2, true)], true);
            assert_eq!(list.take(&first, owner), Ok(Next::Page));
            assert_eq!(list.query(), "limit=1000&after=f2");
            let second = page(&[file(3, true), file(4, false)], true);
            assert_eq!(list.take(&second, owner), Ok(Next::Page));
            let third = page(&[file(5, false), file(6, true), file(7, true)], false);
            let next = list.take(&third, owner).expect("a list");
            assert_eq!(next, Next::More);
            let body = list.finish(next, owner).expect("ids");
            let entries = r#"{"id":"File(f2)","filename":"a"},{"id":"File(f3)","filename":"a"}"#;
            assert_eq!(
                body,
                format!(
                    r#"{{"object":"list","data":[{entries}],"first_id":"File(f2)","last_id":"File(f3)","has_more":true}}"#
                )
            );
        });
    }

    #[test]
    fn the_end_is_where_the_provider_has_no_more_or_repeats_itself() {
        with_owner(|owner| {
            let end = r#"],"first_id":null,"last_id":null,"has_more":false}"#;
            for pages in [
                vec![page(&[file(1, false)], false)],
                vec![page(&[], true)],
                vec![page(&[file(1, false)], true), page(&[file(1, false)], true)],
                vec![r#"{"data":[]}"#.into()],
            ] {
                let mut list = begin("1");
                let mut next = Next::Page;
                for page in &pages {
                    assert_eq!(next, Next::Page);
                    next = list.take(page, owner).expect("a list");
                }
                assert_eq!(next, Next::Done);
                assert!(list.finish(next, owner).expect("ids").ends_with(end.as_bytes()));
            }
            let mut list = begin("1");
            let next = list
                .take(&page(&[file(1, true), file(2, false)], false), owner)
                .expect("a list");
            assert_eq!(next, Next::Done, "the one that fills the page is the last");
        });
    }

    #[test]
    fn a_list_that_is_cut_goes_on_at_a_place_that_opens_nothing() {
        with_owner(|owner| {
            let mut list = begin("5");
            let next = list
                .take(&page(&[file(1, true), file(2, false)], true), owner)
                .expect("a list");
            let body = list.finish(next, owner).expect("ids");
            assert!(body.ends_with(br#""first_id":"File(f1)","last_id":"Place(f2)","has_more":true}"#));
        });
    }

    #[test]
    fn limits_are_those_of_the_dialect() {
        for wrong in ["0", "10001", "x", "", "-1"] {
            let refused = List::begin(Family::File, Some(wrong), None).err().expect(wrong);
            assert_eq!(
                (refused.code, refused.param.as_deref()),
                ("invalid_value", Some("limit"))
            );
        }
        assert!(List::begin(Family::Batch, Some("101"), None).is_err());
        let files = List::begin(Family::File, None, Some("a b".to_owned())).expect("no limit");
        assert_eq!(files.query(), "after=a%20b");
        assert_eq!(
            List::begin(Family::Batch, None, None).expect("no limit").query(),
            "limit=100"
        );
    }

    #[test]
    fn what_is_no_list_is_the_providers_fault() {
        with_owner(|owner| {
            for body in [
                "[]",
                "{}",
                r#"{"data":{}}"#,
                r#"{"data":[7]}"#,
                r#"{"data":[{"filename":"x"}]}"#,
                "x",
            ] {
                assert!(begin("1").take(&Bytes::from(body), owner).is_err(), "{body}");
            }
        });
    }
}
