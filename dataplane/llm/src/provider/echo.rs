//! Answers from inside: no account, no network. The quickstart and the tests use it, so it behaves as a server would:
//! `OpenAI`'s exact shapes, chunk by chunk, with usage, caps and tool calls. What it writes passes the same decoder as
//! the bytes of any other provider.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::openai_shaped::Rules;
use crate::chat::ChatRequest;
use crate::estimate;

pub(super) static ECHO: Rules = Rules {
    default_base_url: None,
    chat_path: "/chat/completions",
    knows_only_max_tokens: false,
};

/// Longest answer in tokens, over all choices: an echo of a 32 MiB body, word by word, would be gigabytes of events.
const TOKENS_MAX: u64 = 8_192;
/// Longest piece in bytes that goes out as one event; a longer word is cut.
const PIECE_BYTES_MAX: usize = 64;

/// An answer in `OpenAI`'s shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EchoAnswer {
    /// A JSON body.
    Whole(Bytes),
    /// Server-sent events, `[DONE]` included, one each.
    Stream(Vec<Bytes>),
}

/// Answers with the text of the last user message, cut at the request's output cap; where `tool_choice` demands a tool,
/// with a call of it without arguments. A stream always ends with its usage: what the client did not ask for, the
/// decoder takes out.
pub fn answer(request: &ChatRequest, id: &str, created_unix_seconds: u64) -> EchoAnswer {
    let reply = Reply::to(request);
    let usage = Usage::of(request, &reply);
    let envelope = Envelope {
        id,
        created_unix_seconds,
        model: &request.model,
    };
    if request.stream {
        EchoAnswer::Stream(stream(&envelope, request.choices, &reply, &usage))
    } else {
        EchoAnswer::Whole(whole(&envelope, request.choices, &reply, &usage))
    }
}

/// What is said in each choice.
struct Reply {
    content: Content,
    finish_reason: &'static str,
    output_tokens: u64,
}

enum Content {
    Pieces(Vec<String>),
    ToolCall { name: String },
}

impl Reply {
    fn to(request: &ChatRequest) -> Self {
        let messages: Vec<Message> = serde_json::from_slice(request.messages()).unwrap_or_default();
        // A tool's result is the end of the loop, else a client with a fixed `tool_choice` would call for ever.
        let has_result = messages.last().is_some_and(|message| message.role == "tool");
        if let Some(name) = demanded_tool(request).filter(|_| !has_result) {
            let output_tokens = estimate::text_tokens(&name) + 1;
            return Self {
                content: Content::ToolCall { name },
                finish_reason: "tool_calls",
                output_tokens,
            };
        }
        let text = messages
            .iter()
            .rev()
            .find(|message| message.role == "user")
            .map(Message::text)
            .unwrap_or_default();
        let tokens_max = request
            .max_output_tokens
            .unwrap_or(u64::MAX)
            .min(TOKENS_MAX / u64::from(request.choices));
        Self::text(&text, tokens_max)
    }

    fn text(text: &str, tokens_max: u64) -> Self {
        let mut pieces = Vec::new();
        let mut output_tokens = 0;
        for piece in pieces_of(text) {
            let tokens = estimate::text_tokens(piece);
            if output_tokens + tokens > tokens_max {
                return Self {
                    content: Content::Pieces(pieces),
                    finish_reason: "length",
                    output_tokens,
                };
            }
            output_tokens += tokens;
            pieces.push(piece.to_owned());
        }
        Self {
            content: Content::Pieces(pieces),
            finish_reason: "stop",
            output_tokens,
        }
    }
}

/// Words, each with the white space before it.
fn pieces_of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let word_start = rest.find(|character: char| !character.is_whitespace())?;
        let word_end = rest[word_start..]
            .find(char::is_whitespace)
            .map_or(rest.len(), |length| word_start + length);
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(word_end.min(PIECE_BYTES_MAX)));
        rest = behind;
        Some(piece)
    })
}

