//! Claude in Vertex AI: the Messages API, with the model in the path and the version in the body. Errors are Anthropic's
//! where Claude was reached, and Google's before that.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::anthropic::encode::Host;
use super::super::anthropic::{decode, encode, stream};
use super::super::gemini::failure;
use super::super::{EncodeOptions, bearer};
use super::address;
use crate::hub::{self, Media, Part};
use crate::request::BadRequest;
use crate::translate::{EventDecoder, Wire, WireFailure, WireRequest};

pub(super) struct VertexClaude;

impl Wire for VertexClaude {
    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        refuse_addresses(request.turns.iter().flat_map(|turn| &turn.parts))?;
        let (body, dropped) = encode::body(request, options, Host::Vertex)?;
        Ok(WireRequest {
            path: address::path(options, verb(request.stream)).into(),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        decode::message(body)
    }

    fn decode_failure(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> WireFailure {
        if failure::is_googles(body) {
            failure::read(status, body)
        } else {
            decode::failure(status, body)
        }
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }
}

pub(super) fn verb(streams: bool) -> &'static str {
    if streams { ":streamRawPredict" } else { ":rawPredict" }
}

/// Only Anthropic's own servers fetch. (<https://platform.claude.com/docs/en/build-with-claude/vision>)
fn refuse_addresses<'p, 'a: 'p>(parts: impl IntoIterator<Item = &'p Part<'a>>) -> Result<(), BadRequest> {
    for part in parts {
        match part {
            Part::Image { media, .. } | Part::File { media, .. } if matches!(media, Media::Url { .. }) => {
                let message = "`messages` hold a URL, which this model's provider does not fetch; send the bytes in a \
                               data URL or in file_data"
                    .to_owned();
                return Err(BadRequest::new("unsupported_parameter", Some("messages"), message));
            }
            Part::ToolResult { parts, .. } => refuse_addresses(parts)?,
            _ => {}
        }
    }
    Ok(())
}
