//! Checks AWS signatures (version 4) as the service does: a request signed with the one access key that is known here must
//! carry the right signature. Bearer tokens are believed.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::super::request::Request;

/// The access key that is known.
pub const ACCESS_KEY_ID: &str = "AKIAFAKEFAKEFAKEFAKE";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "canary-aws-secret-8YtGbNm3KwLpQz6RvXcJd1Hs";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why the request is refused: status and message.
pub(super) fn objection(request: &Request) -> Option<(u16, String)> {
    let Some(authorization) = request.header("authorization") else {
        return Some((403, "Missing Authentication Token".to_owned()));
    };
    if authorization.starts_with("Bearer ") {
        return None;
    }
    let refused = |message: &str| Some((403, message.to_owned()));
    let Some(given) = Given::read(authorization) else {
        return refused(
            "Authorization header requires a Credential, SignedHeaders and Signature: no signature was read",
        );
    };
    if given.access_key_id != ACCESS_KEY_ID {
        return refused("The security token included in the request is invalid.");
    }
    let date = request.header("x-amz-date").unwrap_or_default();
    let expected = signature(request, &given, date);
    if given.signature == expected {
        return None;
    }
    refused("The request signature we calculated does not match the signature you provided.")
}

/// The parts of an `Authorization` header.
struct Given<'a> {
    access_key_id: &'a str,
    /// `20261121/eu-central-1/bedrock/aws4_request`.
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Given<'a> {
    fn read(authorization: &'a str) -> Option<Self> {
        let fields = authorization.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            let mut fields = fields.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let (access_key_id, scope) = field("Credential")?.split_once('/')?;
        Some(Self {
            access_key_id,
            scope,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }
}

fn signature(request: &Request, given: &Given<'_>, date: &str) -> String {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut canonical = format!("{}\n{}\n{query}\n", request.method, encoded_again(path));
    for name in given.signed_headers.split(';') {
        let value = request.header(name).unwrap_or_default();
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(canonical, "{name}:{value}").expect("writing to a string does not fail");
    }
    let payload = hex(&Sha256::digest(&request.body));
    write!(canonical, "\n{}\n{payload}", given.signed_headers).expect("writing to a string does not fail");
    let text = format!(
        "{ALGORITHM}\n{date}\n{}\n{}",
        given.scope,
        hex(&Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{SECRET_ACCESS_KEY}").into_bytes();
    for part in given.scope.split('/') {
        key = keyed(&key, part.as_bytes());
    }
    hex(&keyed(&key, text.as_bytes()))
}

/// Every service but S3 signs the path encoded twice: its `%` once more.
fn encoded_again(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    encoded
}

fn keyed(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
