//! From a credential header to a caller. There is no way to make an [`Authenticated`] but by a key that opened it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;

use crate::refusal::Refusal;
use crate::runtime::{PreparedCaller, Runtime};

/// A caller whose key was checked.
#[derive(Clone)]
pub struct Authenticated(Arc<PreparedCaller>);

impl std::ops::Deref for Authenticated {
    type Target = PreparedCaller;

    fn deref(&self) -> &PreparedCaller {
        &self.0
    }
}

/// Where clients put keys, first present wins: SDKs of one vendor send dummies in the headers of another.
static CREDENTIAL_HEADERS: [HeaderName; 5] = [
    HeaderName::from_static("x-portkey-api-key"),
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];
/// Longer than any key we issue or accept; what is longer is not worth hashing.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Who sends this request.
pub fn authenticate(runtime: &Runtime, headers: &HeaderMap, now: SystemTime) -> Result<Authenticated, Refusal> {
    let token = token(headers)?;
    let digest = runtime.digester.of_token(token);
    // The map is looked up by a keyed digest, whose bytes a caller can neither choose nor learn; the comparison that
    // decides is in constant time all the same.
    let (found, key) = runtime.keys.get_key_value(&digest).ok_or(Refusal::InvalidKey)?;
    if !bool::from(found.0.ct_eq(&digest.0)) {
        return Err(Refusal::InvalidKey);
    }
    let record = &key.caller.record;
    if is_past(key.not_after, now) || is_past(record.not_after, now) {
        return Err(Refusal::KeyExpired);
    }
    if record.suspended {
        return Err(Refusal::KeySuspended);
    }
    if let Some(reason) = &record.refused {
        return Err(Refusal::KeyRefused(reason.clone()));
    }
    Ok(Authenticated(Arc::clone(&key.caller)))
}

/// The token in the first credential header that is there.
fn token(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    for name in &CREDENTIAL_HEADERS {
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(Refusal::InvalidKey); // two proxies would disagree about which one counts
        }
        let bytes = value.as_bytes();
        let token = if name == header::AUTHORIZATION {
            bearer(bytes).ok_or(Refusal::InvalidKey)?
        } else {
            bytes
        };
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::InvalidKey);
        }
        return Ok(token);
    }
    Err(Refusal::MissingKey)
}

/// What follows `Bearer `, whose case does not matter (RFC 9110, section 11.1).
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

fn is_past(not_after_unix_seconds: Option<i64>, now: SystemTime) -> bool {
    let Some(not_after) = not_after_unix_seconds else {
        return false;
    };
    let now = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    now >= not_after
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(headers: &[(&'static str, &'static str)], expected: Result<&str, &str>) {
        let map: HeaderMap = headers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            });
        let found = token(&map);
        match expected {
            Ok(expected) => assert_eq!(found.ok(), Some(expected.as_bytes()), "{headers:?}"),
            Err("missing") => assert!(matches!(found, Err(Refusal::MissingKey)), "{headers:?}"),
            Err(_) => assert!(matches!(found, Err(Refusal::InvalidKey)), "{headers:?}"),
        }
    }

    #[test]
    fn the_first_credential_header_that_is_there_counts() {
        check(&[("authorization", "Bearer vk-1")], Ok("vk-1"));
        check(&[("authorization", "bEaReR   vk-1 ")], Ok("vk-1"));
        check(&[("x-api-key", "vk-1")], Ok("vk-1"));
        check(&[("x-goog-api-key", "dummy"), ("api-key", "vk-1")], Ok("vk-1"));
        check(
            &[("authorization", "Bearer dummy"), ("x-portkey-api-key", "vk-1")],
            Ok("vk-1"),
        );
    }

    #[test]
    fn a_credential_that_is_absent_doubled_or_unreadable_is_refused() {
        check(&[], Err("missing"));
        check(
            &[("authorization", "Bearer vk-1"), ("authorization", "Bearer vk-2")],
            Err("invalid"),
        );
        check(&[("authorization", "Bearer ")], Err("invalid"));
        check(&[("authorization", "Basic dXNlcjpwYXNz")], Err("invalid"));
        check(&[("authorization", "")], Err("invalid"));
        check(&[("x-api-key", "vk 1")], Err("invalid"));
        check(&[("x-api-key", "")], Err("invalid"));
    }

    #[test]
    fn a_key_is_past_from_the_very_second_of_its_end() {
        let now = UNIX_EPOCH + std::time::Duration::from_secs(100);
        assert!(!is_past(None, now));
        assert!(!is_past(Some(101), now));
        assert!(is_past(Some(100), now));
        assert!(is_past(Some(-5), now));
    }
}
