//! Who opens an account at AWS: an access key out of a Secret, or the role that the pod has.
//!
//! The pod's role is found where AWS's SDKs look for it, in their order: an access key in the environment, a token of the
//! cluster (IRSA, `AssumeRoleWithWebIdentity` of STS), the agent of the node (EKS Pod Identity, ECS), the instance metadata
//! service (`IMDSv2` only). From there another role can be taken on (`AssumeRole`). Read in botocore 1.44.8
//! (`credentials.py`, `utils.py`) and
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>.
//!
//! Not by the `aws-config` crate: it reads the environment by itself, so that what it finds can be neither given nor
//! tested; its versions of today need Rust 1.94; and it brings 25 crates, further copies of `hmac` and `sha2` among them, and a
//! minute and a half of build, for these four requests.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use serde::Deserialize;
use zeroize::Zeroizing;

use headgate_llm::failure::{Failure, FailureKind};
use headgate_llm::sigv4::{AwsCredentials, SigningRequest, sign};

use super::ask::{Answer, Asker};
use super::cached::{Issued, Source};
use super::clouds::Aws;
use super::form::{escape, form, post_form, unusable_address};
use super::said::element;
use super::token_file::token_file;

const STS_VERSION: &str = "2011-06-15";
/// How long a token of the instance metadata service is asked to live: the SDKs' six hours. It is asked for anew each time.
const METADATA_TOKEN_SECONDS: &str = "21600";

const STS: &str = "AWS's STS";
const AGENT: &str = "the agent that hands out AWS keys to containers";
const METADATA_SERVICE: &str = "AWS's instance metadata service";

/// Where access keys for one account come from.
pub(super) struct AwsSource {
    /// The ARN of the role to become.
    pub(super) assume: Option<String>,
    /// The account's region.
    pub(super) region: String,
    pub(super) cloud: Aws,
    pub(super) asker: Arc<Asker>,
}

impl Source for AwsSource {
    type Secret = AwsCredentials;

    async fn fetch(&self, now: SystemTime) -> Result<Issued<AwsCredentials>, Failure> {
        let pod = self.pod(now).await?;
        match &self.assume {
            None => Ok(pod),
            Some(role) => self.assume_role(&pod.secret, role, now).await,
        }
    }
}

impl AwsSource {
    async fn pod(&self, now: SystemTime) -> Result<Issued<AwsCredentials>, Failure> {
        if let Some((id, key, token)) = &self.cloud.access_key {
            let secret = AwsCredentials::new(id, key, token.as_ref().map(|token| token.as_str()));
            let unusable =
                |error| Failure::new(FailureKind::Auth, format!("the access key of the environment: {error}"));
            return Ok(Issued {
                secret: secret.map_err(unusable)?,
                lifetime: None,
            });
        }
        if let Some((path, role)) = &self.cloud.web_identity {
            let token = token_file(path, "AWS_WEB_IDENTITY_TOKEN_FILE").await?;
            return self.assume_role_with_web_identity(&token, role, now).await;
        }
        if let Some(url) = &self.cloud.container {
            return self.by_agent(url, now).await;
        }
        match &self.cloud.metadata_service {
            Some(service) => self.by_metadata(service, now).await,
            None => Err(Failure::new(
                FailureKind::Auth,
                "the pod has no identity at AWS; annotate its service account with a role, or associate one",
            )),
        }
    }

