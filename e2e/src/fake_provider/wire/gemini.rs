//! Gemini's methods, the same in AI Studio and Vertex AI but for embeddings, where Vertex AI has `predict`.

use serde_json::{Value, json};

use super::super::asked::{Asked, Pieces, SIGNATURE, THOUGHT, Tool, tokens};
use super::{Body, Call, Endpoint, Speech, embeddings};

/// `generateContent` and `streamGenerateContent`.
struct Generate {
    streams: bool,
}

/// The endpoint of a method.
pub(super) fn endpoint(method: &str) -> Option<Endpoint> {
    Some(match method {
        "generateContent" => Endpoint::Speech(&Generate { streams: false }),
        "streamGenerateContent" => Endpoint::Speech(&Generate { streams: true }),
        "embedContent" => Endpoint::Computed(|_| Body::json(&json!({"embedding": embedding()}))),
        "batchEmbedContents" => Endpoint::Computed(batch),
        "predict" => Endpoint::Computed(predict),
        "countTokens" => Endpoint::Computed(|_| Body::json(&json!({"totalTokens": tokens::INPUT}))),
        _ => return None,
    })
}

impl Speech for Generate {
    fn asked(&self, model: Option<&str>, body: Value) -> Asked {
        let is_answered = body["contents"].as_array().is_some_and(|all| {
            let mut parts = all.iter().filter_map(|content| content["parts"].as_array()).flatten();
            parts.any(|part| part["functionResponse"].is_object())
        });
        let function = &body["tools"][0]["functionDeclarations"][0];
        let may_call = !is_answered && body["toolConfig"]["functionCallingConfig"]["mode"] != "NONE";
        let config = &body["generationConfig"];
        // The schema has had three names.
        let schema = ["responseJsonSchema", "responseSchema"]
            .into_iter()
            .map(|name| &config[name])
            .find(|schema| schema.is_object());
        let wants_json = config["responseMimeType"] == "application/json";
        let parameters = match &function["parametersJsonSchema"] {
            Value::Null => &function["parameters"],
            schema => schema,
        };
        Asked {
            stream: self.streams,
            tool: Tool::new(&function["name"], parameters).filter(|_| may_call),
            schema: match schema {
                Some(schema) => Some(schema.clone()),
                None => wants_json.then(|| json!({"type": "object", "properties": {"city": {"type": "string"}}})),
            },
            // Google reads both spellings of every name, and its own SDK mixes them.
            thinks: ["includeThoughts", "include_thoughts"]
                .iter()
                .any(|name| config["thinkingConfig"][*name] == true),
            ..Asked::plainly(model, body)
        }
    }

    fn whole(&self, asked: &Asked, text: &str, usage: bool) -> Vec<u8> {
        let mut parts = Vec::new();
        if asked.thinks {
            parts.push(thought());
        }
        parts.push(match &asked.tool {
            Some(tool) => call_part(tool),
            None => json!({"text": text}),
        });
        answer(asked, &parts, true, usage).to_string().into_bytes()
    }

    fn opening(&self, asked: &Asked) -> Vec<Vec<u8>> {
        if !asked.thinks {
            return Vec::new();
        }
        vec![event(&answer(asked, &[thought()], false, true))]
    }

    fn text(&self, asked: &Asked, piece: &str, _index: u32) -> Vec<u8> {
        event(&answer(asked, &[json!({"text": piece})], false, true))
    }

    /// Calls come whole.
    fn call(&self, asked: &Asked, tool: &Tool) -> Vec<Vec<u8>> {
        vec![event(&answer(asked, &[call_part(tool)], false, true))]
    }

    /// There is no last event: the finish reason and the end of the body are it.
    fn ending(&self, asked: &Asked, _said: &Pieces, usage: bool) -> Vec<u8> {
        event(&answer(asked, &[json!({"text": ""})], true, usage))
    }

    fn error_event(&self, _asked: &Asked, _texts: u32) -> Vec<u8> {
        event(&json!({"error": {"code": 503, "message": "the model fell over", "status": "UNAVAILABLE"}}))
    }
}

/// Google ends its lines with two characters.
fn event(payload: &Value) -> Vec<u8> {
    format!("data: {payload}\r\n\r\n").into_bytes()
}

fn thought() -> Value {
    json!({"text": THOUGHT, "thought": true})
}

/// Newer models want the signature back with the call, whether or not thoughts were shown.
fn call_part(tool: &Tool) -> Value {
    json!({"functionCall": {"name": tool.name, "args": tool.arguments}, "thoughtSignature": SIGNATURE})
}

fn answer(asked: &Asked, parts: &[Value], is_last: bool, usage: bool) -> Value {
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
    if is_last {
        candidate["finishReason"] = "STOP".into();
    }
    let mut answer = json!({"candidates": [candidate], "modelVersion": asked.model, "responseId": "fake-response"});
    if usage {
        // The counts grow while a stream runs; the last one holds. Candidates leave the thoughts out.
        answer["usageMetadata"] = if is_last {
            json!({"promptTokenCount": tokens::INPUT, "cachedContentTokenCount": tokens::CACHED,
                "candidatesTokenCount": tokens::OUTPUT - tokens::REASONING, "thoughtsTokenCount": tokens::REASONING,
                "totalTokenCount": tokens::TOTAL})
        } else {
            json!({"promptTokenCount": tokens::INPUT, "totalTokenCount": tokens::INPUT})
        };
    }
    answer
}

fn embedding() -> Value {
    json!({"values": embeddings::VECTOR})
}

fn batch(call: &mut Call<'_>) -> Body {
    let count = call.asked.body["requests"].as_array().map_or(0, Vec::len);
    Body::json(&json!({"embeddings": vec![embedding(); count]}))
}

fn predict(call: &mut Call<'_>) -> Body {
    let count = call.asked.body["instances"].as_array().map_or(0, Vec::len);
    let one = json!({"embeddings": {"values": embeddings::VECTOR,
        "statistics": {"token_count": tokens::INPUT, "truncated": false}}});
    Body::json(&json!({"predictions": vec![one; count]}))
}
