//! Wire formats of language models, and nothing that touches a socket: what clients speak (`dialect`), what providers
//! speak (`provider`), server-sent events, AWS's event streams and signatures, token usage and failures. Bytes in, bytes
//! out; golden files test it.

pub mod dialect;
pub mod endpoint;
pub mod estimate;
pub mod event_stream;
pub mod failure;
pub mod hub;
pub mod json;
pub mod multipart;
pub mod pass_through;
pub mod provider;
pub mod request;
pub mod scrub;
pub mod service;
pub mod sigv4;
pub mod splice;
pub mod sse;
pub mod stored;
pub mod translate;
pub mod usage;
