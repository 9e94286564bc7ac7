//! Pointers. The text is signed here, by hand, so that the parser behind the signature is reached; unsigned, or changed by
//! a bit after signing, nothing is read at all.

#![no_main]

use headgate_snapshot::SealingKey;
use headgate_snapshot::delivery::pointer::POINTER_TEXT_BYTES_MAX;
use headgate_snapshot::delivery::{Digest, KeyRing, Pointer, PointerError, Signed};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;

const KEY: [u8; 32] = [7; 32];

fuzz_target!(|input: (u16, &str)| {
    let (bit, text) = input;
    let ring = KeyRing::from_entries([("key".to_owned(), KEY.to_vec().into())]).expect("one key");
    let unsigned = Signed {
        text: text.to_owned(),
        signature: text.lines().next().unwrap_or_default().to_owned(),
    };
    assert!(Pointer::verify(&unsigned, &ring).is_err());

    let signed = sign(text);
    match Pointer::verify(&signed, &ring) {
        Ok(pointer) => {
            let again = pointer.sign(ring.newest());
            assert_eq!(Pointer::verify(&again, &ring).expect("signed by us"), pointer);
        }
        Err(PointerError::Unreadable(_)) => {}
        Err(PointerError::TooLong) => assert!(text.len() > POINTER_TEXT_BYTES_MAX),
        Err(other) => panic!("refused before it was read: {other}"),
    }
    assert!(Pointer::verify(&flipped(&signed, usize::from(bit)), &ring).is_err());
});

fn sign(text: &str) -> Signed {
    let hmac = |key: &[u8], message: &[u8]| -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.chain_update(message).finalize().into_bytes().into()
    };
    let tag = Digest(hmac(&hmac(&KEY, b"headgate/v1/pointer"), text.as_bytes()));
    Signed {
        text: text.to_owned(),
        signature: format!("{}:{tag}", SealingKey::new(KEY).id()),
    }
}

/// With one of the lower seven bits of a letter flipped, in the text if it is ASCII there, else in the signature.
fn flipped(signed: &Signed, bit: usize) -> Signed {
    let Signed { text, signature } = signed;
    let flip = |text: &str| -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        let position = (bit / 7).checked_rem(bytes.len())?;
        bytes[position] ^= 1 << (bit % 7);
        String::from_utf8(bytes).ok()
    };
    match flip(text) {
        Some(text) => Signed {
            text,
            signature: signature.clone(),
        },
        None => Signed {
            text: text.clone(),
            signature: flip(signature).expect("a signature is ASCII"),
        },
    }
}
