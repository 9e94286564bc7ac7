//! An answer from the hub, and base64 in the answers of servers that do not write it.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::read::{read, wants_base64};
use super::vector;
use crate::estimate;
use crate::hub::EmbeddingAnswer;
use crate::json::{self, Kind, Repeats};
use crate::provider::{AnswerContext, WholeAnswer};
use crate::splice::Edits;
use crate::translate::WireFailure;
use crate::usage::Usage;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
    model: &'a str,
    usage: WireUsage,
}

#[derive(Serialize)]
struct Entry<'a> {
    object: &'static str,
    index: usize,
    embedding: Embedding<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Embedding<'a> {
    Numbers(&'a RawValue),
    Base64(String),
}

#[derive(Serialize)]
struct WireUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Writes an answer. A client matches vectors to its inputs by their place, so that there must be one for each. The dialect
/// demands usage; where the provider reports none it is estimated.
pub fn answer(answer: &EmbeddingAnswer, context: &AnswerContext<'_>) -> Result<WholeAnswer, WireFailure> {
    let asked = context.request.and_then(|request| read(request).ok());
    let (count, wanted) = (answer.vectors.len(), asked.map(|asked| asked.inputs.len()));
    if let Some(wanted) = wanted.filter(|wanted| *wanted != count) {
        let detail = format!("the answer holds {count} vectors for {wanted} inputs");
        return Err(WireFailure::protocol(detail));
    }
    let in_base64 = context.request.is_some_and(wants_base64);
    let entries = answer.vectors.iter().enumerate().map(|(index, vector)| {
        let embedding = if in_base64 {
            vector::in_base64(vector.get()).map(Embedding::Base64)
        } else {
            vector::is_vector(vector.get()).then_some(Embedding::Numbers(vector))
        };
        Some(Entry {
            object: "embedding",
            index,
            embedding: embedding?,
        })
    });
    let data: Option<Vec<_>> = entries.collect();
    let estimated = || Usage::estimated(context.request.map_or(0, estimate::input_tokens), 0);
    let usage = answer.usage.unwrap_or_else(estimated);
    let tokens = usage.total_input_tokens();
    let list = List {
        object: "list",
        data: data.ok_or_else(|| WireFailure::protocol("a vector of the answer is no list of numbers"))?,
        model: answer.model.as_deref().unwrap_or(context.requested_model),
        usage: WireUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    };
    let body = serde_json::to_vec(&list).expect("structs can always be written as JSON");
    Ok(WholeAnswer {
        body: body.into(),
        usage: Some(usage),
    })
}

/// A server's answer with the vectors that it wrote as numbers in base64; all else stays as it was written.
pub fn in_base64(body: &Bytes) -> Bytes {
    let mut edits = Edits::default();
    for place in embeddings(body) {
        let text = std::str::from_utf8(&body[place.clone()]).ok();
        if let Some(base64) = text.and_then(vector::in_base64) {
            edits.replace(place, format!("\"{base64}\""));
        }
    }
    edits.apply(body)
}

/// Where the vectors stand that are lists.
fn embeddings(body: &[u8]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let Some(data) = member(body, 0..body.len(), "data") else {
        return places;
    };
    let _ = json::walk(&body[data.clone()], |element| {
        let element = data.start + element.value.start..data.start + element.value.end;
        let vector = member(body, element, "embedding");
        places.extend(vector.filter(|place| json::kind(&body[place.clone()]) == Kind::Array));
        ControlFlow::Continue(())
    });
    places
}

fn member(body: &[u8], object: Range<usize>, name: &str) -> Option<Range<usize>> {
    let mut found = [None];
    json::find_fields(&body[object.clone()], &[name], Repeats::TakeLast, &mut found).ok()?;
    let [member] = found;
    let value = member?.value;
    Some(object.start + value.start..object.start + value.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_base64_and_all_else_stays() {
        let body = r#"{ "data" : [ {"index":0,"embedding":[1.0, -2]} ,{"embedding":"AACAPw==","x":[1]}, 7, {"a":1}],"n":1.50}"#;
        let expected = r#"{ "data" : [ {"index":0,"embedding":"AACAPwAAAMA="} ,{"embedding":"AACAPw==","x":[1]}, 7, {"a":1}],"n":1.50}"#;
        assert_eq!(in_base64(&Bytes::from(body)), expected);
        for body in [
            r#"{"error":{"message":"no"}}"#,
            "[]",
            "{\"data\":{}}",
            "{\"data\":[1]}",
            "no JSON",
        ] {
            assert_eq!(in_base64(&Bytes::from(body)), body);
        }
    }
}
