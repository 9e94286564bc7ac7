//! `OpenAI`'s embeddings: texts or tokens in, a vector for each of them out.
//!
//! Where both sides speak it, bodies pass as they are, save that a client which asks for base64, as `OpenAI`'s own does
//! unasked, gets base64 also from a server that only writes numbers ([`in_base64`]). Where the provider speaks something
//! else, [`read`] reads requests and [`answer`] writes answers.

mod read;
mod vector;
mod write;

pub use read::{INPUTS_MAX, read, wants_base64};
pub use write::{answer, in_base64};
