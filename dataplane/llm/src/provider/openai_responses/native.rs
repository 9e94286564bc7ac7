//! A request of a client that speaks the dialect itself: its bytes, with the edits that the gateway owes.
//!
//! What is stored in an account can be read by whoever knows its id, and all callers share the account. So nothing is
//! stored unless the manifest allows it: `store` is written as false where the client did not, and what needs stored
//! objects is refused. Thoughts of other providers, which a client hands back after it changed the model, are taken out:
//! this one would refuse the request for them.

use std::ops::ControlFlow;

use http::HeaderMap;

use super::super::openai_shaped::path_of;
use super::super::overrides::overridden;
use super::super::{EncodeOptions, Encoded, name_model};
use super::PATH;
use crate::dialect::openai_responses::proof::MARK;
use crate::json::{self, FieldsError, Kind, Member, Repeats};
use crate::request::{BadRequest, Field, ModelRequest, STORED_OBJECTS_FORBIDDEN};
use crate::splice::Edits;

/// Fields about stored objects; the first is written by us.
const STORED: [&str; 4] = ["store", "previous_response_id", "conversation", "background"];

/// Writes a request.
pub(super) fn encode(request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
    let (request, dropped) = overridden(request, options.overrides)?;
    let mut edits = Edits::default();
    name_model(&request, options.deployed_model(), &mut edits);
    if !options.allows_stored_objects {
        store_nothing(&request, &mut edits)?;
    }
    take_out_foreign_thoughts(&request, &mut edits);
    Ok(Encoded {
        path: path_of(PATH, options),
        headers: HeaderMap::new(),
        body: edits.apply(&request.body),
        strip_usage: false,
        dropped,
    })
}

fn store_nothing(request: &ModelRequest, edits: &mut Edits<'_>) -> Result<(), BadRequest> {
    let mut found = [const { None }; STORED.len()];
    match json::find_fields(&request.body, &STORED, Repeats::Refuse, &mut found) {
        Ok(()) => {}
        Err(FieldsError::Repeated(index)) => return Err(BadRequest::repeated(STORED[index])),
        Err(error) => unreachable!("the body was validated when it was parsed: {error:?}"),
    }
    let [store, uses @ ..] = found;
    for (name, member) in STORED[1..].iter().zip(uses) {
        let value = member.map(|member| &request.body[member.value]);
        if !matches!(value, None | Some(b"null" | b"false")) {
            return Err(forbidden(name, "send the whole conversation in `input`"));
        }
    }
    match store {
        None => edits.insert_field(request.inside(), "\"store\"", "false", false),
        Some(member) if &request.body[member.value.clone()] == b"false" => {}
        Some(member) => edits.replace(member.value, "false"),
    }
    Ok(())
}

/// The data plane answers this with 403.
pub(super) fn forbidden(name: &str, instead: &str) -> BadRequest {
    let message = format!(
        "`{name}` needs objects that are stored at the model's provider, where that is not allowed; leave it out and \
         {instead}, or ask the operator to set storedObjects to Allow"
    );
    BadRequest::new(STORED_OBJECTS_FORBIDDEN, Some(name), message)
}

fn take_out_foreign_thoughts(request: &ModelRequest, edits: &mut Edits<'_>) {
    let input = request.input();
    if json::kind(input) != Kind::Array || memchr::memmem::find(input, MARK.as_bytes()).is_none() {
        return;
    }
    let start = request.member(Field::Input).map_or(0, |member| member.value.start);
    let mut items = Vec::new();
    let mut foreign = Vec::new();
    json::walk(input, |Member { value, .. }| {
        foreign.push(is_foreign(&input[value.clone()]));
        let place = value.start + start..value.end + start;
        items.push(Member {
            key: place.clone(), // an element has none, and begins where its value does
            value: place,
        });
        ControlFlow::Continue(())
    })
    .expect("a part of a valid document is valid");
    if foreign.contains(&true) {
        edits.remove_members(&items, |index| foreign[index]);
    }
}

fn is_foreign(item: &[u8]) -> bool {
    if json::kind(item) != Kind::Object {
        return false;
    }
    let mut found = [None];
    let _ = json::find_fields(item, &["encrypted_content"], Repeats::TakeLast, &mut found);
    let [Some(member)] = found else { return false };
    json::string_value(&item[member.value]).is_some_and(|text| text.starts_with(MARK))
}
