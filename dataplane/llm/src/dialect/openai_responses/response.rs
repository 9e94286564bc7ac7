//! The response object: what the request asked for, repeated, and what came of it. Every key that the SDK's type demands
//! is there, and those that clients in other languages demand are there as null.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::item::Item;
use super::to_hub::{WireTool, wire_tools};
use super::usage::WireUsage;
use crate::hub::FinishReason;
use crate::json::{self, Kind, Repeats};
use crate::provider::AnswerContext;
use crate::request::ModelRequest;
use crate::usage::Usage;

/// What does not change while an answer is made.
pub(super) struct Response {
    /// The part of the id that is the request's.
    pub(super) bare_id: String,
    id: String,
    pub(super) created_at: u64,
    pub(super) model: String,
    echo: Echo,
    /// Whether `include` asked for log probabilities.
    pub(super) wants_logprobs: bool,
}

/// How far a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    InProgress,
    Ended(FinishReason),
}

#[derive(Serialize)]
struct Wire<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    background: bool,
    error: Option<()>,
    incomplete_details: Option<IncompleteDetails>,
    #[serde(flatten)]
    echo: &'a Echo,
    model: &'a str,
    output: &'a [Item],
    previous_response_id: Option<()>,
    store: bool,
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct IncompleteDetails {
    reason: &'static str,
}

/// Members that are repeated from the request, as they were written.
#[derive(Serialize)]
struct Echo {
    instructions: Option<Box<RawValue>>,
    max_output_tokens: Option<Box<RawValue>>,
    max_tool_calls: Option<Box<RawValue>>,
    metadata: Box<RawValue>,
    parallel_tool_calls: Box<RawValue>,
    prompt_cache_key: Option<Box<RawValue>>,
    reasoning: Box<RawValue>,
    safety_identifier: Option<Box<RawValue>>,
    temperature: Option<Box<RawValue>>,
    text: Box<RawValue>,
    tool_choice: Box<RawValue>,
    tools: Box<RawValue>,
    top_logprobs: Box<RawValue>,
    top_p: Option<Box<RawValue>>,
    truncation: Box<RawValue>,
    user: Option<Box<RawValue>>,
}

/// In the order of [`Echo`]; `include` is not repeated, but tells whether log probabilities are.
const NAMES: [&str; 17] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "include",
];

impl Response {
    /// The answer to one request.
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        let members = Members::of(context.request);
        let include = members.text("include");
        Self {
            bare_id: context.id.to_owned(),
            id: format!("resp_{}", context.id),
            created_at: context.now_unix_seconds,
            model: context.requested_model.to_owned(),
            wants_logprobs: include.is_some_and(|json| super::to_hub::asks_for_logprobs(json).unwrap_or(false)),
            echo: Echo::of(&members),
        }
    }

    /// The object, as JSON.
    pub(super) fn json(&self, outcome: Outcome, output: &[Item], usage: Option<&Usage>) -> Box<RawValue> {
        let reason = match outcome {
            Outcome::Ended(FinishReason::Length) => Some("max_output_tokens"),
            Outcome::Ended(FinishReason::ContentFilter) => Some("content_filter"),
            Outcome::Ended(FinishReason::Stop | FinishReason::ToolCalls) | Outcome::InProgress => None,
        };
        let wire = Wire {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            status: match (outcome, reason) {
                (Outcome::InProgress, _) => "in_progress",
                (Outcome::Ended(_), None) => "completed",
                (Outcome::Ended(_), Some(_)) => "incomplete",
            },
            background: false,
            error: None,
            incomplete_details: reason.map(|reason| IncompleteDetails { reason }),
            echo: &self.echo,
            model: &self.model,
            output,
            previous_response_id: None,
            store: false,
            usage: usage.map(WireUsage::of),
        };
        to_raw_value(&wire).expect("structs with text for keys can always be written as JSON")
    }
}

/// The members of a request that are repeated, by name.
struct Members<'r> {
    body: &'r str,
    found: [Option<json::Member>; NAMES.len()],
}

impl<'r> Members<'r> {
    fn of(request: Option<&'r ModelRequest>) -> Self {
        let body = request.map_or(&b""[..], |request| &request.body);
        let mut found = [const { None }; NAMES.len()];
        // The body was validated when it was parsed; without one there is nothing to find.
        let _ = json::find_fields(body, &NAMES, Repeats::TakeLast, &mut found);
        Self {
            body: std::str::from_utf8(body).unwrap_or_default(),
            found,
        }
    }

    /// As it was written; null is as good as absent.
    fn text(&self, name: &str) -> Option<&'r str> {
        let index = NAMES.iter().position(|known| *known == name)?;
        let value = &self.body[self.found[index].as_ref()?.value.clone()];
        (json::kind(value.as_bytes()) != Kind::Null).then_some(value)
    }

    fn given(&self, name: &str) -> Option<Box<RawValue>> {
        self.text(name).map(raw)
    }

    fn or(&self, name: &str, default: &str) -> Box<RawValue> {
        raw(self.text(name).unwrap_or(default))
    }
}

impl Echo {
    fn of(members: &Members<'_>) -> Self {
        Self {
            instructions: members.given("instructions"),
            max_output_tokens: members.given("max_output_tokens"),
            max_tool_calls: members.given("max_tool_calls"),
            metadata: members.or("metadata", "{}"),
            parallel_tool_calls: members.or("parallel_tool_calls", "true"),
            prompt_cache_key: members.given("prompt_cache_key"),
            reasoning: members.or("reasoning", r#"{"effort":null,"summary":null}"#),
            safety_identifier: members.given("safety_identifier"),
            temperature: members.given("temperature"),
            text: text(members),
            tool_choice: members.or("tool_choice", "\"auto\""),
            tools: tools(members),
            top_logprobs: members.or("top_logprobs", "0"),
            top_p: members.given("top_p"),
            truncation: members.or("truncation", "\"disabled\""),
            user: members.given("user"),
        }
    }
}

/// `text` always tells its format.
fn text(members: &Members<'_>) -> Box<RawValue> {
    const PLAIN: &str = r#""format":{"type":"text"}"#;
    let Some(text) = members.text("text") else {
        return raw(&format!("{{{PLAIN}}}"));
    };
    let mut format = [None];
    let found = json::find_fields(text.as_bytes(), &["format"], Repeats::TakeLast, &mut format);
    if found.is_err() || format[0].is_some() {
        return raw(text);
    }
    let rest = text[1..].trim_ascii_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    raw(&format!("{{{PLAIN}{comma}{rest}"))
}

/// Functions with every key that their type demands, whichever the client left out.
fn tools(members: &Members<'_>) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Function<'a> {
        r#type: &'static str,
        name: &'a str,
        description: Option<&'a str>,
        parameters: Option<&'a RawValue>,
        strict: Option<bool>,
    }
    let tools = members.text("tools").and_then(|tools| wire_tools(tools).ok());
    let tools: Vec<WireTool<'_>> = tools.unwrap_or_default();
    let functions: Vec<_> = tools
        .iter()
        .map(|tool| Function {
            r#type: "function",
            name: tool.name.as_ref().map_or("", |name| name.0.as_ref()),
            description: tool.description.as_ref().map(|text| text.0.as_ref()),
            parameters: tool.parameters,
            strict: tool.strict,
        })
        .collect();
    to_raw_value(&functions).expect("structs can always be written as JSON")
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("a member of a valid document is valid")
}
