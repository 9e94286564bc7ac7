//! JSON without a tree: one validating pass that tells where the members of the outermost value stand.
//!
//! Promises: what passes is UTF-8, follows the whole grammar of RFC 8259, has no half of a surrogate pair in its
//! escapes, and nests at most [`DEPTH_MAX`] deep; it is read once, without recursion and without an allocation.
//! Why not `serde_json`: it neither bounds the depth of values it ignores nor tells where values stand, and a tree of
//! the body is the largest single cost that gateways add to a request.

use std::borrow::Cow;
use std::fmt;
use std::ops::{ControlFlow, Range};

mod fields;
mod named;

pub(crate) use fields::matching;
pub use fields::{FieldsError, Repeats, find_fields};
pub use named::{Named, strings_named};

/// How many arrays and objects may be open at once. Deeper documents exist only to exhaust someone's stack; upstream
/// servers in Python and Go refuse them at a similar depth.
pub const DEPTH_MAX: u32 = 128;

/// One member of the outermost object, or one element of the outermost array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where the key stands, quotes included; empty for an element of an array.
    pub key: Range<usize>,
    /// Where the value stands, without the white space around it.
    pub value: Range<usize>,
}

/// The type of a value, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// A digit or a minus.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// The type of a value that [`walk`] has validated; `value` is exactly its text.
pub fn kind(value: &[u8]) -> Kind {
    match value.first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Not UTF-8.
    InvalidUtf8,
    /// Nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Against the grammar; the words say what was wanted instead.
    Syntax(&'static str),
}

/// Where and why a document cannot be read. Tells positions, never content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub problem: Problem,
    /// Offset in bytes from the start, from 0.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl SyntaxError {
    fn at(text: &[u8], offset: usize, problem: Problem) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let is_character_start = |byte: &&u8| **byte & 0xC0 != 0x80;
        Self {
            problem,
            offset,
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before[line_start..].iter().filter(is_character_start).count() + 1,
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::InvalidUtf8 => f.write_str("not UTF-8")?,
            Problem::TooDeep => write!(f, "nested deeper than {DEPTH_MAX} levels")?,
            Problem::Syntax(wanted) => f.write_str(wanted)?,
        }
        write!(
            f,
            " at line {}, column {} (byte {})",
            self.line, self.column, self.offset
        )
    }
}

impl std::error::Error for SyntaxError {}

/// Validates `text` as one JSON document and shows `on_member` each member of its outermost value, in order.
/// `Break` stops the pass early, leaving the rest unread: only for text that was validated before.
pub fn walk(text: &[u8], mut on_member: impl FnMut(Member) -> ControlFlow<()>) -> Result<Kind, SyntaxError> {
    // Most text is ASCII, which is checked several times as fast as UTF-8 is.
    if !text.is_ascii()
        && let Err(error) = std::str::from_utf8(text)
    {
        return Err(SyntaxError::at(text, error.valid_up_to(), Problem::InvalidUtf8));
    }
    let mut scanner = Scanner {
        text,
        at: 0,
        depth: 0,
        objects: 0,
        key: 0..0,
        value_start: 0,
    };
    match scanner.document(&mut on_member) {
        Ok(kind) => Ok(kind),
        Err(problem) => Err(SyntaxError::at(text, scanner.at, problem)),
    }
}

/// Where the value of the last member with this quoted key stands in the outermost object of `text`, read from there to
/// the end. What is before it is not looked at; that the rest closes exactly one object is proof that the key is a member
/// of the outermost one, provided that `text` is a document at all.
pub fn last_member(text: &[u8], quoted_key: &[u8]) -> Option<Range<usize>> {
    let mut scanner = Scanner {
        text,
        at: memchr::memmem::rfind(text, quoted_key)?,
        depth: 1,
        objects: 1,
        key: 0..0,
        value_start: 0,
    };
    let mut value = None;
    let mut keep_first = |member: Member| {
        value.get_or_insert(member.value);
        ControlFlow::Continue(())
    };
    scanner.member_key().ok()?;
    scanner.values(&mut keep_first).ok()?;
    value
}

/// The position in the text and the containers that are open there.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    objects: u128, // one bit for each open container, the innermost lowest: is it an object?
    key: Range<usize>,
    value_start: usize,
}

type Step<T = ()> = Result<T, Problem>;

