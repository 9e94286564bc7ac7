//! Whole answers and errors of the Responses API.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::signature::Signature;
use crate::dialect::openai_responses::answer::failed;
use crate::dialect::openai_responses::usage;
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::provider::issuer::Issuer;
use crate::translate::WireFailure;
use crate::usage::Usage;

/// A response, whole or as it stands in the events of a stream.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    created_at: Option<f64>,
    status: Option<String>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    incomplete_details: Option<IncompleteDetails>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct IncompleteDetails {
    reason: Option<String>,
}

/// An item; which members it has, its type says.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(borrow, default)]
    content: Option<Vec<Part<'a>>>,
    #[serde(default)]
    summary: Option<Vec<Words>>,
    #[serde(default)]
    pub(super) encrypted_content: Option<String>,
    #[serde(default)]
    pub(super) call_id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) arguments: Option<String>,
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    output_format: Option<String>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Part<'a> {
    r#type: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(borrow, default)]
    logprobs: Option<Vec<&'a RawValue>>,
}

/// Reads a whole answer.
pub(super) fn response(body: &[u8], issuer: Issuer) -> Result<Answer, WireFailure> {
    let response: Response<'_> =
        serde_json::from_slice(body).map_err(|_| WireFailure::protocol("the answer is not a response object"))?;
    if !response.is_over() {
        return Err(response.failure());
    }
    let usage = response.usage();
    let mut output = Vec::new();
    let mut tokens = Vec::new();
    for json in response.output.iter().flatten() {
        if let Some(item) = Item::of(json)? {
            item.read(issuer, &mut output, &mut tokens);
        }
    }
    let calls = output.iter().any(|output| matches!(output, Output::ToolCall { .. }));
    let finish_reason = response.finish_reason(calls);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float is cut to the range of the integer"
    )]
    let created_unix_seconds = response.created_at.map(|seconds| seconds as u64);
    Ok(Answer {
        id: response.id,
        model: response.model,
        created_unix_seconds,
        choices: vec![Choice {
            index: 0,
            output,
            finish_reason,
            logprobs: logprobs(&tokens),
        }],
        usage,
    })
}

impl Response<'_> {
    /// Whether there is an answer; a server that knows no status gives none but finished ones.
    fn is_over(&self) -> bool {
        match self.status.as_deref() {
            Some(status) => matches!(status, "completed" | "incomplete"),
            None => self.output.is_some(),
        }
    }

    /// Why an answer that is over has ended; `calls`: it holds calls of tools. What nobody knows ended it in some way, and
    /// the answer stands.
    pub(super) fn finish_reason(&self, calls: bool) -> FinishReason {
        let reason = self
            .incomplete_details
            .as_ref()
            .and_then(|details| details.reason.as_deref());
        match (self.status.as_deref(), reason) {
            (Some("incomplete"), Some("content_filter")) => FinishReason::ContentFilter,
            (Some("incomplete"), None | Some("max_output_tokens")) => FinishReason::Length,
            _ if calls => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.and_then(|usage| usage::read(usage.get().as_bytes()))
    }

    /// What a response that has no answer says.
    pub(super) fn failure(&self) -> WireFailure {
        let error = self.error.map(RawValue::get).filter(|error| *error != "null");
        if error.is_none() && self.status.as_deref() != Some("failed") {
            return WireFailure::protocol("the answer is a response that is not over");
        }
        failed(error.map(str::as_bytes))
    }
}

impl<'a> Item<'a> {
    /// `None`: one of the provider's own tools, which are for nobody here.
    pub(super) fn of(json: &'a RawValue) -> Result<Option<Self>, WireFailure> {
        #[derive(Deserialize)]
        struct Kind<'k> {
            #[serde(borrow)]
            r#type: Cow<'k, str>,
        }
        let unreadable = |_| WireFailure::protocol("an item of the output is none of the dialect");
        let kind: Kind<'_> = serde_json::from_str(json.get()).map_err(unreadable)?;
        match kind.r#type.as_ref() {
            "message" | "reasoning" | "function_call" | "image_generation_call" => {
                serde_json::from_str(json.get()).map(Some).map_err(unreadable)
            }
            _ => Ok(None),
        }
    }

    fn read(self, issuer: Issuer, output: &mut Vec<Output>, tokens: &mut Vec<&'a RawValue>) {
        match self.r#type.as_str() {
            "message" => {
                for part in self.content.unwrap_or_default() {
                    match (part.r#type.as_str(), part.text, part.refusal) {
                        ("output_text", Some(text), _) => output.push(Output::Text(text)),
                        ("refusal", _, Some(text)) => output.push(Output::Refusal(text)),
                        _ => {}
                    }
                    tokens.extend(part.logprobs.unwrap_or_default());
                }
            }
            "reasoning" => {
                let calls = output.iter().filter(|output| matches!(output, Output::ToolCall { .. }));
                let signature = self.signature(issuer, calls.count());
                let text = self.thought();
                if !text.is_empty() || signature.is_some() {
                    output.push(Output::Reasoning { text, signature });
                }
            }
            "function_call" => output.push(Output::ToolCall {
                id: self.call_id.unwrap_or_default(),
                name: self.name.unwrap_or_default(),
                // A tool without parameters may be called without any; clients parse them all the same.
                arguments: self
                    .arguments
                    .filter(|text| !text.is_empty())
                    .unwrap_or_else(|| "{}".to_owned()),
                signature: None,
            }),
            "image_generation_call" => {
                let format = self.output_format.unwrap_or_else(|| "png".to_owned());
                let media = self.result.map(|base64| Output::Media {
                    mime_type: format!("image/{format}"),
                    base64,
                });
                output.extend(media);
            }
            _ => {}
        }
    }

    /// What proves a thought, for its way through the hub.
    pub(super) fn signature(&self, issuer: Issuer, calls_before: usize) -> Option<String> {
        let encrypted_content = self.encrypted_content.as_deref().filter(|sealed| !sealed.is_empty())?;
        let id = self.id.as_deref().filter(|id| !id.is_empty())?;
        let signature = Signature {
            calls_before,
            id,
            encrypted_content,
        };
        Some(signature.write(issuer))
    }

    /// The summary, and where there is none the thought itself, which open models show.
    fn thought(&self) -> String {
        let summary = self.summary.as_deref().unwrap_or_default();
        let summary: Vec<&str> = summary.iter().map(|words| words.text.as_str()).collect();
        if !summary.is_empty() {
            return summary.join("\n\n");
        }
        let content = self.content.as_deref().unwrap_or_default();
        content.iter().filter_map(|part| part.text.as_deref()).collect()
    }
}

/// `logprobs` in chat's form; its tokens are those of this dialect.
pub(super) fn logprobs(tokens: &[&RawValue]) -> Option<Box<RawValue>> {
    #[derive(serde::Serialize)]
    struct Logprobs<'a> {
        content: &'a [&'a RawValue],
        refusal: Option<()>,
    }
    let logprobs = Logprobs {
        content: tokens,
        refusal: None,
    };
    let json = serde_json::value::to_raw_value(&logprobs).expect("structs can always be written as JSON");
    (!tokens.is_empty()).then_some(json)
}
