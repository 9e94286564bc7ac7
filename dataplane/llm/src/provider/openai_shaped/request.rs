//! What a server wants otherwise in a request: rules for the fields, as a list, made into edits of the client's bytes.
//!
//! A server without rules costs nothing here. One with rules has the body's members walked once more; what no rule names
//! passes as it was written, unless the server refuses what it does not know, and then its list is an allow-list.

use std::ops::{ControlFlow, Range};

use serde_json::value::RawValue;

use super::super::leftovers::Leftovers;
use super::messages::{self, MessageRules, Thoughts};
use crate::json::{self, Kind, Member};
use crate::request::{BadRequest, ModelRequest};
use crate::splice::Edits;

/// What a server does with the fields of a request.
#[derive(Debug)]
pub(in super::super) struct RequestRules {
    /// Fields by name.
    pub(in super::super) fields: &'static [(&'static str, FieldRule)],
    /// The others are refused by the server, so that they are treated as parameters which it does not have.
    pub(in super::super) is_allow_list: bool,
    /// A member that is written where the client did not: its name, JSON value, and when.
    pub(in super::super) added: Option<Added>,
    /// What it wants in messages.
    pub(in super::super) messages: MessageRules,
    /// Each function has `parameters`, if only empty ones.
    pub(in super::super) functions_need_parameters: bool,
}

impl RequestRules {
    /// A server that takes everything as it is written.
    pub(in super::super) const NONE: Self = Self {
        fields: &[],
        is_allow_list: false,
        added: None,
        messages: MessageRules {
            members: &[],
            thoughts: Thoughts::In("reasoning_content"),
            tool_id: None,
        },
        functions_need_parameters: false,
    };
}

/// A field that the gateway writes.
#[derive(Debug)]
pub(in super::super) struct Added {
    /// Its member, as JSON.
    pub(in super::super) name: &'static str,
    /// Its value, as JSON.
    pub(in super::super) value: &'static str,
    /// Whether it is written: asked with the server's name of the model, and whether the client sent a field.
    pub(in super::super) is_due: fn(&str, &IsSent<'_>) -> bool,
}

/// Tells whether the client sent a field.
pub(in super::super) type IsSent<'f> = dyn Fn(&str) -> bool + 'f;

/// What becomes of a field.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum FieldRule {
    /// It passes.
    Pass,
    /// The server has another name for it.
    Rename(&'static str),
    /// The server takes numbers up to this one.
    AtMost(f64),
    /// The server has another word for a value; both as JSON.
    Word(&'static str, &'static str),
    /// The server does not have it; the policy decides.
    Unsupported,
    /// The server's answer has it anyway; it is left out without a word.
    Needless,
    /// Without it the answer would be another one: refused where this says so of the JSON value.
    RefusedIf(fn(&str) -> bool),
}

/// Writes the rules' edits. The caps on the output are the caller's, save that `surplus_cap` goes.
pub(super) fn edit<'r>(
    request: &'r ModelRequest,
    rules: &'static RequestRules,
    upstream_model: &str,
    surplus_cap: Option<&str>,
    edits: &mut Edits<'r>,
    leftovers: &mut Leftovers<'r>,
) -> Result<(), BadRequest> {
    let body = std::str::from_utf8(&request.body).expect("parse refuses a body that is not UTF-8");
    let members = members(body, 0..body.len());
    let mut removed = vec![false; members.len()];
    let mut written: Vec<&str> = Vec::with_capacity(rules.fields.len());
    for (index, member) in members.iter().enumerate() {
        let value = &body[member.value.clone()];
        let name = json::string_value(body[member.key.clone()].as_bytes()).unwrap_or_default();
        match name.as_ref() {
            "messages" => messages::edit(body, member.value.clone(), &rules.messages, edits, leftovers)?,
            "tools" if rules.functions_need_parameters => add_parameters(body, member.value.clone(), edits),
            "max_tokens" | "max_completion_tokens" => {
                removed[index] = surplus_cap == Some(&name);
                continue;
            }
            _ => {}
        }
        let Some((known, rule)) = rules.fields.iter().find(|(known, _)| *known == name) else {
            removed[index] = rules.is_allow_list && !stays(leftovers, &name, value)?;
            continue;
        };
        let final_name = if let FieldRule::Rename(other) = rule {
            other
        } else {
            known
        };
        if written.contains(final_name) {
            return Err(BadRequest::repeated(known));
        }
        written.push(final_name);
        match *rule {
            FieldRule::Rename(other) => edits.replace(member.key.clone(), format!("\"{other}\"")),
            FieldRule::AtMost(most) => {
                if value.parse::<f64>().is_ok_and(|number| number > most) {
                    leftovers.value(known)?;
                    edits.replace(member.value.clone(), most.to_string());
                }
            }
            FieldRule::Word(own, other) if value == own => edits.replace(member.value.clone(), other),
            FieldRule::Unsupported => removed[index] = !stays(leftovers, known, value)?,
            FieldRule::Needless => removed[index] = true,
            FieldRule::RefusedIf(lacks) if lacks(value) => return Err(lacking(known)),
            FieldRule::Pass | FieldRule::Word(..) | FieldRule::RefusedIf(_) => {}
        }
    }
    edits.remove_members(&members, |index| removed[index]);
    let is_sent = |name: &str| {
        let mut keys = members.iter().map(|member| &body[member.key.clone()]);
        keys.any(|key| json::string_value(key.as_bytes()).is_some_and(|key| key == name))
    };
    if let Some(added) = rules
        .added
        .as_ref()
        .filter(|added| (added.is_due)(upstream_model, &is_sent))
    {
        edits.insert_field(request.inside(), added.name, added.value, false);
    }
    Ok(())
}

