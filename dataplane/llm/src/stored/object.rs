//! An object as a provider shows it, made into what its owner sees: ids exchanged, the owner's tag gone, all else as it came.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Family, Kind, Owner, batch, file, response};
use crate::failure::{Failure, FailureKind};
use crate::json::{self, FieldsError, Member, Repeats};
use crate::provider::json_string;
use crate::splice::Edits;

/// Where ids stand in an object of a family, its own first, and the member that holds the owner's tag, last.
const fn members(family: Family) -> (&'static [(&'static str, Kind)], &'static str) {
    match family {
        Family::File => (&[("id", Kind::File)], "filename"),
        Family::Batch => (
            &[
                ("id", Kind::Batch),
                ("input_file_id", Kind::File),
                ("output_file_id", Kind::File),
                ("error_file_id", Kind::File),
            ],
            "metadata",
        ),
        Family::Response => (&[("id", Kind::Response), ("previous_response_id", Kind::Response)], ""),
    }
}

const MEMBERS_MAX: usize = 5;

/// An object of a provider, of which the members are known that matter here.
pub struct Object {
    family: Family,
    body: Bytes,
    /// In the order of [`members`].
    found: [Option<Member>; MEMBERS_MAX],
}

impl Object {
    /// Reads a provider's object.
    pub fn read(family: Family, body: Bytes) -> Result<Self, Failure> {
        let (ids, tagged) = members(family);
        let mut names = [""; MEMBERS_MAX];
        for (name, (id, _)) in names.iter_mut().zip(ids) {
            *name = id;
        }
        names[ids.len()] = tagged;
        let mut found = [const { None }; MEMBERS_MAX];
        json::find_fields(&body, &names, Repeats::TakeLast, &mut found).map_err(|error| {
            unreadable(match error {
                FieldsError::Syntax(_) => "the answer is not valid JSON",
                FieldsError::NotAnObject | FieldsError::Repeated(_) => "the answer is not a JSON object",
            })
        })?;
        Ok(Self { family, body, found })
    }

    /// The provider's id of it.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        self.text(0)
    }

    /// Whether the owner made it, by its tag.
    pub fn is_of(&self, owner: &Owner<'_>) -> bool {
        let tagged = members(self.family).0.len();
        let tag: Option<Cow<'_, str>> = match self.family {
            Family::File => self
                .text(tagged)
                .and_then(|name| Some(Cow::Owned(file::marked(&name)?.0.to_owned()))),
            Family::Batch => self
                .value(tagged)
                .and_then(|metadata| batch::tag(metadata).map(|tag| Cow::Owned(tag.into_owned()))),
            Family::Response => None,
        };
        tag.is_some_and(|tag| owner.tags.iter().any(|own| *own == tag))
    }

    /// What the owner sees.
    pub fn edited(&self, owner: &Owner<'_>) -> Result<Bytes, Failure> {
        if self.family == Family::Response {
            return response::shown(&self.body, owner);
        }
        let mut edits = Edits::default();
        let (ids, _) = members(self.family);
        for (index, (_, kind)) in ids.iter().enumerate() {
            if let (Some(id), Some(member)) = (self.text(index), &self.found[index])
                && !id.is_empty()
            {
                edits.replace(member.value.clone(), json_string(&owner.issue(*kind, &id)?));
            }
        }
        match (self.family, &self.found[ids.len()]) {
            (Family::File, Some(filename)) => {
                let name = self.text(ids.len());
                if let Some((_, name)) = name.as_deref().and_then(file::marked) {
                    edits.replace(filename.value.clone(), json_string(name));
                }
            }
            (Family::Batch, Some(metadata)) => batch::hide_tag(&self.body, metadata.value.clone(), &mut edits),
            (_, None) | (Family::Response, _) => {}
        }
        Ok(edits.apply(&self.body))
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        let member = self.found.get(index)?.as_ref()?;
        Some(&self.body[member.value.clone()])
    }

    fn text(&self, index: usize) -> Option<Cow<'_, str>> {
        json::string_value(self.value(index)?)
    }
}

