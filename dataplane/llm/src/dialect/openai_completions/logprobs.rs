//! Log probabilities in the form of completions: lists side by side instead of a list of objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `logprobs` of a choice.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub(super) struct Logprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<Box<RawValue>>,
    top_logprobs: Vec<BTreeMap<String, Box<RawValue>>>,
    /// Where each token begins in the text, in characters.
    text_offset: Vec<usize>,
}

/// The same in the form of chats, as the hub has it.
#[derive(Deserialize)]
struct Chat {
    content: Option<Vec<Token>>,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Token {
    token: String,
    logprob: Box<RawValue>,
    #[serde(default)]
    top_logprobs: Vec<Top>,
}

#[derive(Deserialize)]
struct Top {
    token: String,
    logprob: Box<RawValue>,
}

impl Logprobs {
    /// Those of a piece of text that begins at `offset`, which is moved behind it; `None`: there are none.
    pub(super) fn of(json: &RawValue, offset: &mut usize) -> Option<Self> {
        let chat: Chat = serde_json::from_str(json.get()).ok()?;
        let mut written = Self {
            tokens: Vec::new(),
            token_logprobs: Vec::new(),
            top_logprobs: Vec::new(),
            text_offset: Vec::new(),
        };
        for token in chat.content? {
            written.text_offset.push(*offset);
            *offset += token.token.chars().count();
            written.tokens.push(token.token);
            written.token_logprobs.push(token.logprob);
            let top = token.top_logprobs.into_iter().map(|top| (top.token, top.logprob));
            written.top_logprobs.push(top.collect());
        }
        Some(written)
    }
}
