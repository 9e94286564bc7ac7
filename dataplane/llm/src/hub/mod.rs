//! What dialects have in common: a request, an answer and the events of a stream, in words of nobody's wire.
//!
//! A client's dialect is read into the hub and an answer is written from it; a provider's adapter does the reverse. So a
//! client and a provider that never heard of each other need no translation of their own. Where both speak the same
//! dialect the hub is not used: bytes pass as they are, with our few fields edited.
//!
//! Text borrows from the body it was read from; JSON that somebody else owns (schemas, unknown fields) stays raw text, so
//! that numbers, key order and escapes survive.

pub mod answer;
pub mod embedding;
pub mod event;
pub mod request;
pub mod signed;
pub mod turns;

pub use answer::{Answer, Choice, FinishReason, Output};
pub use embedding::{EmbeddingAnswer, EmbeddingInput, EmbeddingRequest};
pub use event::{Delta, Event};
pub use request::{
    CacheControl, Effort, Media, OutputFormat, Part, Reasoning, Request, Role, Tool, ToolChoice, Tuning, Turn,
};
pub use signed::{SignedTurn, SignedTurns};
pub use turns::{MergedTurn, called_function, merged};
