//! Whole answers from the hub, as `OpenAI`'s schema has them: keys that it requires are written where they are null.
//!
//! Thoughts go out in `reasoning_content`, which people read, and in `reasoning_details`, which a client hands back as it
//! is: signatures survive a tool loop without the client knowing what they are.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::hub::{Answer, Choice, Output};
use crate::provider::AnswerContext;
use crate::usage::Usage;

/// The body of a `chat.completion`.
pub fn body(answer: &Answer, context: &AnswerContext<'_>) -> Bytes {
    let completion = Completion {
        id: &answer.id.clone().unwrap_or_else(|| answer_id(context)),
        object: "chat.completion",
        created: answer.created_unix_seconds.unwrap_or(context.now_unix_seconds),
        model: answer.model.as_deref().unwrap_or(context.requested_model),
        choices: answer.choices.iter().map(WireChoice::of).collect(),
        usage: answer.usage.as_ref().map(WireUsage::of),
    };
    serde_json::to_vec(&completion)
        .expect("structs can always be written as JSON")
        .into()
}

/// The id of an answer whose provider gave none.
pub(super) fn answer_id(context: &AnswerContext<'_>) -> String {
    format!("chatcmpl-{}", bare_id(context))
}

pub(in crate::dialect) fn bare_id<'a>(context: &AnswerContext<'a>) -> &'a str {
    context.id.strip_prefix("chatcmpl-").unwrap_or(context.id)
}

#[derive(Serialize)]
struct Completion<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct WireChoice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<&'a RawValue>,
    finish_reason: &'static str,
}

#[derive(Default, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<ReasoningDetail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image>,
}

/// An entry of `reasoning_details`, whole or a piece of one.
#[derive(Serialize)]
pub(super) struct ReasoningDetail<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    index: usize,
}

impl<'a> ReasoningDetail<'a> {
    pub(super) fn text(index: usize, text: Option<&'a str>, signature: Option<&'a str>) -> Self {
        Self {
            r#type: "reasoning.text",
            text,
            signature,
            data: None,
            index,
        }
    }

    pub(super) fn encrypted(index: usize, data: &'a str) -> Self {
        Self {
            r#type: "reasoning.encrypted",
            text: None,
            signature: None,
            data: Some(data),
            index,
        }
    }
}

/// A tool call, whole or its beginning in a stream; only there it has an `index`.
#[derive(Serialize)]
pub(super) struct ToolCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    id: Cow<'a, str>,
    r#type: &'static str,
    function: Function<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct ExtraContent<'a> {
    google: Google<'a>,
}

#[derive(Serialize)]
struct Google<'a> {
    thought_signature: &'a str,
}

impl<'a> ToolCall<'a> {
    pub(super) fn new(
        index: Option<u32>,
        id: impl Into<Cow<'a, str>>,
        name: &'a str,
        arguments: &'a str,
        signature: Option<&'a str>,
    ) -> Self {
        let google = signature.map(|thought_signature| Google { thought_signature });
        Self {
            index,
            id: id.into(),
            r#type: "function",
            function: Function { name, arguments },
            extra_content: google.map(|google| ExtraContent { google }),
        }
    }
}

/// A picture of an answer. `OpenAI` has no place for one; this is the one that other gateways chose.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub(super) struct Image {
    r#type: &'static str,
    index: usize,
    image_url: ImageUrl,
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

impl Image {
    pub(super) fn new(index: usize, mime_type: &str, base64: &str) -> Self {
        Self {
            r#type: "image_url",
            index,
            image_url: ImageUrl {
                url: format!("data:{mime_type};base64,{base64}"),
            },
        }
    }
}

impl<'a> WireChoice<'a> {
    fn of(choice: &'a Choice) -> Self {
        let mut message = Message {
            role: "assistant",
            ..Message::default()
        };
        for output in &choice.output {
            message.add(output);
        }
        if message.content.is_none() && message.tool_calls.is_empty() && message.refusal.is_none() {
            message.content = Some(String::new()); // clients read null as a call of tools
        }
        Self {
            index: choice.index,
            message,
            logprobs: choice.logprobs.as_deref(),
            finish_reason: choice.finish_reason.as_str(),
        }
    }
}

impl<'a> Message<'a> {
    fn add(&mut self, output: &'a Output) {
        let append = |place: &mut Option<String>, text: &str| {
            if !text.is_empty() {
                place.get_or_insert_default().push_str(text);
            }
        };
        match output {
            Output::Text(text) => append(&mut self.content, text),
            Output::Refusal(text) => append(&mut self.refusal, text),
            Output::Reasoning { text, signature } => {
                append(&mut self.reasoning_content, text);
                let index = self.reasoning_details.len();
                self.reasoning_details
                    .push(ReasoningDetail::text(index, Some(text), signature.as_deref()));
            }
            Output::RedactedReasoning { data } => {
                self.reasoning_details
                    .push(ReasoningDetail::encrypted(self.reasoning_details.len(), data));
            }
            Output::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                self.tool_calls
                    .push(ToolCall::new(None, id, name, arguments, signature.as_deref()));
            }
            Output::Media { mime_type, base64 } => {
                self.images.push(Image::new(self.images.len(), mime_type, base64));
            }
        }
    }
}

/// Usage as `OpenAI` counts it: the details are parts of the totals. Two keys beside are Anthropic's, which clients of
/// Claude look for.
#[derive(Serialize)]
pub(in crate::dialect) struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
    #[serde(skip_serializing_if = "is_zero")]
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_creation_input_tokens: u64,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct PromptDetails {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    audio_tokens: u64,
}

#[derive(Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl WireUsage {
    pub(in crate::dialect) fn of(usage: &Usage) -> Self {
        let (prompt_tokens, completion_tokens) = (usage.total_input_tokens(), usage.total_output_tokens());
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached_input_tokens,
                cache_write_tokens: usage.total_cache_write_tokens(),
                audio_tokens: usage.audio_input_tokens,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning_tokens,
                audio_tokens: usage.audio_output_tokens,
            },
            cache_read_input_tokens: usage.cached_input_tokens,
            cache_creation_input_tokens: usage.total_cache_write_tokens(),
        }
    }
}
