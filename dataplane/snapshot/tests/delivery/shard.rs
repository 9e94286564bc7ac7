//! Shards as they are stored, in both formats: nothing but the very text that a pointer names is read.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use headgate_snapshot::delivery::shard::SHARD_TEXT_BYTES_MAX;
use headgate_snapshot::delivery::{Class, Digest, Shard, ShardError, ShardRef};
use headgate_snapshot::{FORMAT, OLDEST_READABLE_FORMAT};

use crate::world::{shard_of_text, shards, snapshot};

fn formats() -> impl Iterator<Item = u32> {
    OLDEST_READABLE_FORMAT..=FORMAT
}

fn small() -> Shard {
    let (_, shards) = shards(&snapshot());
    shards.into_iter().find(|s| s.reference.class == Class::Secret).unwrap()
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_stored_in_any_format_is_read_again() {
    for shard in shards(&snapshot()).1 {
        for format in formats() {
            let stored = shard.encode(format);
            assert_eq!(stored, shard.encode(format), "the same bytes for the same shard");
            assert_eq!(Shard::decode(&shard.reference, &stored, format).as_ref(), Ok(&shard));
        }
        assert_eq!(shard.encode(1), shard.text.as_bytes());
        assert!(shard.encode(2).len() < shard.text.len());
    }
}

#[test]
fn a_shard_of_one_format_is_not_read_as_the_other() {
    let shard = small();
    for (written, read) in [(1, 2), (2, 1)] {
        assert!(matches!(
            Shard::decode(&shard.reference, &shard.encode(written), read).unwrap_err(),
            ShardError::Damaged { .. }
        ));
    }
}

#[test]
fn every_flipped_bit_is_refused_unless_it_means_nothing_to_the_compression() {
    let shard = small();
    for format in formats() {
        let stored = shard.encode(format);
        let mut padding = 0;
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = Shard::decode(&shard.reference, &flipped, format) {
                // A deflate stream ends within its last byte; what is left of that byte stands for nothing.
                assert!(
                    bit / 8 == stored.len() - 1 && format == 2,
                    "bit {bit} of format {format}"
                );
                assert_eq!(read, shard);
                padding += 1;
            }
        }
        assert!(padding < 8);
    }
}

#[test]
fn every_truncation_is_refused() {
    let shard = small();
    for format in formats() {
        let stored = shard.encode(format);
        for length in 0..stored.len() {
            let error = Shard::decode(&shard.reference, &stored[..length], format).unwrap_err();
            assert!(
                matches!(error, ShardError::Damaged { .. }),
                "{length} in format {format}: {error}"
            );
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let shard = small();
    for format in formats() {
        for more in [&b"\0"[..], b"\n", &shard.encode(format)] {
            let stored = [&shard.encode(format), more].concat();
            let error = Shard::decode(&shard.reference, &stored, format).unwrap_err();
            assert!(matches!(error, ShardError::Damaged { .. }), "format {format}: {error}");
        }
    }
}

#[test]
fn another_text_of_the_same_length_is_refused_by_its_digest() {
    let shard = small();
    let text = shard.text.replacen("false", "true ", 1);
    assert_eq!(text.len(), shard.text.len());
    for format in formats() {
        let other = shard_of_text(Class::Secret, &text).encode(format);
        let error = Shard::decode(&shard.reference, &other, format).unwrap_err();
        assert_eq!(
            error,
            ShardError::OtherDigest {
                name: shard.reference.object_name()
            }
        );
    }
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let reference = ShardRef {
        bytes: 2,
        ..small().reference
    };
    for (stored, format) in [(vec![0xff, 0xfe], 1), (deflated(&[0xff, 0xfe]), 2)] {
        assert!(matches!(
            Shard::decode(&reference, &stored, format).unwrap_err(),
            ShardError::Damaged { .. }
        ));
    }
}

#[test]
fn what_would_inflate_to_more_than_the_pointer_states_is_not_inflated() {
    let bomb = deflated(&vec![b'x'; 16 * 1024 * 1024]);
    assert!(bomb.len() < 32 * 1024, "small enough to store anywhere");
    let shard = small();
    let error = Shard::decode(&shard.reference, &bomb, 2).unwrap_err();
    assert_eq!(
        error,
        ShardError::Damaged {
            name: shard.reference.object_name(),
            bytes: shard.reference.bytes
        }
    );
    // Nor does a pointer that states such a length help.
    let huge = ShardRef {
        bytes: u32::try_from(SHARD_TEXT_BYTES_MAX).unwrap() + 1,
        ..shard.reference
    };
    for stored in [&bomb[..], &[]] {
        for format in formats() {
            assert!(Shard::decode(&huge, stored, format).is_err());
        }
    }
}

#[test]
fn one_byte_more_or_less_than_the_pointer_states_is_refused() {
    let shard = small();
    for bytes in [shard.reference.bytes - 1, shard.reference.bytes + 1, 0] {
        let reference = ShardRef {
            bytes,
            ..shard.reference
        };
        for format in formats() {
            assert!(Shard::decode(&reference, &shard.encode(format), format).is_err());
        }
    }
}

#[test]
fn a_record_in_a_shard_of_the_other_class_is_refused_and_its_line_named() {
    let sealed = "credential/ml/openai/credential {}\n";
    let table = "models/ml {}\n";
    for (class, text) in [
        (Class::Public, format!("{table}{sealed}")),
        (Class::Secret, format!("{sealed}{table}")),
    ] {
        let shard = shard_of_text(class, &text);
        let name = shard.reference.object_name();
        assert_eq!(shard.records().unwrap_err(), ShardError::NotARecord { name, line: 2 });
    }
}

#[test]
fn lines_that_are_no_records_are_refused_without_being_shown() {
    for line in [
        "",
        "models/canary",
        " models/canary {}",
        "models {}",
        "models/ {}",
        "models/a/canary {}",
        "provider//canary {}",
        "provider/canary {}",
        "provider/a/b/canary {}",
        "budget/a/canary {}",
        "Models/canary {}",
    ] {
        let error = shard_of_text(Class::Public, &format!("{line}\n"))
            .records()
            .unwrap_err();
        assert!(
            matches!(error, ShardError::NotARecord { line: 1, .. }),
            "{line:?}: {error}"
        );
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[test]
fn objects_are_named_by_class_and_digest() {
    let shard = small();
    let name = shard.reference.object_name();
    let digest = Digest::of(&shard.text).to_string();
    assert_eq!(name, format!("headgate-secret-{}", &digest[..40]));
    assert!(name.len() <= 63, "a label may hold it, too");
    let public = ShardRef {
        class: Class::Public,
        ..shard.reference
    };
    assert_eq!(public.object_name(), format!("headgate-public-{}", &digest[..40]));
}
