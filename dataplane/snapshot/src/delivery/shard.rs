//! A shard: some records of one snapshot as text, one line each, in an object that never changes.
//!
//! A shard is named and checked by the digest of its text, whatever way the text is stored: format 1 stores it plain,
//! format 2 deflated, which is what ten thousand keys cost an API server less. Inflating is bounded by the length that the
//! signed pointer states, so nobody can make a reader swell.

use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};

use super::Digest;
use crate::record::Record;

/// The longest text of one shard, in bytes. An API server takes objects of a little more than 1 MiB, and base64 adds a
/// third to what a Secret holds.
pub const SHARD_TEXT_BYTES_MAX: usize = 512 * 1024;

/// The first format that stores shards deflated.
const DEFLATED_SINCE: u32 = 2;

/// What a shard may hold, and thereby what kind of object it is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// Providers, routes, model tables: a ConfigMap.
    Public,
    /// Sealed credentials and keyed digests: a Secret.
    Secret,
}

impl Class {
    /// As it stands in names and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Secret => "secret",
        }
    }

    /// Where a record belongs.
    pub fn of(record: &Record) -> Self {
        if record.is_secret() { Self::Secret } else { Self::Public }
    }
}

/// What a pointer says about a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardRef {
    /// What it may hold.
    pub class: Class,
    /// SHA-256 of its text.
    pub digest: Digest,
    /// Length of its text in bytes.
    pub bytes: u32,
    /// How many records it has.
    pub records: u32,
}

impl ShardRef {
    /// The name of the ConfigMap or Secret: content-addressed, so that a name never means two things.
    pub fn object_name(&self) -> String {
        let digest = self.digest.to_string();
        format!("headgate-{}-{}", self.class.as_str(), &digest[..40])
    }
}

/// A shard whose text has the digest that its reference states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// What a pointer says about it.
    pub reference: ShardRef,
    /// Its records, `<key> <body>` a line, sorted by key.
    pub text: String,
}

/// The bytes are not the shard that was asked for. The one who reads keeps what it has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The text is not as long as stated, or does not inflate to its end, or something comes after it.
    #[error("shard {name} cannot be read as {bytes} bytes of text")]
    Damaged {
        /// The object.
        name: String,
        /// The length that the pointer states.
        bytes: u32,
    },
    /// The text is not what the pointer names.
    #[error("shard {name} does not have the digest that the pointer states")]
    OtherDigest {
        /// The object.
        name: String,
    },
    /// A line is no record, or belongs in a shard of the other class.
    #[error("line {line} of shard {name} is no record that may stand there")]
    NotARecord {
        /// The object.
        name: String,
        /// From 1.
        line: usize,
    },
}

impl Shard {
    /// A shard of these records, which are sorted by the text of their key and all of one class.
    pub(super) fn of<'a>(class: Class, records: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        let mut count = 0;
        for (key, body) in records {
            text.push_str(key);
            text.push(' ');
            text.push_str(body);
            text.push('\n');
            count += 1;
        }
        let reference = ShardRef {
            class,
            digest: Digest::of(&text),
            bytes: u32::try_from(text.len()).expect("the layout bounds the text of a shard"),
            records: count,
        };
        Self { reference, text }
    }

    /// The bytes to store in that format; the same for the same shard and build.
    pub fn encode(&self, format: u32) -> Vec<u8> {
        if format < DEFLATED_SINCE {
            return self.text.as_bytes().to_vec();
        }
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(self.text.len() / 2), Compression::default());
        encoder
            .write_all(self.text.as_bytes())
            .and_then(|()| encoder.finish())
            .expect("writing to memory does not fail")
    }

    /// Reads what [`encode`](Self::encode) wrote and a pointer names, or refuses it. Takes no more memory than the length
    /// that the reference states.
    pub fn decode(reference: &ShardRef, bytes: &[u8], format: u32) -> Result<Self, ShardError> {
        let damaged = || ShardError::Damaged {
            name: reference.object_name(),
            bytes: reference.bytes,
        };
        let length = reference.bytes as usize;
        if length > SHARD_TEXT_BYTES_MAX {
            return Err(damaged());
        }
        let text = if format < DEFLATED_SINCE {
            (bytes.len() == length).then(|| bytes.to_vec())
        } else {
            inflate(bytes, length)
        }
        .ok_or_else(damaged)?;
        let text = String::from_utf8(text).map_err(|_| damaged())?;
        if Digest::of(&text) != reference.digest {
            return Err(ShardError::OtherDigest {
                name: reference.object_name(),
            });
        }
        Ok(Self {
            reference: *reference,
            text,
        })
    }

    /// Its records, each of the class it should be. Their bodies are judged where a snapshot is put together; their order
    /// means nothing, the digest of the text settles it.
    pub fn records(&self) -> Result<Vec<Record>, ShardError> {
        let not_a_record = |index: usize| ShardError::NotARecord {
            name: self.reference.object_name(),
            line: index + 1,
        };
        let mut records = Vec::with_capacity(self.reference.records as usize & 0xffff);
        for (index, line) in self.text.split_terminator('\n').enumerate() {
            let (key, body) = line.split_once(' ').ok_or_else(|| not_a_record(index))?;
            let record = Record {
                key: key.parse().map_err(|_| not_a_record(index))?,
                body: body.to_owned(),
            };
            if Class::of(&record) != self.reference.class {
                return Err(not_a_record(index));
            }
            records.push(record);
        }
        Ok(records)
    }
}

/// The text of a whole deflate stream with nothing after it, if it has that length.
fn inflate(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    // What is inflated stops at the capacity; the byte more shows text that is too long, and leaves the decoder room to
    // reach the end of a stream that is not.
    let mut text = Vec::with_capacity(length + 1);
    let mut decoder = Decompress::new(false);
    let status = decoder.decompress_vec(bytes, &mut text, FlushDecompress::Finish).ok()?;
    let is_whole = status == Status::StreamEnd && decoder.total_in() == bytes.len() as u64 && text.len() == length;
    is_whole.then_some(text)
}
