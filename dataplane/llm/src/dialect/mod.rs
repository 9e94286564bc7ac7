//! What clients speak. A dialect reads and writes bytes; which provider answers in it, is for `provider` to know.

pub mod openai_chat;
pub mod openai_models;
