//! Anthropic's API for clients that speak it: bodies and events pass byte for byte, save for the model's name, the fields that
//! a route sets, and thoughts of other providers (`foreign.rs`).
//!
//! What clouds need that host the same API under other paths is here as functions; see [`Envelope`].

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::decode::{self, WireUsage};
use super::tap::Tap;
use super::{VERSION, VERSION_HEADER, foreign};
use crate::failure::{self, Failure, FailureKind};
use crate::json;
use crate::provider::overrides::override_fields;
use crate::provider::{
    AnswerContext, EncodeOptions, Encoded, Native, StreamDecoder, WholeAnswer, json_string, name_model,
};
use crate::request::{BadRequest, Field, ModelRequest};
use crate::splice::Edits;
use crate::usage::Usage;

/// `POST /messages`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages;

/// `POST /messages/count_tokens`.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountTokens;

/// What stands at the top of a body.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Envelope {
    /// `model`; where it stands in the path, the body must not have it.
    pub(in crate::provider) names_model: bool,
    /// `anthropic_version`, where no header says it. A client's own stands.
    pub(in crate::provider) version: Option<&'static str>,
}

/// Anthropic's own.
const PLAIN: Envelope = Envelope {
    names_model: true,
    version: None,
};

impl Native for Messages {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        encoded("/messages", request, options)
    }

    fn decode_whole(&self, body: Bytes, _context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        whole(body)
    }

    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        failed(status, headers, body, credential, now)
    }

    fn stream_decoder(&self, _context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        Box::new(Tap::default())
    }
}

impl Native for CountTokens {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        encoded("/messages/count_tokens", request, options)
    }

    fn decode_whole(&self, body: Bytes, _context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        counted(body)
    }

    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        failed(status, headers, body, credential, now)
    }

    /// There is none: the dialect's request cannot ask for it.
    fn stream_decoder(&self, _context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        Box::new(Tap::default())
    }
}

fn encoded(path: &'static str, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
    let (body, dropped) = body(request, options, PLAIN)?;
    Ok(Encoded {
        path: Cow::Borrowed(path),
        headers: HeaderMap::from_iter([(VERSION_HEADER, VERSION)]),
        body,
        strip_usage: false,
        dropped,
    })
}

/// The client's body for whoever serves this API, and the names of what was left out.
pub(in crate::provider) fn body(
    request: &ModelRequest,
    options: &EncodeOptions<'_>,
    envelope: Envelope,
) -> Result<(Bytes, Vec<String>), BadRequest> {
    let mut edits = Edits::default();
    let dropped = override_fields(request, options.overrides, &mut edits, |name| name)?;
    foreign::remove_thoughts(request, &mut edits);
    if envelope.names_model {
        name_model(request, options.upstream_model, &mut edits);
    } else {
        remove_model(request, &mut edits);
    }
    let sets = |name: &str| options.overrides.iter().any(|(other, _)| other == name) || has_field(request, name);
    if let Some(version) = envelope.version.filter(|_| !sets("anthropic_version")) {
        edits.insert_field(request.inside(), "\"anthropic_version\"", &json_string(version), false);
    }
    Ok((edits.apply(&request.body), dropped))
}

fn remove_model(request: &ModelRequest, edits: &mut Edits<'_>) {
    let model = request.member(Field::Model).map(|model| model.value.clone());
    let mut members = Vec::new();
    each_member(request, |member| members.push(member));
    edits.remove_members(&members, |index| Some(&members[index].value) == model.as_ref());
}

fn has_field(request: &ModelRequest, name: &str) -> bool {
    let mut is_there = false;
    each_member(request, |member| {
        is_there |= json::string_value(&request.body[member.key]).is_some_and(|key| key == name);
    });
    is_there
}

fn each_member(request: &ModelRequest, mut on_member: impl FnMut(json::Member)) {
    json::walk(&request.body, |member| {
        on_member(member);
        ControlFlow::Continue(())
    })
    .expect("parse refuses a body that is not JSON");
}

/// Reads a whole answer, which passes as it is.
pub(in crate::provider) fn whole(body: Bytes) -> Result<WholeAnswer, Failure> {
    let usage = match usage_at_the_end(&body) {
        Some(usage) => Some(usage),
        None => decode::usage_of(&body).map_err(|failure| failure.into_failure(""))?,
    };
    Ok(WholeAnswer {
        body,
        usage: usage.map(|usage| usage.read()),
    })
}

/// The usage of an answer that looks like one, read without the rest: it stands behind the content, and a provider that
/// closes its answer well from there on is believed about the text before.
fn usage_at_the_end(body: &[u8]) -> Option<WireUsage> {
    let begins_as_answer = body.trim_ascii_start().first() == Some(&b'{');
    if !begins_as_answer || memchr::memmem::find(body, b"\"content\"").is_none() {
        return None;
    }
    let usage: WireUsage = serde_json::from_slice(&body[json::last_member(body, b"\"usage\"")?]).ok()?;
    usage.is_whole().then_some(usage)
}

/// Reads the answer of a count, which passes as it is and is free.
pub(in crate::provider) fn counted(body: Bytes) -> Result<WholeAnswer, Failure> {
    #[derive(Deserialize)]
    struct Count {
        #[serde(rename = "input_tokens")]
        _input_tokens: u64,
    }
    if serde_json::from_slice::<Count>(&body).is_err() {
        return Err(Failure::new(FailureKind::Protocol, "the answer is no count of tokens"));
    }
    Ok(WholeAnswer {
        body,
        usage: Some(Usage::default()),
    })
}

/// Reads an answer that is not 2xx.
pub(in crate::provider) fn failed(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    credential: &str,
    now: SystemTime,
) -> Failure {
    let mut failure = decode::failure(status, body);
    failure.status = Some(status);
    failure.retry_after = failure::retry_after(headers, now);
    failure.into_failure(credential)
}

/// Relays a stream.
pub(in crate::provider) fn tap() -> Box<dyn StreamDecoder> {
    Box::new(Tap::default())
}
