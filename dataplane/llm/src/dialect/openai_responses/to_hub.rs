//! A Responses request into the hub, for providers that speak something else.
//!
//! Everything the dialect documents is read and checked here, so that an adapter meets no wrong type; a field that the
//! hub has no place for is kept as it was written, under the name that chat has for it. Text borrows from the body. What
//! only `OpenAI` can do (stored state, tools that run there) is refused by name: left out, the answer would be another one.

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::openai_chat::to_hub::{Text, effort, number, raw, typed};
use crate::hub::{OutputFormat, Request, Turn};
use crate::json::{self, Kind};
use crate::request::{BadRequest, ModelRequest};

mod content;
mod item;
mod tools;

pub(super) use tools::{WireTool, wire_tools};

/// Fields that were found when the request was parsed; all but the first two are read at the end.
const FOUND_BEFORE: [&str; 8] = [
    "model",
    "stream",
    "input",
    "instructions",
    "max_output_tokens",
    "user",
    "tools",
    "tool_choice",
];

/// Fields that are read here; see [`Reader::field`].
const READ_HERE: [&str; 18] = [
    "parallel_tool_calls",
    "text",
    "reasoning",
    "temperature",
    "top_p",
    "top_logprobs",
    "include",
    "truncation",
    "metadata",
    "max_tool_calls",
    "stream_options",
    "store",
    "background",
    "background_options",
    "previous_response_id",
    "conversation",
    "prompt",
    "context_management",
];

/// Reads a request that was parsed.
pub(super) fn read(request: &ModelRequest) -> Result<Request<'_>, BadRequest> {
    let body = std::str::from_utf8(&request.body).expect("parse refuses a body that is not UTF-8");
    let mut reader = Reader {
        request: Request {
            model: Cow::Borrowed(&request.model),
            max_output_tokens: request.max_output_tokens,
            choices: 1,
            stream: request.stream,
            include_usage: true,
            user: request.user.as_deref().map(Cow::Borrowed),
            ..Request::default()
        },
        top_logprobs: None,
        seen: 0,
    };
    let mut result = Ok(());
    json::walk(body.as_bytes(), |member| {
        result = reader.member(&body[member.key], &body[member.value]);
        if result.is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .expect("parse refuses a body that is not JSON");
    result?;
    reader.finish(request)
}

struct Reader<'a> {
    request: Request<'a>,
    top_logprobs: Option<u32>,
    seen: u32, // one bit for each of READ_HERE
}

