//! Bedrock's runtime: Converse with its binary stream, `invoke` for embeddings, and the counter.

use serde_json::{Value, json};

use super::super::asked::{Asked, Pieces, SIGNATURE, THOUGHT, Tool, tokens};
use super::event_stream::{event, exception};
use super::{Body, Call, Endpoint, Speech, decoded, embeddings};

/// `converse` and `converse-stream`.
struct Converse {
    streams: bool,
}

/// `/model/MODEL/method`; the model is one segment, whatever it holds.
pub(super) fn endpoint(path: &str) -> Option<(Endpoint, Option<String>)> {
    let (model, method) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let endpoint = match method {
        "converse" => Endpoint::Speech(&Converse { streams: false }),
        "converse-stream" => Endpoint::Speech(&Converse { streams: true }),
        "invoke" => Endpoint::Computed(invoke),
        "count-tokens" => Endpoint::Computed(|_| Body::json(&json!({"inputTokens": tokens::INPUT}))),
        _ => return None,
    };
    Some((endpoint, Some(decoded(model))))
}

impl Speech for Converse {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        let is_answered = body["messages"].as_array().is_some_and(|all| {
            let mut blocks = all.iter().filter_map(|message| message["content"].as_array()).flatten();
            blocks.any(|block| block["toolResult"].is_object())
        });
        let tool = &body["toolConfig"]["tools"][0]["toolSpec"];
        let format = &body["outputConfig"]["textFormat"];
        let schema = format["structure"]["jsonSchema"]["schema"].as_str();
        let thinking = &body["additionalModelRequestFields"]["thinking"]["type"];
        Asked {
            stream: self.streams,
            tool: Tool::new(&tool["name"], &tool["inputSchema"]["json"]).filter(|_| !is_answered),
            schema: schema.and_then(|schema| serde_json::from_str(schema).ok()),
            thinks: thinking == "enabled" || thinking == "adaptive",
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, _usage: bool) -> Vec<u8> {
        let mut content = Vec::new();
        if asked.thinks {
            content.push(json!({"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": SIGNATURE}}}));
        }
        content.push(match &asked.tool {
            Some(tool) => {
                json!({"toolUse": {"toolUseId": "tooluse_fake_1", "name": tool.name, "input": tool.arguments}})
            }
            None => json!({"text": text}),
        });
        json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": stop_reason(asked),
            "usage": usage(), "metrics": {"latencyMs": 1}})
        .to_string()
        .into_bytes()
    }

    fn stream_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        let mut events = vec![event("messageStart", &json!({"role": "assistant"}))];
        if asked.thinks {
            events.extend([
                delta(0, &json!({"reasoningContent": {"text": THOUGHT}})),
                delta(0, &json!({"reasoningContent": {"signature": SIGNATURE}})),
                event("contentBlockStop", &json!({"contentBlockIndex": 0})),
            ]);
        }
        events
    }

    /// A block of text begins with its first delta.
    fn text(&self, asked: &Asked, piece: &str, _index: u32) -> Vec<u8> {
        delta(u32::from(asked.thinks), &json!({"text": piece}))
    }

    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        let at = u32::from(asked.thinks);
        let start = json!({"toolUse": {"toolUseId": "tooluse_fake_1", "name": tool.name}});
        let [one, two] = tool.halves();
        vec![
            event("contentBlockStart", &json!({"contentBlockIndex": at, "start": start})),
            delta(at, &json!({"toolUse": {"input": one}})),
            delta(at, &json!({"toolUse": {"input": two}})),
        ]
    }

    fn ending(&self, asked: &Asked, _said: &Pieces, _usage: bool) -> Vec<u8> {
        [
            event(
                "contentBlockStop",
                &json!({"contentBlockIndex": u32::from(asked.thinks)}),
            ),
            event("messageStop", &json!({"stopReason": stop_reason(asked)})),
            event("metadata", &json!({"usage": usage(), "metrics": {"latencyMs": 1}})),
        ]
        .concat()
    }

    fn error_event(&self, _asked: &Asked, _texts: u32) -> Vec<u8> {
        exception(
            "modelStreamErrorException",
            &json!({"message": "the model fell over", "originalStatusCode": 500}),
        )
    }
}

fn delta(index: u32, delta: &Value) -> Vec<u8> {
    event(
        "contentBlockDelta",
        &json!({"contentBlockIndex": index, "delta": delta}),
    )
}

fn stop_reason(asked: &Asked) -> &'static str {
    if asked.tool.is_some() { "tool_use" } else { "end_turn" }
}

/// `inputTokens` leaves out what came from the cache; the total does not.
fn usage() -> Value {
    json!({"inputTokens": tokens::INPUT - tokens::CACHED, "cacheReadInputTokens": tokens::CACHED, "cacheWriteInputTokens": 0,
        "outputTokens": tokens::OUTPUT, "totalTokens": tokens::TOTAL})
}

/// Embeddings, told apart by what is asked: Titan's for one text, Cohere's for many.
fn invoke(call: &mut Call<'_>) -> Body {
    let body = &call.asked.body;
    let answer = match body["texts"].as_array() {
        None => json!({"embedding": embeddings::VECTOR, "embeddingsByType": {"float": embeddings::VECTOR},
            "inputTextTokenCount": tokens::INPUT}),
        Some(texts) => {
            let vectors = json!(vec![embeddings::VECTOR; texts.len()]);
            let by_type = body["embedding_types"].is_array();
            let embeddings = if by_type { json!({"float": vectors}) } else { vectors };
            let kind = if by_type {
                "embeddings_by_type"
            } else {
                "embeddings_floats"
            };
            json!({"id": "fake-embedding", "texts": texts, "embeddings": embeddings, "response_type": kind})
        }
    };
    Body {
        headers: vec![("x-amzn-bedrock-input-token-count", tokens::INPUT.to_string())],
        ..Body::json(&answer)
    }
}
