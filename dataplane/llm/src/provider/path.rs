//! Names in paths: a model's name is the caller's or a manifest's, and must not become more than one segment.

use std::fmt::Write as _;

/// The name with all but the unreserved characters of RFC 3986 percent-encoded.
pub fn segment(name: &str) -> String {
    segment_with(name, b"")
}

/// The same, with characters that stand as they are where an address has them in names: of those that may stand in a segment.
pub fn segment_with(name: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_the_segment_is_encoded() {
        assert_eq!(segment("gemini-2.5_pro~1"), "gemini-2.5_pro~1");
        assert_eq!(segment("../a?b#c:d%2e é"), "..%2Fa%3Fb%23c%3Ad%252e%20%C3%A9");
    }
}
