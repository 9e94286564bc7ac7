//! The fields that a route sets in a request, written into the body as the client's dialect spells them.

use std::borrow::Cow;

use crate::endpoint::Endpoint;
use crate::json::{self, FieldsError, Repeats};
use crate::request::{BadRequest, Field, ModelRequest};
use crate::splice::Edits;

/// Fields that a route cannot set: the gateway has routed, authorised and counted by them.
const NOT_OVERRIDABLE: [&str; 6] = ["model", "messages", "input", "prompt", "stream", "stream_options"];

/// Sets the fields that a route prescribes; returns the names of those it may not. `field_to_set` tells under which name
/// the body carries a field. The body is searched once more, since routes may name any field and few do.
pub(crate) fn override_fields<'a>(
    request: &ModelRequest,
    overrides: &'a [(String, String)],
    edits: &mut Edits<'a>,
    field_to_set: impl Fn(&'a str) -> &'a str,
) -> Result<Vec<String>, BadRequest> {
    if overrides.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = overrides.iter().map(|(name, _)| field_to_set(name)).collect();
    let mut found = vec![None; names.len()];
    match json::find_fields(&request.body, &names, Repeats::Refuse, &mut found) {
        Ok(()) => {}
        Err(FieldsError::Repeated(index)) => return Err(BadRequest::repeated(names[index])),
        Err(error) => unreachable!("the body was validated when it was parsed: {error:?}"),
    }
    let mut dropped = Vec::new();
    for ((name, (_, value)), member) in names.into_iter().zip(overrides).zip(found) {
        match member {
            _ if NOT_OVERRIDABLE.contains(&name) => dropped.push(name.to_owned()),
            Some(member) => edits.replace(member.value, value.as_str()),
            // The body has a model, so it is not empty.
            None => {
                let name = serde_json::to_string(name).expect("a string can always be written as JSON");
                edits.insert_field(request.inside(), &name, value, false);
            }
        }
    }
    Ok(dropped)
}

/// The request with those fields set, for adapters that read all of it; where there are none, the same one. A cap on the
/// output is set where the reader looks first, so that a route's cap cannot be escaped by spelling the other one.
pub(crate) fn overridden<'r>(
    request: &'r ModelRequest,
    overrides: &[(String, String)],
) -> Result<(Cow<'r, ModelRequest>, Vec<String>), BadRequest> {
    if overrides.is_empty() {
        return Ok((Cow::Borrowed(request), Vec::new()));
    }
    let mut edits = Edits::default();
    let caps_completion = request.member(Field::MaxCompletionTokens).is_some();
    let dropped = override_fields(request, overrides, &mut edits, |name| match name {
        "max_tokens" | "max_completion_tokens" if request.endpoint == Endpoint::Responses => "max_output_tokens",
        "max_tokens" if caps_completion => "max_completion_tokens",
        name => name,
    })?;
    let request = ModelRequest::parse(request.endpoint, edits.apply(&request.body))?;
    Ok((Cow::Owned(request), dropped))
}
