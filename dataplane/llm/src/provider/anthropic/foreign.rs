//! Thoughts of other providers in a conversation that goes on with Claude: proofs are bound to their issuer, and the
//! provider refuses a request that holds another's. They are taken out, wherever a client's history has them.

use std::ops::{ControlFlow, Range};

use crate::json::{self, Kind, Member};
use crate::provider::issuer::{Issuer, MARK_BYTES_MAX};
use crate::request::{Field, ModelRequest};
use crate::splice::Edits;

/// Takes the blocks out of `messages` that hold such thoughts; a message that holds nothing else goes whole.
pub(super) fn remove_thoughts(request: &ModelRequest, edits: &mut Edits<'_>) {
    let Some(messages) = request.member(Field::Input).map(|member| member.value.clone()) else {
        return;
    };
    let body = std::str::from_utf8(&request.body).expect("parse refuses a body that is not UTF-8");
    if !may_hold_one(&body[messages.clone()]) {
        return;
    }
    let messages = members(body, messages);
    let blocks_of: Vec<Vec<Member>> = messages
        .iter()
        .map(|message| blocks(body, message.value.clone()))
        .collect();
    let is_foreign = |block: &Member| is_foreign_thought(body, block.value.clone());
    let is_removed: Vec<bool> = blocks_of
        .iter()
        .map(|blocks| !blocks.is_empty() && blocks.iter().all(is_foreign))
        .collect();
    for (blocks, _) in blocks_of
        .iter()
        .zip(&is_removed)
        .filter(|(_, is_removed)| !**is_removed)
    {
        edits.remove_members(blocks, |index| is_foreign(&blocks[index]));
    }
    edits.remove_members(&messages, |index| is_removed[index]);
}

/// A look at the bytes: nearly all requests hold no such thought, and are not read any further.
fn may_hold_one(messages: &str) -> bool {
    ["\"signature\"", "\"data\""].iter().any(|key| {
        memchr::memmem::find_iter(messages.as_bytes(), key).any(|at| {
            let rest = messages.as_bytes()[at + key.len()..].trim_ascii_start();
            let value = rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
            value.and_then(|value| value.strip_prefix(b"\"")).is_some_and(|value| {
                let start = value.get(..MARK_BYTES_MAX).unwrap_or(value);
                let end = memchr::memchr(b'"', start).unwrap_or(start.len());
                end == 0 || memchr::memchr(b':', &start[..end]).is_some()
            })
        })
    })
}

fn is_foreign_thought(body: &str, block: Range<usize>) -> bool {
    let text = |name: &str| {
        let value = member(body, block.clone(), name)?;
        json::string_value(body[value].as_bytes())
    };
    let proof = match text("type").as_deref() {
        Some("thinking") => text("signature"),
        Some("redacted_thinking") => text("data"),
        _ => return false,
    };
    proof.is_none_or(|proof| Issuer::Claude.unmarked(&proof).is_none())
}

/// The content blocks of a message.
fn blocks(body: &str, message: Range<usize>) -> Vec<Member> {
    match member(body, message, "content") {
        Some(content) if json::kind(body[content.clone()].as_bytes()) == Kind::Array => members(body, content),
        _ => Vec::new(),
    }
}

/// The place of the value of a member; the last of that name.
fn member(body: &str, object: Range<usize>, name: &str) -> Option<Range<usize>> {
    if json::kind(body[object.clone()].as_bytes()) != Kind::Object {
        return None;
    }
    let named =
        |member: &Member| json::string_value(body[member.key.clone()].as_bytes()).is_some_and(|key| key == name);
    Some(members(body, object).into_iter().rfind(named)?.value)
}

/// The members of an object or the elements of an array, by their place in the body.
fn members(body: &str, container: Range<usize>) -> Vec<Member> {
    let mut members = Vec::new();
    let start = container.start;
    json::walk(body[container].as_bytes(), |Member { key, value }| {
        let value = value.start + start..value.end + start;
        let key = if key.is_empty() {
            value.start..value.start
        } else {
            key.start + start..key.end + start
        };
        members.push(Member { key, value });
        ControlFlow::Continue(())
    })
    .expect("a part of a valid document is valid");
    members
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::endpoint::Endpoint;

    #[track_caller]
    fn check(messages: &str, expected: &str) {
        let body = |messages: &str| format!("{{\"model\":\"m\", \"messages\" : [ {messages} ], \"x\":1.50}}");
        let request = ModelRequest::parse(Endpoint::Messages, Bytes::from(body(messages))).expect("a request");
        let mut edits = Edits::default();
        remove_thoughts(&request, &mut edits);
        assert_eq!(edits.apply(&request.body), body(expected));
    }

    const OWN: &str = r#"{"type":"thinking", "thinking":"Hm.", "signature":"EqQBCg=="}"#;
    const TEXT: &str = r#"{"type":"text","text":"\"signature\":\"\""}"#;

    #[test]
    fn what_holds_no_thought_of_others_passes_as_it_is() {
        let message =
            format!(r#"{{"role":"assistant","content":[{OWN} , {{"type":"redacted_thinking","data":"Eq"}},{TEXT}]}}"#);
        check(&message, &message);
        for message in [
            r#"{"role":"user","content":"\"data\":\"a:b\""}"#,
            r#"{"content":[{"data":"a:b"}, {}, 7]}"#,
            "7",
            "{}",
        ] {
            check(message, message);
        }
    }

    #[test]
    fn thoughts_of_others_are_taken_out_and_the_rest_stays_as_it_was_written() {
        let message = |blocks: &str| format!(r#"{{"content" : [ {blocks} ],"role":"assistant"}}"#);
        for foreign in [
            r#"{"type":"thinking","thinking":"a","signature":""}"#,
            r#"{"signature" : "google:c2ln","thinking":"a","type":"thinking"}"#,
            r#"{"type":"thinking","thinking":"a","signature":"google:"}"#,
            r#"{"type":"redacted_thinking","data":"tool_use:call_1:c2ln"}"#,
        ] {
            check(&message(&format!("{foreign}, {TEXT}")), &message(TEXT));
            check(&message(&format!("{OWN} , {foreign}")), &message(OWN));
            check(
                &format!(r#"{{"role":"user","content":"a"}},{}"#, message(foreign)),
                r#"{"role":"user","content":"a"}"#,
            );
        }
    }
}
