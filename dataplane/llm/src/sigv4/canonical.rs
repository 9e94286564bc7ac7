//! A request in the one form that both sides compute before they compare signatures.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::{SigningRequest, hex};
use crate::provider::path;

/// Headers that clients and proxies write anew on the way (botocore's list, and those that hyper makes), and those that
/// stand in no request of ours but by mistake.
const UNSIGNED: [&str; 17] = [
    "accept-encoding",
    "authorization",
    "baggage",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// The headers that are signed, by their names.
pub(super) struct CanonicalHeaders<'a>(BTreeMap<&'a str, Vec<u8>>);

impl<'a> CanonicalHeaders<'a> {
    /// The host, those that are `made` for the signature, and what else the request wants signed.
    pub(super) fn of(request: &SigningRequest<'a>, made: &'a [(HeaderName, HeaderValue)]) -> Self {
        let mut headers = BTreeMap::from([("host", trimmed(request.host.as_bytes()))]);
        for (name, value) in made {
            headers.insert(name.as_str(), trimmed(value.as_bytes()));
        }
        for name in request.headers.keys() {
            let name = name.as_str();
            if UNSIGNED.contains(&name) || headers.contains_key(name) {
                continue;
            }
            let values: Vec<_> = request.headers.get_all(name).iter().collect();
            let values: Vec<_> = values.iter().map(|value| trimmed(value.as_bytes())).collect();
            headers.insert(name, values.join(b",".as_slice()));
        }
        Self(headers)
    }

    /// `SignedHeaders`.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.0.keys().copied().collect();
        names.join(";")
    }
}

/// Without spaces around it, and with one where several were.
fn trimmed(value: &[u8]) -> Vec<u8> {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(b" ".as_slice())
}

/// The canonical request: method, path, query, headers, their names, digest of the body.
pub(super) fn request(request: &SigningRequest<'_>, headers: &CanonicalHeaders<'_>) -> Vec<u8> {
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query)
    )
    .into_bytes();
    for (name, value) in &headers.0 {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    let body = hex(&Sha256::digest(request.body));
    text.extend_from_slice(format!("\n{}\n{body}", headers.names()).as_bytes());
    text
}

/// The path without empty segments, `.` and `..`, and each segment encoded once more: it comes encoded, and so ends up
/// encoded twice, as every service but S3 wants it.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut canonical = String::with_capacity(path.len() + 16);
    for segment in &segments {
        canonical.push('/');
        canonical.push_str(&path::segment(segment));
    }
    if canonical.is_empty() || path.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// The parameters, which come encoded, in the order of their names, then of their values.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}
