//! Anthropic's Messages, at home and on Vertex AI, where the model stands in the path and streaming in the method.

use serde_json::{Value, json};

use super::super::asked::{Asked, Pieces, SIGNATURE, THOUGHT, Tool, tokens};
use super::sse::typed;
use super::{Body, Call, Endpoint, Speech, Wire, decoded};

/// `POST /v1/messages`.
pub(super) struct Messages;

/// `POST …:rawPredict` and `…:streamRawPredict`.
struct OnVertex {
    streams: bool,
}

/// `model:method` of Vertex AI's publisher `anthropic`.
pub(super) fn vertex_endpoint(model: &str, method: &str) -> Option<(Endpoint, Option<String>)> {
    let endpoint = match (model, method) {
        ("count-tokens", "rawPredict") => return Some((Endpoint::Computed(count), None)),
        (_, "rawPredict") => Endpoint::Speech(&OnVertex { streams: false }),
        (_, "streamRawPredict") => Endpoint::Speech(&OnVertex { streams: true }),
        _ => return None,
    };
    Some((endpoint, Some(decoded(model))))
}

/// `POST …/messages/count_tokens`.
pub(super) fn count(_call: &mut Call<'_>) -> Body {
    Body::json(&json!({"input_tokens": tokens::INPUT}))
}

/// What the service refuses before it looks at the model.
pub(super) fn objection(wire: Wire, asked: &Asked) -> Option<&'static str> {
    let speaks = matches!(wire.endpoint, Endpoint::Speech(_));
    (speaks && !asked.body["max_tokens"].is_u64()).then_some("max_tokens: Field required")
}

impl Speech for Messages {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        let is_answered = body["messages"].as_array().is_some_and(|all| {
            let mut blocks = all.iter().filter_map(|message| message["content"].as_array()).flatten();
            blocks.any(|block| block["type"] == "tool_result")
        });
        // Tools of the service's own have a type and no schema.
        let tool = &body["tools"][0];
        let may_call = !is_answered && tool["input_schema"].is_object() && body["tool_choice"]["type"] != "none";
        let format = &body["output_config"]["format"];
        Asked {
            stream: body["stream"] == true,
            tool: Tool::new(&tool["name"], &tool["input_schema"]).filter(|_| may_call),
            schema: (format["type"] == "json_schema").then(|| format["schema"].clone()),
            thinks: body["thinking"]["type"] == "enabled" || body["thinking"]["type"] == "adaptive",
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, _usage: bool) -> Vec<u8> {
        let mut content = Vec::new();
        if asked.thinks {
            content.push(json!({"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}));
        }
        content.push(match &asked.tool {
            Some(tool) => tool_block(tool, &tool.arguments),
            None => json!({"type": "text", "text": text}),
        });
        let mut message = message(asked, &content);
        message["stop_reason"] = stop_reason(asked).into();
        message["usage"] = usage(tokens::OUTPUT);
        message.to_string().into_bytes()
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        let mut events = vec![
            json!({"type": "message_start", "message": message(asked, &[])}),
            json!({"type": "ping"}),
        ];
        if asked.thinks {
            events.extend([
                start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
                delta(0, &json!({"type": "thinking_delta", "thinking": THOUGHT})),
                delta(0, &json!({"type": "signature_delta", "signature": SIGNATURE})),
                stop(0),
            ]);
        }
        if asked.tool.is_none() {
            events.push(start(block_index(asked), &json!({"type": "text", "text": ""})));
        }
        events.iter().map(typed).collect()
    }

    fn text(&self, asked: &Asked, piece: &str, _index: u32) -> Vec<u8> {
        typed(&delta(
            block_index(asked),
            &json!({"type": "text_delta", "text": piece}),
        ))
    }

    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        let at = block_index(asked);
        let piece = |json: String| delta(at, &json!({"type": "input_json_delta", "partial_json": json}));
        let [one, two] = tool.halves();
        [start(at, &tool_block(tool, &json!({}))), piece(one), piece(two)]
            .iter()
            .map(typed)
            .collect()
    }

    fn ending(&self, asked: &Asked, _said: &Pieces, _usage: bool) -> Vec<u8> {
        let events = [
            stop(block_index(asked)),
            json!({"type": "message_delta", "delta": {"stop_reason": stop_reason(asked), "stop_sequence": null},
                "usage": usage(tokens::OUTPUT)}),
            json!({"type": "message_stop"}),
        ];
        events.iter().flat_map(typed).collect()
    }

    fn error_event(&self, _asked: &Asked, _texts: u32) -> Vec<u8> {
        typed(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "the model fell over"}}))
    }
}

impl Speech for OnVertex {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        Asked {
            stream: self.streams,
            ..Messages.asked(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, usage: bool) -> Vec<u8> {
        Messages.whole(asked, text, usage)
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        Messages.opening(asked)
    }

    fn text(&self, asked: &Asked, piece: &str, index: u32) -> Vec<u8> {
        Messages.text(asked, piece, index)
    }

    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        Messages.call(asked, tool)
    }

    fn ending(&self, asked: &Asked, said: &Pieces, usage: bool) -> Vec<u8> {
        Messages.ending(asked, said, usage)
    }

    fn error_event(&self, asked: &Asked, texts: u32) -> Vec<u8> {
        Messages.error_event(asked, texts)
    }
}

/// The place of the text or call: behind the thoughts.
fn block_index(asked: &Asked) -> u32 {
    u32::from(asked.thinks)
}

fn start(index: u32, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u32, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn tool_block(tool: &Tool, input: &Value) -> Value {
    json!({"type": "tool_use", "id": "toolu_fake_1", "name": tool.name, "input": input})
}

fn stop_reason(asked: &Asked) -> &'static str {
    if asked.tool.is_some() { "tool_use" } else { "end_turn" }
}

/// A message that has just begun, or with `content`, one to be finished by the caller.
fn message(asked: &Asked, content: &[Value]) -> Value {
    json!({"type": "message", "id": "msg_fake", "role": "assistant", "model": asked.model, "content": content,
        "stop_reason": null, "stop_sequence": null, "usage": usage(1)})
}

/// `input_tokens` leaves out what came from the cache.
fn usage(output: u64) -> Value {
    json!({"input_tokens": tokens::INPUT - tokens::CACHED, "cache_read_input_tokens": tokens::CACHED,
        "cache_creation_input_tokens": 0, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output, "output_tokens_details": {"thinking_tokens": tokens::REASONING.min(output)},
        "service_tier": "standard"})
}