pub(super) fn unreadable(detail: &str) -> Failure {
    Failure::new(FailureKind::Protocol, detail)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const TAG: &str = "0123456789abcdef";

    /// Ids of kind and provider's id, so that a test sees what was exchanged.
    pub(in super::super) fn with_owner<T>(look: impl FnOnce(&Owner<'_>) -> T) -> T {
        let issue = |kind, id: &str| (!id.contains(' ')).then(|| format!("{kind:?}({id})"));
        let tags = [TAG.to_owned(), "ABCDEFGHIJKLMNOP".to_owned()];
        look(&Owner {
            issue: &issue,
            tags: &tags,
        })
    }

    fn edited(family: Family, body: &'static str) -> String {
        let object = Object::read(family, Bytes::from_static(body.as_bytes())).expect("an object");
        let edited = with_owner(|owner| object.edited(owner)).expect("it can be passed on");
        String::from_utf8(edited.to_vec()).expect("text")
    }

    fn is_own(family: Family, body: &'static str) -> bool {
        let object = Object::read(family, Bytes::from_static(body.as_bytes())).expect("an object");
        with_owner(|owner| object.is_of(owner))
    }

    #[test]
    fn a_file_has_its_owners_id_and_its_own_name() {
        let file = r#"{ "id":"file-1", "bytes":1e3, "filename" : "hg-0123456789abcdef-a\"b.jsonl", "new":[1.0] }"#;
        assert_eq!(
            edited(Family::File, file),
            r#"{ "id":"File(file-1)", "bytes":1e3, "filename" : "a\"b.jsonl", "new":[1.0] }"#
        );
        assert!(is_own(Family::File, file));
        assert!(is_own(Family::File, r#"{"filename":"hg-ABCDEFGHIJKLMNOP-"}"#));
        let deleted = r#"{"id":"file-1","object":"file","deleted":true}"#;
        assert_eq!(edited(Family::File, deleted), deleted.replace("file-1", "File(file-1)"));
        for foreign in [
            deleted,
            r#"{"filename":"a"}"#,
            r#"{"filename":"hg-0123456789abcdeg-a"}"#,
            r#"{"filename":7}"#,
        ] {
            assert!(!is_own(Family::File, foreign), "{foreign}");
        }
    }

    #[test]
    fn a_batch_has_ids_of_its_owner_wherever_one_stands_and_no_tag() {
        let batch = r#"{"id":"batch_1","input_file_id":"file-1","output_file_id":null,"error_file_id":"file-2","metadata":{"a":"b","headgate_owner":"0123456789abcdef"}}"#;
        assert_eq!(
            edited(Family::Batch, batch),
            r#"{"id":"Batch(batch_1)","input_file_id":"File(file-1)","output_file_id":null,"error_file_id":"File(file-2)","metadata":{"a":"b"}}"#
        );
        assert!(is_own(Family::Batch, batch));
        let alone = r#"{"id":"batch_1","metadata":{"headgate_owner":"0123456789abcdef"}}"#;
        assert_eq!(
            edited(Family::Batch, alone),
            r#"{"id":"Batch(batch_1)","metadata":null}"#
        );
        for foreign in [
            r#"{"metadata":{"headgate_owner":"0123456789abcdeg"}}"#,
            r#"{"metadata":{"other":"0123456789abcdef"}}"#,
            r#"{"metadata":null}"#,
            r#"{"metadata":"0123456789abcdef"}"#,
            "{}",
        ] {
            assert!(!is_own(Family::Batch, foreign), "{foreign}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_passed_on_is_the_providers_fault() {
        for (body, detail) in [("[]", "not a JSON object"), ("x", "not valid JSON")] {
            let failure = Object::read(Family::File, Bytes::from_static(body.as_bytes()))
                .err()
                .expect("no object");
            assert_eq!(failure.kind, FailureKind::Protocol);
            assert!(failure.detail.contains(detail), "{}", failure.detail);
        }
        let object = Object::read(Family::File, Bytes::from_static(br#"{"id":"a b"}"#)).expect("an object");
        let failure = with_owner(|owner| object.edited(owner)).expect_err("no id");
        assert_eq!(failure.detail, "an id in the answer cannot be passed on");
    }
}
