//! Answers, streams and errors of `/api/chat`. A line of a stream is a small answer, and the last one says `done`.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::failure::FailureKind;
use crate::hub::{Answer, Choice, Delta, Event, FinishReason, Output};
use crate::sse::EVENT_BYTES_MAX;
use crate::translate::{EventDecoder, WireFailure};
use crate::usage::Usage;

/// More than any answer has; above it a count is a mistake, and sums of such counts could overflow.
pub(super) const COUNT_MAX: u64 = 1 << 40;

#[derive(Deserialize)]
struct Line {
    model: Option<String>,
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    logprobs: Option<Vec<TokenLogprob>>,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
struct Message {
    #[serde(default)]
    content: String,
    #[serde(default)]
    thinking: String,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
struct ToolCall {
    #[serde(default)]
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct TokenLogprob {
    token: String,
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<TokenLogprob>,
}

impl Line {
    fn read(json: &[u8]) -> Result<Self, WireFailure> {
        let line: Self =
            serde_json::from_slice(json).map_err(|_| WireFailure::protocol("the answer is not one of /api/chat"))?;
        match line.error {
            Some(message) => Err(unannounced(message)),
            None => Ok(line),
        }
    }

    /// Absent where the server counted nothing; of a prompt that it had cached it counts only the output.
    fn usage(&self) -> Option<Usage> {
        self.prompt_eval_count.or(self.eval_count)?;
        let count = |count: Option<u64>| count.unwrap_or(0).min(COUNT_MAX);
        Some(Usage {
            input_tokens: count(self.prompt_eval_count),
            output_tokens: count(self.eval_count),
            ..Usage::default()
        })
    }

    fn logprobs(&self) -> Option<Box<RawValue>> {
        let entry = |token: &TokenLogprob| json!({"token": token.token, "logprob": token.logprob, "bytes": token.token.as_bytes()});
        let tokens = self
            .logprobs
            .as_ref()
            .filter(|tokens| !tokens.is_empty())?
            .iter()
            .map(|token| {
                let mut written = entry(token);
                written["top_logprobs"] = token.top_logprobs.iter().map(entry).collect();
                written
            });
        let tokens: Vec<_> = tokens.collect();
        to_raw_value(&json!({"content": tokens, "refusal": null})).ok()
    }
}

impl ToolCall {
    fn arguments(&self) -> String {
        let arguments = self.function.arguments.as_ref().map(|json| json.get());
        arguments.filter(|json| *json != "null").unwrap_or("{}").to_owned()
    }
}

/// `load` and `unload` answer a question that nobody asked, and have no text.
fn finish_reason(done_reason: Option<&str>, has_called: bool) -> FinishReason {
    match done_reason {
        _ if has_called => FinishReason::ToolCalls,
        Some("length") => FinishReason::Length,
        _ => FinishReason::Stop,
    }
}

/// Reads a whole answer.
pub(super) fn answer(body: &[u8]) -> Result<Answer, WireFailure> {
    let mut line = Line::read(body)?;
    let Some(message) = line.message.take().filter(|_| line.done) else {
        return Err(WireFailure::protocol("the answer is not a whole one of /api/chat"));
    };
    let calls = message.tool_calls.unwrap_or_default();
    let finish_reason = finish_reason(line.done_reason.as_deref(), !calls.is_empty());
    let mut output = Vec::new();
    if !message.thinking.is_empty() {
        output.push(Output::Reasoning {
            text: message.thinking,
            signature: None,
        });
    }
    if !message.content.is_empty() {
        output.push(Output::Text(message.content));
    }
    output.extend(calls.into_iter().map(|call| Output::ToolCall {
        arguments: call.arguments(),
        id: call.id,
        name: call.function.name,
        signature: None,
    }));
    let choice = Choice {
        index: 0,
        output,
        finish_reason,
        logprobs: line.logprobs(),
    };
    Ok(Answer {
        id: None,
        usage: line.usage(),
        model: line.model,
        created_unix_seconds: None, // a text in nanoseconds, and now
        choices: vec![choice],
    })
}

/// Reads an answer that is not 2xx.
pub(super) fn failure(status: u16, body: &[u8]) -> WireFailure {
    let Ok(Line {
        error: Some(message), ..
    }) = serde_json::from_slice::<Line>(body)
    else {
        let detail = format!("status {status} with a body that is no error object");
        return WireFailure::new(FailureKind::of_status(status), detail);
    };
    describe(status, message, format!("status {status}"))
}

/// The error in a body that came under status 200, if it is one.
pub(super) fn unannounced_in(body: &[u8]) -> Option<WireFailure> {
    let line: Line = serde_json::from_slice(body).ok()?;
    line.error.map(unannounced)
}

fn unannounced(message: String) -> WireFailure {
    describe(500, message, "an error in an answer with status 200".to_owned())
}

fn describe(status: u16, message: String, detail: String) -> WireFailure {
    let speaks_of_context = message.contains("context length") || message.contains("context window");
    let kind = match FailureKind::of_status(status) {
        FailureKind::Rejected if speaks_of_context => FailureKind::ContextLength,
        kind => kind,
    };
    WireFailure {
        status: Some(status),
        message: Some(message.into()),
        ..WireFailure::new(kind, detail)
    }
}

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: BytesMut, // the beginning of a line that has not ended yet
    has_started: bool,
    is_complete: bool,
    tool_calls: u32,
}

impl EventDecoder for Lines {
    fn push(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            let line = self.partial.split();
            self.read(&line, events)?;
        }
        self.keep(bytes)
    }

    /// A last line without its line feed is one if it reads as one, else the connection broke in the middle of it.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), WireFailure> {
        let line = self.partial.split();
        let _ = self.read(&line, events);
        Ok(())
    }
}

impl Lines {
    /// A line without an end must not fill the memory.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), WireFailure> {
        if self.partial.len() + bytes.len() > EVENT_BYTES_MAX {
            let detail = format!("a line of the stream is larger than {EVENT_BYTES_MAX} bytes");
            return Err(WireFailure::protocol(detail));
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), WireFailure> {
        if line.trim_ascii().is_empty() || self.is_complete {
            return Ok(());
        }
        let mut line = Line::read(line)?;
        if !std::mem::replace(&mut self.has_started, true) {
            let model = line.model.take();
            events.push(Event::Start { id: None, model });
        }
        let logprobs = line.logprobs();
        let message = line.message.take().unwrap_or_default();
        say(Delta::Reasoning(message.thinking), events);
        say(Delta::Text(message.content), events);
        for call in message.tool_calls.unwrap_or_default() {
            let index = self.tool_calls;
            self.tool_calls += 1;
            let text = call.arguments();
            let start = Delta::ToolCallStart {
                index,
                id: call.id,
                name: call.function.name,
                signature: None,
            };
            say(start, events);
            say(Delta::ToolCallArguments { index, text }, events);
        }
        if let Some(logprobs) = logprobs {
            say(Delta::Logprobs(logprobs), events);
        }
        if line.done {
            let reason = finish_reason(line.done_reason.as_deref(), self.tool_calls > 0);
            events.push(Event::Finish { choice: 0, reason });
            events.extend(line.usage().map(Event::Usage));
            events.push(Event::End);
            self.is_complete = true;
        }
        Ok(())
    }
}

fn say(delta: Delta, events: &mut Vec<Event>) {
    events.push(Event::Delta { choice: 0, delta });
}
