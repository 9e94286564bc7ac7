//! AWS's binary event stream: the messages are the same however the bytes were cut, and a changed bit is never believed.

#![no_main]

use headgate_llm::event_stream::Messages;
use headgate_llm_fuzz::{cuts, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (cuts, bytes) = cuts(data);
    let whole = read(bytes, &[]);
    assert_eq!(read(bytes, cuts), whole);
});

/// Headers and payloads of the messages, and whether the stream may end here.
fn read(bytes: &[u8], cuts: &[u8]) -> (Vec<(String, Vec<u8>)>, bool) {
    let mut decoder = Messages::default();
    let mut messages = Vec::new();
    for piece in pieces(bytes, cuts) {
        let pushed = decoder.push(piece, |message| {
            let headers: Vec<_> = message
                .headers()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            messages.push((headers.join(","), message.payload.to_vec()));
            Ok(())
        });
        if pushed.is_err() {
            return (messages, false);
        }
    }
    (messages, !decoder.is_inside_message())
}
