//! The origin of an address: scheme, host and port, which is what a credential is sealed for.
//!
//! `compile` computes it when it seals, the data plane when it opens, so both must spell it alike; hence it stands here.
//! It is read by hand and strictly: what two URL parsers could understand differently is no origin at all.

/// `scheme://host:port` of an absolute `http` or `https` address: lower case, the port always written. `None` if the
/// address has user info, whitespace, a backslash, non-ASCII characters (write an internationalised host in its `xn--`
/// form), or no usable host or port.
pub fn origin_of(url: &str) -> Option<String> {
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = split_port(authority)?;
    let port = match port {
        None => default_port,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse::<u16>().ok().filter(|&port| port > 0)?
        }
        Some(_) => return None,
    };
    Some(format!("{scheme}://{}:{port}", host.to_ascii_lowercase()))
}

/// Host and the text after its colon. An IPv6 address keeps its brackets.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        let host = &authority[..address.len() + 2];
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (!host.is_empty() && host.bytes().all(is_host_byte)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::origin_of;

    #[test]
    fn the_same_place_has_one_spelling() {
        for url in [
            "https://api.openai.com/v1",
            "HTTPS://API.OpenAI.com:443/other?x#y",
            "https://api.openai.com",
        ] {
            assert_eq!(origin_of(url).as_deref(), Some("https://api.openai.com:443"), "{url}");
        }
        assert_eq!(
            origin_of("http://vllm.ml:8000/v1").as_deref(),
            Some("http://vllm.ml:8000")
        );
        assert_eq!(origin_of("http://[::1]:11434").as_deref(), Some("http://[::1]:11434"));
        assert_eq!(
            origin_of("http://[2001:DB8::1]/").as_deref(),
            Some("http://[2001:db8::1]:80")
        );
    }

    #[test]
    fn what_parsers_could_read_differently_has_no_origin() {
        for url in [
            "",
            "openai.com",
            "ftp://a.b",
            "https://",
            "https:///v1",
            "https://user@host/",
            "https://a:b@host/",
            "https://host:/v1",
            "https://host:0",
            "https://host:65536",
            "https://host:+80",
            "https://ho st/",
            "https://host\\@evil/",
            "https://host\n",
            "https://höst/",
            "https://[::1",
            "https://[::1]x",
            "https://[x]/",
            "https://a:1:2/",
            "https://%61/",
        ] {
            assert_eq!(origin_of(url), None, "{url:?}");
        }
    }
}
