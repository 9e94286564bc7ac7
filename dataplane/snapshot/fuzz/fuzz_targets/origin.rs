//! Addresses. What has an origin has one spelling of it, and the parser that dials (`http::Uri`) sees the same scheme, host
//! and port: a credential must not be sealed for one place and sent to another.

#![no_main]

use headgate_snapshot::origin_of;
use http::Uri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|url: &str| {
    let Some(origin) = origin_of(url) else { return };
    assert_eq!(
        origin_of(&origin).as_deref(),
        Some(&*origin),
        "an origin is its own origin"
    );
    // What the dialling side cannot parse is refused there.
    let Ok(uri) = url.parse::<Uri>() else { return };
    let scheme = uri.scheme_str().expect("an origin has a scheme").to_ascii_lowercase();
    let host = uri.host().expect("an origin has a host").to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    assert_eq!(format!("{scheme}://{host}:{port}"), origin);
});
