//! Models in Vertex AI that speak a dialect of `OpenAI`'s chat completions: open models at one endpoint of Google's, and
//! Mistral's at its own. Errors before they are reached are Google's.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::gemini::failure;
use super::super::mistral::MISTRAL;
use super::super::openai_shaped::{FromHub, History, MessageRules, OutputCap, RequestRules, Rules, Thoughts};
use super::super::{AnswerContext, EncodeOptions, Encoded, Native, StreamDecoder, WholeAnswer, bearer};
use super::address::{self, Name};
use crate::failure::{self as failures, Failure};
use crate::hub;
use crate::request::{BadRequest, ModelRequest};
use crate::translate::{EventDecoder, Wire, WireFailure, WireRequest};

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Open {
    /// `endpoints/openapi`, for the models of all publishers that have no API of their own.
    /// (<https://docs.cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis>)
    Chat,
    /// Mistral's API under `rawPredict`.
    Mistral,
}

static CHAT: Rules = Rules {
    output_cap: OutputCap::MaxTokens,
    request: Some(&RequestRules {
        fields: &[],
        is_allow_list: false,
        added: None,
        messages: MessageRules {
            members: &[],
            thoughts: Thoughts::In("reasoning_content"),
            tool_id: None,
        },
        functions_need_parameters: false,
    }),
    from_hub: &FromHub {
        thoughts: History::In("reasoning_content"),
        ..FromHub::UNKNOWN
    },
    ..Rules::PLAIN
};

impl Open {
    fn rules(self) -> &'static Rules {
        match self {
            Self::Chat => &CHAT,
            Self::Mistral => &MISTRAL,
        }
    }

    fn path(self, is_stream: bool, options: &EncodeOptions<'_>) -> String {
        match self {
            Self::Chat => format!("{}/endpoints/openapi/chat/completions", address::place(options.account)),
            Self::Mistral if is_stream => address::path(options, ":streamRawPredict"),
            Self::Mistral => address::path(options, ":rawPredict"),
        }
    }

    /// The name in the body: with its publisher, or without the date that only Vertex AI knows.
    fn model<'a>(self, options: &EncodeOptions<'a>) -> Cow<'a, str> {
        match (self, Name::of(options)) {
            (Self::Chat, Name::Model { publisher, model }) => format!("{publisher}/{model}").into(),
            (Self::Mistral, Name::Model { model, .. }) => model.split('@').next().unwrap_or(model).into(),
            (_, Name::Endpoint(_)) => options.upstream_model.into(),
        }
    }
}

impl Native for Open {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let named = EncodeOptions {
            upstream_model: &self.model(options),
            ..*options
        };
        let encoded = Native::encode(self.rules(), request, &named)?;
        Ok(Encoded {
            path: self.path(request.stream, options).into(),
            ..encoded
        })
    }

    fn decode_whole(&self, body: Bytes, context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        self.rules().decode_whole(body, context)
    }

    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        if !failure::is_googles(body) {
            return Native::decode_failure(self.rules(), status, headers, body, credential, now);
        }
        let mut read = failure::read(status, body);
        read.retry_after = read.retry_after.or_else(|| failures::retry_after(headers, now));
        read.into_failure(credential)
    }

    fn stream_decoder(&self, context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        self.rules().stream_decoder(context)
    }
}

impl Wire for Open {
    fn default_base_url(&self) -> Option<&'static str> {
        None
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn encode(&self, request: &hub::Request<'_>, options: &EncodeOptions<'_>) -> Result<WireRequest, BadRequest> {
        let named = EncodeOptions {
            upstream_model: &self.model(options),
            ..*options
        };
        let encoded = Wire::encode(self.rules(), request, &named)?;
        Ok(WireRequest {
            path: self.path(request.stream, options).into(),
            ..encoded
        })
    }

    fn decode(&self, body: &[u8]) -> Result<hub::Answer, WireFailure> {
        self.rules().decode(body)
    }

    fn decode_failure(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> WireFailure {
        if failure::is_googles(body) {
            return failure::read(status, body);
        }
        Wire::decode_failure(self.rules(), status, headers, body)
    }

    fn events(&self) -> Box<dyn EventDecoder> {
        self.rules().events()
    }
}
