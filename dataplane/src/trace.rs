//! The id by which one request is found again: in every log line of it, in `x-headgate-trace-id` and in `x-request-id`.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// 128 bits, written as 32 hex digits: a W3C trace id, so that a caller's trace goes on through the gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

impl TraceId {
    /// The caller's, if it sends a valid `traceparent`, else a fresh one. Chance need not be secret here.
    pub fn of(headers: &HeaderMap) -> Self {
        static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
        headers
            .get(&TRACEPARENT)
            .and_then(|value| Self::from_traceparent(value.as_bytes()))
            .unwrap_or_else(Self::random)
    }

    fn random() -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = fastrand::u128(1..).to_be_bytes();
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(hex)
    }

    /// `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context, section 3.2); an id of zeros is invalid.
    fn from_traceparent(value: &[u8]) -> Option<Self> {
        let hex: &[u8; 32] = value.strip_prefix(b"00-")?.first_chunk()?;
        let is_hex = hex.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let is_zero = hex.iter().all(|&digit| digit == b'0');
        (value.len() == 55 && value[35] == b'-' && is_hex && !is_zero).then_some(Self(*hex))
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex digits are ASCII")
    }

    /// As a header value.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(self.as_str()).expect("hex digits fit a header")
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_goes_on_if_it_is_valid() {
        let of = |text: &str| TraceId::from_traceparent(text.as_bytes()).map(|id| id.to_string());
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(of(valid).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        for wrong in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fresh_ids_differ() {
        assert!(TraceId::random() != TraceId::random());
        assert_eq!(TraceId::random().as_str().len(), 32);
    }
}
