//! Pictures, sound and moderation, in `OpenAI`'s shapes.

use serde_json::{Value, json};

use super::super::asked::{CREATED_S, TEXT, tokens};
use super::super::form;
use super::{Body, Call, Family};

/// A PNG of one transparent pixel, in base64.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// The first bytes of an MP3, and bytes that are no text.
const SOUND: &[u8] = b"ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x00fake sound\x00\xff";

/// `POST …/images/generations`, `…/edits` and `…/variations`.
pub(super) fn images(call: &mut Call<'_>) -> Body {
    let count = match &call.asked.body["n"] {
        Value::String(text) => text.parse().unwrap_or(1), // a form's field
        n => n.as_u64().unwrap_or(1),
    };
    let count = usize::try_from(count.min(10)).expect("at most ten");
    Body::json(
        &json!({"created": CREATED_S, "data": vec![json!({"b64_json": PIXEL}); count], "output_format": "png",
        "quality": "low", "size": "1024x1024", "background": "opaque",
        "usage": {"input_tokens": tokens::INPUT, "input_tokens_details": {"text_tokens": tokens::INPUT, "image_tokens": 0},
            "output_tokens": tokens::OUTPUT, "total_tokens": tokens::TOTAL}}),
    )
}

/// `POST …/audio/speech`: bytes, whatever format was asked for.
pub(super) fn speech(_call: &mut Call<'_>) -> Body {
    Body {
        kind: "audio/mpeg",
        bytes: SOUND.to_vec(),
        ..Body::json(&Value::Null)
    }
}

/// `POST …/audio/transcriptions` and `…/translations`.
pub(super) fn transcription(call: &mut Call<'_>) -> Body {
    let kind = call.request.header("content-type").unwrap_or_default();
    let parts = form::parts(kind, &call.request.body);
    if !parts.iter().any(|part| part.name == "file" && part.filename.is_some()) {
        return Family::OpenAI.error(400, "the form has no file", None);
    }
    match call.asked.body["response_format"].as_str() {
        Some("text" | "srt" | "vtt") => Body {
            kind: "text/plain; charset=utf-8",
            bytes: format!("{TEXT}\n").into_bytes(),
            ..Body::json(&Value::Null)
        },
        _ => Body::json(
            &json!({"text": TEXT, "usage": {"type": "tokens", "input_tokens": tokens::INPUT,
            "input_token_details": {"text_tokens": 0, "audio_tokens": tokens::INPUT},
            "output_tokens": tokens::OUTPUT, "total_tokens": tokens::TOTAL}}),
        ),
    }
}

/// `POST …/moderations`: nothing is wrong with anything.
pub(super) fn moderations(call: &mut Call<'_>) -> Body {
    const CATEGORIES: [&str; 13] = [
        "harassment",
        "harassment/threatening",
        "hate",
        "hate/threatening",
        "illicit",
        "illicit/violent",
        "self-harm",
        "self-harm/instructions",
        "self-harm/intent",
        "sexual",
        "sexual/minors",
        "violence",
        "violence/graphic",
    ];
    let of_each = |value: Value| -> Value {
        let members = CATEGORIES.iter().map(|name| ((*name).to_owned(), value.clone()));
        members.collect::<serde_json::Map<_, _>>().into()
    };
    let result = json!({"flagged": false, "categories": of_each(json!(false)), "category_scores": of_each(json!(0.001)),
        "category_applied_input_types": of_each(json!(["text"]))});
    let count = call.asked.body["input"].as_array().map_or(1, Vec::len);
    Body::json(&json!({"id": "modr-fake", "model": call.asked.model, "results": vec![result; count]}))
}