impl<'a> Reader<'a> {
    fn member(&mut self, key: &'a str, value: &'a str) -> Result<(), BadRequest> {
        let name = json::string_value(key.as_bytes()).expect("the key of a member is a string");
        if FOUND_BEFORE.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Ok(()); // other spellings of these were refused then
        }
        let is_null = json::kind(value.as_bytes()) == Kind::Null; // as good as absent
        if let Some(index) = READ_HERE.iter().position(|known| known.eq_ignore_ascii_case(&name)) {
            let known = READ_HERE[index];
            if name != known || self.seen & 1 << index != 0 {
                return Err(BadRequest::repeated(known));
            }
            self.seen |= 1 << index;
            return if is_null { Ok(()) } else { self.field(known, value) };
        }
        if !is_null {
            self.request.other.push((name, raw(value)));
        }
        Ok(())
    }

    fn field(&mut self, name: &'static str, value: &'a str) -> Result<(), BadRequest> {
        let request = &mut self.request;
        match name {
            "parallel_tool_calls" => request.parallel_tool_calls = Some(typed(name, value, "true or false")?),
            "text" => self.text(value)?,
            "reasoning" => self.reasoning(value)?,
            "temperature" => request.tuning.temperature = Some(number(name, value)?),
            "top_p" => request.tuning.top_p = Some(number(name, value)?),
            "top_logprobs" => self.top_logprobs = Some(typed(name, value, "a non-negative integer")?),
            "include" => request.tuning.logprobs = asks_for_logprobs(value)?,
            "metadata" if json::kind(value.as_bytes()) != Kind::Object => {
                return Err(BadRequest::wrong_type(name, "an object of texts"));
            }
            // The first is repeated in the answer; the others count tools that run at the provider, pad its events, and
            // say nothing without `background`.
            "metadata" | "max_tool_calls" | "stream_options" | "background_options" => {}
            "store" | "background" if value == "false" => {}
            "truncation" if value == "\"disabled\"" => {}
            "store" | "truncation" => request.other.push((name.into(), raw(value))),
            "context_management" => {
                let message =
                    "`context_management` is done where conversations are stored, which this model's provider \
                               does not do; leave it out, and shorten `input` when it grows too long"
                        .to_owned();
                return Err(BadRequest::new("unsupported_parameter", Some(name), message));
            }
            stateful => return Err(needs_storage(stateful)),
        }
        Ok(())
    }

    fn text(&mut self, value: &'a str) -> Result<(), BadRequest> {
        #[derive(Deserialize)]
        struct Config<'a> {
            #[serde(borrow)]
            format: Option<Format<'a>>,
            #[serde(borrow)]
            verbosity: Option<&'a RawValue>,
        }
        let config: Config<'_> = typed("text", value, "an object with `format`, whose `type` is a string")?;
        if let Some(format) = config.format {
            self.request.output_format = format.read()?;
        }
        if let Some(verbosity) = config.verbosity.filter(|json| json.get() != "null") {
            self.request.other.push(("verbosity".into(), verbosity));
        }
        Ok(())
    }

    /// `summary` needs nothing: what a provider shows of its thoughts is always in the answer.
    fn reasoning(&mut self, value: &'a str) -> Result<(), BadRequest> {
        #[derive(Deserialize)]
        struct Config<'a> {
            #[serde(borrow)]
            effort: Option<&'a RawValue>,
        }
        let config: Config<'_> = typed("reasoning", value, "an object")?;
        if let Some(word) = config.effort.filter(|json| json.get() != "null") {
            self.request.reasoning = Some(effort("reasoning.effort", word.get())?);
        }
        Ok(())
    }

    fn finish(mut self, parsed: &'a ModelRequest) -> Result<Request<'a>, BadRequest> {
        let text = |bytes| std::str::from_utf8(bytes).expect("parse refuses a body that is not UTF-8");
        let given = |value: &'a [u8]| (!value.is_empty() && value != b"null").then(|| text(value));
        let request = &mut self.request;
        if let Some(instructions) = given(parsed.instructions()) {
            let Text(instructions) = typed("instructions", instructions, "a string")?;
            request.instructions.push(hub_text(instructions));
        }
        let conversation = match given(parsed.input()) {
            Some(input) => item::read(input)?,
            None => return Err(missing("input")),
        };
        request.instructions.extend(conversation.instructions);
        request.turns = conversation.turns;
        if let Some(tools) = parsed.tools().and_then(given) {
            request.tools = tools::read(tools)?;
        }
        if let Some(choice) = parsed.tool_choice().and_then(given) {
            request.tool_choice = tools::choose(choice, &mut request.tools)?;
        }
        request.tuning.top_logprobs = self.top_logprobs.filter(|_| request.tuning.logprobs);
        Ok(self.request)
    }
}

/// `text.format`; the members of a schema stand in it, and not in an object of their own as in chat.
#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

impl<'a> Format<'a> {
    fn read(self) -> Result<OutputFormat<'a>, BadRequest> {
        match self.r#type.0.as_ref() {
            "text" => Ok(OutputFormat::Text),
            "json_object" => Ok(OutputFormat::JsonObject),
            "json_schema" => Ok(OutputFormat::JsonSchema {
                name: self.name.map_or(Cow::Borrowed("answer"), |name| name.0),
                schema: self.schema.ok_or_else(|| missing("text.format.schema"))?,
                strict: self.strict,
            }),
            _ => {
                let message = "`text.format.type` must be text, json_object or json_schema".to_owned();
                Err(BadRequest::invalid("text.format.type", message))
            }
        }
    }
}

/// Whether `include` names the log probabilities. Proofs of thoughts are always there, and the rest is about tools that
/// run at the provider, which are refused themselves.
pub(super) fn asks_for_logprobs(include: &str) -> Result<bool, BadRequest> {
    let names: Vec<Text<'_>> = typed("include", include, "an array of strings")?;
    Ok(names.iter().any(|name| name.0 == "message.output_text.logprobs"))
}

/// What the input comes to.
#[derive(Default)]
struct Conversation<'a> {
    instructions: Vec<crate::hub::Part<'a>>,
    turns: Vec<Turn<'a>>,
}

fn hub_text(text: Cow<'_, str>) -> crate::hub::Part<'_> {
    crate::hub::Part::text(text)
}

fn missing(name: &str) -> BadRequest {
    let message = format!("`{name}` is required; add it");
    BadRequest::new("missing_field", Some(name), message)
}

fn needs_storage(name: &str) -> BadRequest {
    let message = format!(
        "`{name}` needs what OpenAI stores, and this model's provider has nothing of it; leave it out and send the \
         whole conversation in `input`"
    );
    BadRequest::new("unsupported_parameter", Some(name), message)
}
