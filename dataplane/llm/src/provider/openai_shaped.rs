//! Servers that speak `OpenAI`'s chat dialect. The client speaks it too, so bodies and events pass byte for byte, save
//! for the edits made here: the model's name, fields that a route sets, `include_usage`, and what a server's [`Rules`]
//! ask for.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::overrides::override_fields;
use super::{AnswerContext, EncodeOptions, Encoded, Provider, SERVER_SENT_EVENTS, StreamDecoder, WholeAnswer, bearer};
use crate::chat::{BadRequest, ChatRequest, Field};
use crate::dialect::openai_chat::error::{self, FailedAnswer};
use crate::dialect::openai_chat::{answer, stream};
use crate::failure::Failure;
use crate::json::{self, Kind};
use crate::splice::Edits;

/// What one server does differently from the others.
#[derive(Debug)]
pub(super) struct Rules {
    /// Where it lives if the manifest does not say.
    pub(super) default_base_url: Option<&'static str>,
    /// Path of chat completions, behind the base URL.
    pub(super) chat_path: &'static str,
    /// The server ignores `max_completion_tokens`: it is renamed to `max_tokens`.
    pub(super) knows_only_max_tokens: bool,
}

static FORWARDED_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("idempotency-key"),
];

impl Provider for Rules {
    fn default_base_url(&self) -> Option<&'static str> {
        self.default_base_url
    }

    fn credential_header(&self, credential: &str) -> Option<(HeaderName, HeaderValue)> {
        bearer(credential)
    }

    fn forwarded_headers(&self) -> &'static [HeaderName] {
        &FORWARDED_HEADERS
    }

    fn stream_content_type(&self) -> &'static str {
        SERVER_SENT_EVENTS
    }

    fn encode_chat(&self, request: &ChatRequest, options: EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let mut edits = Edits::default();
        if request.model != options.upstream_model {
            let model = request
                .member(Field::Model)
                .expect("parse refuses a request without a model");
            edits.replace(model.value.clone(), json_string(options.upstream_model));
        }
        if self.knows_only_max_tokens {
            cap_by_max_tokens(request, &mut edits);
        }
        let dropped = override_fields(request, options.overrides, &mut edits, |name| {
            self.field_to_set(name, request)
        })?;
        let strip_usage = request.stream && !request.include_usage;
        if strip_usage {
            ask_for_usage(request, &mut edits);
        }
        Ok(Encoded {
            path: Cow::Borrowed(self.chat_path),
            headers: HeaderMap::new(),
            body: edits.apply(&request.body),
            strip_usage,
            dropped,
        })
    }

    fn decode_whole(&self, body: Bytes, _context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        answer::read(body)
    }

    fn decode_failure(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
        credential: &str,
        now: SystemTime,
    ) -> Failure {
        error::read(FailedAnswer {
            status,
            headers,
            body,
            credential,
            now,
        })
    }

    fn stream_decoder(&self, context: &AnswerContext<'_>) -> Box<dyn StreamDecoder> {
        Box::new(stream::Tap::new(context.strip_usage))
    }
}

impl Rules {
    /// The name under which the body carries a field. Where both output caps are one, it is the one that will stand.
    fn field_to_set<'a>(&self, name: &'a str, request: &ChatRequest) -> &'a str {
        let is_cap = matches!(name, "max_tokens" | "max_completion_tokens");
        if !self.knows_only_max_tokens || !is_cap {
            return name;
        }
        let is_renamed =
            request.member(Field::MaxTokens).is_none() && request.member(Field::MaxCompletionTokens).is_some();
        if is_renamed {
            "max_completion_tokens"
        } else {
            "max_tokens"
        }
    }
}

/// Writes the cap that the request was counted by where the server looks for it. Without this the server would answer
/// without a bound, and a budget would be overspent.
fn cap_by_max_tokens(request: &ChatRequest, edits: &mut Edits<'_>) {
    let Some(cap) = request.member(Field::MaxCompletionTokens) else {
        return;
    };
    match (request.member(Field::MaxTokens), request.max_output_tokens) {
        (None, _) => edits.replace(cap.key.clone(), "\"max_tokens\""),
        (Some(ignored), Some(tokens)) => edits.replace(ignored.value.clone(), tokens.to_string()),
        (Some(_), None) => {}
    }
}

/// Merges `include_usage: true` into `stream_options`, whose other members stay.
fn ask_for_usage(request: &ChatRequest, edits: &mut Edits<'_>) {
    const ASK: &str = "{\"include_usage\":true}";
    if let Some(value) = request.include_usage_value() {
        return edits.replace(value, "true");
    }
    let Some(options) = request.member(Field::StreamOptions) else {
        return edits.insert_field(request.inside(), "\"stream_options\"", ASK, false);
    };
    let text = &request.body[options.value.clone()];
    if json::kind(text) == Kind::Null {
        return edits.replace(options.value.clone(), ASK);
    }
    let is_empty = text[1..].trim_ascii_start().starts_with(b"}");
    edits.insert_field(options.value.start + 1, "\"include_usage\"", "true", is_empty);
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string can always be written as JSON")
}
