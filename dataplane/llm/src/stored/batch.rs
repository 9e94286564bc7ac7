//! Batches: what is asked when one is made, and the owner's tag in its metadata.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

use bytes::Bytes;

use crate::json::{self, FieldsError, Kind, Member, Repeats};
use crate::provider::json_string;
use crate::request::BadRequest;
use crate::splice::Edits;

/// The key of the owner's tag.
const OWNER: &str = "headgate_owner";
/// How many pairs `OpenAI` takes.
const PAIRS_MAX: usize = 16;

const NAMES: [&str; 2] = ["input_file_id", "metadata"];

/// A request to make a batch.
pub struct NewBatch {
    body: Bytes,
    /// The file of its requests, as the client names it.
    pub input_file_id: String,
    file: Range<usize>,
    metadata: Option<Range<usize>>,
}

impl NewBatch {
    /// Reads a request; only the file and the metadata are looked at.
    pub fn parse(body: Bytes) -> Result<Self, BadRequest> {
        let mut found = [const { None }; 2];
        json::find_fields(&body, &NAMES, Repeats::Refuse, &mut found).map_err(|error| match error {
            FieldsError::Syntax(error) => BadRequest::unreadable(error),
            FieldsError::NotAnObject => BadRequest::not_an_object(),
            FieldsError::Repeated(index) => BadRequest::repeated(NAMES[index]),
        })?;
        let [file, metadata] = found.map(|member: Option<Member>| member.map(|member| member.value));
        let file = file.ok_or_else(|| {
            let message = "`input_file_id` is required; upload the file with purpose `batch` and name it here";
            BadRequest::new("missing_field", Some(NAMES[0]), message.to_owned())
        })?;
        let input_file_id = json::string_value(&body[file.clone()])
            .ok_or_else(|| BadRequest::wrong_type(NAMES[0], "a string"))?
            .into_owned();
        Ok(Self {
            body,
            input_file_id,
            file,
            metadata,
        })
    }

    /// Its length as it came.
    pub fn length(&self) -> usize {
        self.body.len()
    }

    /// The body as the provider gets it: with its own id of the file, and the owner's tag.
    pub fn encode(&self, file_id: &str, tag: &str) -> Result<Bytes, BadRequest> {
        let mut edits = Edits::default();
        edits.replace(self.file.clone(), json_string(file_id));
        let pair = format!("{{\"{OWNER}\":\"{tag}\"}}");
        match &self.metadata {
            None => {
                let inside = memchr::memchr(b'{', &self.body).expect("parse has seen an object") + 1;
                edits.insert_field(inside, "\"metadata\"", &pair, false);
            }
            Some(place) => match json::kind(&self.body[place.clone()]) {
                Kind::Null => edits.replace(place.clone(), pair),
                Kind::Object => {
                    let pairs = self.check_pairs(place.clone())?;
                    edits.insert_field(place.start + 1, &json_string(OWNER), &json_string(tag), pairs == 0);
                }
                _ => return Err(BadRequest::wrong_type(NAMES[1], "an object")),
            },
        }
        Ok(edits.apply(&self.body))
    }

    /// How many pairs there are.
    fn check_pairs(&self, place: Range<usize>) -> Result<usize, BadRequest> {
        let mut taken = [None];
        let metadata = &self.body[place];
        let mut pairs = 0;
        let _ = json::walk(metadata, |_| {
            pairs += 1;
            ControlFlow::Continue(())
        });
        let looked = json::find_fields(metadata, &[OWNER], Repeats::Refuse, &mut taken);
        if looked.is_err() || taken != [None] {
            let message =
                format!("`metadata` may not have the key `{OWNER}`, by which the gateway knows whose a batch is");
            return Err(BadRequest::invalid(NAMES[1], message));
        }
        if pairs >= PAIRS_MAX {
            let message = format!(
                "`metadata` may have {} pairs here, since the gateway adds one of the {PAIRS_MAX} that a batch can have",
                PAIRS_MAX - 1
            );
            return Err(BadRequest::invalid(NAMES[1], message));
        }
        Ok(pairs)
    }
}

