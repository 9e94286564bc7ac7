//! Sealing: what opens, what does not, and that the derivation never changes by accident.

use headgate_snapshot::{CredentialSlot, ObjectName, OpenError, Sealed, SealingKey};

const ORIGIN: &str = "https://api.openai.com:443";

fn key() -> SealingKey {
    SealingKey::new([7; 32])
}

fn slot() -> CredentialSlot {
    CredentialSlot::credential(ObjectName::new("ml", "openai"))
}

#[test]
fn what_was_sealed_opens_for_the_same_slot_and_origin() {
    for plaintext in [&b""[..], b"sk-1", &[0; 4096]] {
        let sealed = key().seal(&slot(), ORIGIN, plaintext);
        assert_eq!(*key().open(&slot(), ORIGIN, &sealed).unwrap(), plaintext);
    }
}

#[test]
fn a_sealed_value_opens_for_nothing_else() {
    let sealed = key().seal(&slot(), ORIGIN, b"sk-canary");
    let elsewhere = [
        (CredentialSlot::credential(ObjectName::new("ml", "other")), ORIGIN),
        (CredentialSlot::credential(ObjectName::new("other", "openai")), ORIGIN),
        (
            CredentialSlot::header(ObjectName::new("ml", "openai"), "x-api-key"),
            ORIGIN,
        ),
        // The same characters cut in other places.
        (CredentialSlot::credential(ObjectName::new("m", "lopenai")), ORIGIN),
        (
            CredentialSlot {
                provider: ObjectName::new("ml", "openaicredential"),
                slot: String::new(),
            },
            ORIGIN,
        ),
        (slot(), "https://api.openai.com:8443"),
        (slot(), "http://api.openai.com:443"),
        (slot(), "https://evil.example:443"),
        (slot(), ""),
    ];
    for (slot, origin) in elsewhere {
        assert_eq!(
            key().open(&slot, origin, &sealed).unwrap_err(),
            OpenError::Tampered,
            "{slot} at {origin}"
        );
    }
}

#[test]
fn another_key_is_told_apart_from_damage() {
    let sealed = key().seal(&slot(), ORIGIN, b"sk-canary");
    let other = SealingKey::new([8; 32]);
    let error = other.open(&slot(), ORIGIN, &sealed).unwrap_err();
    assert_eq!(
        error,
        OpenError::OtherKey {
            sealed_with: key().id().to_owned(),
            this: other.id().to_owned()
        }
    );
    // Claiming to be sealed with the other key does not help: the id is part of the associated data.
    let mut relabelled = sealed;
    other.id().clone_into(&mut relabelled.key_id);
    assert_eq!(
        other.open(&slot(), ORIGIN, &relabelled).unwrap_err(),
        OpenError::Tampered
    );
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_sealed_value_is_refused() {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let sealed = serde_json::to_value(key().seal(&slot(), ORIGIN, b"sk-canary")).unwrap();
    for field in ["nonce", "ciphertext"] {
        let bytes = base64.decode(sealed[field].as_str().unwrap()).unwrap();
        let flipped = (0..bytes.len() * 8).map(|bit| {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
        for wrong in flipped.chain(cut) {
            let mut value = sealed.clone();
            value[field] = base64.encode(&wrong).into();
            // A nonce of another length is no `Sealed` at all.
            if let Ok(sealed) = serde_json::from_value::<Sealed>(value) {
                assert_eq!(key().open(&slot(), ORIGIN, &sealed).unwrap_err(), OpenError::Tampered);
            }
        }
    }
}

#[test]
fn equal_intent_gives_equal_bytes_and_other_intent_another_nonce() {
    let seal = |plaintext: &[u8]| serde_json::to_value(key().seal(&slot(), ORIGIN, plaintext)).unwrap();
    assert_eq!(seal(b"sk-1"), seal(b"sk-1"));
    assert_ne!(seal(b"sk-1")["nonce"], seal(b"sk-2")["nonce"]);
}

/// A changed label or layout would strand every value that was sealed before, so it must be a decision. The expected
/// values were computed with Python's `hmac` and `cryptography`, not with this crate.
#[test]
fn the_derivation_stays_as_it_is() {
    let sealed = key().seal(&slot(), ORIGIN, b"sk-1");
    let written = serde_json::to_string(&sealed).unwrap();
    let expected = concat!(
        r#"{"keyId":"88ba7e9d3b9c051c","nonce":"DhzkByyIs1ljm4K3","#,
        r#""ciphertext":"DJdmbmThAGg2XaDk2Vc8+RRzvu4="}"#
    );
    assert_eq!(written, expected);
    let digest = serde_json::to_value(key().digester().of_token(b"vk-token")).unwrap();
    assert_eq!(
        digest,
        "a74d407bbd7db0f44f5c394cd330220bb873dc26e33d80cb09053f99d2e77f40"
    );
    let tag = key().binder().tag::<16>(&["id", "file-", "", "x"]);
    assert_eq!(u128::from_be_bytes(tag), 0x99d2_556b_fcda_9d46_174b_296a_1c23_3675);
}

#[test]
fn a_tag_is_that_of_its_parts_and_its_key_alone() {
    let binder = key().binder();
    let tag = binder.tag::<16>(&["ab", "c"]);
    assert!(binder.is_tag(&["ab", "c"], &tag));
    assert!(!binder.is_tag(&["a", "bc"], &tag));
    assert!(!binder.is_tag(&["ab", "c", ""], &tag));
    assert!(!SealingKey::new([8; 32]).binder().is_tag(&["ab", "c"], &tag));
    assert!(!binder.is_tag(&["ab", "c"], &[]), "nothing is no tag");
    let mut flipped = tag;
    flipped[15] ^= 1;
    assert!(!binder.is_tag(&["ab", "c"], &flipped));
}

#[test]
fn a_token_and_its_sha256_have_one_keyed_digest_that_depends_on_the_key() {
    use sha2::{Digest, Sha256};
    let digester = key().digester();
    assert_eq!(
        digester.of_token(b"vk-token"),
        digester.of_sha256(&Sha256::digest(b"vk-token").into())
    );
    assert_ne!(digester.of_token(b"vk-token"), digester.of_token(b"vk-tokem"));
    assert_ne!(
        digester.of_token(b"vk-token"),
        SealingKey::new([8; 32]).digester().of_token(b"vk-token")
    );
}

#[test]
fn secret_types_print_as_redacted() {
    let sealed = key().seal(&slot(), ORIGIN, b"sk-canary");
    let printed = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        key(),
        key().binder(),
        key().digester(),
        sealed,
        key().digester().of_token(b"t")
    );
    assert!(!printed.contains("sk-canary"));
    // Neither the bytes of the key (all 7) nor a run of any other bytes.
    assert!(
        !printed.contains("7, 7") && !printed.contains("0707") && !printed.contains('['),
        "{printed}"
    );
}

#[test]
fn a_keyed_digest_has_one_spelling() {
    use headgate_snapshot::KeyedDigest;
    let text = serde_json::to_string(&KeyedDigest([0xab; 32])).unwrap();
    assert_eq!(
        serde_json::from_str::<KeyedDigest>(&text).unwrap(),
        KeyedDigest([0xab; 32])
    );
    for wrong in [
        text.to_uppercase(),
        text.replacen('a', "", 1),
        text.replacen('a', "g", 1),
        text.replacen('a', "ää", 1),
    ] {
        assert!(serde_json::from_str::<KeyedDigest>(&wrong).is_err(), "{wrong}");
    }
}
