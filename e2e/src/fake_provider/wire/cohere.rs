//! Cohere's second API, and reranking, which others took over with nearly its words.

use serde_json::{Value, json};

use super::super::asked::{Asked, CALL_ID, Pieces, THOUGHT, Tool, tokens};
use super::sse::typed;
use super::{Body, Call, Speech, embeddings};

/// `POST /v2/chat`.
pub(super) struct Chat;

impl Speech for Chat {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        let is_answered = body["messages"]
            .as_array()
            .is_some_and(|all| all.iter().any(|message| message["role"] == "tool"));
        let function = &body["tools"][0]["function"];
        let may_call = !is_answered && body["tool_choice"] != "NONE";
        let format = &body["response_format"];
        Asked {
            stream: body["stream"] == true,
            tool: Tool::new(&function["name"], &function["parameters"]).filter(|_| may_call),
            schema: (format["type"] == "json_object").then(|| match &format["json_schema"] {
                Value::Null => json!({"type": "object", "properties": {"city": {"type": "string"}}}),
                schema => schema.clone(),
            }),
            thinks: body["thinking"]["type"] == "enabled",
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, usage: bool) -> Vec<u8> {
        let mut message = json!({"role": "assistant"});
        let mut content = Vec::new();
        if asked.thinks {
            content.push(json!({"type": "thinking", "thinking": THOUGHT}));
        }
        if let Some(tool) = &asked.tool {
            message["tool_plan"] = "I will look it up.".into();
            message["tool_calls"] = json!([call(tool, &tool.arguments.to_string())]);
        } else {
            content.push(json!({"type": "text", "text": text}));
        }
        if !content.is_empty() {
            message["content"] = content.into();
        }
        let mut answer = json!({"id": "fake-chat", "finish_reason": finish(asked), "message": message});
        if usage {
            answer["usage"] = counts();
        }
        answer.to_string().into_bytes()
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        let mut events = vec![
            json!({"type": "message-start", "id": "fake-chat", "delta": {"message": {"role": "assistant",
            "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}),
        ];
        if asked.thinks {
            events.extend([
                content_start(0, &json!({"type": "thinking", "thinking": ""})),
                content_delta(0, &json!({"thinking": THOUGHT})),
                json!({"type": "content-end", "index": 0}),
            ]);
        }
        if asked.tool.is_none() {
            events.push(content_start(
                u32::from(asked.thinks),
                &json!({"type": "text", "text": ""}),
            ));
        }
        events.iter().map(typed).collect()
    }

    fn text(&self, asked: &Asked, piece: &str, _index: u32) -> Vec<u8> {
        typed(&content_delta(u32::from(asked.thinks), &json!({"text": piece})))
    }

    fn call(&self, _asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        let piece = |arguments: String| {
            json!({"type": "tool-call-delta", "index": 0,
                "delta": {"message": {"tool_calls": {"function": {"arguments": arguments}}}}})
        };
        let [one, two] = tool.halves();
        [
            json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look it up."}}}),
            json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call(tool, "")}}}),
            piece(one),
            piece(two),
            json!({"type": "tool-call-end", "index": 0}),
        ]
        .iter()
        .map(typed)
        .collect()
    }

    fn ending(&self, asked: &Asked, _said: &Pieces, usage: bool) -> Vec<u8> {
        let mut end = json!({"type": "message-end", "delta": {"finish_reason": finish(asked)}});
        if usage {
            end["delta"]["usage"] = counts();
        }
        let mut bytes = Vec::new();
        if asked.tool.is_none() {
            bytes.extend(typed(&json!({"type": "content-end", "index": u32::from(asked.thinks)})));
        }
        bytes.extend(typed(&end));
        bytes
    }

    /// An error is the end of a message.
    fn error_event(&self, _asked: &Asked, _texts: u32) -> Vec<u8> {
        typed(&json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "the model fell over"}}))
    }
}

/// `POST /v2/embed`.
pub(super) fn embed(call: &mut Call<'_>) -> Body {
    let body = &call.asked.body;
    let count = ["texts", "inputs", "images"]
        .iter()
        .find_map(|name| body[*name].as_array())
        .map_or(0, Vec::len);
    let kinds = body["embedding_types"].as_array();
    let has = |kind: &str| kinds.is_some_and(|kinds| kinds.iter().any(|asked| asked == kind));
    let mut vectors = json!({});
    if has("base64") {
        vectors["base64"] = json!(vec![embeddings::base64(); count]);
    }
    if has("float") || !has("base64") {
        vectors["float"] = json!(vec![embeddings::VECTOR; count]);
    }
    Body::json(
        &json!({"id": "fake-embed", "response_type": "embeddings_by_type", "embeddings": vectors,
        "texts": body["texts"], "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens::INPUT}}}),
    )
}

/// `POST …/rerank`: the documents, the last one first.
pub(super) fn rerank(call: &mut Call<'_>) -> Body {
    let body = &call.asked.body;
    let count = body["documents"].as_array().map_or(0, Vec::len);
    let top = body["top_n"].as_u64().and_then(|top| usize::try_from(top).ok());
    let results: Vec<_> = (0..count)
        .rev()
        .take(top.unwrap_or(count))
        .map(|index| json!({"index": index, "relevance_score": if index + 1 == count { 0.75 } else { 0.25 }}))
        .collect();
    Body::json(&json!({"id": "fake-rerank", "results": results,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}}))
}

fn content_start(index: u32, content: &Value) -> Value {
    json!({"type": "content-start", "index": index, "delta": {"message": {"content": content}}})
}

fn content_delta(index: u32, content: &Value) -> Value {
    json!({"type": "content-delta", "index": index, "delta": {"message": {"content": content}}})
}

fn call(tool: &Tool, arguments: &str) -> Value {
    json!({"id": CALL_ID, "type": "function", "function": {"name": tool.name, "arguments": arguments}})
}

fn finish(asked: &Asked) -> &'static str {
    if asked.tool.is_some() { "TOOL_CALL" } else { "COMPLETE" }
}

/// Billed units leave out what the service adds to a prompt itself.
fn counts() -> Value {
    json!({"tokens": {"input_tokens": tokens::INPUT, "output_tokens": tokens::OUTPUT}, "cached_tokens": tokens::CACHED,
        "billed_units": {"input_tokens": tokens::INPUT - 1, "output_tokens": tokens::OUTPUT}})
}