/// Whether a field that the server does not have goes out all the same. One that is null goes and is missed by nobody.
pub(super) fn stays<'r>(leftovers: &mut Leftovers<'r>, name: &str, value: &'r str) -> Result<bool, BadRequest> {
    if json::kind(value.as_bytes()) == Kind::Null {
        return Ok(false);
    }
    let raw: &RawValue = serde_json::from_str(value).expect("a member of a valid document is valid");
    leftovers.parameter(name.to_owned(), std::borrow::Cow::Borrowed(raw))?;
    Ok(leftovers.passed.pop().is_some())
}

fn lacking(name: &str) -> BadRequest {
    let message =
        format!("this `{name}` is not possible with this model's provider; leave it out, or ask another model");
    BadRequest::new("unsupported_parameter", Some(name), message)
}

fn add_parameters(body: &str, tools: Range<usize>, edits: &mut Edits<'_>) {
    for tool in elements(body, tools) {
        let Some(function) = member(body, tool, "function").filter(|place| body[place.clone()].starts_with('{')) else {
            continue;
        };
        if member(body, function.clone(), "parameters").is_none() {
            let is_empty = body[function.start + 1..function.end]
                .trim_ascii_start()
                .starts_with('}');
            edits.insert_field(function.start + 1, "\"parameters\"", "{}", is_empty);
        }
    }
}

/// The members of the object at a place of the body, by their place in the body; none of what is no object.
pub(super) fn members(body: &str, place: Range<usize>) -> Vec<Member> {
    let mut members = Vec::new();
    if body[place.clone()].trim_ascii_start().starts_with('{') {
        each(body, place, |member| members.push(member));
    }
    members
}

/// The places of the elements of the array at a place of the body; none of what is no array.
pub(super) fn elements(body: &str, place: Range<usize>) -> Vec<Range<usize>> {
    let mut elements = Vec::new();
    if body[place.clone()].starts_with('[') {
        each(body, place, |member| elements.push(member.value));
    }
    elements
}

/// The place of the value of a member; the last of that name.
pub(super) fn member(body: &str, object: Range<usize>, name: &str) -> Option<Range<usize>> {
    let members = members(body, object);
    let mut named = members
        .into_iter()
        .rev()
        .filter(|member| json::string_value(body[member.key.clone()].as_bytes()).is_some_and(|key| key == name));
    Some(named.next()?.value)
}

fn each(body: &str, place: Range<usize>, mut on_member: impl FnMut(Member)) {
    let start = place.start;
    json::walk(body[place].as_bytes(), |Member { key, value }| {
        on_member(Member {
            key: key.start + start..key.end + start,
            value: value.start + start..value.end + start,
        });
        ControlFlow::Continue(())
    })
    .expect("a part of a valid document is valid");
}
