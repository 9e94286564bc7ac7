//! Forms: the parts that are seen are the same however the bytes were cut, and stand where it is said that they stand; so
//! is what a batch's file names.

#![no_main]

use headgate_llm::multipart::{Scanner, Step};
use headgate_llm::stored::batch_file::BatchFile;
use headgate_llm_fuzz::{cuts, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (cuts, form) = cuts(data);
    let whole = read(form, &[]);
    assert_eq!(read(form, cuts), whole);
    let Some((steps, _)) = whole else { return };
    let mut end = 0;
    for step in steps {
        let (from, to) = match step {
            Step::Part {
                part_start,
                value_start,
                filenames,
                ..
            } => {
                let mut filenames = filenames.into_iter();
                assert!(filenames.all(|place| part_start < place && place <= value_start));
                (part_start, value_start)
            }
            Step::PartEnd { value_end } => (value_end, value_end),
            Step::End => continue,
        };
        assert!(end <= from && from <= to && to <= form.len() as u64);
        end = to;
    }
});

/// `None`: it cannot be read.
fn read(form: &[u8], cuts: &[u8]) -> Option<(Vec<Step>, Option<&'static str>)> {
    let mut scanner = Scanner::new(b"multipart/form-data; boundary=b").expect("a form");
    let (mut steps, mut file, mut start) = (Vec::new(), BatchFile::default(), 0);
    for piece in pieces(form, cuts) {
        let seen = steps.len();
        scanner.push(piece, &mut steps).ok()?;
        file.push(start, piece, &steps[seen..]);
        start += piece.len() as u64;
    }
    Some((steps, file.names()))
}