    async fn assume_role_with_web_identity(
        &self,
        token: &str,
        role: &str,
        now: SystemTime,
    ) -> Result<Issued<AwsCredentials>, Failure> {
        let body = form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", STS_VERSION),
            ("RoleArn", role),
            ("RoleSessionName", &self.cloud.session_name),
            ("WebIdentityToken", token),
        ]);
        let answer = self.asker.ask(STS, post_form(&self.sts(), &body)?, token).await?;
        from_xml(&answer, now)
    }

    async fn assume_role(
        &self,
        pod: &AwsCredentials,
        role: &str,
        now: SystemTime,
    ) -> Result<Issued<AwsCredentials>, Failure> {
        let body = form(&[
            ("Action", "AssumeRole"),
            ("Version", STS_VERSION),
            ("RoleArn", role),
            ("RoleSessionName", &self.cloud.session_name),
        ]);
        let mut request = post_form(&self.sts(), &body)?;
        let host = request.uri().authority().ok_or_else(unusable_address)?.to_string();
        let signing = SigningRequest {
            method: "POST",
            host: &host,
            path: "/",
            query: "",
            headers: &HeaderMap::new(),
            body: body.as_bytes(),
            region: self.sts_region(),
            service: "sts",
        };
        let headers = sign(&signing, pod, now).ok_or_else(unusable_address)?;
        request.headers_mut().extend(headers);
        let answer = self
            .asker
            .ask(STS, request, pod.session_token().unwrap_or_default())
            .await?;
        from_xml(&answer, now)
    }

    async fn by_agent(&self, url: &str, now: SystemTime) -> Result<Issued<AwsCredentials>, Failure> {
        let token = match (&self.cloud.container_token_file, &self.cloud.container_token) {
            (Some(path), _) => token_file(path, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").await?,
            (None, Some(token)) => token.clone(),
            (None, None) => Zeroizing::default(),
        };
        let mut request = Request::get(url).body(Bytes::new()).map_err(|_| unusable_address())?;
        if !token.is_empty() {
            let mut value = HeaderValue::from_str(&token).map_err(|_| {
                Failure::new(
                    FailureKind::Auth,
                    "the token for the container's AWS keys fits no header",
                )
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        from_json(&self.asker.ask(AGENT, request, &token).await?, now)
    }

    async fn by_metadata(&self, service: &str, now: SystemTime) -> Result<Issued<AwsCredentials>, Failure> {
        let request = Request::put(format!("{service}/latest/api/token"))
            .header("x-aws-ec2-metadata-token-ttl-seconds", METADATA_TOKEN_SECONDS)
            .body(Bytes::new())
            .map_err(|_| unusable_address())?;
        let session = self.asker.ask(METADATA_SERVICE, request, "").await?;
        let session = Zeroizing::new(session.text()?.to_owned());
        let get = async |url: String| {
            let request = Request::get(url)
                .header("x-aws-ec2-metadata-token", session.as_str())
                .body(Bytes::new())
                .map_err(|_| unusable_address())?;
            self.asker.ask(METADATA_SERVICE, request, &session).await
        };
        let mut url = format!("{service}/latest/meta-data/iam/security-credentials/");
        let roles = get(url.clone()).await?;
        escape(roles.text()?.lines().next().unwrap_or_default(), &mut url);
        from_json(&get(url).await?, now)
    }

    fn sts_region(&self) -> &str {
        self.cloud.region.as_deref().unwrap_or(&self.region)
    }

    /// That of a region: the global one is in a region that may be away.
    fn sts(&self) -> String {
        let region = self.sts_region();
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let regional = || format!("https://sts.{region}.amazonaws.com{suffix}");
        self.cloud.sts.clone().unwrap_or_else(regional) + "/"
    }
}

/// The keys in an answer of STS.
fn from_xml(answer: &Answer, now: SystemTime) -> Result<Issued<AwsCredentials>, Failure> {
    let xml = answer.text()?;
    let text = |name| element(xml, name).unwrap_or_default();
    let key = (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken"));
    issued(answer, key, text("Expiration"), now)
}

/// The keys in an answer of an agent or the metadata service.
fn from_json(answer: &Answer, now: SystemTime) -> Result<Issued<AwsCredentials>, Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    #[derive(Default)]
    struct Wire {
        access_key_id: String,
        secret_access_key: Zeroizing<String>,
        token: Zeroizing<String>,
        expiration: String,
    }
    let wire: Wire = answer.json()?;
    let key = (
        wire.access_key_id.as_str(),
        wire.secret_access_key.as_str(),
        wire.token.as_str(),
    );
    issued(answer, key, &wire.expiration, now)
}

fn issued(
    answer: &Answer,
    (id, key, token): (&str, &str, &str),
    expiration: &str,
    now: SystemTime,
) -> Result<Issued<AwsCredentials>, Failure> {
    let secret =
        AwsCredentials::new(id, key, Some(token)).map_err(|_| answer.unreadable("holds no usable access key"))?;
    let lifetime = super::until(expiration, now);
    Ok(Issued {
        secret,
        lifetime: Some(lifetime.ok_or_else(|| answer.unreadable("does not say how long its access key lives"))?),
    })
}
