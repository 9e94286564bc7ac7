//! Legacy completions at servers that have them: bodies and events pass as those of chats do.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;

use super::super::overrides::override_fields;
use super::super::{AnswerContext, EncodeOptions, Encoded, Native, StreamDecoder, WholeAnswer, name_model};
use super::{ask_for_usage, path_of};
use crate::dialect::openai_chat::error::{self, FailedAnswer};
use crate::dialect::openai_chat::mend::Mend;
use crate::dialect::openai_chat::{answer, stream};
use crate::failure::Failure;
use crate::request::{BadRequest, ModelRequest};
use crate::splice::Edits;

/// What one server does differently from the others.
#[derive(Debug)]
pub(in super::super) struct Completions {
    /// Behind the base URL.
    pub(in super::super) path: &'static str,
    /// Streams tell their usage when asked with `stream_options`; else they do so anyway, or never.
    pub(in super::super) asks_for_usage: bool,
    /// What it says otherwise in answers.
    pub(in super::super) answers: Option<&'static Mend>,
}

impl Completions {
    /// A server that does as `OpenAI`.
    pub(in super::super) const PLAIN: Self = Self {
        path: "/completions",
        asks_for_usage: true,
        answers: None,
    };
}

impl Native for Completions {
    fn encode(&self, request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<Encoded, BadRequest> {
        let mut edits = Edits::default();
        name_model(request, options.deployed_model(), &mut edits);
        let dropped = override_fields(request, options.overrides, &mut edits, |name| name)?;
        let strip_usage = self.asks_for_usage && request.stream && !request.include_usage;
        if strip_usage {
            ask_for_usage(request, &mut edits);
        }
        Ok(Encoded {
            path: path_of(self.path, options),
            headers: HeaderMap::new(),
            body: edits.apply(&request.body),
            strip_usage,
            dropped,
        })
    }

    fn decode_whole(&self, body: Bytes, _context: &AnswerContext<'_>) -> Result<WholeAnswer, Failure> {
        let body = match self.answers {
            Some(mend) => mend.answer(body)?,
            None => body,
        };
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
        Box::new(stream::Tap::mending(context.strip_usage, self.answers))
    }
}
