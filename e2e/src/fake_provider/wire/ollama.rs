//! Ollama's own API: lines of JSON, streamed unless told not to.

use serde_json::{Value, json};

use super::super::asked::{Asked, Pieces, THOUGHT, Tool, tokens};
use super::{Body, Call, Speech, embeddings};

const CREATED_AT: &str = "2026-09-21T14:13:20Z";

/// `POST /api/chat`.
pub(super) struct Chat;

impl Speech for Chat {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        let is_answered = body["messages"]
            .as_array()
            .is_some_and(|all| all.iter().any(|message| message["role"] == "tool"));
        let function = &body["tools"][0]["function"];
        Asked {
            stream: body["stream"] != false,
            tool: Tool::new(&function["name"], &function["parameters"]).filter(|_| !is_answered),
            schema: match &body["format"] {
                Value::Object(schema) => Some(Value::Object(schema.clone())),
                format if format == "json" => {
                    Some(json!({"type": "object", "properties": {"city": {"type": "string"}}}))
                }
                _ => None,
            },
            thinks: !matches!(body["think"], Value::Null | Value::Bool(false)),
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, usage: bool) -> Vec<u8> {
        let mut message = json!({"role": "assistant", "content": text});
        if let Some(tool) = &asked.tool {
            message["content"] = "".into();
            message["tool_calls"] = calls(tool);
        }
        if asked.thinks {
            message["thinking"] = THOUGHT.into();
        }
        done(asked, &message, usage).to_string().into_bytes()
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        if !asked.thinks {
            return Vec::new();
        }
        vec![line(&part(
            asked,
            &json!({"role": "assistant", "content": "", "thinking": THOUGHT}),
        ))]
    }

    fn text(&self, asked: &Asked, piece: &str, _index: u32) -> Vec<u8> {
        line(&part(asked, &json!({"role": "assistant", "content": piece})))
    }

    /// Calls come whole.
    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        let message = json!({"role": "assistant", "content": "", "tool_calls": calls(tool)});
        vec![line(&part(asked, &message))]
    }

    fn ending(&self, asked: &Asked, _said: &Pieces, usage: bool) -> Vec<u8> {
        line(&done(asked, &json!({"role": "assistant", "content": ""}), usage))
    }

    fn error_event(&self, _asked: &Asked, _texts: u32) -> Vec<u8> {
        line(&json!({"error": "the model fell over"}))
    }
}

/// `POST /api/embed`.
pub(super) fn embed(call: &mut Call<'_>) -> Body {
    let count = embeddings::inputs(&call.asked.body["input"]);
    Body::json(
        &json!({"model": call.asked.model, "embeddings": vec![embeddings::VECTOR; count], "total_duration": 1_000_000,
        "load_duration": 1000, "prompt_eval_count": tokens::INPUT}),
    )
}

/// `GET /api/tags`.
pub(super) fn tags(_call: &mut Call<'_>) -> Body {
    Body::json(
        &json!({"models": [{"name": "chat", "model": "chat", "modified_at": CREATED_AT, "size": 1, "digest": "fa4e",
        "details": {"format": "gguf", "family": "fake", "parameter_size": "1B", "quantization_level": "Q4_0"}}]}),
    )
}

/// `GET /api/version`.
pub(super) fn version(_call: &mut Call<'_>) -> Body {
    Body::json(&json!({"version": "0.30.0"}))
}

fn line(payload: &Value) -> Vec<u8> {
    format!("{payload}\n").into_bytes()
}

fn part(asked: &Asked, message: &Value) -> Value {
    json!({"model": asked.model, "created_at": CREATED_AT, "message": message, "done": false})
}

/// The last line, or the whole answer: a server says `stop` also after a call. What was cached is not counted apart.
fn done(asked: &Asked, message: &Value, usage: bool) -> Value {
    let mut done = json!({"model": asked.model, "created_at": CREATED_AT, "message": message, "done": true,
        "done_reason": "stop", "total_duration": 3_000_000, "load_duration": 1000, "prompt_eval_duration": 1_000_000,
        "eval_duration": 1_000_000});
    if usage {
        done["prompt_eval_count"] = tokens::INPUT.into();
        done["eval_count"] = tokens::OUTPUT.into();
    }
    done
}

fn calls(tool: &Tool) -> Value {
    json!([{"function": {"name": tool.name, "arguments": tool.arguments}}])
}
