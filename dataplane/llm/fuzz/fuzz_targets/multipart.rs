//! Forms: the parts that are seen are the same however the bytes were cut, and stand where it is said that they stand.

#![no_main]

use headgate_llm::multipart::{Scanner, Step};
use headgate_llm_fuzz::{cuts, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (cuts, form) = cuts(data);
    let whole = read(form, &[]);
    assert_eq!(read(form, cuts), whole);
    let Some(steps) = whole else { return };
    let mut end = 0;
    for step in steps {
        let (from, to) = match step {
            Step::Part {
                part_start,
                value_start,
                ..
            } => (part_start, value_start),
            Step::PartEnd { value_end } => (value_end, value_end),
            Step::End => continue,
        };
        assert!(end <= from && from <= to && to <= form.len() as u64);
        end = to;
    }
});

/// `None`: it cannot be read.
fn read(form: &[u8], cuts: &[u8]) -> Option<Vec<Step>> {
    let mut scanner = Scanner::new(b"multipart/form-data; boundary=b").expect("a form");
    let mut steps = Vec::new();
    for piece in pieces(form, cuts) {
        scanner.push(piece, &mut steps).ok()?;
    }
    Some(steps)
}
