//! The pointer: only somebody with the key ring can make one, and no byte of it can be changed by anybody else.

use headgate_snapshot::delivery::pointer::POINTER_TEXT_BYTES_MAX;
use headgate_snapshot::delivery::{Class, Digest, KeyRing, Pointer, PointerError, ShardRef, Signed};
use headgate_snapshot::{FORMAT, OLDEST_READABLE_FORMAT, SealingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::world::{KEY, key, pointer, ring, ring_of};

/// Signs any text, as somebody with the ring and other code could. Derived here by hand, from what is documented.
fn signed(text: &str) -> Signed {
    let hmac = |key: &[u8], message: &str| -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message);
        mac.finalize().into_bytes().into()
    };
    let tag = Digest(hmac(&hmac(&KEY, "headgate/v1/pointer"), text));
    Signed {
        text: text.to_owned(),
        signature: format!("{}:{tag}", key().id()),
    }
}

fn refusal(signed: &Signed, ring: &KeyRing) -> PointerError {
    Pointer::verify(signed, ring).unwrap_err()
}

#[test]
fn a_signed_pointer_is_read_again_and_signing_is_repeatable() {
    for format in OLDEST_READABLE_FORMAT..=FORMAT {
        let pointer = pointer(format);
        let stored = pointer.sign(&key());
        assert_eq!(stored, pointer.sign(&key()));
        assert_eq!(Pointer::verify(&stored, &ring()).unwrap(), pointer);
        assert_eq!(stored, signed(&stored.text), "the documented derivation");
    }
}

#[test]
fn every_flipped_bit_of_the_text_is_refused() {
    let stored = pointer(FORMAT).sign(&key());
    for bit in 0..stored.text.len() * 8 {
        let mut bytes = stored.text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // What is no UTF-8 cannot even stand in a ConfigMap.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let signature = stored.signature.clone();
        assert!(
            matches!(refusal(&Signed { text, signature }, &ring()), PointerError::Forged),
            "bit {bit}"
        );
    }
}

#[test]
fn every_changed_byte_of_the_signature_is_refused() {
    let stored = pointer(FORMAT).sign(&key());
    for position in 0..stored.signature.len() {
        for other in [b'0', b'1', b'f', b'A', b'g', b':', b' ', b'\n'] {
            let mut bytes = stored.signature.clone().into_bytes();
            if bytes[position] == other {
                continue;
            }
            bytes[position] = other;
            let changed = Signed {
                signature: String::from_utf8(bytes).unwrap(),
                ..stored.clone()
            };
            let error = refusal(&changed, &ring());
            let expected = matches!(
                error,
                PointerError::Forged | PointerError::NotSigned | PointerError::UnknownKey { .. }
            );
            assert!(expected, "{other} at {position}: {error}");
        }
    }
}

#[test]
fn text_cut_or_continued_is_refused() {
    let stored = pointer(FORMAT).sign(&key());
    let cut = (0..stored.text.len()).map(|length| stored.text[..length].to_owned());
    let continued = [" ", "\n", "}", "{}"].map(|more| format!("{}{more}", stored.text));
    for text in cut.chain(continued) {
        let signature = stored.signature.clone();
        assert!(matches!(
            refusal(&Signed { text, signature }, &ring()),
            PointerError::Forged
        ));
    }
}

#[test]
fn what_is_no_signature_is_told_apart_from_a_wrong_one() {
    let stored = pointer(FORMAT).sign(&key());
    let (id, tag) = stored.signature.split_once(':').unwrap();
    for signature in [
        String::new(),
        tag.to_owned(),
        format!("{id}{tag}"),
        format!("{id}:"),
        format!("{id}:{}", &tag[1..]),
        format!("{id}:{tag}0"),
        format!("{id}:{tag}\n"),
        format!("{id}:{}", tag.to_uppercase()),
        format!("{id}:{id}:{tag}"),
    ] {
        let text = stored.text.clone();
        let error = refusal(&Signed { text, signature }, &ring());
        assert!(matches!(error, PointerError::NotSigned), "{error}");
    }
}

#[test]
fn a_pointer_of_another_key_is_refused_and_the_key_named() {
    let stranger = SealingKey::new([8; 32]);
    let stored = pointer(FORMAT).sign(&stranger);
    let error = refusal(&stored, &ring());
    assert!(
        matches!(&error, PointerError::UnknownKey { key_id } if key_id == stranger.id()),
        "{error}"
    );
    // Under the name of a key that is in the ring it is a forgery.
    let relabelled = stored.signature.replace(stranger.id(), key().id());
    let relabelled = Signed {
        signature: relabelled,
        ..stored.clone()
    };
    assert!(matches!(refusal(&relabelled, &ring()), PointerError::Forged));
    // In a ring of both it is known, whichever is newer.
    for keys in [[KEY, [8; 32]], [[8; 32], KEY]] {
        assert!(Pointer::verify(&stored, &ring_of(&keys)).is_ok());
    }
}

