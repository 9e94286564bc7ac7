//! Who opens an account at Google Cloud: a service account by its key file, or the one that the pod runs as.
//!
//! The key file: an assertion that the account signs (RFC 7523, RS256), exchanged for a token
//! (<https://developers.google.com/identity/protocols/oauth2/service-account#httprest>). The pod: the metadata server, which
//! GKE's Workload Identity answers in place of the node's
//! (<https://cloud.google.com/kubernetes-engine/docs/concepts/workload-identity#metadata_server>). From there another
//! service account can be taken on (`generateAccessToken` of the IAM Credentials API). Read in google-auth 2.63
//! (`jwt.py`, `oauth2/_client.py`, `compute_engine/_metadata.py`, `impersonated_credentials.py`).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use headgate_llm::failure::{Failure, FailureKind};
use headgate_snapshot::ServiceAccountKey;

use super::ask::Asker;
use super::bearer::Bearer;
use super::cached::{Issued, Source};
use super::clouds::Google;
use super::form::{escape, form, post_form, unusable_address};

/// All that Vertex AI needs; IAM says what of it the account may do.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The longest that Google lets an assertion live.
const ASSERTION_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// The token of whatever the pod runs as.
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

const TOKEN_ENDPOINT: &str = "Google's token endpoint";
const METADATA_SERVER: &str = "Google's metadata server";
const IAM_CREDENTIALS: &str = "Google's IAM Credentials API";

/// Where tokens for one account come from.
pub(super) struct GoogleSource {
    pub(super) identity: GoogleIdentity,
    pub(super) cloud: Google,
    pub(super) asker: Arc<Asker>,
}

/// Who is to open it.
pub(super) enum GoogleIdentity {
    /// The owner of a key file.
    Key(Arc<ServiceAccountKey>),
    /// What the pod runs as, or the service account to become with it.
    Pod { assume: Option<String> },
}

impl Source for GoogleSource {
    type Secret = Bearer;

    async fn fetch(&self, now: SystemTime) -> Result<Issued<Bearer>, Failure> {
        match &self.identity {
            GoogleIdentity::Key(key) => self.by_key(key, now).await,
            GoogleIdentity::Pod { assume: None } => self.by_pod().await,
            GoogleIdentity::Pod { assume: Some(account) } => {
                let pod = self.by_pod().await?;
                self.become_another(&pod.secret, account, now).await
            }
        }
    }
}

impl GoogleSource {
    async fn by_key(&self, key: &Arc<ServiceAccountKey>, now: SystemTime) -> Result<Issued<Bearer>, Failure> {
        let token_uri = self.cloud.token_endpoint.as_ref().unwrap_or(&key.token_uri).clone();
        let (key, audience) = (Arc::clone(key), token_uri.clone());
        // A signature takes about a millisecond.
        let signed = tokio::task::spawn_blocking(move || assertion(&key, &audience, now)).await;
        let assertion = signed.ok().flatten().ok_or_else(|| {
            Failure::new(
                FailureKind::Auth,
                "the service account's key cannot sign; create another one",
            )
        })?;
        let body = form(&[("grant_type", JWT_BEARER), ("assertion", &assertion)]);
        let answer = self
            .asker
            .ask(TOKEN_ENDPOINT, post_form(&token_uri, &body)?, &assertion)
            .await?;
        Bearer::issued(&answer)
    }

    async fn by_pod(&self) -> Result<Issued<Bearer>, Failure> {
        let request = Request::get(format!("{}{METADATA_PATH}", self.cloud.metadata_server))
            .header("metadata-flavor", "Google")
            .body(Bytes::new())
            .map_err(|_| unusable_address())?;
        let answer = self.asker.ask(METADATA_SERVER, request, "").await?;
        Bearer::issued(&answer)
    }

    async fn become_another(&self, pod: &Bearer, account: &str, now: SystemTime) -> Result<Issued<Bearer>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            #[serde(default)]
            access_token: Zeroizing<String>,
            #[serde(default)]
            expire_time: String,
        }
        let mut url = format!("{}/v1/projects/-/serviceAccounts/", self.cloud.iam_credentials);
        escape(account, &mut url);
        url.push_str(":generateAccessToken");
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(header::AUTHORIZATION, pod.header.clone())
            .body(Bytes::from(json!({"scope": [SCOPE], "lifetime": "3600s"}).to_string()))
            .map_err(|_| unusable_address())?;
        let answer = self.asker.ask(IAM_CREDENTIALS, request, &pod.text).await?;
        let wire: Wire = answer.json()?;
        let secret = Bearer::new(wire.access_token).ok_or_else(|| answer.unreadable("holds no usable accessToken"))?;
        let lifetime = super::until(&wire.expire_time, now)
            .ok_or_else(|| answer.unreadable("does not say how long its token lives"))?;
        Ok(Issued {
            secret,
            lifetime: Some(lifetime),
        })
    }
}

/// The signed words of a service account that it is itself, for one audience and an hour. `None`: the key cannot sign.
fn assertion(key: &ServiceAccountKey, audience: &str, now: SystemTime) -> Option<Zeroizing<String>> {
    let issued_at = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut head = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(id) = &key.private_key_id {
        head["kid"] = json!(id);
    }
    let claims = json!({
        "iss": key.client_email,
        "scope": SCOPE,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + ASSERTION_LIFETIME.as_secs(),
    });
    let encoded = |part: String| URL_SAFE_NO_PAD.encode(part);
    let mut text = Zeroizing::new(format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string())));
    let mut signature = vec![0; key.key_pair.public().modulus_len()];
    key.key_pair
        .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .ok()?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(&signature, &mut text);
    Some(text)
}
