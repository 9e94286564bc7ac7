//! A token that opens an account by being shown: `Authorization: Bearer`.

use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use zeroize::Zeroizing;

use headgate_llm::failure::Failure;

use super::ask::Answer;
use super::cached::Issued;

/// The token, as text to be taken out of others' words and as the header that carries it.
pub(super) struct Bearer {
    pub(super) text: Zeroizing<String>,
    pub(super) header: HeaderValue,
}

impl Bearer {
    /// A token that was handed out; `None`: it is empty, or no header can carry it. Nothing of the kind is ever sent.
    pub(super) fn new(text: Zeroizing<String>) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let value = Zeroizing::new(format!("Bearer {}", *text));
        let mut header = HeaderValue::from_str(&value).ok()?;
        header.set_sensitive(true);
        Some(Self { text, header })
    }

    /// The answer of an OAuth token endpoint (RFC 6749, section 5.1), or of a metadata server that speaks like one.
    pub(super) fn issued(answer: &Answer) -> Result<Issued<Self>, Failure> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            access_token: Zeroizing<String>,
            #[serde(default)]
            expires_in: Seconds,
        }
        let wire: Wire = answer.json()?;
        let secret = Self::new(wire.access_token).ok_or_else(|| answer.unreadable("holds no usable access_token"))?;
        let lifetime = Some(wire.expires_in.0).filter(|lifetime| !lifetime.is_zero());
        let lifetime = Some(lifetime.ok_or_else(|| answer.unreadable("does not say how long its token lives"))?);
        Ok(Issued { secret, lifetime })
    }
}

/// Seconds as a number, or as text (Azure's metadata server).
#[derive(Default, Deserialize)]
#[serde(from = "SecondsWire")]
struct Seconds(Duration);

#[derive(Deserialize)]
#[serde(untagged)]
enum SecondsWire {
    Number(u64),
    Text(String),
}

impl From<SecondsWire> for Seconds {
    fn from(wire: SecondsWire) -> Self {
        Self(Duration::from_secs(match wire {
            SecondsWire::Number(seconds) => seconds,
            SecondsWire::Text(text) => text.parse().unwrap_or(0),
        }))
    }
}
