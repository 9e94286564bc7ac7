//! AWS Signature Version 4: the headers that prove who sends a request. Pure; time is an argument.
//!
//! Of the variants of the algorithm this is the one of every service but S3: the path is normalised, and its segments are
//! percent-encoded once more than they are on the wire. Signed is the whole body. Checked against botocore 1.44.8
//! (`botocore.auth.SigV4Auth`) and AWS's own test suite; see `tests/sigv4.rs`.

use std::borrow::Cow;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

mod canonical;

use canonical::CanonicalHeaders;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// An access key of AWS. Its texts hold only what headers can carry.
#[derive(Clone)]
pub struct AwsCredentials {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
}

impl AwsCredentials {
    /// Takes an access key; a temporary one has a session token. An empty token is none.
    pub fn new(
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<&str>,
    ) -> Result<Self, CredentialsError> {
        let checked = |name, text: &str| match text {
            "" => Err(CredentialsError::Missing(name)),
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(CredentialsError::Unprintable(name)),
            text => Ok(text.to_owned()),
        };
        let session_token = session_token.filter(|token| !token.is_empty());
        Ok(Self {
            access_key_id: checked("accessKeyId", access_key_id)?,
            secret_access_key: Zeroizing::new(checked("secretAccessKey", secret_access_key)?),
            session_token: session_token
                .map(|token| checked("sessionToken", token).map(Zeroizing::new))
                .transpose()?,
        })
    }

    /// Reads `{"accessKeyId": …, "secretAccessKey": …, "sessionToken": …}`, the last one optional, as a Secret holds it.
    /// `None`: no JSON object, and so an API key, which needs no signature.
    pub fn from_json(credential: &str) -> Option<Result<Self, CredentialsError>> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            #[serde(borrow, default)]
            access_key_id: Cow<'a, str>,
            #[serde(borrow, default)]
            secret_access_key: Cow<'a, str>,
            #[serde(borrow)]
            session_token: Option<Cow<'a, str>>,
        }
        if !is_json_object(credential) {
            return None;
        }
        let wire: Result<Wire<'_>, _> = serde_json::from_str(credential);
        Some(wire.map_err(|_| CredentialsError::Unreadable).and_then(|mut wire| {
            let token = wire.session_token.as_deref();
            let credentials = Self::new(&wire.access_key_id, &wire.secret_access_key, token);
            // Escapes in the JSON make copies.
            for text in [Some(&mut wire.secret_access_key), wire.session_token.as_mut()] {
                if let Some(Cow::Owned(copy)) = text {
                    copy.zeroize();
                }
            }
            credentials
        }))
    }

    /// The public half, by which AWS's own logs name the key.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// What goes out in the open of a temporary key, and so may come back in the words of an error.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_ref().map(|token| token.as_str())
    }
}

/// Whether a credential is meant as JSON: no API key begins so.
pub(crate) fn is_json_object(credential: &str) -> bool {
    credential.trim_ascii_start().starts_with('{')
}

impl fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Why a credential is no access key. The words name members and never quote a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// It begins as JSON and is none, or a member is no text.
    #[error("the credential is no JSON object with the texts accessKeyId, secretAccessKey and, if any, sessionToken")]
    Unreadable,
    /// A member is absent or empty.
    #[error("the credential has no `{0}`; add it")]
    Missing(&'static str),
    /// A member holds spaces, line breaks or other characters that no key has.
    #[error("`{0}` of the credential holds characters that no key has; copy it again, without spaces and line breaks")]
    Unprintable(&'static str),
}

/// A request to be signed, as it will go out.
#[derive(Clone, Copy, Debug)]
pub struct SigningRequest<'a> {
    /// As in `POST`.
    pub method: &'a str,
    /// The host as the `host` header says it, with the port where that is not the scheme's own.
    pub host: &'a str,
    /// The path as it stands in the request line, percent-encoded; empty means `/`.
    pub path: &'a str,
    /// The query as it stands in the request line, percent-encoded, without `?`.
    pub query: &'a str,
    /// Headers that are signed, too, and must arrive as they are here; none is needed. Those that proxies and clients
    /// rewrite, and those that [`sign`] makes, are passed over.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
    /// As in `us-east-1`.
    pub region: &'a str,
    /// The service's signing name, as in `bedrock`.
    pub service: &'a str,
}

/// Signs a request: `x-amz-date`, `x-amz-security-token` for a temporary key, and `authorization`, which replace headers
/// of these names. `None`: region or service hold what no header can carry. Times before 1970 are taken for 1970.
pub fn sign(
    request: &SigningRequest<'_>,
    credentials: &AwsCredentials,
    now: SystemTime,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let time = timestamp(now);
    let date = &time[..8];
    let mut made = vec![(DATE, HeaderValue::from_str(&time).ok()?)];
    if let Some(token) = &credentials.session_token {
        made.push((SECURITY_TOKEN, sensitive(token)?));
    }
    let headers = CanonicalHeaders::of(request, &made);
    let signed_names = headers.names();
    let canonical_request = canonical::request(request, &headers);
    let scope = format!("{date}/{}/{}/aws4_request", request.region, request.service);
    let digest = hex(&Sha256::digest(&canonical_request));
    let string_to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
    let key = signing_key(credentials, date, request.region, request.service);
    let signature = hex(&*mac(&*key, &string_to_sign));
    let access_key_id = &credentials.access_key_id;
    let authorization =
        format!("{ALGORITHM} Credential={access_key_id}/{scope}, SignedHeaders={signed_names}, Signature={signature}");
    made.push((header::AUTHORIZATION, sensitive(&authorization)?));
    Some(made)
}

/// Good for one day, region and service: so little is at stake if it leaks.
fn signing_key(credentials: &AwsCredentials, date: &str, region: &str, service: &str) -> Zeroizing<[u8; 32]> {
    let secret = Zeroizing::new(format!("AWS4{}", *credentials.secret_access_key));
    let key = mac(secret.as_bytes(), date);
    let key = mac(&*key, region);
    let key = mac(&*key, service);
    mac(&*key, "aws4_request")
}

fn mac(key: &[u8], text: &str) -> Zeroizing<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    Zeroizing::new(mac.chain_update(text).finalize().into_bytes().into())
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// `20150830T123600Z`.
fn timestamp(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of a day since 1970. Years begin in March here, so that the leap day is the last of its year
/// (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 1 March of the year 0
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_calendars_have_them() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "19700101T000000Z");
        assert_eq!(at(951_782_399), "20000228T235959Z");
        assert_eq!(at(951_782_400), "20000229T000000Z");
        assert_eq!(at(1_440_938_160), "20150830T123600Z");
        assert_eq!(at(1_795_255_200), "20261121T100000Z");
        assert_eq!(at(4_107_542_400), "21000301T000000Z");
        assert_eq!(timestamp(UNIX_EPOCH - Duration::from_secs(1)), "19700101T000000Z");
    }
}
