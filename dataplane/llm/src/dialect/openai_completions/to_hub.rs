//! A completion into the hub, for providers that have only chats.

use std::borrow::Cow;
use std::ops::ControlFlow;

use crate::dialect::openai_chat::to_hub::{number, raw, stop, typed};
use crate::hub::{Part, Request, Role, Turn};
use crate::json::{self, Kind};
use crate::request::{BadRequest, ModelRequest};

/// Fields that were read when the request was parsed.
const READ_BEFORE: [&str; 6] = ["model", "stream", "stream_options", "max_tokens", "n", "user"];

/// Fields that are read here; see [`Reader::field`].
const READ_HERE: [&str; 12] = [
    "prompt",
    "suffix",
    "echo",
    "best_of",
    "stop",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "logit_bias",
    "logprobs",
];

/// Reads a request that was parsed.
pub fn read(request: &ModelRequest) -> Result<Request<'_>, BadRequest> {
    let body = std::str::from_utf8(&request.body).expect("parse refuses a body that is not UTF-8");
    let mut reader = Reader {
        request: Request {
            model: Cow::Borrowed(&request.model),
            max_output_tokens: request.max_output_tokens,
            choices: request.choices,
            stream: request.stream,
            include_usage: request.include_usage,
            user: request.user.as_deref().map(Cow::Borrowed),
            ..Request::default()
        },
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
    Ok(reader.request)
}

struct Reader<'a> {
    request: Request<'a>,
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
            "prompt" => request.turns.push(Turn {
                role: Role::User,
                parts: vec![Part::text(prompt(value)?)],
            }),
            "suffix" if value == "\"\"" => {}
            "echo" if !typed::<bool>(name, value, "true or false")? => {}
            "best_of" if typed::<u64>(name, value, "a non-negative integer")? <= 1 => {}
            "suffix" | "echo" | "best_of" => return Err(impossible(name)),
            "stop" => request.stop = stop(value)?,
            "temperature" => request.tuning.temperature = Some(number(name, value)?),
            "top_p" => request.tuning.top_p = Some(number(name, value)?),
            "frequency_penalty" => request.tuning.frequency_penalty = Some(number(name, value)?),
            "presence_penalty" => request.tuning.presence_penalty = Some(number(name, value)?),
            "seed" => request.tuning.seed = Some(number(name, value)?),
            "logit_bias" => request.tuning.logit_bias = Some(raw(value)),
            "logprobs" => {
                // Zero asks for the chosen tokens alone.
                request.tuning.top_logprobs = Some(typed(name, value, "a non-negative integer")?);
                request.tuning.logprobs = true;
            }
            other => unreachable!("{other} is not read here"),
        }
        Ok(())
    }
}

/// One text, or a list of one. Several prompts would be several conversations, and token numbers mean nothing to another
/// model.
fn prompt(value: &str) -> Result<Cow<'_, str>, BadRequest> {
    if let Some(text) = json::string_value(value.as_bytes()) {
        return Ok(text);
    }
    let mut texts = Vec::new();
    json::walk(value.as_bytes(), |element| {
        texts.push(json::string_value(&value.as_bytes()[element.value]));
        ControlFlow::Continue(())
    })
    .expect("a member of a valid document is valid");
    match texts.pop() {
        Some(Some(text)) if texts.is_empty() => Ok(text),
        _ => {
            let message = "`prompt` must be one string with this model's provider; send a request for each, and text \
                           instead of tokens"
                .to_owned();
            Err(BadRequest::new("unsupported_parameter", Some("prompt"), message))
        }
    }
}

/// Without it the answer would be another one.
fn impossible(name: &str) -> BadRequest {
    let message = format!("`{name}` is not possible with this model's provider, which has only chats; leave it out");
    BadRequest::new("unsupported_parameter", Some(name), message)
}
