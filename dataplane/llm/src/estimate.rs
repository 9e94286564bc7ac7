//! Token counts where no provider reports them: for reservations before a call, and for answers that broke off.
//!
//! The rule, upward on purpose: one token for every four ASCII bytes and one for every two other bytes, each rounded up,
//! of the JSON as written, plus four for every message and three to open the answer. English takes about 4.4 bytes a
//! token and code 3.3, and the quotes, keys and escapes that are counted here make up the difference; Chinese takes 2 to
//! 3 bytes a token, Vietnamese about 3. A guess below the truth would let a hard budget be overspent, one above it only
//! reserves a little more for the length of a call. Images count a flat number, since their bytes are not tokens, and
//! documents one for each page that their size could be.

use std::ops::ControlFlow;

use memchr::memmem;

use crate::endpoint::Endpoint;
use crate::json::{self, Kind, Repeats};
use crate::request::ModelRequest;

const ASCII_BYTES_PER_TOKEN: u64 = 4;
const OTHER_BYTES_PER_TOKEN: u64 = 2;
/// Role and separators of a message, as `OpenAI` counts them.
const TOKENS_PER_MESSAGE: u64 = 4;
/// What every answer is primed with.
const TOKENS_PER_REQUEST: u64 = 3;
/// An image in high detail on the models that tile it: 85 + 170 for each of at most 8 tiles; and one of Claude's, a token for
/// each 750 pixels of at most 1568 by 1568 in the proportions that it keeps. Rounded up.
const TOKENS_PER_IMAGE: u64 = 1_600;
/// A page of a PDF: up to 3,000 tokens of its text, and it is looked at as an image, too
/// (<https://docs.anthropic.com/en/docs/build-with-claude/pdf-support>).
const TOKENS_PER_PAGE: u64 = 3_000 + TOKENS_PER_IMAGE;
/// A page's share of the base64 of a PDF. Pages of text are smaller and scanned ones larger.
const BASE64_BYTES_PER_PAGE: u64 = 48 * 1024;
/// Most pages that providers read of one document.
const PAGES_MAX: u64 = 100;

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
    let media = Media::of(messages);
    let text = Size::of(messages)
        .without_ascii(media.data_bytes)
        .plus(Size::of(request.instructions()))
        .plus(Size::of(request.tools().unwrap_or_default()));
    TOKENS_PER_REQUEST + message_count * TOKENS_PER_MESSAGE + media.tokens + text.tokens()
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

/// The images and documents of a request, found by their text: a quote inside a prompt is escaped, so these never match
/// there.
#[derive(Default)]
struct Media {
    tokens: u64,
    /// What of the text is not text.
    data_bytes: u64,
}

impl Media {
    fn of(messages: &[u8]) -> Self {
        let mut media = Self::default();
        let is_key = |behind: &[u8]| behind.trim_ascii_start().first() == Some(&b':');
        let image_url = b"\"image_url\"";
        let images = memmem::find_iter(messages, image_url)
            .filter(|start| is_key(&messages[start + image_url.len()..]))
            .count() as u64;
        media.tokens += images * TOKENS_PER_IMAGE;
        media.data_bytes += memmem::find_iter(messages, b"\"data:image/")
            .map(|start| json::plain_length(&messages[start + 1..]) as u64)
            .sum::<u64>();
        let source = b"\"source\"";
        for start in memmem::find_iter(messages, source) {
            media.add_source(&messages[start + source.len()..]);
        }
        media
    }

    /// What stands behind the key `source` in a block of Anthropic's dialect. Its objects hold texts only, so the first
    /// brace ends one; what is none is counted as the text that it is.
    fn add_source(&mut self, behind: &[u8]) {
        let value = behind
            .trim_ascii_start()
            .strip_prefix(b":")
            .map(<[u8]>::trim_ascii_start);
        let Some(object) = value.and_then(|value| value.get(..=memchr::memchr(b'}', value)?)) else {
            return;
        };
        let mut found = [const { None }; 3];
        if json::find_fields(object, &["type", "media_type", "data"], Repeats::TakeLast, &mut found).is_err() {
            return;
        }
        let [kind, media_type, data] = found.map(|member| member.map_or(&b""[..], |member| &object[member.value]));
        match kind {
            b"\"base64\"" => {
                self.data_bytes += data.len() as u64;
                self.tokens += if media_type.starts_with(b"\"image/") {
                    TOKENS_PER_IMAGE
                } else {
                    TOKENS_PER_PAGE * (data.len() as u64).div_ceil(BASE64_BYTES_PER_PAGE).min(PAGES_MAX)
                };
            }
            // Elsewhere, and nobody knows how large: as much as either comes to at least.
            b"\"url\"" | b"\"file\"" => self.tokens += TOKENS_PER_PAGE,
            _ => {}
        }
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

    #[test]
    fn the_bytes_of_a_source_are_counted_as_what_they_are() {
        let source = |source: &str| {
            estimate(&format!(
                "[{{\"role\":\"user\",\"content\":[{{\"type\":\"image\",\"source\" : {source}}}]}}]"
            ))
        };
        let base64 = |media_type: &str, bytes: usize| {
            let data = "A".repeat(bytes);
            source(&format!(
                "{{\"data\":\"{data}\", \"type\" :\"base64\",\"media_type\": \"{media_type}\"}}"
            ))
        };
        let picture = base64("image/png", 4);
        assert!(
            (TOKENS_PER_IMAGE..TOKENS_PER_IMAGE + 100).contains(&picture),
            "{picture}"
        );
        assert_eq!(base64("image/png", 1_000_000), picture);
        let pages = |pages: u64| TOKENS_PER_PAGE * pages..TOKENS_PER_PAGE * pages + 100;
        for (bytes, count) in [(4, 1), (49_000, 1), (49_400, 2), (480_000, 10), (20_000_000, 100)] {
            let tokens = base64("application/pdf", bytes);
            assert!(pages(count).contains(&tokens), "{bytes}: {tokens}");
        }
        assert!(pages(1).contains(&source("{\"type\":\"url\",\"url\":\"https://host/a.pdf\"}")));
    }

    #[test]
    fn what_only_looks_like_a_source_is_text() {
        let text = "A".repeat(4_000);
        for source in [
            format!("{{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"{text}\"}}"),
            format!("{{\"type\":\"base64\",\"data\":[{{\"a\":\"{text}\"}}]}}"),
            format!("\"{text}\""),
        ] {
            let tokens = estimate(&format!("[{{\"source\":{source}}}]"));
            assert!((1_000..1_100).contains(&tokens), "{tokens}");
        }
        let quoted = serde_json::json!(format!("\"source\":{{\"type\":\"base64\",\"data\":\"{text}\"}}"));
        assert!(estimate(&format!("[{{\"content\":{quoted}}}]")) > 1_000);
    }
}
