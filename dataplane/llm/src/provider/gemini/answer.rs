//! Answers, whole or as the records that a stream is made of: both have one shape.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::failure;
use super::signature;
use super::usage::WireUsage;
use crate::hub::{Answer, Choice, FinishReason, Output};
use crate::provider::issuer::Issuer;
use crate::translate::WireFailure;

/// A `GenerateContentResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record<'a> {
    pub(super) response_id: Option<String>,
    pub(super) model_version: Option<String>,
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    pub(super) prompt_feedback: Option<PromptFeedback>,
    pub(super) usage_metadata: Option<WireUsage>,
}

/// One choice, or more of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    pub(super) finish_reason: Option<String>,
    pub(super) finish_message: Option<String>,
    #[serde(borrow)]
    logprobs_result: Option<LogprobsResult<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<WirePart<'a>>>,
}

/// A part; which members it has is its type. Parts of the provider's own tools are for nobody here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePart<'a> {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    thought_signature: Option<String>,
    #[serde(borrow)]
    function_call: Option<FunctionCall<'a>>,
    inline_data: Option<Blob>,
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    id: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    data: String,
}

/// Why the prompt was not answered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptFeedback {
    block_reason: Option<String>,
    block_reason_message: Option<String>,
}

impl PromptFeedback {
    /// The words to the prompt that was blocked; `None`: it was not.
    pub(super) fn refusal(self) -> Option<String> {
        self.block_reason
            .map(|reason| self.block_reason_message.unwrap_or_else(|| blocked(&reason)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogprobsResult<'a> {
    #[serde(borrow, default)]
    chosen_candidates: Vec<Token<'a>>,
    #[serde(borrow, default)]
    top_candidates: Vec<TopCandidates<'a>>,
}

#[derive(Deserialize)]
struct TopCandidates<'a> {
    #[serde(borrow, default)]
    candidates: Vec<Token<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token<'a> {
    #[serde(default)]
    token: String,
    #[serde(borrow)]
    log_probability: Option<&'a RawValue>,
}

/// Reads a whole answer.
pub(in crate::provider) fn read(body: &[u8], issuer: Issuer) -> Result<Answer, WireFailure> {
    let record = parse(body)?;
    let candidates = record.candidates.unwrap_or_default();
    let mut taken: Vec<u32> = candidates.iter().filter_map(|candidate| candidate.index).collect();
    let mut choices: Vec<Choice> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        choices.push(choice(candidate, &mut taken, issuer));
    }
    if choices.is_empty() {
        let refusal = record.prompt_feedback.and_then(PromptFeedback::refusal);
        let refusal = refusal.ok_or_else(|| WireFailure::protocol("the answer has no candidates"))?;
        choices.push(Choice {
            index: 0,
            output: vec![Output::Refusal(refusal)],
            finish_reason: FinishReason::ContentFilter,
            logprobs: None,
        });
    }
    choices.sort_by_key(|choice| choice.index);
    Ok(Answer {
        id: record.response_id,
        model: record.model_version,
        created_unix_seconds: None,
        choices,
        usage: record.usage_metadata.map(|usage| usage.read()),
    })
}

/// Reads a record, or the error in its place.
pub(super) fn parse(json: &[u8]) -> Result<Record<'_>, WireFailure> {
    if let Some(error) = failure::parse(json) {
        return Err(failure::unannounced(error));
    }
    let is_object = json.trim_ascii_start().first() == Some(&b'{'); // serde takes a list for one as well
    let record = serde_json::from_slice(json).ok().filter(|_| is_object);
    record.ok_or_else(|| WireFailure::protocol("the answer is not of generateContent's form"))
}

/// An index of zero is left out by the provider; where several are missing, they count on.
fn choice(mut candidate: Candidate<'_>, taken: &mut Vec<u32>, issuer: Issuer) -> Choice {
    let index = candidate.index.unwrap_or_else(|| {
        let free = (0..=u32::MAX).find(|index| !taken.contains(index)).unwrap_or_default();
        taken.push(free);
        free
    });
    let logprobs = candidate.logprobs();
    let mut output = candidate.output(issuer);
    let calls = output.iter().any(|output| matches!(output, Output::ToolCall { .. }));
    let end = End::of(candidate.finish_reason.as_deref(), candidate.finish_message);
    let finish_reason = end.reason(calls);
    output.extend(end.words);
    Choice {
        index,
        output,
        finish_reason,
        logprobs,
    }
}

