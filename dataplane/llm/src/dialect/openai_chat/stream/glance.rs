//! A glance at a chat chunk: does it hold one delta, no finish reason, no usage, no error? Then it need not be parsed.
//!
//! It works on bytes and errs to the side of parsing: a quote inside a text is always escaped, so a key in quotes is
//! never found inside a prompt or an answer, at most as a whole text that reads the same.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::estimate::Size;
use crate::json;

/// Built once: preparing a search costs more than searching one event.
static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    choices: Finder::new("\"choices\""),
    delta: Finder::new(DELTA),
    finish_reason: Finder::new(FINISH_REASON),
    usage: Finder::new(USAGE),
    error: Finder::new("\"error\""),
    index: Finder::new(INDEX),
});

const DELTA: &str = "\"delta\"";
const FINISH_REASON: &str = "\"finish_reason\"";
const USAGE: &str = "\"usage\"";
const INDEX: &str = "\"index\"";

struct Keys {
    choices: Finder<'static>,
    delta: Finder<'static>,
    finish_reason: Finder<'static>,
    usage: Finder<'static>,
    error: Finder<'static>,
    index: Finder<'static>,
}

/// What is seen of an event that carries one delta and nothing else of interest.
pub(super) struct Glance {
    /// Index of the choice that the delta belongs to.
    pub(super) choice: u32,
    /// Size of the output in it.
    pub(super) output: Size,
}

impl Glance {
    /// `None`: the event must be parsed.
    pub(super) fn at(data: &[u8]) -> Option<Self> {
        let keys = &*KEYS;
        let is_object = data.first() == Some(&b'{') && data.last() == Some(&b'}');
        if !is_object || keys.error.find(data).is_some() {
            return None;
        }
        let choices_at = keys.choices.find(data)?;
        let delta_at = choices_at + keys.delta.find(&data[choices_at..])?;
        let (output, length) = delta_size(&data[delta_at + DELTA.len()..])?;
        let delta_end = delta_at + DELTA.len() + length;
        if keys.delta.find(&data[delta_end..]).is_some() || !is_only_null(&keys.usage, data) {
            return None;
        }
        let (before, behind) = (&data[choices_at..delta_at], &data[delta_end..]);
        if !is_only_null(&keys.finish_reason, before) || !is_only_null(&keys.finish_reason, behind) {
            return None;
        }
        let choice = index_value(before).or_else(|| index_value(behind))?;
        Some(Self { choice, output })
    }
}

/// Whether every value of this key in `data` is `null`.
fn is_only_null(key: &Finder<'_>, data: &[u8]) -> bool {
    key.find_iter(data)
        .all(|at| value_behind(&data[at + key.needle().len()..]).is_some_and(|value| value.starts_with(b"null")))
}

fn index_value(data: &[u8]) -> Option<u32> {
    let value = value_behind(&data[KEYS.index.find(data)? + INDEX.len()..])?;
    let digits = value.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&value[..digits]).ok()?.parse().ok()
}

/// What stands behind the colon behind a key.
fn value_behind(key_end: &[u8]) -> Option<&[u8]> {
    key_end
        .trim_ascii_start()
        .strip_prefix(b":")
        .map(<[u8]>::trim_ascii_start)
}

/// Output of all deltas of an event that is parsed anyway, of this dialect or of Anthropic's.
pub(crate) fn all_deltas(data: &[u8]) -> Size {
    let mut sum = Size::default();
    let mut rest = data;
    while let Some(at) = KEYS.delta.find(rest) {
        rest = &rest[at + DELTA.len()..];
        if let Some((size, length)) = delta_size(rest) {
            sum = sum.plus(size);
            rest = &rest[length..];
        }
    }
    sum
}

/// Strings of a delta that are output; ids, roles and types, which some servers repeat in each event, are not.
const OUTPUT_KEYS: [&[u8]; 10] = [
    b"content",
    b"reasoning_content",
    b"reasoning",
    b"refusal",
    b"arguments",
    b"name",
    b"text",
    b"thinking",
    b"transcript",
    b"partial_json",
];

/// Size of the output in the delta object behind its key, and where that object ends. Bytes as written, escapes
/// included: an estimate from them errs upward.
fn delta_size(key_end: &[u8]) -> Option<(Size, usize)> {
    let object = value_behind(key_end).filter(|value| value.starts_with(b"{"))?;
    let mut size = Size::default();
    let mut key: &[u8] = b"";
    let (mut at, mut depth) = (0, 0_u32);
    loop {
        match object.get(at)? {
            b'"' => {
                let text = string_inside(&object[at + 1..])?;
                at += text.len() + 2;
                if value_behind(&object[at..]).is_some() {
                    key = text;
                } else if OUTPUT_KEYS.contains(&key) {
                    size = size.plus(Size::of(text));
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some((size, key_end.len() - object.len() + at));
        }
    }
}

/// The text up to the quote that closes it.
fn string_inside(text: &[u8]) -> Option<&[u8]> {
    let mut end = 0;
    loop {
        end += json::plain_length(text.get(end..)?);
        match text.get(end)? {
            b'"' => return Some(&text[..end]),
            b'\\' => end += 2,
            _ => return None,
        }
    }
}
