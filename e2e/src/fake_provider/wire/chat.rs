//! `OpenAI`'s chat completions, and how those who took them over differ: where thoughts stand, when usage comes, how an
//! answer ends. `OpenAI` itself shows no thoughts here.

use serde_json::{Value, json};

use super::super::asked::{Asked, CALL_ID, CREATED_S, Pieces, THOUGHT, Tool, tokens};
use super::sse::unnamed;
use super::{Family, Speech, azure};

/// Every content event of a stream has this length, blank line included: what the bench counts with.
pub const EVENT_BYTES: usize = 250;
const DONE: &[u8] = b"data: [DONE]\n\n";
/// Mistral refuses and makes no other ids than of nine letters and digits.
const MISTRAL_CALL_ID: &str = "callFake1";

/// Chat completions as `family` speaks them.
pub(super) fn of(family: Family) -> &'static dyn Speech {
    match family {
        Family::Azure => &Chat(Family::Azure),
        Family::DeepSeek => &Chat(Family::DeepSeek),
        Family::Groq => &Chat(Family::Groq),
        Family::Mistral => &Chat(Family::Mistral),
        Family::Together => &Chat(Family::Together),
        Family::Bare => &Chat(Family::Bare),
        _ => &Chat(Family::OpenAI),
    }
}

struct Chat(Family);

impl Speech for Chat {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        let is_answered = body["messages"]
            .as_array()
            .is_some_and(|all| all.iter().any(|message| message["role"] == "tool"));
        let function = &body["tools"][0]["function"];
        let may_call = !is_answered && body["tool_choice"] != "none";
        let format = &body["response_format"];
        Asked {
            stream: body["stream"] == true,
            include_usage: body["stream_options"]["include_usage"] == true,
            tool: Tool::new(&function["name"], &function["parameters"]).filter(|_| may_call),
            schema: match format["type"].as_str() {
                Some("json_schema") => Some(format["json_schema"]["schema"].clone()),
                Some("json_object") => Some(json!({"type": "object", "properties": {"city": {"type": "string"}}})),
                _ => None,
            },
            thinks: self.shows_thoughts() && wants_thoughts(&body),
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, usage: bool) -> Vec<u8> {
        let mut message = json!({"role": "assistant", "content": text, "refusal": null});
        if let Some(tool) = &asked.tool {
            message["content"] = Value::Null;
            message["tool_calls"] = json!([{"id": self.call_id(), "type": "function",
                "function": {"name": tool.name, "arguments": tool.arguments.to_string()}}]);
        }
        if asked.thinks {
            self.add_thought(&mut message);
        }
        let mut choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish(asked)});
        let mut answer = json!({"id": "chatcmpl-fake", "object": "chat.completion", "created": CREATED_S, "model": asked.model,
            "service_tier": "default", "system_fingerprint": "fp_fake"});
        if self.0 == Family::Azure {
            choice["content_filter_results"] = azure::harmless();
            answer["prompt_filter_results"] = json!([{"prompt_index": 0, "content_filter_results": azure::harmless()}]);
        }
        answer["choices"] = json!([choice]);
        if usage {
            answer["usage"] = counts();
        }
        answer.to_string().into_bytes()
    }

    /// As much as fills an event to [`EVENT_BYTES`].
    fn piece(&self, asked: &Asked) -> String {
        let bare = self.text(asked, "", 0).len();
        let words = "xin chao ".repeat(EVENT_BYTES / 9 + 1);
        words[..EVENT_BYTES.saturating_sub(bare)].to_owned()
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        if self.0 == Family::Azure {
            events.push(unnamed(&azure::first_event()));
        }
        if asked.thinks {
            let mut delta = json!({"role": "assistant", "content": ""});
            self.add_thought(&mut delta);
            events.push(event(&asked.model, &delta, None));
        } else if asked.tool.is_none() && self.0 != Family::Bare {
            events.push(event(&asked.model, &json!({"role": "assistant", "content": ""}), None));
        }
        events
    }

    fn text(&self, asked: &Asked, piece: &str, _index: u32) -> Vec<u8> {
        event(&asked.model, &json!({"content": piece}), None)
    }

    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        let [one, two] = tool.halves();
        vec![
            event(
                &asked.model,
                &json!({"role": "assistant", "tool_calls": [{"index": 0, "id": self.call_id(), "type": "function",
                "function": {"name": tool.name, "arguments": one}}]}),
                None,
            ),
            event(
                &asked.model,
                &json!({"tool_calls": [{"index": 0, "function": {"arguments": two}}]}),
                None,
            ),
        ]
    }

    /// Finish, usage if asked for (from some: always, and in the finish), and `[DONE]`.
    fn ending(&self, asked: &Asked, _said: &Pieces, usage: bool) -> Vec<u8> {
        let mut finish = chunk(&asked.model, &json!({}), Some(self.finish(asked)));
        let mut has_usage = !usage;
        match self.0 {
            Family::Groq if usage => finish["x_groq"] = json!({"id": "req_fake", "usage": counts()}),
            Family::Mistral | Family::Together if usage => {
                finish["usage"] = counts();
                has_usage = true;
            }
            _ => {}
        }
        let mut end = unnamed(&finish);
        if asked.include_usage && !has_usage {
            end.extend(unnamed(
                &json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED_S,
                "model": asked.model, "choices": [], "usage": counts()}),
            ));
        }
        end.extend_from_slice(DONE);
        end
    }

    fn error_event(&self, _asked: &Asked, _texts: u32) -> Vec<u8> {
        unnamed(
            &json!({"error": {"message": "the model fell over", "type": "server_error", "param": null, "code": "fake_mid_stream"}}),
        )
    }
}

