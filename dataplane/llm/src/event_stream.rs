//! `application/vnd.amazon.eventstream`: the binary messages that AWS streams answers in.
//!
//! A message is its length and that of its headers (4 bytes each, big endian), the CRC of these 8 bytes, headers, payload,
//! and the CRC of all before it. Both checksums are checked: the first before a length is believed, so that a damaged one
//! never makes anybody wait for bytes that will not come. Layout and value types as in botocore 1.44.8 (`eventstream.py`).

use bytes::BytesMut;

use crate::sse::EVENT_BYTES_MAX;
use crate::translate::WireFailure;

/// Largest message in bytes. AWS's own bound is 16 MiB; ours is that of every other stream, since the same pictures
/// come in them, and memory is bounded by the smaller one.
pub const MESSAGE_BYTES_MAX: usize = EVENT_BYTES_MAX;

/// Largest block of headers in bytes; AWS's own bound.
pub const HEADERS_BYTES_MAX: usize = 128 * 1024;

const LENGTHS_BYTES: usize = 8;
const CRC_BYTES: usize = 4;
const PRELUDE_BYTES: usize = LENGTHS_BYTES + CRC_BYTES;

/// Puts messages together from a stream, however it was cut.
#[derive(Debug, Default)]
pub struct Messages {
    partial: BytesMut, // the beginning of a message that is not whole yet
}

impl Messages {
    /// Takes what arrived and shows `read` each whole message. `Err`: bytes that are no message, or what `read` says;
    /// what stood before them was read, and nothing behind them may be pushed.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut read: impl FnMut(&Message<'_>) -> Result<(), WireFailure>,
    ) -> Result<(), WireFailure> {
        while !bytes.is_empty() {
            if self.partial.is_empty()
                && let Some(length) = message_length(bytes)?
                && let Some((message, rest)) = bytes.split_at_checked(length)
            {
                read(&Message::parse(message)?)?;
                bytes = rest;
                continue;
            }
            let wanted = message_length(&self.partial)?.unwrap_or(PRELUDE_BYTES);
            let (more, rest) = bytes.split_at(bytes.len().min(wanted - self.partial.len()));
            self.partial.extend_from_slice(more);
            bytes = rest;
            if message_length(&self.partial)? == Some(self.partial.len()) {
                let message = self.partial.split();
                read(&Message::parse(&message)?)?;
            }
        }
        Ok(())
    }

    /// Whether a message has begun and is not whole: a stream that ends here was cut.
    pub fn is_inside_message(&self) -> bool {
        !self.partial.is_empty()
    }
}

/// The length of the message that begins here; `None` while too little of it is there to tell.
fn message_length(bytes: &[u8]) -> Result<Option<usize>, WireFailure> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE_BYTES>() else {
        return Ok(None);
    };
    let (total, headers) = (length_at(prelude, 0), length_at(prelude, 4));
    if crc32fast::hash(&prelude[..LENGTHS_BYTES]) != crc_at(prelude, LENGTHS_BYTES) {
        return Err(WireFailure::protocol(
            "the lengths of a message of the stream do not fit their checksum",
        ));
    }
    if total > MESSAGE_BYTES_MAX || headers > HEADERS_BYTES_MAX {
        let detail = format!(
            "a message of the stream is larger than {MESSAGE_BYTES_MAX} bytes, or its headers than {HEADERS_BYTES_MAX}"
        );
        return Err(WireFailure::protocol(detail));
    }
    if total < PRELUDE_BYTES + headers + CRC_BYTES {
        return Err(WireFailure::protocol(
            "a message of the stream is shorter than what it holds",
        ));
    }
    Ok(Some(total))
}

fn length_at(bytes: &[u8], at: usize) -> usize {
    usize::try_from(crc_at(bytes, at)).unwrap_or(usize::MAX)
}

fn crc_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes[at..].first_chunk().expect("callers look at whole messages");
    u32::from_be_bytes(*four)
}

/// A message whose checksums and headers were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    headers: &'a [u8],
    /// What it carries; for events and exceptions of Bedrock's, JSON.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a whole message, of the length that its prelude says.
    fn parse(bytes: &'a [u8]) -> Result<Self, WireFailure> {
        let (content, crc) = bytes.split_at(bytes.len() - CRC_BYTES);
        if crc32fast::hash(content) != crc_at(crc, 0) {
            return Err(WireFailure::protocol(
                "a message of the stream does not fit its checksum",
            ));
        }
        let (headers, payload) = content[PRELUDE_BYTES..].split_at(length_at(content, 4));
        let mut rest = headers;
        while !rest.is_empty() {
            take_header(&mut rest)
                .ok_or_else(|| WireFailure::protocol("the headers of a message of the stream cannot be read"))?;
        }
        Ok(Self { headers, payload })
    }

    /// The headers in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut rest = self.headers;
        std::iter::from_fn(move || take_header(&mut rest))
    }

    /// The text of a header, as in `:event-type`; `None` for one that is absent or of another type. Of several the first.
    pub fn text_header(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.headers().find(|(found, _)| *found == name)?;
        match value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The value of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "types 0 to 9 of the format, by their names in it")]
pub enum Value<'a> {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Integer(i32),
    Long(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// Milliseconds since the Unix epoch.
    Timestamp(i64),
    Uuid([u8; 16]),
}

/// Takes a header off the front: the length of its name (1 byte), name, type (1 byte), value. `None`: there is no whole one.
fn take_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, Value<'a>)> {
    let [name_length] = take(rest)?;
    let name = take_text(rest, usize::from(name_length))?;
    let [kind] = take(rest)?;
    let value = match kind {
        0 => Value::Bool(true),
        1 => Value::Bool(false),
        2 => Value::Byte(i8::from_be_bytes(take(rest)?)),
        3 => Value::Short(i16::from_be_bytes(take(rest)?)),
        4 => Value::Integer(i32::from_be_bytes(take(rest)?)),
        5 => Value::Long(i64::from_be_bytes(take(rest)?)),
        6 => {
            let length = u16::from_be_bytes(take(rest)?);
            Value::Bytes(rest.split_off(..usize::from(length))?)
        }
        7 => {
            let length = u16::from_be_bytes(take(rest)?);
            Value::Text(take_text(rest, usize::from(length))?)
        }
        8 => Value::Timestamp(i64::from_be_bytes(take(rest)?)),
        9 => Value::Uuid(take(rest)?),
        _ => return None, // of an unknown length
    };
    Some((name, value))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn take_text<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a str> {
    std::str::from_utf8(rest.split_off(..length)?).ok()
}
