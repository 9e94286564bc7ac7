//! Messages of AWS's event streams, one by one and damaged in every way.
//!
//! The frames below were written with Python's `struct` and `zlib.crc32` after the layout of the format, and read back by
//! botocore 1.44.8 (`botocore.eventstream.EventStreamBuffer`), which found in them what the tests expect here.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use headgate_llm::event_stream::{HEADERS_BYTES_MAX, MESSAGE_BYTES_MAX, Messages, Value};
use headgate_llm::failure::FailureKind;
use headgate_llm::translate::WireFailure;
use proptest::collection::vec;
use proptest::prelude::*;

mod frames;

use frames::{frame, frame_of};

const EMPTY: &str = "000000100000000005c248eb7d98c8ff";

const ALL_TYPES: &str = "\
    000000890000007267df1d9a0379657300026e6f01046279746502fe0573686f727403fffd07696e746567657204fffffffc\
    046c6f6e6705fffffffffffffffb0562797465730600030001ff04746578740700067669e1bb87740474696d6508000001a1\
    fd8c6900047575696409000102030405060708090a0b0c0d0e0f7061796c6f6164521b53fb";

const EVENT: &str = "\
    0000009f00000057c37babff0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c74610d3a636f6e74\
    656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b\
    22636f6e74656e74426c6f636b496e646578223a302c2264656c7461223a7b2274657874223a224869227d2c2270223a2261\
    626364227df2ace5ff";

const EXCEPTION: &str = "\
    0000008e00000061514180540f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e\
    0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009\
    657863657074696f6e7b226d657373616765223a22546f6f206d616e7920746f6b656e73227dc81b1ec1";

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// What a message said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    headers: Vec<(String, String)>,
    payload: Vec<u8>,
}

/// What is read of a stream in chunks of the given lengths, over and over; and how it ended.
fn read(stream: &[u8], chunk_lengths: &[usize]) -> (Vec<Read>, Result<bool, WireFailure>) {
    let (mut messages, mut seen, mut rest) = (Messages::default(), Vec::new(), stream);
    for length in chunk_lengths.iter().cycle() {
        let (chunk, left) = rest.split_at(rest.len().min(*length));
        let result = messages.push(chunk, |message| {
            let headers = message
                .headers()
                .map(|(name, value)| (name.to_owned(), format!("{value:?}")));
            seen.push(Read {
                headers: headers.collect(),
                payload: message.payload.to_vec(),
            });
            Ok(())
        });
        if let Err(failure) = result {
            return (seen, Err(failure));
        }
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    (seen, Ok(messages.is_inside_message()))
}

fn refused(stream: &[u8]) -> String {
    let (_, result) = read(stream, &[usize::MAX]);
    let failure = result.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Protocol);
    failure.detail
}

#[test]
fn every_type_of_header_is_read() {
    let stream = [bytes(EMPTY), bytes(ALL_TYPES)].concat();
    let mut values = Vec::new();
    let mut messages = Messages::default();
    let mut payloads = Vec::new();
    let result = messages.push(&stream, |message| {
        payloads.push(message.payload.to_vec());
        for (name, value) in message.headers() {
            let expected = match name {
                "yes" => Value::Bool(true),
                "no" => Value::Bool(false),
                "byte" => Value::Byte(-2),
                "short" => Value::Short(-3),
                "integer" => Value::Integer(-4),
                "long" => Value::Long(-5),
                "bytes" => Value::Bytes(&[0, 1, 255]),
                "text" => Value::Text("việt"),
                "time" => Value::Timestamp(1_795_255_200_000),
                "uuid" => Value::Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
                other => panic!("{other}"),
            };
            assert_eq!(value, expected);
            values.push(name.to_owned());
        }
        assert_eq!(message.text_header("byte"), None, "only text is given as text");
        Ok(())
    });
    assert_eq!(result, Ok(()));
    assert_eq!(values.len(), 10);
    assert_eq!(payloads, [b"".as_slice(), b"payload"]);
    assert!(!messages.is_inside_message());
}

#[test]
fn events_and_exceptions_are_told_apart_by_their_headers() {
    let mut seen = Vec::new();
    let stream = [bytes(EVENT), bytes(EXCEPTION)].concat();
    let result = Messages::default().push(&stream, |message| {
        let header = |name| message.text_header(name).unwrap_or("none").to_owned();
        seen.push((
            header(":message-type"),
            header(":event-type"),
            header(":exception-type"),
        ));
        Ok(())
    });
    assert_eq!(result, Ok(()));
    let words = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let event = words("event", "contentBlockDelta", "none");
    assert_eq!(seen, [event, words("exception", "none", "throttlingException")]);
}

