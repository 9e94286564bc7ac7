//! Vectors from inside: the same of the same text, and near each other where texts share words, so that a search over them
//! finds what a reader expects. They know nothing of meaning.

use bytes::Bytes;
use serde_json::value::to_raw_value;

use crate::dialect::openai_embeddings::{self, read};
use crate::estimate;
use crate::hub::{EmbeddingAnswer, EmbeddingInput};
use crate::provider::AnswerContext;
use crate::request::ModelRequest;
use crate::usage::Usage;

/// Numbers of a vector where the client does not say, and the most that it gets.
const DIMENSIONS_DEFAULT: u32 = 8;
const DIMENSIONS_MAX: u32 = 1536;

/// The answer, as a server gives it. `None`: the request is none that a server would answer.
pub(super) fn answer(request: &ModelRequest) -> Option<Bytes> {
    let asked = read(request).ok()?;
    let dimensions = asked.dimensions.unwrap_or(DIMENSIONS_DEFAULT).min(DIMENSIONS_MAX);
    let vector = |input: &EmbeddingInput<'_>| {
        let numbers = match input {
            EmbeddingInput::Text(text) => vector(text, dimensions),
            EmbeddingInput::Tokens(tokens) => vector(tokens.get(), dimensions),
        };
        to_raw_value(&numbers).expect("numbers can always be written as JSON")
    };
    let made = EmbeddingAnswer {
        model: None,
        vectors: asked.inputs.iter().map(vector).collect(),
        usage: Some(Usage {
            input_tokens: estimate::input_tokens(request),
            ..Usage::default()
        }),
    };
    let context = AnswerContext {
        request: Some(request),
        requested_model: &request.model,
        ..AnswerContext::default()
    };
    openai_embeddings::answer(&made, &context)
        .ok()
        .map(|answer| answer.body)
}

/// Each word counts in one place, which its hash tells, up or down; the whole has length one.
fn vector(text: &str, dimensions: u32) -> Vec<f32> {
    let mut numbers = vec![0.0_f32; dimensions as usize];
    let words = text.split(|character: char| !character.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        let hash = hash_of(&word.to_lowercase());
        let place = usize::try_from(hash % u64::from(dimensions)).expect("below a number of 32 bits");
        numbers[place] += if hash >> 63 == 0 { 1.0 } else { -1.0 };
    }
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        for number in &mut numbers {
            *number /= length;
        }
    } else {
        numbers[0] = 1.0; // no word, or words that cancel each other out
    }
    numbers
}

/// FNV-1a, and once more over itself: its lowest bits alone tell little.
fn hash_of(word: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, step);
    hash.to_le_bytes().into_iter().fold(hash, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(one: &str, other: &str) -> f32 {
        let (one, other) = (vector(one, 64), vector(other, 64));
        one.iter().zip(&other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_near_each_other_and_a_text_is_nearest_to_itself() {
        let question = "How is the weather in Huế?";
        let (same, shares, other) = (
            nearness(question, question),
            nearness(question, "The weather is fine"),
            nearness(question, "Invoices fall due monthly"),
        );
        assert!(
            (same - 1.0).abs() < 1e-5 && same > shares && shares > other,
            "{same} {shares} {other}"
        );
    }

    #[test]
    fn every_vector_has_length_one() {
        for text in ["", " ", "a", "a b a", "😀", "Xin chào thế giới"] {
            for dimensions in [1, 2, 8, 1536] {
                let length: f32 = vector(text, dimensions).iter().map(|number| number * number).sum();
                assert!((length - 1.0).abs() < 1e-4, "{text} {dimensions} {length}");
            }
        }
    }
}
