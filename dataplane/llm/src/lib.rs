//! Wire formats of language models, and nothing that touches a socket: what clients speak (`dialect`), what providers
//! speak (`provider`), server-sent events, token usage and failures. Bytes in, bytes out; golden files test it.

pub mod chat;
pub mod dialect;
pub mod estimate;
pub mod failure;
pub mod hub;
pub mod json;
pub mod provider;
pub mod scrub;
pub mod splice;
pub mod sse;
pub mod translate;
pub mod usage;