impl Candidate<'_> {
    /// What came out.
    pub(super) fn output(&mut self, issuer: Issuer) -> Vec<Output> {
        let content = self.content.take();
        let parts = content.and_then(|content| content.parts).unwrap_or_default();
        parts
            .into_iter()
            .flat_map(|part| part.output(issuer))
            .flatten()
            .collect()
    }

    /// `logprobs` in `OpenAI`'s form.
    pub(super) fn logprobs(&self) -> Option<Box<RawValue>> {
        let result = self.logprobs_result.as_ref()?;
        let tops = result.top_candidates.iter().map(|top| top.candidates.as_slice());
        let content = result
            .chosen_candidates
            .iter()
            .zip(tops.chain(std::iter::repeat(&[][..])));
        let content = content.map(|(token, top)| ChosenToken {
            token: TokenLogprob::of(token),
            top_logprobs: top.iter().map(TokenLogprob::of).collect(),
        });
        let logprobs = Logprobs {
            content: content.collect(),
            refusal: (),
        };
        let json = serde_json::value::to_raw_value(&logprobs);
        Some(json.expect("structs with text for keys can always be written as JSON"))
    }
}

#[derive(Serialize)]
struct Logprobs<'a> {
    content: Vec<ChosenToken<'a>>,
    refusal: (),
}

#[derive(Serialize)]
struct ChosenToken<'a> {
    #[serde(flatten)]
    token: TokenLogprob<'a>,
    top_logprobs: Vec<TokenLogprob<'a>>,
}

#[derive(Serialize)]
struct TokenLogprob<'a> {
    token: &'a str,
    logprob: &'a RawValue,
    /// In UTF-8, whatever the provider counts in.
    bytes: &'a [u8],
}

impl<'a> TokenLogprob<'a> {
    fn of(token: &'a Token<'_>) -> Self {
        // A number of zero is left out by the provider.
        let zero = || serde_json::from_str("0.0").expect("a number is JSON");
        Self {
            token: &token.token,
            logprob: token.log_probability.unwrap_or_else(zero),
            bytes: token.token.as_bytes(),
        }
    }
}

impl WirePart<'_> {
    /// What a part says, and the proof that stands on it, where it stands on no call.
    fn output(self, issuer: Issuer) -> [Option<Output>; 2] {
        let signature = self.thought_signature.filter(|signature| !signature.is_empty());
        let marked = |signature: Option<String>| signature.map(|text| issuer.marked(&text));
        let proof = |signature| marked(signature).map(|data| Output::RedactedReasoning { data });
        if let Some(call) = self.function_call {
            let call = Output::ToolCall {
                id: call.id.unwrap_or_default(),
                name: call.name,
                arguments: call.args.map_or_else(|| "{}".to_owned(), |args| args.get().to_owned()),
                signature: signature.map(|text| signature::of_call(text, issuer)),
            };
            return [Some(call), None];
        }
        match (self.text, self.inline_data) {
            (Some(text), _) if self.thought => {
                let signature = marked(signature);
                [Some(Output::Reasoning { text, signature }), None]
            }
            (Some(text), _) => [Some(Output::Text(text)), proof(signature)],
            // Pictures among thoughts are drafts.
            (None, Some(Blob { mime_type, data })) if !self.thought => {
                let media = Output::Media {
                    mime_type,
                    base64: data,
                };
                [Some(media), proof(signature)]
            }
            (None, _) => [None, proof(signature)],
        }
    }
}

/// How a choice ended.
#[derive(Debug)]
pub(super) struct End {
    reason: FinishReason,
    /// What the provider says about it, where it is not what an answer ends with.
    pub(super) words: Option<Output>,
}

impl End {
    /// What a reason means. One that nobody knows ended the choice in some way, and the answer stands.
    pub(super) fn of(reason: Option<&str>, message: Option<String>) -> Self {
        let word = reason.unwrap_or("STOP");
        let (reason, words) = match word {
            "MAX_TOKENS" | "CONTINUATION" => (FinishReason::Length, None),
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "ESCALATION"
            | "PUP_LIMITED_DISABLED"
            | "MODEL_ARMOR" => (FinishReason::ContentFilter, message.map(Output::Refusal)),
            "MALFORMED_FUNCTION_CALL"
            | "UNEXPECTED_TOOL_CALL"
            | "TOO_MANY_TOOL_CALLS"
            | "MALFORMED_RESPONSE"
            | "MISSING_THOUGHT_SIGNATURE"
            | "NO_IMAGE"
            | "IMAGE_OTHER" => (
                FinishReason::Stop,
                Some(Output::Text(message.unwrap_or_else(|| broken(word)))),
            ),
            _ => (FinishReason::Stop, None), // STOP, OTHER, FINISH_REASON_UNSPECIFIED
        };
        Self { reason, words }
    }

    /// The reason for the client: agents look for `tool_calls` and not at what was called. What was blocked stays blocked.
    pub(super) fn reason(&self, calls: bool) -> FinishReason {
        match self.reason {
            FinishReason::ContentFilter => FinishReason::ContentFilter,
            _ if calls => FinishReason::ToolCalls,
            reason => reason,
        }
    }
}

fn broken(reason: &str) -> String {
    format!("The model did not finish its answer ({reason}).")
}

fn blocked(reason: &str) -> String {
    format!("The prompt was blocked by the model's provider ({reason}).")
}
