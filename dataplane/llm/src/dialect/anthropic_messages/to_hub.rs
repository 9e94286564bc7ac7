//! A Messages request into the hub, for providers that speak something else.
//!
//! Everything the dialect documents is read and checked here, so that an adapter meets no wrong type; a field that the hub
//! has no place for is kept as it was written. Text borrows from the body. Checked against the types of the released
//! `anthropic` SDK 2.14 (November 2026).

use std::borrow::Cow;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::openai_chat::to_hub::part::WireCache;
use crate::dialect::openai_chat::to_hub::{Text, raw};
use crate::endpoint::Endpoint;
use crate::hub::Request;
use crate::json::{self, Kind};
use crate::request::{BadRequest, ModelRequest};

mod block;
mod message;
mod place;
mod settings;
mod source;
mod tools;

use place::{missing, typed};
use settings::Thinking;

/// Fields that were read when the request was parsed, or that counting tokens has no use for.
const READ_BEFORE: [&str; 3] = ["model", "stream", "max_tokens"];

/// Fields that have a place in the hub; see [`Reader::field`].
const READ_HERE: [&str; 15] = [
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "metadata",
    "service_tier",
    "cache_control",
    "mcp_servers",
    "inference_geo",
];

/// Reads a request that was parsed.
pub fn read(request: &ModelRequest) -> Result<Request<'_>, BadRequest> {
    let body = std::str::from_utf8(&request.body).expect("parse refuses a body that is not UTF-8");
    let mut reader = Reader {
        request: Request {
            model: Cow::Borrowed(&request.model),
            max_output_tokens: output_cap(request)?,
            choices: 1,
            stream: request.stream,
            include_usage: true, // a stream of this dialect always tells it
            ..Request::default()
        },
        thinking: Thinking::default(),
        cache_control: None,
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
    reader.finish()
}

/// `max_tokens`, which the dialect demands wherever there is an answer.
fn output_cap(request: &ModelRequest) -> Result<Option<u64>, BadRequest> {
    match request.max_output_tokens {
        _ if request.endpoint == Endpoint::CountTokens => Ok(None),
        None => Err(missing("max_tokens")),
        Some(0) => {
            // It fills a prompt cache that only the dialect's own provider has.
            let message = "`max_tokens` must be at least 1 with this model's provider".to_owned();
            Err(BadRequest::invalid("max_tokens", message))
        }
        cap => Ok(cap),
    }
}

struct Reader<'a> {
    request: Request<'a>,
    thinking: Thinking,
    cache_control: Option<WireCache<'a>>,
    seen: u32, // one bit for each of READ_HERE
}

impl<'a> Reader<'a> {
    fn member(&mut self, key: &'a str, value: &'a str) -> Result<(), BadRequest> {
        let name = json::string_value(key.as_bytes()).expect("the key of a member is a string");
        if READ_BEFORE.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Ok(()); // other spellings of these were refused then
        }
        if let Some(index) = READ_HERE.iter().position(|known| known.eq_ignore_ascii_case(&name)) {
            let known = READ_HERE[index];
            if name != known || self.seen & 1 << index != 0 {
                return Err(BadRequest::repeated(known));
            }
            self.seen |= 1 << index;
            return match json::kind(value.as_bytes()) {
                Kind::Null => Ok(()), // as good as absent
                _ => self.field(known, value),
            };
        }
        if json::kind(value.as_bytes()) != Kind::Null {
            self.request.other.push((name, raw(value)));
        }
        Ok(())
    }

    fn field(&mut self, name: &'static str, value: &'a str) -> Result<(), BadRequest> {
        let request = &mut self.request;
        match name {
            "messages" => message::read(value, request)?,
            "system" => message::system(value, request)?,
            "tools" => tools::tools(value, request)?,
            "tool_choice" => tools::tool_choice(value, request)?,
            "thinking" => self.thinking.read_config(value, request)?,
            "output_config" => self.thinking.read_output_config(value, request)?,
            "stop_sequences" => {
                let texts: Vec<Text<'a>> = typed(name, value)?;
                request.stop = texts.into_iter().map(|Text(text)| text).collect();
            }
            "temperature" => request.tuning.temperature = Some(number(name, value)?),
            "top_p" => request.tuning.top_p = Some(number(name, value)?),
            "top_k" => request.tuning.top_k = Some(number(name, value)?),
            "metadata" => request.user = user(value)?,
            "service_tier" => request.other.push(service_tier(value)),
            "cache_control" => self.cache_control = Some(typed(name, value)?),
            "mcp_servers" if value.bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(*b"[]") => {}
            "mcp_servers" => return Err(impossible(name, "its tools cannot be reached from there; leave it out")),
            "inference_geo" => return Err(impossible(name, "no place can be promised there; leave it out")),
            other => unreachable!("{other} is not read here"),
        }
        Ok(())
    }

    /// A mark at the top means the end of the last block.
    fn finish(mut self) -> Result<Request<'a>, BadRequest> {
        self.request.reasoning = self.thinking.reasoning();
        if let Some(cache) = self.cache_control {
            let cache = cache.read(|| "the request".to_owned())?;
            let mut parts = self
                .request
                .turns
                .iter_mut()
                .rev()
                .flat_map(|turn| turn.parts.iter_mut().rev());
            if let Some(end) = parts.find_map(block::cache_of) {
                *end = end.or(Some(cache));
            }
        }
        Ok(self.request)
    }
}

fn number<'a>(name: &str, value: &'a str) -> Result<&'a RawValue, BadRequest> {
    match json::kind(value.as_bytes()) {
        Kind::Number => Ok(raw(value)),
        _ => Err(BadRequest::wrong_type(name, "a number")),
    }
}

fn user(value: &str) -> Result<Option<Cow<'_, str>>, BadRequest> {
    #[derive(Deserialize)]
    #[serde(expecting = "an object")]
    struct Metadata<'a> {
        #[serde(borrow)]
        user_id: Option<Text<'a>>,
    }
    let metadata: Metadata<'_> = typed("metadata", value)?;
    Ok(metadata.user_id.map(|text| text.0))
}

/// The tier in the hub's words, which are `OpenAI`'s.
fn service_tier(value: &str) -> (Cow<'static, str>, &RawValue) {
    let value = if value == "\"standard_only\"" {
        "\"default\""
    } else {
        value
    };
    (Cow::Borrowed("service_tier"), raw(value))
}

fn impossible(name: &str, why: &str) -> BadRequest {
    let message = format!("`{name}` is not possible with this model's provider: {why}");
    BadRequest::new("unsupported_parameter", Some(name), message)
}
