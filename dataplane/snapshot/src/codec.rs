//! Bytes of a whole snapshot: canonical records after a header with format and root digest.
//!
//! Layout, integers big-endian: `HEADGATE`, format `u32`, root digest 32 bytes, record count `u32`, then each record in
//! the order of its key: key length `u32`, key, body length `u32`, body. The digest is checked before anything is parsed,
//! so damage of any kind is told as damage. It is not a signature: who may write a snapshot is settled outside (by a
//! pointer with an HMAC, or by the mode of a file).

use std::ops::RangeInclusive;

use crate::record::{NotARecordKey, Record, RecordError, RecordKey, records_of, root_digest, snapshot_of};
use crate::{FORMAT, OLDEST_READABLE_FORMAT, Snapshot};

const MAGIC: &[u8; 8] = b"HEADGATE";

/// The formats this build can read and write: N and N-1.
pub const READABLE_FORMATS: RangeInclusive<u32> = OLDEST_READABLE_FORMAT..=FORMAT;

/// The bytes are no snapshot that this build may serve. Whoever gets one keeps the last good.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The first bytes are not ours.
    #[error("not a snapshot")]
    NotASnapshot,
    /// Ours, and newer or older than this build: nothing is wrong with it, so keep the last good and wait for an upgrade.
    #[error("snapshot format {found} is not one of {OLDEST_READABLE_FORMAT} to {FORMAT} that this build reads")]
    UnknownFormat {
        /// The format that was declared.
        found: u32,
    },
    /// It ends too early.
    #[error("the snapshot is cut short")]
    Truncated,
    /// It goes on after its last record.
    #[error("the snapshot has {bytes} bytes after its last record")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// The content is not what the header says.
    #[error("the records do not have the digest that the header states")]
    DigestMismatch,
    /// A key or body is not UTF-8.
    #[error("a record is not text")]
    NotText,
    /// Records stand in the wrong order, or one stands twice.
    #[error("record {key} stands out of order")]
    OutOfOrder {
        /// The later of the two.
        key: String,
    },
    /// A record key of no known kind.
    #[error(transparent)]
    Key(#[from] NotARecordKey),
    /// A body of the wrong form.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// This build does not write that format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build writes snapshot formats {OLDEST_READABLE_FORMAT} to {FORMAT}, not {requested}")]
pub struct UnknownFormat {
    /// What was asked for.
    pub requested: u32,
}

/// The bytes of a snapshot in `format`; the same bytes for the same content, always.
pub fn encode(snapshot: &Snapshot, format: u32) -> Result<Vec<u8>, UnknownFormat> {
    if !READABLE_FORMATS.contains(&format) {
        return Err(UnknownFormat { requested: format });
    }
    let records: Vec<_> = records_of(snapshot)
        .into_iter()
        .map(|record| (record.key.to_string(), record))
        .collect();
    let root = root_digest(records.iter().map(|(key, record)| (key.as_str(), record.digest())));
    let mut bytes = Vec::with_capacity(
        64 + records
            .iter()
            .map(|(key, record)| key.len() + record.body.len() + 8)
            .sum::<usize>(),
    );
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&format.to_be_bytes());
    bytes.extend_from_slice(&root);
    bytes.extend_from_slice(&length(records.len()));
    for (key, record) in &records {
        for part in [key, &record.body] {
            bytes.extend_from_slice(&length(part.len()));
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    Ok(bytes)
}

/// Reads what [`encode`] wrote, whole and unchanged, or refuses it.
pub fn decode(bytes: &[u8]) -> Result<Snapshot, DecodeError> {
    let mut reader = Reader { rest: bytes };
    if reader.take(MAGIC.len()).map_err(|_| DecodeError::NotASnapshot)? != MAGIC {
        return Err(DecodeError::NotASnapshot);
    }
    let format = reader.number()?;
    if !READABLE_FORMATS.contains(&format) {
        return Err(DecodeError::UnknownFormat { found: format });
    }
    let root = reader.take(32)?;
    let texts = reader.records()?;
    if root_digest(texts.iter().map(|&(key, body)| (key, body_digest(body)))) != root {
        return Err(DecodeError::DigestMismatch);
    }
    if let Some(pair) = texts.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(DecodeError::OutOfOrder {
            key: pair[1].0.to_owned(),
        });
    }
    let records: Vec<_> = texts
        .into_iter()
        .map(|(key, body)| {
            Ok(Record {
                key: key.parse::<RecordKey>()?,
                body: body.to_owned(),
            })
        })
        .collect::<Result<_, NotARecordKey>>()?;
    Ok(snapshot_of(records)?)
}

fn body_digest(body: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(body).into()
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length)
        .expect("records come from objects of at most 1.5 MiB, and a cluster holds no 2^32 of them")
        .to_be_bytes()
}

/// What is left of the bytes. Lengths are checked against what is there before anything is reserved for them.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.number()? as usize;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::NotText)
    }

    /// All records, and nothing after them.
    fn records(&mut self) -> Result<Vec<(&'a str, &'a str)>, DecodeError> {
        let count = self.number()?;
        let mut records = Vec::new();
        for _ in 0..count {
            records.push((self.text()?, self.text()?));
        }
        match self.rest.len() {
            0 => Ok(records),
            bytes => Err(DecodeError::TrailingBytes { bytes }),
        }
    }
}