impl Chat {
    fn shows_thoughts(&self) -> bool {
        !matches!(self.0, Family::Bare | Family::OpenAI | Family::Azure)
    }

    fn add_thought(&self, message: &mut Value) {
        match self.0 {
            Family::Groq | Family::Together => message["reasoning"] = THOUGHT.into(),
            Family::Mistral => {
                let mut parts = vec![json!({"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]})];
                if let Some(text) = message["content"].as_str().filter(|text| !text.is_empty()) {
                    parts.push(json!({"type": "text", "text": text}));
                }
                message["content"] = parts.into();
            }
            _ => message["reasoning_content"] = THOUGHT.into(),
        }
    }

    fn call_id(&self) -> &'static str {
        if self.0 == Family::Mistral {
            MISTRAL_CALL_ID
        } else {
            CALL_ID
        }
    }

    fn finish(&self, asked: &Asked) -> &'static str {
        match self.0 {
            _ if asked.tool.is_some() => "tool_calls",
            Family::Together => "eos",
            _ => "stop",
        }
    }
}

/// Thoughts are asked for in many words.
fn wants_thoughts(body: &Value) -> bool {
    let effort = body["reasoning_effort"].as_str().is_some_and(|effort| effort != "none");
    effort || body["thinking"]["type"] == "enabled" || body["reasoning"]["enabled"] == true
}

/// Usage, as all `OpenAI` endpoints for text but Responses word it.
pub(super) fn counts() -> Value {
    json!({"prompt_tokens": tokens::INPUT, "completion_tokens": tokens::OUTPUT, "total_tokens": tokens::TOTAL,
        "prompt_tokens_details": {"cached_tokens": tokens::CACHED},
        "completion_tokens_details": {"reasoning_tokens": tokens::REASONING}})
}

fn chunk(model: &str, delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": CREATED_S, "model": model,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
}

fn event(model: &str, delta: &Value, finish: Option<&str>) -> Vec<u8> {
    unnamed(&chunk(model, delta, finish))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample;
    use super::*;

    #[test]
    fn a_content_event_has_the_length_the_bench_counts_with() {
        for model in ["chat", "events-1000000-every-2ms"] {
            let asked = Asked {
                model: model.to_owned(),
                ..Asked::default()
            };
            let chat = Chat(Family::OpenAI);
            assert_eq!(chat.text(&asked, &chat.piece(&asked), 0).len(), EVENT_BYTES, "{model}");
        }
    }

    #[test]
    fn a_tool_loop_ends_when_the_result_is_there() {
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
        let asked = |messages: Value| {
            let body = json!({"model": "chat", "tools": tools, "messages": messages});
            Chat(Family::OpenAI).asked(None, body)
        };
        assert!(asked(json!([{"role": "user", "content": "?"}])).tool.is_some());
        assert!(
            asked(json!([{"role": "user", "content": "?"}, {"role": "tool", "content": "!"}]))
                .tool
                .is_none()
        );
    }

    #[test]
    fn the_arguments_of_a_call_satisfy_the_schema_of_the_tool() {
        let tool = Tool::new(
            &json!("f"),
            &json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
        )
        .expect("a name");
        assert_eq!(
            tool.halves(),
            ["{\"city\"".to_owned(), format!(":\"{}\"}}", sample::WORD)]
        );
    }
}