#[test]
fn what_the_reader_refuses_ends_the_reading() {
    let stream = [bytes(EVENT), bytes(EXCEPTION), bytes(EVENT)].concat();
    let mut count = 0;
    let result = Messages::default().push(&stream, |message| {
        count += 1;
        match message.text_header(":exception-type") {
            Some(_) => Err(WireFailure::new(FailureKind::RateLimit, "no")),
            None => Ok(()),
        }
    });
    assert_eq!(result.unwrap_err().kind, FailureKind::RateLimit);
    assert_eq!(count, 2);
}

#[test]
fn a_message_that_has_begun_is_known_as_such() {
    let stream = bytes(EVENT);
    for cut in 1..stream.len() {
        assert_eq!(read(&stream[..cut], &[usize::MAX]), (vec![], Ok(true)), "{cut}");
    }
    assert_eq!(read(&stream, &[usize::MAX]).1, Ok(false));
    assert_eq!(read(&[], &[usize::MAX]), (vec![], Ok(false)));
}

#[test]
fn a_single_damaged_bit_is_found_wherever_it_is() {
    let stream = bytes(EVENT);
    for bit in 0..stream.len() * 8 {
        let mut damaged = stream.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (seen, result) = read(&damaged, &[usize::MAX]);
        assert_eq!(seen, vec![], "bit {bit}");
        assert_eq!(result.unwrap_err().kind, FailureKind::Protocol, "bit {bit}");
    }
}

#[test]
fn damaged_lengths_are_found_before_the_bytes_that_they_announce() {
    let mut prelude = bytes(EVENT)[..12].to_vec();
    prelude[0] = 1;
    assert!(refused(&prelude).contains("checksum"));
}

#[test]
fn lengths_are_bounded_before_anything_is_kept() {
    let prelude = |total: usize, headers: usize| {
        let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
        let mut prelude = [length(total), length(headers)].concat();
        prelude.extend(crc32fast::hash(&prelude).to_be_bytes());
        prelude
    };
    assert!(refused(&prelude(MESSAGE_BYTES_MAX + 1, 0)).contains("larger"));
    assert!(refused(&prelude(MESSAGE_BYTES_MAX, HEADERS_BYTES_MAX + 1)).contains("larger"));
    assert!(refused(&prelude(u32::MAX as usize, u32::MAX as usize)).contains("larger"));
    assert!(refused(&prelude(15, 0)).contains("shorter"));
    assert!(refused(&prelude(20, 5)).contains("shorter"));
    assert_eq!(
        read(&prelude(MESSAGE_BYTES_MAX, HEADERS_BYTES_MAX), &[usize::MAX]).1,
        Ok(true)
    );
    let largest = frame(&[], &vec![b'a'; MESSAGE_BYTES_MAX - 16]);
    assert_eq!(read(&largest, &[100_000]).0.len(), 1);
}

#[test]
fn headers_that_do_not_add_up_are_refused() {
    for headers in [
        b"\x01a".as_slice(),          // no type
        b"\x05a\x00",                 // a name longer than the block
        b"\x01\xff\x00",              // a name that is not UTF-8
        b"\x01a\x0a",                 // a type that does not exist
        b"\x01a\x02",                 // no value
        b"\x01a\x04\x00\x00\x00",     // half a value
        b"\x01a\x06\x00\x02a",        // bytes longer than the block
        b"\x01a\x07\x00\x01\xff",     // a text that is not UTF-8
        b"\x01a\x09\x00\x01\x02\x03", // half a UUID
        b"\x01a\x00\x01",             // one header, and the beginning of another
    ] {
        assert!(refused(&frame_of(headers, b"")).contains("headers"), "{headers:?}");
    }
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let headers = vec(("[a-z:]{0,8}", "\\PC{0,8}"), 0..3);
    (headers, vec(any::<u8>(), 0..40)).prop_map(|(headers, payload)| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        frame(&headers, &payload)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_says_the_same_however_it_is_cut(
        frames in vec(any_frame(), 0..6),
        tail in vec(any::<u8>(), 0..20),
        cuts in vec(1_usize..50, 1..8),
    ) {
        let stream = [frames.concat(), tail].concat();
        let whole = read(&stream, &[usize::MAX]);
        prop_assert!(whole.0.len() >= frames.len());
        prop_assert_eq!(&read(&stream, &cuts), &whole);
        prop_assert_eq!(&read(&stream, &[1]), &whole);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        frames in vec(any_frame(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut stream = frames.concat();
        let intact = read(&stream, &[usize::MAX]);
        for (place, byte) in damage {
            let place = place.index(stream.len());
            stream[place] = byte;
        }
        let damaged = read(&stream, &[7]);
        prop_assert!(damaged == intact || damaged.1.is_err(), "damage went by unseen: {damaged:?}");
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &[7]);
        let _ = read(&frame_of(&bytes, b""), &[usize::MAX]);
    }
}
