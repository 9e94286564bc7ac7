//! Anthropic's Messages: what the `anthropic` SDKs speak.

pub mod error;
