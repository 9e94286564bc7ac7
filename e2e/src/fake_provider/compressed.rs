//! Answers that are large, or seem small.

use std::io::Write as _;

use super::asked::Asked;
use super::wire::Speech;

/// What big answers are made of.
pub(super) const MEBIBYTE: usize = 1 << 20;

/// A whole answer in two parts: what stands before its text, and behind it. Between them goes as much as is wanted,
/// without a string of that size ever being made.
pub(super) fn around_text(speech: &dyn Speech, asked: &Asked) -> [Vec<u8>; 2] {
    const MARK: &str = "@content@";
    let answer = String::from_utf8(speech.whole(&asked.without_tool(), MARK, true)).expect("JSON is text");
    let (before, after) = answer.split_once(MARK).expect("the text is in the answer");
    [before.into(), after.into()]
}

/// `plain`, compressed.
pub(super) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

/// The beginning of a compressed answer, and one mebibyte of its content, to be sent as often as is wanted: what it
/// refers to is always the same `x`. The end is missing: nobody should read that far.
pub(super) fn gzip_bomb(speech: &dyn Speech, asked: &Asked) -> [Vec<u8>; 2] {
    let [before, _] = around_text(speech, asked);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut blocks = |plain: &[u8]| {
        encoder
            .write_all(plain)
            .and_then(|()| encoder.flush())
            .expect("writing to memory does not fail");
        std::mem::take(encoder.get_mut())
    };
    [blocks(&before), blocks(&vec![b'x'; MEBIBYTE])]
}
