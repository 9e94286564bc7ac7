//! What data planes say about themselves: read from newer and older ones, short enough for an annotation.

use headgate_snapshot::FORMAT;
use headgate_snapshot::delivery::{Ack, AckError, Digest, RefusedHead, Serving};

fn ack() -> Ack {
    Ack {
        installation: "headgate.gateway.main".to_owned(),
        serving: Some(Serving {
            sequence: 12,
            root: Digest::of("served"),
        }),
        refused: Some(RefusedHead {
            sequence: Some(13),
            root: Some(Digest::of("refused")),
            reason: "its format 3 is newer than 2".to_owned(),
        }),
        format_max: FORMAT,
        key_ids: vec!["88ba7e9d3b9c051c".to_owned()],
        build: "0.1.0".to_owned(),
    }
}

fn with_reason(reason: &str) -> Ack {
    let mut ack = ack();
    reason.clone_into(&mut ack.refused.as_mut().unwrap().reason);
    ack
}

/// The reason after it went through an annotation.
fn reason_of(ack: &Ack) -> String {
    let read = Ack::from_annotation(&ack.to_annotation()).unwrap();
    read.refused.unwrap().reason
}

#[test]
fn an_acknowledgement_is_read_again() {
    let refused_unsigned = Ack {
        serving: None,
        refused: Some(RefusedHead {
            sequence: None,
            root: None,
            reason: "the signature is wrong".to_owned(),
        }),
        ..ack()
    };
    let nothing_yet = Ack {
        serving: None,
        refused: None,
        key_ids: vec![],
        ..ack()
    };
    for ack in [ack(), refused_unsigned, nothing_yet] {
        assert_eq!(Ack::from_annotation(&ack.to_annotation()).unwrap(), ack);
    }
}

#[test]
fn a_long_reason_is_cut_between_letters() {
    for (letter, kept) in [("x", 1_024), ("ä", 512), ("€", 341), ("🦀", 256)] {
        assert_eq!(reason_of(&with_reason(&letter.repeat(2_000))), letter.repeat(kept));
        // Whatever stands before it, so that the cut falls at every place within a letter.
        for before in 0..4 {
            let cut = reason_of(&with_reason(&format!("{}{}", "-".repeat(before), letter.repeat(2_000))));
            assert!(
                cut.len() <= 1_024 && cut.len() > 1_020 && cut.ends_with(letter),
                "{letter} after {before}"
            );
        }
    }
}

#[test]
fn a_reason_that_fits_is_kept_whole() {
    for reason in [String::new(), "x".repeat(1_024), "€".repeat(341)] {
        assert_eq!(reason_of(&with_reason(&reason)), reason);
    }
}

#[test]
fn the_longest_reason_with_everything_escaped_can_still_be_read() {
    let mut longest = with_reason(&"\u{1}".repeat(2_000));
    longest.key_ids = vec!["88ba7e9d3b9c051c".to_owned(); 64];
    assert!(Ack::from_annotation(&longest.to_annotation()).is_ok());
}

#[test]
fn fields_of_newer_data_planes_are_passed_over_at_every_depth() {
    let text = ack().to_annotation();
    for (from, to) in [
        (r#"{"installation""#, r#"{"more":[1],"installation""#),
        (r#""serving":{"#, r#""serving":{"more":{},"#),
        (r#""refused":{"#, r#""refused":{"more":null,"#),
    ] {
        let newer = text.replacen(from, to, 1);
        assert_ne!(newer, text);
        assert_eq!(Ack::from_annotation(&newer).unwrap(), ack());
    }
}

#[test]
fn what_is_absent_may_be_null_or_missing() {
    let short = r#"{"installation":"i","formatMax":1,"keyIds":[],"build":""}"#;
    let with_nulls = short.replacen('{', r#"{"serving":null,"refused":null,"#, 1);
    let read = Ack::from_annotation(short).unwrap();
    assert_eq!((&read.serving, &read.refused), (&None, &None));
    assert_eq!(Ack::from_annotation(&with_nulls).unwrap(), read);
    assert_eq!(read.to_annotation(), short);
}

#[test]
fn what_is_no_acknowledgement_is_an_error() {
    let text = ack().to_annotation();
    for wrong in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        text[..text.len() - 1].to_owned(),
        format!("{text}{text}"),
        text.replacen("12", "-12", 1),
        text.replacen("12", "\"12\"", 1),
        text.replacen("sequence", "number", 1),
        "[".repeat(10_000),
    ] {
        let error = Ack::from_annotation(&wrong).unwrap_err();
        assert!(matches!(error, AckError::Unreadable(_)), "{wrong}: {error}");
    }
}

#[test]
fn an_annotation_that_is_too_long_is_not_parsed() {
    let text = ack().to_annotation();
    let padded = |length: usize| format!("{text}{}", " ".repeat(length - text.len()));
    assert_eq!(Ack::from_annotation(&padded(16 * 1_024)).unwrap(), ack());
    let error = Ack::from_annotation(&padded(16 * 1_024 + 1)).unwrap_err();
    assert!(matches!(error, AckError::TooLong), "{error}");
}
