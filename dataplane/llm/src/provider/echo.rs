//! Answers from inside: no account, no network. The quickstart and the tests use it, so it behaves as a server would:
//! `OpenAI`'s exact shapes, chunk by chunk, with usage, caps and tool calls. What it writes passes the same decoder as
//! the bytes of any other provider.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::openai_shaped::{EmbeddingRules, Inputs, Rules};
use crate::endpoint::Endpoint;
use crate::estimate;
use crate::request::ModelRequest;

mod embeddings;

pub(super) static ECHO: Rules = Rules {
    embeddings: Some(EmbeddingRules {
        inputs: Inputs::TextOrTokens,
        ..EmbeddingRules::PLAIN
    }),
    ..Rules::PLAIN
};

/// Longest answer in tokens, over all choices: an echo of a 32 MiB body, word by word, would be gigabytes of events.
const TOKENS_MAX: u64 = 8_192;
/// Longest piece in bytes that goes out as one event; a longer word is cut.
const PIECE_BYTES_MAX: usize = 64;

/// What is answered to a request for embeddings of something else than texts or tokens.
const MALFORMED_INPUT: &[u8] =
    br#"{"error":{"message":"`input` must be a string, a list of strings, a list of tokens, or a list of such lists","type":"invalid_request_error","param":"input","code":null}}"#;

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
/// decoder takes out. Embeddings are vectors of the texts' words.
pub fn answer(request: &ModelRequest, id: &str, created_unix_seconds: u64) -> EchoAnswer {
    if request.endpoint == Endpoint::Embeddings {
        let refused = || Bytes::from_static(MALFORMED_INPUT);
        return EchoAnswer::Whole(embeddings::answer(request).unwrap_or_else(refused));
    }
    let reply = Reply::to(request);
    let usage = Usage::of(request, &reply);
    let writer = Writer {
        id,
        created: created_unix_seconds,
        model: &request.model,
        choices: request.choices,
    };
    if request.stream {
        EchoAnswer::Stream(writer.stream(&reply, &usage))
    } else {
        EchoAnswer::Whole(writer.whole(&reply, &usage))
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
    fn to(request: &ModelRequest) -> Self {
        let messages: Vec<Message> = serde_json::from_slice(request.input()).unwrap_or_default();
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
        let (piece, behind) = rest.split_at(piece_length(rest));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

fn piece_length(text: &str) -> usize {
    let mut in_word = false;
    for (start, character) in text.char_indices() {
        let ends_word = in_word && character.is_whitespace();
        if ends_word || start + character.len_utf8() > PIECE_BYTES_MAX {
            return start;
        }
        in_word |= !character.is_whitespace();
    }
    text.len()
}

/// The tool that must be called: the one that is named, or the first if any will do.
fn demanded_tool(request: &ModelRequest) -> Option<String> {
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

/// What an answer and each of its chunks are, in the order in which `OpenAI` writes it.
#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    usage: Option<&'a Usage>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    #[serde(flatten)]
    said: Said<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Said<'a> {
    Message(WireMessage<'a>),
    Delta(WireMessage<'a>),
}

/// A message or a part of one. The outer `Option`: is the key written; the inner: is it null.
#[derive(Default, Serialize)]
#[expect(clippy::option_option, reason = "absent and null differ on the wire")]
struct WireMessage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Value; 1]>,
}

impl<'a> WireMessage<'a> {
    fn opening(content: Option<&'a str>) -> Self {
        Self {
            role: Some("assistant"),
            content: Some(content),
            refusal: Some(None),
            tool_calls: None,
        }
    }

    fn content(content: &'a str) -> Self {
        Self {
            content: Some(Some(content)),
            ..Self::default()
        }
    }

    fn tool_call(call: Value) -> Self {
        Self {
            tool_calls: Some([call]),
            ..Self::default()
        }
    }
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Usage {
    fn of(request: &ModelRequest, reply: &Reply) -> Self {
        let prompt_tokens = estimate::input_tokens(request);
        let completion_tokens = reply.output_tokens * u64::from(request.choices);
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
        }
    }
}

/// Writes a reply down.
struct Writer<'a> {
    id: &'a str,
    created: u64,
    model: &'a str,
    choices: u32,
}

impl Writer<'_> {
    fn whole(&self, reply: &Reply, usage: &Usage) -> Bytes {
        let text = match &reply.content {
            Content::Pieces(pieces) => Some(pieces.concat()),
            Content::ToolCall { .. } => None,
        };
        let choice = |index| {
            let mut message = WireMessage::opening(text.as_deref());
            if let Content::ToolCall { name } = &reply.content {
                let function = json!({ "name": name, "arguments": "{}" });
                let call = json!({ "id": self.tool_call_id(index), "type": "function", "function": function });
                message.tool_calls = Some([call]);
            }
            Choice {
                index,
                said: Said::Message(message),
                logprobs: None,
                finish_reason: Some(reply.finish_reason),
            }
        };
        let choices: Vec<Choice<'_>> = (0..self.choices).map(choice).collect();
        self.json("chat.completion", &choices, Some(usage)).into()
    }

    fn stream(&self, reply: &Reply, usage: &Usage) -> Vec<Bytes> {
        let mut events = Vec::new();
        for index in 0..self.choices {
            for delta in self.deltas(index, reply) {
                events.push(self.chunk(index, delta, None));
            }
            events.push(self.chunk(index, WireMessage::default(), Some(reply.finish_reason)));
        }
        events.push(event(&self.json("chat.completion.chunk", &[], Some(usage))));
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn deltas<'r>(&self, index: u32, reply: &'r Reply) -> Vec<WireMessage<'r>> {
        match &reply.content {
            Content::Pieces(pieces) => {
                let opening = WireMessage::opening(Some(""));
                let contents = pieces.iter().map(|piece| WireMessage::content(piece));
                std::iter::once(opening).chain(contents).collect()
            }
            Content::ToolCall { name } => {
                let function = json!({ "name": name, "arguments": "" });
                let id = self.tool_call_id(index);
                let call = json!({ "index": 0, "id": id, "type": "function", "function": function });
                let arguments = json!({ "index": 0, "function": { "arguments": "{}" } });
                vec![
                    WireMessage::opening(None),
                    WireMessage::tool_call(call),
                    WireMessage::tool_call(arguments),
                ]
            }
        }
    }

    fn chunk(&self, index: u32, delta: WireMessage<'_>, finish_reason: Option<&'static str>) -> Bytes {
        let choice = Choice {
            index,
            said: Said::Delta(delta),
            logprobs: None,
            finish_reason,
        };
        event(&self.json("chat.completion.chunk", &[choice], None))
    }

    fn json(&self, object: &'static str, choices: &[Choice<'_>], usage: Option<&Usage>) -> String {
        let envelope = Envelope {
            id: self.id,
            object,
            created: self.created,
            model: self.model,
            choices,
            usage,
        };
        serde_json::to_string(&envelope).expect("structs can always be written as JSON")
    }

    fn tool_call_id(&self, choice: u32) -> String {
        format!("call_{}_{choice}", self.id.strip_prefix("chatcmpl-").unwrap_or(self.id))
    }
}

fn event(data: &str) -> Bytes {
    format!("data: {data}\n\n").into()
}