impl Scanner<'_> {
    fn document(&mut self, on_member: &mut impl FnMut(Member) -> ControlFlow<()>) -> Step<Kind> {
        self.white_space();
        let kind = kind(&self.text[self.at..]);
        self.values(on_member)?;
        Ok(kind)
    }

    /// Alternates between a value and what may stand behind it until the outermost value is closed.
    fn values(&mut self, on_member: &mut impl FnMut(Member) -> ControlFlow<()>) -> Step {
        loop {
            if self.value()?.is_open() {
                continue;
            }
            loop {
                if self.depth == 1 {
                    let member = Member {
                        key: self.key.clone(),
                        value: self.value_start..self.at,
                    };
                    if on_member(member).is_break() {
                        return Ok(());
                    }
                }
                self.white_space();
                if self.depth == 0 {
                    return match self.peek() {
                        None => Ok(()),
                        Some(_) => Err(Problem::Syntax("expected the end of the document")),
                    };
                }
                if self.after_value()?.is_open() {
                    break;
                }
            }
        }
    }

    /// Reads a scalar or an empty container whole; of another container only what stands before its first value.
    fn value(&mut self) -> Step<Value> {
        if self.depth == 1 {
            self.value_start = self.at;
        }
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'{') => {
                self.open(true)?;
                if self.peek() != Some(b'}') {
                    self.member_key()?;
                    return Ok(Value::Open);
                }
                self.close();
            }
            Some(b'[') => {
                self.open(false)?;
                if self.peek() != Some(b']') {
                    return Ok(Value::Open);
                }
                self.close();
            }
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(Problem::Syntax("expected a value")),
        }
        Ok(Value::Closed)
    }

    /// Reads the comma (and the next key) or the closing bracket behind a value.
    fn after_value(&mut self) -> Step<Value> {
        let in_object = self.objects & 1 == 1;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.white_space();
                if in_object {
                    self.member_key()?;
                }
                Ok(Value::Open)
            }
            Some(b'}') if in_object => {
                self.close();
                Ok(Value::Closed)
            }
            Some(b']') if !in_object => {
                self.close();
                Ok(Value::Closed)
            }
            _ if in_object => Err(Problem::Syntax("expected a comma or a closing brace")),
            _ => Err(Problem::Syntax("expected a comma or a closing bracket")),
        }
    }

    fn member_key(&mut self) -> Step {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(Problem::Syntax("expected a key in double quotes"));
        }
        self.string()?;
        if self.depth == 1 {
            self.key = start..self.at;
        }
        self.white_space();
        if self.peek() != Some(b':') {
            return Err(Problem::Syntax("expected a colon"));
        }
        self.at += 1;
        self.white_space();
        Ok(())
    }

    fn open(&mut self, is_object: bool) -> Step {
        if self.depth == DEPTH_MAX {
            return Err(Problem::TooDeep);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
        self.at += 1;
        self.white_space();
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.at += 1;
    }

    /// Reads a string, from its opening quote to behind its closing one.
    #[inline]
    fn string(&mut self) -> Step {
        self.at += 1;
        loop {
            self.at += plain_length(&self.text[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(Problem::Syntax("a control character in a string must be escaped")),
                None => return Err(Problem::Syntax("the string has no closing quote")),
            }
        }
    }

    fn escape(&mut self) -> Step {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            _ => Err(Problem::Syntax("unknown escape in a string")),
        }
    }

    /// Half of a surrogate pair has no meaning in UTF-8: some parsers refuse it, others replace it, so that two readers
    /// of one body would see different text.
    fn unicode_escape(&mut self) -> Step {
        let unit = self.hex_unit()?;
        let is_whole = match unit {
            0xD800..=0xDBFF => {
                self.text[self.at..].starts_with(b"\\u") && (0xDC00..=0xDFFF).contains(&self.hex_unit()?)
            }
            0xDC00..=0xDFFF => false,
            _ => true,
        };
        if is_whole {
            Ok(())
        } else {
            Err(Problem::Syntax("an escape is only half of a surrogate pair"))
        }
    }

    /// Reads `\uXXXX`.
    fn hex_unit(&mut self) -> Step<u32> {
        let mut unit = 0;
        for index in 2..6 {
            let digit = self
                .text
                .get(self.at + index)
                .and_then(|byte| char::from(*byte).to_digit(16));
            unit = unit << 4 | digit.ok_or(Problem::Syntax("expected four hexadecimal digits"))?;
        }
        self.at += 6;
        Ok(unit)
    }

    fn number(&mut self) -> Step {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1; // no digit may follow: whatever comes next must end the number
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Step {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            Err(Problem::Syntax("expected a digit"))
        } else {
            Ok(())
        }
    }

    fn literal(&mut self, word: &[u8]) -> Step {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(Problem::Syntax("expected a value"))
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// Whether a value is read to its end, or the next one stands inside it or beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Closed,
    Open,
}

impl Value {
    fn is_open(self) -> bool {
        self == Self::Open
    }
}

/// How many bytes at the start of `text` a string may hold as they are. Eight at a time, as one number: prompts are
/// mostly long strings, and keys mostly end in the first or second eight.
pub(crate) fn plain_length(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    words.len() * 8 + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character. Bytes behind the first such
/// byte may be set wrongly (a subtraction borrows from them), so only the lowest bit that is set tells a place.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    let is_below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let is_quote = is_below(word ^ (ONES * 0x22), 1);
    let is_backslash = is_below(word ^ (ONES * 0x5C), 1);
    (is_quote | is_backslash | is_below(word, 0x20)) & (ONES * 0x80)
}

/// The text of a string value that [`walk`] has validated, quotes included; `None` if it is no string.
pub fn string_value(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(value).ok().map(Cow::Owned)
}