#[test]
fn a_key_id_of_any_length_makes_a_short_message() {
    let stored = pointer(FORMAT).sign(&key());
    let signature = format!("{}{}", "ä".repeat(100_000), &stored.signature[16..]);
    let error = refusal(&Signed { signature, ..stored }, &ring());
    assert!(matches!(error, PointerError::UnknownKey { .. }));
    assert!(error.to_string().len() < 256);
}

/// Replaying a pointer that was signed once is for readers to refuse, by its number; so the number, the format that a
/// reader is to use, and the list of removed keys must all be in what is signed.
#[test]
fn sequence_format_root_and_removed_keys_are_in_the_signed_text() {
    let stored = pointer(FORMAT).sign(&key());
    for (from, to) in [
        (r#""sequence":12"#, r#""sequence":13"#),
        (r#""format":2"#, r#""format":1"#),
        (r#""since":9"#, r#""since":8"#),
        (r#""installation":"headgate.gateway.main""#, r#""installation":"other""#),
        (r#""class":"secret""#, r#""class":"public""#),
    ] {
        let text = stored.text.replacen(from, to, 1);
        assert_ne!(text, stored.text, "{from} stands in the text");
        let signature = stored.signature.clone();
        assert!(matches!(
            refusal(&Signed { text, signature }, &ring()),
            PointerError::Forged
        ));
    }
    let older = Pointer::verify(&stored, &ring()).unwrap();
    assert_eq!(
        older.head.sequence, 12,
        "an older pointer verifies, and says that it is older"
    );
}

#[test]
fn signed_text_with_fields_that_this_build_does_not_know_is_refused() {
    let text = pointer(FORMAT).sign(&key()).text;
    assert!(Pointer::verify(&signed(&text), &ring()).is_ok());
    for (from, to) in [
        (r#"{"installation""#, r#"{"more":1,"installation""#),
        (r#"{"sequence""#, r#"{"more":1,"sequence""#),
        (r#"{"since""#, r#"{"more":1,"since""#),
        (r#"{"public""#, r#"{"more":1,"public""#),
        (r#"{"class""#, r#"{"more":1,"class""#),
        (r#""class":"public""#, r#""class":"hidden""#),
        (r#""sequence":12"#, r#""sequence":-1"#),
        (r#""sequence":12"#, r#""sequence":12.0"#),
        (r#""sequence":12"#, r#""sequence":12,"sequence":13"#),
        (r#""sequence":12"#, r#""sequence":18446744073709551616"#),
        (r#""format":2"#, r#""format":"2""#),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} stands in the text");
        let error = refusal(&signed(&changed), &ring());
        assert!(matches!(error, PointerError::Unreadable(_)), "{to}: {error}");
    }
    for text in ["", "null", "[]", "{}", "{", &"[".repeat(100_000)] {
        assert!(matches!(refusal(&signed(text), &ring()), PointerError::Unreadable(_)));
    }
}

#[test]
fn the_largest_sequence_is_read_as_it_is() {
    let mut last = pointer(FORMAT);
    last.head.sequence = u64::MAX;
    assert_eq!(Pointer::verify(&last.sign(&key()), &ring()).unwrap(), last);
}

#[test]
fn more_shards_than_an_operator_makes_are_refused_in_head_and_previous() {
    // References as short as they can be, so that the length of the text is not what is refused.
    let short = ShardRef {
        class: Class::Public,
        digest: Digest([0; 32]),
        bytes: 0,
        records: 0,
    };
    let mut head = pointer(FORMAT);
    head.previous = None;
    let mut previous = pointer(FORMAT);
    previous.head.shards = vec![short; 8_193];
    previous.previous = Some(std::mem::replace(&mut previous.head, head.head.clone()));
    head.head.shards = vec![short; 8_193];
    for many in [head, previous] {
        let error = refusal(&many.sign(&key()), &ring());
        assert!(matches!(error, PointerError::TooManyShards(8_193)), "{error}");
    }
}

#[test]
fn a_pointer_longer_than_a_configmap_is_not_even_hashed() {
    let text = " ".repeat(POINTER_TEXT_BYTES_MAX + 1);
    assert!(matches!(refusal(&signed(&text), &ring()), PointerError::TooLong));
    let text = " ".repeat(POINTER_TEXT_BYTES_MAX);
    assert!(matches!(refusal(&signed(&text), &ring()), PointerError::Unreadable(_)));
}

#[test]
fn ten_thousand_callers_and_as_many_removed_fit_one_pointer() {
    use crate::world::{digest, generation, many_callers};
    let mut large = pointer(FORMAT);
    large.head = generation(&many_callers(10_000), 12, FORMAT).0;
    large.previous = Some(large.head.clone());
    large.removed.digests = (0..10_000).map(|n| (digest(&n.to_string()), 12)).collect();
    let stored = large.sign(&key());
    assert!(stored.text.len() < POINTER_TEXT_BYTES_MAX, "{}", stored.text.len());
    assert_eq!(Pointer::verify(&stored, &ring()).unwrap(), large);
}
