//! Which headers a manifest may set or pass on. Credentials have a field of their own that is sealed for one origin, and
//! what frames a message belongs to the connection: a header that carried either would go around both.

/// Headers by which services take credentials. They belong in `spec.credential` or `spec.headerSecrets`.
const CREDENTIALS: &[&str] = &[
    "api-key",
    "authorization",
    "cookie",
    "ocp-apim-subscription-key",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
    "x-headgate-api-key",
    "x-portkey-api-key",
];

/// Headers that describe the connection or the framing of one message, not the request: RFC 9110 section 7.6.1, and what
/// the gateway computes itself.
const FRAMING: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a header is set for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A fixed value that stands in the manifest for all to read.
    Static,
    /// A value out of a Secret, sealed: may carry a credential.
    Secret,
    /// The caller's own value, passed on.
    Forward,
}

/// The lower-case name, or the sentence that says why it cannot be used.
pub(crate) fn name_for(name: &str, used_as: Use) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    if lower.is_empty() || !lower.bytes().all(is_token_byte) {
        return Err(format!("`{name}` is not a header name; use letters, digits and dashes"));
    }
    if FRAMING.contains(&lower.as_str()) {
        return Err(format!(
            "the header `{name}` belongs to the connection and is set by the gateway; remove it"
        ));
    }
    if CREDENTIALS.contains(&lower.as_str()) {
        match used_as {
            Use::Secret => {}
            Use::Static => {
                return Err(format!(
                    "the header `{name}` carries a credential, and a manifest is no place for one; move it to a Secret \
                     and name that in spec.headerSecrets or spec.credential"
                ));
            }
            Use::Forward => {
                return Err(format!(
                    "the header `{name}` carries the caller's credential, which must not leave the gateway; remove it"
                ));
            }
        }
    }
    if used_as == Use::Forward && lower.starts_with("x-headgate-") {
        return Err(format!(
            "the header `{name}` is meant for the gateway and is never passed on; remove it"
        ));
    }
    Ok(lower)
}

/// Whether a header can carry the text: visible ASCII, spaces and tabs inside, none at the ends.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let is_inner = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
    text.iter().all(|&byte| is_inner(byte)) && text.trim_ascii().len() == text.len()
}

/// RFC 9110, `token`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{Use, is_value, name_for};

    #[test]
    fn names_are_lower_cased_and_what_belongs_elsewhere_is_refused() {
        assert_eq!(name_for("X-Team", Use::Static), Ok("x-team".to_owned()));
        assert_eq!(name_for("X-Api-Key", Use::Secret), Ok("x-api-key".to_owned()));
        for (name, used_as) in [
            ("Authorization", Use::Static),
            ("authorization", Use::Forward),
            ("Host", Use::Secret),
            ("content-LENGTH", Use::Forward),
            ("Transfer-Encoding", Use::Static),
            ("x-headgate-provider", Use::Forward),
            ("", Use::Static),
            ("x team", Use::Static),
            ("x-tëam", Use::Static),
            ("x:y", Use::Forward),
        ] {
            assert!(name_for(name, used_as).is_err(), "{name}");
        }
    }

    #[test]
    fn a_value_cannot_end_a_line() {
        assert!(is_value(b"a b") && is_value(b""));
        for wrong in [&b"a\r\nx: y"[..], b"a\n", b" a", b"a ", b"\0", "ä".as_bytes()] {
            assert!(!is_value(wrong), "{wrong:?}");
        }
    }
}
