//! Forms, and what stands in addresses.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Request, header};
use zeroize::Zeroizing;

use headgate_llm::failure::{Failure, FailureKind};

/// `application/x-www-form-urlencoded`. Holds what the members hold, so it is wiped like a secret.
pub(super) fn form(members: &[(&str, &str)]) -> Zeroizing<String> {
    let mut form = Zeroizing::new(String::with_capacity(8 * 1024));
    for (name, value) in members {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        escape(value, &mut form);
    }
    form
}

/// Appends `text` with everything but unreserved characters percent-encoded (RFC 3986, section 2.3).
pub(super) fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// A POST of a form.
pub(super) fn post_form(url: &str, form: &str) -> Result<Request<Bytes>, Failure> {
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::copy_from_slice(form.as_bytes()));
    request.map_err(|_| unusable_address())
}

/// An address of the environment that is none.
pub(super) fn unusable_address() -> Failure {
    Failure::new(
        FailureKind::Auth,
        "the environment names an address for identities that cannot be called; correct it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_form_cannot_make_further_members() {
        let form = form(&[("grant_type", "urn:x"), ("assertion", "a&b=c d+ü")]);
        assert_eq!(*form, "grant_type=urn%3Ax&assertion=a%26b%3Dc%20d%2B%C3%BC");
    }
}
