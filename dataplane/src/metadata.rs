//! What happened to a request, as an object in its answer: for clients that cannot see headers, and for what is known only
//! at the end of a stream. Written on request alone, since it is no part of any dialect.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use memchr::memmem;
use serde::Serialize;
use serde_json::value::RawValue;

use headgate_llm::endpoint::Endpoint;

use crate::exchange::Exchange;

/// Whether the caller asks for it: `x-headgate-metadata: true`.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    static WANTED: HeaderName = HeaderName::from_static("x-headgate-metadata");
    headers
        .get(&WANTED)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

#[derive(Serialize)]
struct Metadata<'a> {
    cache_hit: bool,
    cache_type: Option<&'static str>,
    similarity_score: Option<f32>,
    provider: Option<&'a str>,
    /// Dollars, as exact as the header; `null`: unknown.
    cost_usd: Option<Box<RawValue>>,
    fallback_used: bool,
    fallback_index: u32,
}

/// The member `"metadata": {…}` of an answer, which Responses has for other things.
fn member(exchange: &Exchange) -> String {
    let plan = exchange.plan.as_deref();
    let number = |cost: crate::account::price::NanoUsd| RawValue::from_string(cost.to_string());
    let metadata = Metadata {
        cache_hit: false,
        cache_type: None,
        similarity_score: None,
        provider: plan.map(|plan| plan.backend.provider.name.name.as_str()),
        cost_usd: exchange.cost().and_then(|cost| number(cost).ok()),
        fallback_used: false,
        fallback_index: 0,
    };
    let json = serde_json::to_string(&metadata).expect("structs can always be written as JSON");
    let name = match exchange.endpoint {
        Endpoint::Responses => "headgate_metadata",
        _ => "metadata",
    };
    format!("\"{name}\":{json}")
}

/// A whole answer with the object as its last member.
pub fn add_to_whole(body: Bytes, exchange: &Exchange) -> Bytes {
    let Some(end) = memchr::memrchr(b'}', &body) else {
        return body;
    };
    let comma = if body[..end].trim_ascii_end().ends_with(b"{") {
        ""
    } else {
        ","
    };
    let member = member(exchange);
    [&body[..end], comma.as_bytes(), member.as_bytes(), &body[end..]]
        .concat()
        .into()
}

/// The last events of a stream with the object in the one that ends it; before `[DONE]`, which is no object, it stands in
/// a chunk without choices.
pub fn add_to_end(events: &mut Vec<Bytes>, exchange: &Exchange) {
    let mut whole = BytesMut::new();
    for bytes in events.drain(..) {
        whole.extend_from_slice(&bytes);
    }
    let whole = whole.freeze();
    let Some(last) = memmem::rfind(&whole, b"data:") else {
        events.push(whole);
        return;
    };
    let member = member(exchange);
    let data = &whole[last + b"data:".len()..];
    if data.trim_ascii_start().starts_with(b"[DONE]") {
        let object = match exchange.endpoint {
            Endpoint::Completions => "text_completion",
            _ => "chat.completion.chunk",
        };
        let id = exchange.trace_id;
        let created = exchange.started_unix_seconds();
        let model = exchange
            .plan
            .as_deref()
            .map_or("", |plan| plan.backend.upstream_model());
        let model = serde_json::to_string(model).expect("a string can always be written as JSON");
        let chunk = format!(
            "data: {{\"id\":\"chatcmpl-{id}\",\"object\":\"{object}\",\"created\":{created},\"model\":{model},\
             \"choices\":[],{member}}}\n\n"
        );
        events.extend([whole.slice(..last), chunk.into(), whole.slice(last..)]);
        return;
    }
    // Behind the brace of the object that the client keeps: the answer in Responses, the event elsewhere.
    let inside = match exchange.endpoint {
        Endpoint::Responses => memmem::find(data, b"\"response\"").map(|start| start + b"\"response\"".len()),
        _ => None,
    };
    let brace = memchr::memchr(b'{', &data[inside.unwrap_or(0)..]);
    let Some(brace) = brace.map(|brace| last + b"data:".len() + inside.unwrap_or(0) + brace + 1) else {
        events.push(whole);
        return;
    };
    events.extend([whole.slice(..brace), format!("{member},").into(), whole.slice(brace..)]);
}
