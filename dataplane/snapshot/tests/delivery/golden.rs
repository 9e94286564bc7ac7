//! The very bytes of one small snapshot, as files: a change of them is a change of format, or of every installation's
//! shards at the next upgrade, and must be seen.
//!
//! `UPDATE_GOLDEN=1 cargo test -p headgate-snapshot --test delivery golden` writes them anew; read the difference, and ask
//! whether pods of the version before could still read it. The deflated form is only read here: its bytes may differ with
//! every version of a compressor, and name nothing. Signatures, digests and deflated files were checked once with Python's
//! `hmac`, `hashlib` and `zlib`.

use std::fs;
use std::path::{Path, PathBuf};

use headgate_snapshot::delivery::{Ack, Class, Pointer, RefusedHead, Serving, Shard, Signed, assemble};
use headgate_snapshot::{FORMAT, OLDEST_READABLE_FORMAT};

use crate::world::{key, pointer, ring, shards, snapshot};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn is_updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[track_caller]
fn check(name: &str, bytes: &[u8]) {
    let path = golden(name);
    if is_updating() {
        fs::write(&path, bytes).unwrap();
    }
    let expected = fs::read(&path).unwrap();
    assert_eq!(
        String::from_utf8_lossy(bytes),
        String::from_utf8_lossy(&expected),
        "{name} differs; see the head of tests/delivery/golden.rs"
    );
}

#[test]
fn the_text_of_shards_stays_as_it_is() {
    let (_, shards) = shards(&snapshot());
    assert_eq!(shards.len(), 2);
    for shard in &shards {
        check(
            &format!("{}.format-1", shard.reference.class.as_str()),
            &shard.encode(1),
        );
    }
}

#[test]
fn pointers_and_their_signatures_stay_as_they_are() {
    for format in OLDEST_READABLE_FORMAT..=FORMAT {
        let Signed { text, signature } = pointer(format).sign(&key());
        check(&format!("pointer.format-{format}.json"), text.as_bytes());
        check(&format!("pointer.format-{format}.signature"), signature.as_bytes());
    }
}

#[test]
fn acknowledgements_stay_as_they_are() {
    let head = pointer(FORMAT).head;
    let ack = Ack {
        installation: "headgate.gateway.main".to_owned(),
        serving: Some(Serving {
            sequence: head.sequence - 1,
            root: head.root,
        }),
        refused: Some(RefusedHead {
            sequence: Some(head.sequence),
            root: None,
            reason: "the signature of the pointer is wrong".to_owned(),
        }),
        format_max: FORMAT,
        key_ids: ring().ids(),
        build: "0.1.0".to_owned(),
    };
    check("ack.json", ack.to_annotation().as_bytes());
}

#[test]
fn what_was_stored_by_any_build_is_read() {
    if is_updating() {
        return; // the other tests are writing
    }
    for format in OLDEST_READABLE_FORMAT..=FORMAT {
        let read = |name: &str| fs::read_to_string(golden(name)).unwrap();
        let signed = Signed {
            text: read(&format!("pointer.format-{format}.json")),
            signature: read(&format!("pointer.format-{format}.signature")),
        };
        let head = Pointer::verify(&signed, &ring()).unwrap().head;
        assert_eq!(head.format, format);
        let stored = |class: Class| fs::read(golden(&format!("{}.format-{format}", class.as_str()))).unwrap();
        let shards = head
            .shards
            .iter()
            .map(|reference| Shard::decode(reference, &stored(reference.class), head.format).unwrap())
            .collect();
        assert_eq!(assemble(&head, shards).unwrap(), snapshot());
    }
}
