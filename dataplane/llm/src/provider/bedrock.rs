//! Amazon Bedrock's Converse API, for clients of other dialects.
//!
//! Its oddities: streams are binary messages with checksums, and errors in them are messages of another kind; the model
//! stands in the path; what Converse has no field for goes into `additionalModelRequestFields`, in the words of the model's
//! family, which `capability/bedrock` knows; documents need names of few characters, each another, and text beside them; a
//! history of calls needs a list of tools. Checked against the service model `bedrock-runtime` of botocore 1.44.8 (November
//! 2026). Where our own table differs from it, it wins: sound is refused there and goes out as `audio` here.
//!
//! An access key signs the request, which happens where it is sent, see [`crate::sigv4`]; here only API keys are carried.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{EncodeOptions, bearer, path};
use crate::hub;
use crate::request::BadRequest;
use crate::sigv4;
use crate::translate::{CountWire, EmbeddingWire, EventDecoder, Wire, WireFailure, WireRequest};

mod answer;
mod block;
mod count;
mod embeddings;
mod encode;
mod failure;
mod fields;
mod inference;
mod media;
mod model_fields;
mod stream;
mod tools;

/// `Converse` and `ConverseStream`.
#[derive(Clone, Copy, Debug)]
pub struct Bedrock;

impl Wire for Bedrock {
    /// `https://bedrock-runtime.{region}.amazonaws.com`, and the region is the manifest's to say.
    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    /// An API key. `None` also for an access key (a JSON object): its secret signs and is never sent.
    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        if sigv4::is_json_object(credential) {
            return None;
        }
        bearer(credential)
    }

    fn stream_content_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let (body, dropped) = encode::body(request, options)?;
        let operation = if request.stream { "converse-stream" } else { "converse" };
        Ok(WireRequest {
            path: format!("/model/{}/{operation}", path::segment(options.upstream_model)).into(),
            headers: HeaderMap::new(),
            body,
            dropped,
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        answer::read(body)
    }

    fn decode_failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> WireFailure {
        failure::read(status, headers, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        Box::new(stream::Decoder::default())
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingWire> {
        Some(&embeddings::BedrockEmbeddings)
    }

    fn counter(&self) -> Option<&'static dyn CountWire> {
        Some(&count::CountTokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_is_carried_and_an_access_key_never() {
        let header = |credential| Bedrock.credential_header(credential);
        let (name, value) = header("ABSKQmVkcm9ja0FQSUtleQ==").unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("authorization", "Bearer ABSKQmVkcm9ja0FQSUtleQ==")
        );
        assert!(value.is_sensitive());
        for credential in ["", "{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\"}", " \n{", "a\nb"] {
            assert!(header(credential).is_none(), "{credential}");
        }
    }
}
