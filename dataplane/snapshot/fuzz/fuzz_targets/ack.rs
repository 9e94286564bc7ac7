//! Acknowledgements, which any data-plane pod may write. What is read can be written and read again, with a reason cut at
//! most once.

#![no_main]

use headgate_snapshot::delivery::Ack;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(ack) = Ack::from_annotation(text) else { return };
    let written = ack.to_annotation();
    // Escapes of what was written as it is can make a long one longer than what is read.
    let Ok(read) = Ack::from_annotation(&written) else {
        assert!(written.len() > 16 * 1024);
        return;
    };
    assert_eq!(read.to_annotation(), written);
    let (cut, whole) = (reason(&read), reason(&ack));
    assert!(cut.len() <= 1_024 && whole.starts_with(cut));
    assert_eq!((read.serving, &read.key_ids), (ack.serving, &ack.key_ids));
});

fn reason(ack: &Ack) -> &str {
    ack.refused.as_ref().map_or("", |refused| &refused.reason)
}
