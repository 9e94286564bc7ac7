//! `application/vnd.amazon.eventstream`: lengths, headers, payload, and a checksum over each.

use flate2::Crc;
use serde_json::Value;

/// An event of that type.
pub(super) fn event(kind: &str, payload: &Value) -> Vec<u8> {
    message(
        &[
            (":event-type", kind),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ],
        payload,
    )
}

/// An exception in the middle of a stream.
pub(super) fn exception(kind: &str, payload: &Value) -> Vec<u8> {
    message(
        &[
            (":exception-type", kind),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ],
        payload,
    )
}

fn message(headers: &[(&str, &str)], payload: &Value) -> Vec<u8> {
    const STRING: u8 = 7;
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).expect("our names are short"));
        head.extend_from_slice(name.as_bytes());
        head.push(STRING);
        head.extend_from_slice(&u16::try_from(value.len()).expect("our values are short").to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string().into_bytes();
    let length = |bytes: usize| u32::try_from(bytes).expect("our messages are short").to_be_bytes();
    let mut message = Vec::new();
    message.extend_from_slice(&length(4 + 4 + 4 + head.len() + payload.len() + 4));
    message.extend_from_slice(&length(head.len()));
    message.extend_from_slice(&checksum(&message));
    message.extend_from_slice(&head);
    message.extend_from_slice(&payload);
    message.extend_from_slice(&checksum(&message));
    message
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_message_has_the_checksums_of_the_published_example() {
        // The first vector of the AWS SDKs' test suite, `empty_message`.
        assert_eq!(
            [&[0, 0, 0, 16, 0, 0, 0, 0][..], &checksum(&[0, 0, 0, 16, 0, 0, 0, 0])].concat()[8..],
            [0x05, 0xc2, 0x48, 0xeb]
        );
    }
}
