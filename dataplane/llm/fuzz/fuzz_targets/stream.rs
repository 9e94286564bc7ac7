//! Streams of every provider, for clients of every endpoint: what the client gets, and what is learnt, is the same however
//! the bytes were cut, and a stream that is not complete never looks so.

#![no_main]

use bytes::Bytes;
use headgate_llm::failure::FailureKind;
use headgate_llm::provider::{AnswerContext, Progress};
use headgate_llm_fuzz::{Pair, cuts, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (cuts, data) = cuts(data);
    let Some((pair, bytes)) = Pair::of(data) else { return };
    let Some(whole) = read(pair, bytes, &[]) else { return };
    assert_eq!(read(pair, bytes, cuts).as_ref(), Some(&whole));
    let (out, result, progress) = whole;
    assert_eq!(result.is_ok(), progress.is_complete);
    if result.is_err() {
        // As an event of its own: a line may hold these letters in its middle.
        assert!(!out.ends_with(b"\n\ndata: [DONE]\n\n") && out != b"data: [DONE]\n\n");
    }
});

type Read = (Vec<u8>, Result<(), FailureKind>, Progress);

fn read(pair: Pair, bytes: &[u8], cuts: &[u8]) -> Option<Read> {
    let mut decoder = pair.service()?.stream_decoder(&AnswerContext::default());
    let mut out = Vec::new();
    let mut result = Ok(());
    for piece in pieces(bytes, cuts) {
        result = decoder.push(Bytes::copy_from_slice(piece), &mut out);
        if result.is_err() {
            break;
        }
    }
    let result = result.and_then(|()| decoder.finish(&mut out));
    Some((
        out.concat(),
        result.map_err(|failure| failure.kind),
        decoder.progress().clone(),
    ))
}
