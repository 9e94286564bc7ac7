//! `OpenAI`'s chat completions: what most clients speak and most servers answer in.
//!
//! Where both sides speak it, bodies and events pass as they are and are only read along the way: [`answer`] reads whole
//! answers, [`stream`] streams, [`usage`] token counts, [`error`] reads and writes error objects, [`mend`] puts right what a server says in words of its own. Where the provider speaks
//! something else, [`to_hub`] reads requests, [`render`] writes answers and [`chunks`] streams.

pub mod answer;
pub mod chunks;
pub mod error;
pub mod mend;
pub mod render;
pub mod stream;
pub mod to_hub;
pub mod usage;
