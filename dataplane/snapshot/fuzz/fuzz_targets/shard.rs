//! Shards as stored. Any bytes, read in either format, are refused or give exactly what the reference states; what was
//! read can be stored and read again. The digest of a reference is what a fuzzer never guesses, so half of the references
//! are made to fit, from a bounded inflation of our own.

#![no_main]

use std::io::Read as _;

use flate2::read::DeflateDecoder;
use headgate_snapshot::delivery::shard::SHARD_TEXT_BYTES_MAX;
use headgate_snapshot::delivery::{Class, Digest, Shard, ShardRef};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u32, &[u8])| {
    let (is_deflated, bytes, stored) = input;
    let format = if is_deflated { 2 } else { 1 };
    let blind = ShardRef {
        class: Class::Public,
        digest: Digest([0; 32]),
        bytes,
        records: bytes,
    };
    assert!(Shard::decode(&blind, stored, format).is_err());

    let Some(text) = text_of(stored, is_deflated) else {
        return;
    };
    let fitting = ShardRef {
        digest: Digest::of(&text),
        bytes: u32::try_from(text.len()).expect("bounded above"),
        ..blind
    };
    // Refused all the same where bytes follow the stream, or the stream has no end.
    let Ok(shard) = Shard::decode(&fitting, stored, format) else {
        assert!(is_deflated, "plain text that fits is read");
        return;
    };
    assert_eq!((shard.reference, &shard.text), (fitting, &text));
    for format in [1, 2] {
        assert_eq!(
            Shard::decode(&fitting, &shard.encode(format), format).as_ref(),
            Ok(&shard)
        );
    }
});

/// What the bytes stand for, if that is text of a length that a shard may have.
fn text_of(stored: &[u8], is_deflated: bool) -> Option<String> {
    let bytes = if is_deflated {
        let mut text = Vec::new();
        let bounded = &mut DeflateDecoder::new(stored).take(SHARD_TEXT_BYTES_MAX as u64 + 1);
        bounded.read_to_end(&mut text).ok()?;
        text
    } else {
        stored.to_vec()
    };
    String::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= SHARD_TEXT_BYTES_MAX)
}
