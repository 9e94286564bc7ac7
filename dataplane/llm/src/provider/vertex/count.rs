//! `countTokens`: what the input of a request to Gemini comes to.

use bytes::Bytes;
use http::HeaderMap;

use super::super::EncodeOptions;
use super::super::gemini::{count, encode};
use super::super::issuer::Issuer;
use super::address;
use crate::hub;
use crate::json::{self, Repeats};
use crate::request::BadRequest;
use crate::translate::{CountWire, WireFailure, WireRequest};

pub(super) struct CountTokens;

/// The members of a request to `generateContent` that are counted; the others are refused.
const COUNTED: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];

impl CountWire for CountTokens {
    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options, Issuer::Vertex)?;
        Ok(WireRequest {
            path: address::path(options, ":countTokens").into(),
            headers: HeaderMap::new(),
            body: counted(&body),
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<u64, WireFailure> {
        count::read(body)
    }
}

fn counted(body: &Bytes) -> Bytes {
    let mut found = [const { None }; COUNTED.len()];
    json::find_fields(body, &COUNTED, Repeats::TakeLast, &mut found).expect("written here, as an object");
    let mut counted = Vec::with_capacity(body.len());
    for (name, member) in COUNTED.iter().zip(found) {
        if let Some(member) = member {
            counted.extend_from_slice(if counted.is_empty() { b"{" } else { b"," });
            counted.extend_from_slice(format!("\"{name}\":").as_bytes());
            counted.extend_from_slice(&body[member.value]);
        }
    }
    counted.push(b'}');
    counted.into()
}
