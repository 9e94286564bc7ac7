//! Vectors of texts: what a client asks for and what a provider gives, in words of nobody's wire.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::usage::Usage;

/// What a client asks for. Made by a dialect, written by a provider's adapter.
#[derive(Clone, Debug, Default)]
pub struct EmbeddingRequest<'a> {
    /// The model as the client names it.
    pub model: Cow<'a, str>,
    /// What is to be embedded, in order; never empty.
    pub inputs: Vec<EmbeddingInput<'a>>,
    /// How many numbers a vector shall have; absent: as many as the model makes.
    pub dimensions: Option<u32>,
    /// Who asks, as the client says.
    pub user: Option<Cow<'a, str>>,
    /// Top-level fields that the hub has no place for, as they were written, in order; see [`crate::hub::Request::other`].
    pub other: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// One thing to be embedded.
#[derive(Clone, Debug)]
pub enum EmbeddingInput<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Text as numbers of a tokenizer that only client and model know: a JSON list.
    Tokens(&'a RawValue),
}

/// What a provider answered.
#[derive(Clone, Debug, Default)]
pub struct EmbeddingAnswer {
    /// The model as the provider names it; absent: the one that was asked.
    pub model: Option<String>,
    /// One vector for each input, in order: JSON lists of numbers as the provider wrote them.
    pub vectors: Vec<Box<RawValue>>,
    /// Tokens, if reported.
    pub usage: Option<Usage>,
}
