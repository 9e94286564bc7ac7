//! Anthropic's Messages API: natively for clients that speak it (`native.rs`), through the hub for all others.
//!
//! Its oddities: instructions stand beside the conversation, and turns alternate with tool results first; a cap on the
//! output is mandatory; text may not be blank; thoughts are signed and wanted back; models of different age accept
//! different parameters, which `capability` knows. Checked against the types of the released `anthropic` SDK 2.12
//! (November 2026).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{EncodeOptions, Provider};
use crate::endpoint::Endpoint;
use crate::hub;
use crate::pass_through::PassThrough;
use crate::request::BadRequest;
use crate::service::Service;
use crate::translate::{EventDecoder, Wire, WireFailure, WireRequest};

pub(super) mod block;
pub(super) mod decode;
pub(super) mod encode;
mod foreign;
pub(in crate::provider) mod native;
pub(super) mod sampling;
pub(super) mod stream;
mod tap;
pub(super) mod thinking;
pub(super) mod tools;

use encode::Host;

/// The Messages API.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

/// The version whose shapes are written and read here. A caller that sends another one is believed.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");
const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");

static FORWARDED_HEADERS: [HeaderName; 3] = [
    VERSION_HEADER,
    HeaderName::from_static("anthropic-beta"),
    HeaderName::from_static("idempotency-key"),
];

impl Provider for Anthropic {
    fn default_base_url(&self) -> Option<&'static str> {
        Wire::default_base_url(self)
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        Wire::credential_header(self, credential)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        Wire::forwarded_headers(self)
    }

    fn serve(&'static self, endpoint: Endpoint, _options: &EncodeOptions<'_>) -> Result<Service, BadRequest> {
        match endpoint {
            Endpoint::Messages => Ok(Service::Native(&native::Messages)),
            Endpoint::CountTokens => Ok(Service::Native(&native::CountTokens)),
            _ => Service::translated(endpoint, self),
        }
    }

    fn pass_through(&self, what: PassThrough, options: &EncodeOptions<'_>) -> Option<Cow<'static, str>> {
        Wire::pass_through(self, what, options)
    }
}

impl Wire for Anthropic {
    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.anthropic.com/v1")
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        if credential.is_empty() {
            return None;
        }
        let mut value = HeaderValue::from_str(credential).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_static("x-api-key"), value))
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        &FORWARDED_HEADERS
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options, Host::Anthropic)?;
        Ok(WireRequest {
            path: "/messages".into(),
            headers: HeaderMap::from_iter([(VERSION_HEADER, VERSION)]),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        decode::message(body)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        decode::failure(status, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }
}