/// The tag in the metadata of a batch.
pub(super) fn tag(metadata: &[u8]) -> Option<Cow<'_, str>> {
    let mut found = [None];
    json::find_fields(metadata, &[OWNER], Repeats::TakeLast, &mut found).ok()?;
    let [member] = found;
    json::string_value(&metadata[member?.value])
}

/// Takes the tag out of the metadata that stands at a place of a body; metadata of which nothing is left becomes null, as
/// that of a batch which was made without.
pub(super) fn hide_tag(body: &[u8], place: Range<usize>, edits: &mut Edits<'_>) {
    let metadata = &body[place.clone()];
    let mut members = Vec::new();
    let mut is_tag = Vec::new();
    let walked = json::walk(metadata, |Member { key, value }| {
        let name = json::string_value(&metadata[key.clone()]);
        is_tag.push(name.is_some_and(|name| name == OWNER));
        members.push(Member {
            key: key.start + place.start..key.end + place.start,
            value: value.start + place.start..value.end + place.start,
        });
        ControlFlow::Continue(())
    });
    if walked != Ok(Kind::Object) || !is_tag.contains(&true) {
        return;
    }
    if is_tag.contains(&false) {
        edits.remove_members(&members, |index| is_tag[index]);
    } else {
        edits.replace(place, "null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "0123456789abcdef";

    fn encoded(body: &str) -> Result<String, BadRequest> {
        let batch = NewBatch::parse(Bytes::copy_from_slice(body.as_bytes()))?;
        assert_eq!(batch.input_file_id, "mine");
        let encoded = batch.encode("file-1", TAG)?;
        Ok(String::from_utf8(encoded.to_vec()).expect("text"))
    }

    #[test]
    fn the_file_is_the_providers_and_the_tag_stands_in_the_metadata() {
        let tagged = |rest: &str| format!(r#"{{"headgate_owner":"{TAG}"{rest}}}"#);
        for (metadata, expected) in [
            ("null", tagged("")),
            ("{ }", tagged(" ")),
            (r#"{"a":"b"}"#, tagged(r#","a":"b""#)),
        ] {
            let body = format!(r#"{{ "input_file_id" : "mine","x":1.0,"metadata": {metadata} }}"#);
            let sent = encoded(&body).expect("it can be sent");
            assert_eq!(
                sent,
                format!(r#"{{ "input_file_id" : "file-1","x":1.0,"metadata": {expected} }}"#)
            );
        }
        assert_eq!(
            encoded(r#"{"input_file_id":"mine"}"#).expect("it can be sent"),
            format!(r#"{{"metadata":{{"headgate_owner":"{TAG}"}},"input_file_id":"file-1"}}"#)
        );
    }

    #[test]
    fn what_would_hide_the_owner_is_refused() {
        let pairs = |count: usize| {
            let pairs: Vec<String> = (0..count).map(|index| format!(r#""k{index}":"v""#)).collect();
            format!(r#"{{"input_file_id":"mine","metadata":{{{}}}}}"#, pairs.join(","))
        };
        assert!(encoded(&pairs(15)).is_ok());
        for (body, code, param) in [
            (pairs(16), "invalid_value", "metadata"),
            (
                r#"{"input_file_id":"mine","metadata":{"Headgate_Owner":"x"}}"#.into(),
                "invalid_value",
                "metadata",
            ),
            (
                r#"{"input_file_id":"mine","metadata":"x"}"#.into(),
                "invalid_type",
                "metadata",
            ),
            (
                r#"{"input_file_id":"mine","Metadata":{}, "metadata":{}}"#.into(),
                "duplicate_field",
                "metadata",
            ),
            (r#"{"input_file_id":7}"#.into(), "invalid_type", "input_file_id"),
            (
                r#"{"input_file_id":"mine","input_file_id":"b"}"#.into(),
                "duplicate_field",
                "input_file_id",
            ),
            ("{}".into(), "missing_field", "input_file_id"),
        ] {
            let refused = encoded(&body).expect_err(&body);
            assert_eq!((refused.code, refused.param.as_deref()), (code, Some(param)), "{body}");
        }
        assert_eq!(encoded("[]").expect_err("no object").code, "invalid_type");
        assert_eq!(encoded("").expect_err("no JSON").code, "invalid_json");
    }
}
