//! Endpoints whose requests and answers pass unread: pictures, sound, reranking, moderation. Both sides speak `OpenAI`'s
//! words (reranking: Cohere's, which everybody took over), so all that is touched is the model's name.
//!
//! What calls leave at a provider has endpoints of the same sort, but for the ids in them: see [`crate::stored`].

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use crate::json;
use crate::provider::overrides::override_fields;
use crate::provider::{EncodeOptions, name_model};
use crate::request::{BadRequest, ModelRequest};
use crate::splice::Edits;
use crate::usage::Usage;

/// An endpoint that is passed through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the paths say it
pub enum PassThrough {
    ImageGenerations,
    ImageEdits,
    ImageVariations,
    Speech,
    Transcriptions,
    Translations,
    Moderations,
    Rerank,
    Files,
    Batches,
    StoredResponses,
}

impl PassThrough {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Moderations,
        Self::Rerank,
        Self::Files,
        Self::Batches,
        Self::StoredResponses,
    ];

    /// Those that ask a model.
    pub const OF_MODELS: [Self; 8] = [
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Moderations,
        Self::Rerank,
    ];

    /// Its path at the gateway.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ImageGenerations => "/v1/images/generations",
            Self::ImageEdits => "/v1/images/edits",
            Self::ImageVariations => "/v1/images/variations",
            Self::Speech => "/v1/audio/speech",
            Self::Transcriptions => "/v1/audio/transcriptions",
            Self::Translations => "/v1/audio/translations",
            Self::Moderations => "/v1/moderations",
            Self::Rerank => "/v1/rerank",
            Self::Files => "/v1/files",
            Self::Batches => "/v1/batches",
            Self::StoredResponses => "/v1/responses",
        }
    }

    /// Its path at a provider, behind the base URL that names the version.
    pub fn tail(self) -> &'static str {
        &self.path()["/v1".len()..]
    }

    /// Whether a request may name no model: the provider has one of its own then.
    pub const fn has_default_model(self) -> bool {
        matches!(self, Self::Moderations)
    }
}

/// The body as the provider gets it, and the names of fields that a route may not set.
pub fn encode(request: &ModelRequest, options: &EncodeOptions<'_>) -> Result<(Bytes, Vec<String>), BadRequest> {
    let mut edits = Edits::default();
    if !request.model.is_empty() {
        name_model(request, options.deployed_model(), &mut edits);
    }
    let dropped = override_fields(request, options.overrides, &mut edits, |name| name)?;
    Ok((edits.apply(&request.body), dropped))
}

/// What an answer used, as far as it says; `end` is the answer, or the last part of a long one. Pictures without token
/// counts are `choices` pieces.
pub fn usage(what: PassThrough, end: &[u8], choices: u32) -> Option<Usage> {
    // What stored objects tell of was used by the call that made them, and is told each time they are looked at.
    if !PassThrough::OF_MODELS.contains(&what) {
        return None;
    }
    let reported = json::last_member(end, b"\"usage\"").and_then(|place| read_usage(&end[place]));
    let is_made = matches!(
        what,
        PassThrough::ImageGenerations | PassThrough::ImageEdits | PassThrough::ImageVariations
    );
    match reported {
        Some(usage) if usage.total_input_tokens() + usage.total_output_tokens() > 0 => Some(usage),
        _ if is_made => Some(Usage {
            images: choices.into(),
            ..Usage::default()
        }),
        reported => reported,
    }
}

/// `OpenAI`'s newer counts, by which pictures and transcriptions are billed; `{"type": "duration"}` counts no tokens.
#[derive(Deserialize)]
struct WireUsage {
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<u64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<u64>,
    #[serde(alias = "input_tokens_details")]
    input_token_details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    audio_tokens: u64,
    #[serde(default)]
    cached_tokens: u64,
}

/// More than any answer has; above it a count is a mistake, and sums of such counts could overflow.
const COUNT_MAX: u64 = 1 << 40;

fn read_usage(json: &[u8]) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_slice(json).ok()?;
    let (input, output) = match (wire.input_tokens, wire.output_tokens) {
        (None, None) => return None,
        (input, output) => (input.unwrap_or(0).min(COUNT_MAX), output.unwrap_or(0).min(COUNT_MAX)),
    };
    let details = wire.input_token_details.unwrap_or_default();
    let audio = details.audio_tokens.min(input);
    let cached = details.cached_tokens.min(input - audio);
    Some(Usage {
        input_tokens: input - audio - cached,
        cached_input_tokens: cached,
        audio_input_tokens: audio,
        output_tokens: output,
        ..Usage::default()
    })
}

/// The path of `what` at a provider whose chat is at `chat_path`.
pub(crate) fn path_beside(chat_path: &'static str, what: PassThrough) -> Cow<'static, str> {
    match chat_path.strip_suffix("/chat/completions") {
        None | Some("") => what.tail().into(),
        Some(prefix) => format!("{prefix}{}", what.tail()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    #[test]
    fn only_the_models_name_changes() {
        let body = br#"{ "prompt":"a\u0062", "model" : "pic", "n":1.0, "new_field":{"x":[1e3]} }"#;
        let endpoint = Endpoint::PassThrough(PassThrough::ImageGenerations);
        let request = ModelRequest::parse(endpoint, Bytes::from_static(body));
        assert_eq!(request.expect_err("1.0 is no count").param.as_deref(), Some("n"));
        let body = br#"{ "prompt":"a\u0062", "model" : "pic", "n":2, "new_field":{"x":[1e3]} }"#;
        let request = ModelRequest::parse(endpoint, Bytes::from_static(body)).expect("a request");
        let options = EncodeOptions {
            upstream_model: "gpt-image-1",
            ..EncodeOptions::default()
        };
        let (sent, dropped) = encode(&request, &options).expect("it can be sent");
        assert_eq!(
            sent,
            r#"{ "prompt":"a\u0062", "model" : "gpt-image-1", "n":2, "new_field":{"x":[1e3]} }"#
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn a_moderation_may_name_no_model_and_a_picture_must() {
        let parse = |what| ModelRequest::parse(Endpoint::PassThrough(what), Bytes::from_static(br#"{"input":"x"}"#));
        assert_eq!(parse(PassThrough::Moderations).expect("a request").model, "");
        assert_eq!(parse(PassThrough::Speech).expect_err("no model").code, "missing_field");
    }

    #[test]
    fn usage_is_read_from_the_end_of_an_answer() {
        let end = br#"aaaa"}],"usage":{"total_tokens":30,"input_tokens":10,"output_tokens":20,"input_tokens_details":{"image_tokens":4,"text_tokens":6}}}"#;
        let read = usage(PassThrough::ImageGenerations, end, 1).expect("usage");
        assert_eq!((read.input_tokens, read.output_tokens, read.images), (10, 20, 0));
        let audio = br#"{"text":"x","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},"output_tokens":5}}"#;
        let read = usage(PassThrough::Transcriptions, audio, 1).expect("usage");
        assert_eq!(
            (read.audio_input_tokens, read.input_tokens, read.output_tokens),
            (14, 0, 5)
        );
        let seconds = br#"{"text":"x","usage":{"type":"duration","seconds":3}}"#;
        assert_eq!(usage(PassThrough::Transcriptions, seconds, 1), None);
        let pictures = usage(PassThrough::ImageGenerations, br#"{"data":[{},{}]}"#, 2).expect("pictures");
        assert_eq!((pictures.images, pictures.total_input_tokens()), (2, 0));
    }
}
