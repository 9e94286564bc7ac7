//! Server-sent events: what is read, and what is relayed, is the same however the bytes were cut, and nothing is lost.

#![no_main]

use bytes::Bytes;
use headgate_llm::failure::Failure;
use headgate_llm::sse::{self, Events, Relay, Verdict};
use headgate_llm_fuzz::{cuts, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (cuts, bytes) = cuts(data);
    let whole = read(bytes, &[]);
    assert_eq!(read(bytes, cuts), whole);
    let relayed = relay(bytes, &[]);
    assert_eq!(relay(bytes, cuts), relayed);
    assert!(relayed.0.len() <= bytes.len() && bytes.ends_with(&relayed.1));
});

fn read(bytes: &[u8], cuts: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut lines = Events::default();
    let mut events = Vec::new();
    let mut result: Result<(), Failure> = Ok(());
    for piece in pieces(bytes, cuts) {
        result = lines.push(piece, |event| {
            let data = sse::data(event).map(|data| data.to_vec());
            let _ = sse::name(event);
            events.extend(data);
            Ok(())
        });
        if result.is_err() {
            break;
        }
    }
    (events, result.is_ok())
}

fn relay(bytes: &[u8], cuts: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut relay = Relay::default();
    let mut out = Vec::new();
    for piece in pieces(bytes, cuts) {
        let pushed = relay.push(&Bytes::copy_from_slice(piece), &mut out, |_| Ok(Verdict::Keep));
        if pushed.is_err() {
            return (Vec::new(), Vec::new());
        }
    }
    (out.concat(), relay.finish().to_vec())
}