/// The tool that must be called: the one that is named, or the first if any will do.
fn demanded_tool(request: &ChatRequest) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ToolChoice {
        Word(String),
        Tool(Tool),
    }
    let tools = || serde_json::from_slice::<Vec<Tool>>(request.tools()?).ok();
    match serde_json::from_slice(request.tool_choice()?).ok()? {
        ToolChoice::Tool(tool) => Some(tool.function.name),
        ToolChoice::Word(word) if word == "required" => Some(tools()?.into_iter().next()?.function.name),
        ToolChoice::Word(_) => None,
    }
}

#[derive(Deserialize)]
struct Tool {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
}

/// A message as far as it is read; whatever is missing or of another type is as if it were empty.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    role: String,
    #[serde(default)]
    content: Value,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
            _ => String::new(),
        }
    }
}

struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl Usage {
    fn of(request: &ChatRequest, reply: &Reply) -> Self {
        Self {
            prompt_tokens: estimate::input_tokens(request),
            completion_tokens: reply.output_tokens * u64::from(request.choices),
        }
    }

    fn json(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }
}

/// What an answer and each of its chunks begin with.
struct Envelope<'a> {
    id: &'a str,
    created_unix_seconds: u64,
    model: &'a str,
}

impl Envelope<'_> {
    fn json(&self, object: &str, choices: Value, usage: Value) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created_unix_seconds,
            "model": self.model,
            "choices": choices,
            "usage": usage,
        })
    }

    fn chunk(&self, choices: Value, usage: Value) -> Bytes {
        format!("data: {}\n\n", self.json("chat.completion.chunk", choices, usage)).into()
    }

    fn tool_call_id(&self, choice: u32) -> String {
        format!("call_{}_{choice}", self.id.strip_prefix("chatcmpl-").unwrap_or(self.id))
    }
}

fn whole(envelope: &Envelope<'_>, choices: u32, reply: &Reply, usage: &Usage) -> Bytes {
    let choice = |index| {
        let message = match &reply.content {
            Content::Pieces(pieces) => json!({ "role": "assistant", "content": pieces.concat(), "refusal": null }),
            Content::ToolCall { name } => json!({
                "role": "assistant",
                "content": null,
                "refusal": null,
                "tool_calls": [{
                    "id": envelope.tool_call_id(index),
                    "type": "function",
                    "function": { "name": name, "arguments": "{}" },
                }],
            }),
        };
        json!({ "index": index, "message": message, "logprobs": null, "finish_reason": reply.finish_reason })
    };
    let choices: Vec<Value> = (0..choices).map(choice).collect();
    envelope
        .json("chat.completion", choices.into(), usage.json())
        .to_string()
        .into()
}

fn stream(envelope: &Envelope<'_>, choices: u32, reply: &Reply, usage: &Usage) -> Vec<Bytes> {
    let mut events = Vec::new();
    for index in 0..choices {
        let mut push = |delta: Value, finish_reason: Option<&str>| {
            let choice = json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason });
            events.push(envelope.chunk(json!([choice]), Value::Null));
        };
        match &reply.content {
            Content::Pieces(pieces) => {
                push(json!({ "role": "assistant", "content": "", "refusal": null }), None);
                pieces.iter().for_each(|piece| push(json!({ "content": piece }), None));
            }
            Content::ToolCall { name } => {
                push(json!({ "role": "assistant", "content": null }), None);
                let id = envelope.tool_call_id(index);
                let call = json!({
                    "index": 0,
                    "id": id,
                    "type": "function",
                    "function": { "name": name, "arguments": "" },
                });
                push(json!({ "tool_calls": [call] }), None);
                push(
                    json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{}" } }] }),
                    None,
                );
            }
        }
        push(json!({}), Some(reply.finish_reason));
    }
    events.push(envelope.chunk(json!([]), usage.json()));
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}
