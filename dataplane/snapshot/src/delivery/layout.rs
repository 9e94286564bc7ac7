//! Which record stands in which shard: by the hash of its identity, over a number of shards that grows by doubling.
//!
//! A record never moves because another one came or went, so one changed object rewrites one shard. The number of shards
//! follows the size of the whole with a wide band between growing and shrinking, since every change of it rewrites all.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::shard::{Class, SHARD_TEXT_BYTES_MAX, Shard};
use crate::record::Record;

/// Above this many bytes a shard, on average, their number doubles.
const SHARD_BYTES_HIGH: usize = 64 * 1024;
/// Below this many bytes a shard, on average, their number halves.
const SHARD_BYTES_LOW: usize = 16 * 1024;
/// More shards than this are not made: a pointer has to name them all. 4,096 of 64 KiB are 256 MiB of records.
pub const SHARDS_MAX: u32 = 4_096;

/// How many shards each class is spread over; powers of two. Shards without records are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Layout {
    /// Of [`Class::Public`].
    pub public: u32,
    /// Of [`Class::Secret`].
    pub secret: u32,
}

impl Default for Layout {
    fn default() -> Self {
        Self { public: 1, secret: 1 }
    }
}

/// A record is larger than any object that an API server would store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {key} takes {bytes} bytes, and a shard holds at most {SHARD_TEXT_BYTES_MAX}; make its object smaller")]
pub struct TooLarge {
    /// The record.
    pub key: String,
    /// The length of its line.
    pub bytes: usize,
}

/// Spreads records over shards, keeping to `previous` where the size allows it.
pub fn shards_of(records: &[Record], previous: Layout) -> Result<(Layout, Vec<Shard>), TooLarge> {
    let (mut public, mut secret) = (Vec::new(), Vec::new());
    for record in records {
        let line = Line::of(record);
        if line.bytes() > SHARD_TEXT_BYTES_MAX {
            return Err(TooLarge {
                bytes: line.bytes(),
                key: line.key,
            });
        }
        match Class::of(record) {
            Class::Public => public.push(line),
            Class::Secret => secret.push(line),
        }
    }
    let (public_count, mut shards) = spread(Class::Public, public, previous.public);
    let (secret_count, secret_shards) = spread(Class::Secret, secret, previous.secret);
    shards.extend(secret_shards);
    let layout = Layout {
        public: public_count,
        secret: secret_count,
    };
    Ok((layout, shards))
}

struct Line<'a> {
    key: String,
    body: &'a str,
    place: u32,
}

impl<'a> Line<'a> {
    fn of(record: &'a Record) -> Self {
        let key = record.key.to_string();
        let hash: [u8; 32] = Sha256::digest(&key).into();
        let [a, b, c, d, ..] = hash;
        Self {
            place: u32::from_be_bytes([a, b, c, d]),
            key,
            body: &record.body,
        }
    }

    /// With the space and the line break.
    fn bytes(&self) -> usize {
        self.key.len() + self.body.len() + 2
    }
}

fn spread(class: Class, mut lines: Vec<Line<'_>>, previous: u32) -> (u32, Vec<Shard>) {
    lines.sort_by(|a, b| a.key.cmp(&b.key));
    let count = count_for(lines.iter().map(Line::bytes).sum(), previous);
    let mut places: Vec<Vec<&Line<'_>>> = vec![Vec::new(); count as usize];
    for line in &lines {
        places[(line.place % count) as usize].push(line);
    }
    let pieces = places.iter().flat_map(|place| pieces(place));
    let shards = pieces.map(|lines| Shard::of(class, lines.iter().map(|line| (line.key.as_str(), line.body))));
    (count, shards.collect())
}

/// Cuts the lines of one place where they would outgrow a shard. That takes records many times larger than is usual;
/// doubling instead would let whoever chooses two names that fall together decide how many shards everybody has.
fn pieces<'a, 'b>(place: &'a [&'b Line<'b>]) -> impl Iterator<Item = &'a [&'b Line<'b>]> {
    let mut bytes = place.first().map_or(0, |line| line.bytes());
    place.chunk_by(move |_, next| {
        bytes += next.bytes();
        let fits = bytes <= SHARD_TEXT_BYTES_MAX;
        if !fits {
            bytes = next.bytes();
        }
        fits
    })
}

fn count_for(bytes: usize, previous: u32) -> u32 {
    let mut count = previous.clamp(1, SHARDS_MAX).next_power_of_two();
    while bytes > SHARD_BYTES_HIGH * count as usize && count < SHARDS_MAX {
        count *= 2;
    }
    while count > 1 && bytes < SHARD_BYTES_LOW * count as usize {
        count /= 2;
    }
    count
}
