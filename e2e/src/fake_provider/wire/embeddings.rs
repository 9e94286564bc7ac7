//! Vectors, the same for every text; and `OpenAI`'s way to ask for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::asked::tokens;
use super::{Body, Call, Family};

/// Numbers that are equal in every precision.
pub(super) const VECTOR: [f32; 2] = [0.25, -0.5];

/// `POST …/embeddings`.
pub(super) fn embed(call: &mut Call<'_>) -> Body {
    let body = &call.asked.body;
    let vector = if body["encoding_format"] == "base64" {
        json!(base64())
    } else {
        json!(VECTOR)
    };
    let data: Vec<_> = (0..inputs(&body["input"]))
        .map(|index| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let mut answer = json!({"object": "list", "model": call.asked.model, "data": data,
        "usage": {"prompt_tokens": tokens::INPUT, "total_tokens": tokens::INPUT}});
    if Family::of_openai_path(call.path) == Family::Mistral {
        answer["id"] = "embd-fake".into();
    }
    Body::json(&answer)
}

/// How many vectors are wanted: a list of numbers is one text in tokens.
pub(super) fn inputs(input: &Value) -> usize {
    match input.as_array() {
        Some(list) if !list.first().is_some_and(Value::is_number) => list.len(),
        _ => 1,
    }
}

/// The vector as little-endian floats.
pub(super) fn base64() -> String {
    STANDARD.encode(VECTOR.map(f32::to_le_bytes).concat())
}
