//! Where a provider is, made ready: what to dial, what to call it, which path each call has.

use http::uri::{InvalidUri, PathAndQuery};
use http::{HeaderValue, Uri};

use headgate_snapshot::origin::origin_of;

use crate::upstream::connect::Target;

/// The common path; its URI is at hand.
const CHAT_COMPLETIONS: &str = "/chat/completions";

/// A base URL, taken apart.
pub struct ProviderAddress {
    /// What is dialled.
    pub target: Target,
    /// What the `Host` header says.
    pub host: HeaderValue,
    base_path: String,
    chat_completions: Uri,
}

impl ProviderAddress {
    /// The address that a base URL names; `None` if credentials cannot be sealed for it, or it cannot be dialled.
    pub fn of(base_url: &str) -> Option<Self> {
        origin_of(base_url)?;
        let url: Uri = base_url.parse().ok()?;
        let base_path = url.path().trim_end_matches('/').to_owned();
        Some(Self {
            target: Target::of(&url)?,
            host: HeaderValue::from_str(url.authority()?.as_str()).ok()?,
            chat_completions: uri(&base_path, CHAT_COMPLETIONS).ok()?,
            base_path,
        })
    }

    /// The URI of a path that an adapter asks for, as it stands in the request line.
    pub fn uri(&self, path: &str) -> Result<Uri, InvalidUri> {
        if path == CHAT_COMPLETIONS {
            Ok(self.chat_completions.clone())
        } else {
            uri(&self.base_path, path)
        }
    }
}

fn uri(base_path: &str, path: &str) -> Result<Uri, InvalidUri> {
    Ok(Uri::from(PathAndQuery::try_from(format!("{base_path}{path}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_the_base_url_however_it_ends() {
        for base_url in ["https://host:8443/v1", "https://host:8443/v1/"] {
            let address = ProviderAddress::of(base_url).expect("an address");
            assert_eq!(
                address.uri("/chat/completions").expect("a path"),
                "/v1/chat/completions"
            );
            assert_eq!(address.uri("/models").expect("a path"), "/v1/models");
            assert_eq!(address.host, "host:8443");
        }
        let bare = ProviderAddress::of("http://host").expect("an address");
        assert_eq!(bare.uri("/chat/completions").expect("a path"), "/chat/completions");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for base_url in [
            "",
            "host/v1",
            "ftp://host/v1",
            "https://user:secret@host/v1",
            "https:///v1",
        ] {
            assert!(ProviderAddress::of(base_url).is_none(), "{base_url}");
        }
    }
}
