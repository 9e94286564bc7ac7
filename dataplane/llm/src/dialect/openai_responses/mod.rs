//! `OpenAI`'s Responses.

pub mod error;
