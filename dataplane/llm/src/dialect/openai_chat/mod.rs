//! `OpenAI`'s chat completions: what most clients speak and most servers answer in.
//!
//! Where both sides speak it, bodies and events pass as they are and are only read along the way: [`answer`] reads whole
//! answers, [`stream`] streams, [`usage`] token counts, [`error`] reads and writes error objects.

pub mod answer;
pub mod error;
pub mod stream;
pub mod usage;
