//! Token counts where no provider reports them: for reservations before a call, and for answers that broke off.
//!
//! The rule, upward on purpose: one token for every four ASCII bytes and one for every two other bytes, each rounded up,
//! of the JSON as written, plus four for every message and three to open the answer. English takes about 4.4 bytes a
//! token and code 3.3, and the quotes, keys and escapes that are counted here make up the difference; Chinese takes 2 to
//! 3 bytes a token, Vietnamese about 3. A guess below the truth would let a hard budget be overspent, one above it only
//! reserves a little more for the length of a call. Images count a flat number, since their bytes are not tokens.

use std::ops::ControlFlow;

use memchr::memmem;

use crate::endpoint::Endpoint;
use crate::json::{self, Kind};
use crate::request::ModelRequest;

const ASCII_BYTES_PER_TOKEN: u64 = 4;
const OTHER_BYTES_PER_TOKEN: u64 = 2;
/// Role and separators of a message, as `OpenAI` counts them.
const TOKENS_PER_MESSAGE: u64 = 4;
/// What every answer is primed with.
const TOKENS_PER_REQUEST: u64 = 3;
/// An image in high detail on the models that tile it: 85 + 170 for each of at most 8 tiles, rounded up.
const TOKENS_PER_IMAGE: u64 = 1_500;

/// Tokens of the input: what is asked, instructions beside it, and tools.
pub fn input_tokens(request: &ModelRequest) -> u64 {
    if request.endpoint == Endpoint::Embeddings {
        return embedded_tokens(request.input());
    }
    let messages = request.input();
    let mut message_count = 0;
    // The body was validated when the request was parsed, so this cannot fail.
    let _ = json::walk(messages, |_| {
        message_count += 1;
        ControlFlow::Continue(())
    });
    let images = Images::of(messages);
    let text = Size::of(messages)
        .without_ascii(images.data_bytes)
        .plus(Size::of(request.instructions()))
        .plus(Size::of(request.tools().unwrap_or_default()));
    TOKENS_PER_REQUEST + message_count * TOKENS_PER_MESSAGE + images.count * TOKENS_PER_IMAGE + text.tokens()
}

/// Tokens of texts to be embedded; of those that come as tokens each number is one.
fn embedded_tokens(input: &[u8]) -> u64 {
    let mut tokens = 0;
    let kind = json::walk(input, |member| {
        let value = &input[member.value];
        tokens += match json::kind(value) {
            Kind::Number => 1,
            Kind::Array => embedded_tokens(value),
            _ => Size::of(value).tokens(),
        };
        ControlFlow::Continue(())
    });
    if kind == Ok(Kind::Array) {
        tokens
    } else {
        Size::of(input).tokens()
    }
}

/// Tokens of a piece of text.
pub fn text_tokens(text: &str) -> u64 {
    Size::of(text.as_bytes()).tokens()
}

/// Bytes of text, by what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes below 0x80.
    pub ascii_bytes: u64,
    /// All others: parts of characters outside ASCII.
    pub other_bytes: u64,
}

impl Size {
    /// Measures `text`.
    pub fn of(text: &[u8]) -> Self {
        let other_bytes = text.iter().filter(|byte| !byte.is_ascii()).count() as u64;
        Self {
            ascii_bytes: text.len() as u64 - other_bytes,
            other_bytes,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            ascii_bytes: self.ascii_bytes + other.ascii_bytes,
            other_bytes: self.other_bytes + other.other_bytes,
        }
    }

    /// All bytes.
    pub fn bytes(self) -> u64 {
        self.ascii_bytes + self.other_bytes
    }

    /// The estimate, by the rule at the head of this file.
    pub fn tokens(self) -> u64 {
        self.ascii_bytes.div_ceil(ASCII_BYTES_PER_TOKEN) + self.other_bytes.div_ceil(OTHER_BYTES_PER_TOKEN)
    }

    fn without_ascii(self, bytes: u64) -> Self {
        Self {
            ascii_bytes: self.ascii_bytes.saturating_sub(bytes),
            ..self
        }
    }
}

/// The images of a request, found by their text: a quote inside a prompt is escaped, so these never match there.
struct Images {
    count: u64,
    data_bytes: u64,
}

impl Images {
    fn of(messages: &[u8]) -> Self {
        let is_key = |behind: &[u8]| behind.trim_ascii_start().first() == Some(&b':');
        let image_url = b"\"image_url\"";
        let count = memmem::find_iter(messages, image_url)
            .filter(|start| is_key(&messages[start + image_url.len()..]))
            .count() as u64;
        let data_bytes = memmem::find_iter(messages, b"\"data:image/")
            .map(|start| json::plain_length(&messages[start + 1..]) as u64)
            .sum();
        Self { count, data_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use bytes::Bytes;

    fn estimate(messages: &str) -> u64 {
        let body = format!("{{\"model\":\"m\",\"messages\":{messages}}}");
        input_tokens(&ModelRequest::parse(Endpoint::ChatCompletions, Bytes::from(body)).unwrap())
    }

    #[test]
    fn text_is_rounded_up_and_other_scripts_cost_more_a_byte() {
        assert_eq!(text_tokens(""), 0);
        assert_eq!(text_tokens("a"), 1);
        assert_eq!(text_tokens("hello"), 2);
        assert_eq!(text_tokens("你好"), 3);
    }

    #[test]
    fn each_message_and_the_request_cost_something_of_their_own() {
        assert_eq!(estimate("[]"), 3 + 1);
        assert_eq!(estimate("[1,2]"), 3 + 2 * 4 + 2);
    }

    #[test]
    fn what_is_embedded_costs_its_text_or_its_tokens() {
        let embedded = |input: &str| {
            let body = format!("{{\"model\":\"m\",\"input\":{input}}}");
            input_tokens(&ModelRequest::parse(Endpoint::Embeddings, Bytes::from(body)).unwrap())
        };
        assert_eq!(embedded("\"hello there\""), 4);
        assert_eq!(embedded("[\"hello there\", \"hello there\"]"), 8);
        assert_eq!(embedded("[100, 200, 300]"), 3);
        assert_eq!(embedded("[[100, 200], [300]]"), 3);
    }

    #[test]
    fn the_bytes_of_an_image_are_not_counted_as_text() {
        let image = |data: &str| {
            format!(
                "[{{\"role\":\"user\",\"content\":[{{\"type\":\"image_url\",\"image_url\":{{\"url\":\"data:image/png;base64,{data}\"}}}}]}}]"
            )
        };
        let small = estimate(&image("AAAA"));
        assert_eq!(estimate(&image(&"A".repeat(1_000_000))), small);
        assert!((TOKENS_PER_IMAGE..TOKENS_PER_IMAGE + 100).contains(&small), "{small}");
    }
}
