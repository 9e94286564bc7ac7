//! Ids in requests to a model: where one stands that names a stored object, so that the data plane can exchange it.
//!
//! Nearly no request has one. Whether it may is told by a search for the names of such members, or for a letter of them
//! in its escaped spelling, before anything is read. Responses, where nearly everything can name something stored, are
//! read item by item: see `responses`.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Kind;
use crate::endpoint::Endpoint;
use crate::json::{self, Named};
use crate::provider::json_string;
use crate::request::{BadRequest, Field, ModelRequest};
use crate::splice::Edits;

mod responses;

/// More than any request has; each costs the data plane an HMAC.
const REFERENCES_MAX: usize = 1_000;

/// Members that name files.
const FILES: [&str; 2] = ["file_id", "file_ids"];

/// An id in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it names.
    pub kind: Kind,
    /// The member.
    pub field: &'static str,
    /// The id, unescaped.
    pub id: String,
    /// Whether it stands for what it names, so that without the object it is no use. Else it only labels what stands
    /// beside it: it may be any id, and one of ours is exchanged unasked.
    pub is_needed: bool,
    place: Range<usize>,
}

/// The ids in a request.
pub fn find(request: &ModelRequest) -> Result<Vec<Reference>, BadRequest> {
    let place = match request.endpoint {
        Endpoint::Responses => return responses::find(request),
        Endpoint::PassThrough(_) => 0..request.body.len(),
        Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::CountTokens => {
            request.member(Field::Input).map_or(0..0, |member| member.value.clone())
        }
        Endpoint::Completions | Endpoint::Embeddings => 0..0,
    };
    let mut found = Found::default();
    if may_name(&request.body[place.clone()]) {
        found.files_in(&request.body, place);
    }
    found.few()
}

/// What was found so far.
#[derive(Default)]
struct Found {
    references: Vec<Reference>,
}

impl Found {
    /// An id that is needed, in the string at this place; an empty one, or what is no string, is left to the provider.
    fn needed(&mut self, body: &[u8], place: Range<usize>, kind: Kind, field: &'static str) {
        self.push(body, place, kind, field, true);
    }

    fn push(&mut self, body: &[u8], place: Range<usize>, kind: Kind, field: &'static str, is_needed: bool) {
        if self.references.len() > REFERENCES_MAX {
            return;
        }
        let id = json::string_value(&body[place.clone()]).filter(|id| !id.is_empty());
        self.references.extend(id.map(|id| Reference {
            kind,
            field,
            id: id.into_owned(),
            is_needed,
            place,
        }));
    }

    /// Ids of files at any depth of a value.
    fn files_in(&mut self, body: &[u8], place: Range<usize>) {
        self.named_in(body, place, &FILES, Kind::File);
    }

    /// Ids in members of these names, at any depth of a value.
    fn named_in(&mut self, body: &[u8], place: Range<usize>, names: &[&'static str], kind: Kind) {
        json::strings_named(&body[place.clone()], names, |Named { name, value }| {
            let value = value.start + place.start..value.end + place.start;
            self.needed(body, value, kind, names[name]);
        });
    }

    fn few(self) -> Result<Vec<Reference>, BadRequest> {
        if self.references.len() > REFERENCES_MAX {
            let message = format!("the request names more than {REFERENCES_MAX} stored objects; send fewer");
            return Err(BadRequest::new("invalid_value", None, message));
        }
        Ok(self.references)
    }
}

/// The request with these ids in the place of those that were found in it.
pub fn replaced(request: &ModelRequest, references: &[Reference], ids: &[String]) -> Result<ModelRequest, BadRequest> {
    let mut edits = Edits::default();
    for (reference, id) in references
        .iter()
        .zip(ids)
        .filter(|(reference, id)| reference.id != **id)
    {
        edits.insert(reference.place.clone(), json_string(id));
    }
    ModelRequest::parse(request.endpoint, edits.apply(&request.body))
}

/// Whether a member of such a name can stand in `text`, in whatever case. A letter of a name can only be hidden in an
/// escape that begins with `\u00`.
fn may_name(text: &[u8]) -> bool {
    const NAME: &[u8] = b"file_id";
    const BEFORE_LINE: usize = 4;
    static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u00"));
    let is_named = memchr::memchr_iter(b'_', text).any(|line| {
        let start = line.wrapping_sub(BEFORE_LINE);
        let name = text.get(start..start.wrapping_add(NAME.len()));
        name.is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    });
    is_named || ESCAPE.find(text).is_some()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::pass_through::PassThrough;

    fn request(endpoint: Endpoint, body: &str) -> ModelRequest {
        ModelRequest::parse(endpoint, Bytes::copy_from_slice(body.as_bytes())).expect("a request")
    }

    fn found(endpoint: Endpoint, body: &str) -> Vec<(&'static str, String)> {
        let references = find(&request(endpoint, body)).expect("few");
        references.into_iter().map(|found| (found.field, found.id)).collect()
    }

    #[test]
    fn ids_are_found_in_what_the_model_is_asked_and_nowhere_else() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"a"}},
            {"type":"text","text":"\"file_id\":\"b\""}]}],"metadata":{"file_id":"c"},
            "tools":[{"type":"function","function":{"name":"f","parameters":{"default":{"file_id":"d"}}}}]}"#;
        assert_eq!(found(Endpoint::ChatCompletions, body), [("file_id", "a".to_owned())]);
        let picture = r#"{"model":"m","images":[{"file_id":"a"},{"file_id":"b"}],"mask":{"file_id":"c"}}"#;
        assert_eq!(found(Endpoint::PassThrough(PassThrough::ImageEdits), picture).len(), 3);
        assert_eq!(found(Endpoint::Embeddings, r#"{"model":"m","input":["file_id"]}"#), []);
    }

    #[test]
    fn another_spelling_hides_nothing() {
        for name in ["FILE_ID", "\\u0066ile_id", "file\\u005fid"] {
            let body = format!(r#"{{"model":"m","messages":[{{"content":[{{"{name}":"a"}}]}}]}}"#);
            assert_eq!(found(Endpoint::ChatCompletions, &body).len(), 1, "{name}");
        }
    }

    #[test]
    fn ids_are_exchanged_where_they_stand() {
        let body = r#"{"model":"m", "messages":[{"file":{"file_id" : "\u0061"}},{"file_ids":["b", "c"]}]}"#;
        let request = request(Endpoint::ChatCompletions, body);
        let references = find(&request).expect("few");
        let ids: Vec<String> = references
            .iter()
            .map(|reference| format!("<{}>", reference.id))
            .collect();
        let replaced = replaced(&request, &references, &ids).expect("a request");
        assert_eq!(
            replaced.body,
            r#"{"model":"m", "messages":[{"file":{"file_id" : "<a>"}},{"file_ids":["<b>", "<c>"]}]}"#
        );
    }

    #[test]
    fn a_request_of_nothing_but_ids_is_refused() {
        let ids = vec!["\"x\""; REFERENCES_MAX + 1].join(",");
        let body = format!(r#"{{"model":"m","messages":[{{"file_ids":[{ids}]}}]}}"#);
        assert_eq!(
            find(&request(Endpoint::ChatCompletions, &body))
                .expect_err("too many")
                .code,
            "invalid_value"
        );
    }
}
