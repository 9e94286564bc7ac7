//! The key ring: what people put into a Secret, read strictly, and never shown.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use headgate_snapshot::SealingKey;
use headgate_snapshot::delivery::{KeyRing, RingError};
use zeroize::Zeroizing;

use crate::world::ring_of;

fn ring(entries: &[(&str, &[u8])]) -> Result<KeyRing, RingError> {
    let owned = |&(name, value): &(&str, &[u8])| (name.to_owned(), Zeroizing::new(value.to_vec()));
    KeyRing::from_entries(entries.iter().map(owned))
}

fn id(byte: u8) -> String {
    SealingKey::new([byte; 32]).id().to_owned()
}

#[test]
fn keys_are_ordered_by_the_name_of_their_entry_and_the_last_is_the_newest() {
    let ring = ring(&[("key-0002", &[2; 32]), ("key-0010", &[10; 32]), ("key-0001", &[1; 32])]).unwrap();
    assert_eq!(ring.ids(), [id(1), id(2), id(10)]);
    assert_eq!(ring.newest().id(), id(10));
}

#[test]
fn a_key_is_found_by_its_whole_id_only() {
    let ring = ring_of(&[[1; 32], [2; 32]]);
    assert_eq!(ring.get(&id(1)).unwrap().id(), id(1));
    for wrong in ["", &id(3), &id(1)[..15], &format!("{}0", id(1)), &id(1).to_uppercase()] {
        assert!(ring.get(wrong).is_none(), "{wrong:?}");
    }
}

#[test]
fn raw_bytes_and_their_base64_with_or_without_a_line_break_are_one_key() {
    let base64 = STANDARD.encode([0xfb; 32]);
    for value in [
        vec![0xfb; 32],
        base64.clone().into_bytes(),
        format!("{base64}\n").into_bytes(),
        format!("{base64}\r\n").into_bytes(),
        format!(" {base64} ").into_bytes(),
    ] {
        assert_eq!(ring(&[("key", &value)]).unwrap().ids(), [id(0xfb)]);
    }
}

/// 32 bytes are a key whatever they look like: nobody has to know what random bytes may spell.
#[test]
fn raw_bytes_that_look_like_text_are_taken_as_they_are() {
    let text = b"0123456789abcdef0123456789abcde\n";
    assert_eq!(
        ring(&[("key", text)]).unwrap().newest().id(),
        SealingKey::new(*text).id()
    );
}

#[test]
fn an_entry_that_is_no_key_is_named_and_its_content_is_not() {
    let canary = "canarycanarycanarycanary";
    let values: [Vec<u8>; 10] = [
        vec![],
        b"\n".to_vec(),
        canary.into(),
        vec![b'c'; 31],
        vec![b'c'; 33],
        STANDARD.encode([1; 31]).into(),
        STANDARD.encode([1; 33]).into(),
        STANDARD_NO_PAD.encode([1; 32]).into(),
        STANDARD.encode([0xfb; 32]).replace('+', "-").into(),
        STANDARD.encode([1; 32]).replace("E=", "F=").into(), // bits that stand for nothing must be zero
    ];
    for value in values {
        let beside_a_key = ring(&[("key-0001", &[1; 32]), ("mistaken", &value)]).unwrap();
        assert_eq!(beside_a_key.ids(), [id(1)], "a slip stops nothing: {value:?}");
        assert_eq!(beside_a_key.unusable(), ["mistaken"]);
        let error = ring(&[("mistaken", &value)]).unwrap_err();
        let entry = "mistaken".to_owned();
        assert_eq!(error, RingError::NotAKey { entry }, "{value:?}");
        let said = format!("{error} {error:?}");
        assert!(said.contains("mistaken") && said.contains("openssl"), "{said}");
        assert!(!said.contains("canary") && !said.contains("ccc"), "{said}");
    }
}

#[test]
fn a_ring_is_never_empty_and_never_endless() {
    assert_eq!(ring(&[]).unwrap_err(), RingError::Empty);
    let many = |count: u8| {
        let entries = (0..count).map(|n| (format!("key-{n:04}"), vec![n; 32].into()));
        KeyRing::from_entries(entries)
    };
    assert_eq!(many(64).unwrap().ids().len(), 64);
    assert_eq!(many(65).unwrap_err(), RingError::TooMany);
}

#[test]
fn what_a_ring_prints_tells_ids_and_nothing_else() {
    let printed = format!("{:?}", ring_of(&[[7; 32]]));
    assert!(printed.contains(&id(7)), "{printed}");
    assert!(!printed.contains("7, 7") && !printed.contains("0707"), "{printed}");
}

#[test]
fn the_newest_key_that_every_reader_has_is_chosen() {
    let ring = ring_of(&[[1; 32], [2; 32], [3; 32]]);
    let all = ring.ids();
    let newest = |held: &[&[String]]| {
        ring.newest_held_by_all(held.iter().copied())
            .map(|key| key.id().to_owned())
    };

    assert_eq!(newest(&[]), Some(id(3)), "nobody reads yet");
    assert_eq!(newest(&[&all, &all]), Some(id(3)));
    assert_eq!(newest(&[&all, &all[..2]]), Some(id(2)), "one has not seen the newest");
    assert_eq!(newest(&[&all[1..], &all[..2]]), Some(id(2)), "one has lost the oldest");
    assert_eq!(newest(&[&all[..1], &all[2..]]), None, "none in common");
    assert_eq!(newest(&[&all, &[]]), None, "one that has none");
    assert_eq!(newest(&[&[id(9)]]), None, "keys that only readers have do not count");
}
