//! What opens an account whose credential is not one header for all requests: tokens of Google and Azure, signatures of AWS.
//!
//! A provider has one [`Identity`]. Most need nothing of it: their header was made with the runtime. The others get the
//! proof for each request here, from what is kept in `cached.rs`, which `google.rs`, `azure.rs` and `aws.rs` fill. What
//! cannot be proven is a failure of the account and never a request without proof.

mod ask;
mod aws;
mod azure;
mod bearer;
mod cached;
pub mod clouds;
mod form;
mod google;
mod said;
mod signature;
#[cfg(test)]
mod tests;
mod token_file;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Request, header};
use zeroize::Zeroizing;

use headgate_llm::failure::Failure;
use headgate_llm::sigv4::{AwsCredentials, CredentialsError};
use headgate_snapshot::{Cloud, ServiceAccountError, ServiceAccountKey, WorkloadIdentity};

use aws::AwsSource;
use azure::AzureSource;
use bearer::Bearer;
use cached::Cached;
use clouds::Clouds;
use google::{GoogleIdentity, GoogleSource};
use signature::sign_request;

use crate::upstream::request_body::RequestBody;

/// What makes two accounts be opened alike; a reload keeps the tokens of an equal one.
#[derive(PartialEq, Eq)]
pub struct Opening {
    /// What the manifest says of the account.
    pub cloud: Cloud,
    /// By whom.
    pub by: OpenedBy,
}

/// Who opens an account.
#[derive(PartialEq, Eq)]
pub enum OpenedBy {
    /// Whoever has this credential.
    Credential(Zeroizing<String>),
    /// The pod.
    Pod(WorkloadIdentity),
}

/// How one account is opened.
pub struct Identity {
    opening: Opening,
    proof: Proof,
}

enum Proof {
    /// One header for all requests, which the runtime has made.
    Header,
    Google(Arc<Cached<GoogleSource>>),
    Azure(Arc<Cached<AzureSource>>),
    /// A signature over each request, for a region.
    Signature {
        region: String,
        keys: Keys,
    },
}

enum Keys {
    Fixed(Arc<AwsCredentials>),
    Pod(Arc<Cached<AwsSource>>),
}

/// A credential that opens nothing. `compile` lets none through, so a snapshot that holds one was not made by it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A key file.
    #[error("the credential {0}")]
    ServiceAccount(#[from] ServiceAccountError),
    /// An access key.
    #[error(transparent)]
    AccessKey(#[from] CredentialsError),
}

impl Identity {
    /// How an account is opened; nothing is asked for yet. `before` is how it was in the runtime before.
    pub fn of(
        provider: &str,
        opening: Opening,
        clouds: &Clouds,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, IdentityError> {
        if let Some(before) = before.filter(|before| before.opening == opening) {
            return Ok(Arc::clone(before));
        }
        let proof = Proof::of(provider, &opening, clouds)?;
        Ok(Arc::new(Self { opening, proof }))
    }

    /// Whether the credential goes out in a header, the same for all requests.
    pub fn is_header(&self) -> bool {
        matches!(self.proof, Proof::Header)
    }

    /// Puts the proof into a request that is otherwise finished; only headers that no proof covers may still change.
    pub async fn prove(&self, request: &mut Request<RequestBody>, now: SystemTime) -> Result<(), Failure> {
        match &self.proof {
            Proof::Header => Ok(()),
            Proof::Google(tokens) => {
                show(request, &*tokens.get(now).await?);
                Ok(())
            }
            Proof::Azure(tokens) => {
                show(request, &*tokens.get(now).await?);
                Ok(())
            }
            Proof::Signature { region, keys } => {
                let keys = match keys {
                    Keys::Fixed(keys) => Arc::clone(keys),
                    Keys::Pod(cached) => cached.get(now).await?,
                };
                sign_request(request, region, keys, now).await
            }
        }
    }

    /// The provider says that it does not know us (401): what was sent is not sent again.
    pub fn refused(&self, now: SystemTime) {
        match &self.proof {
            Proof::Google(tokens) => tokens.refused(now),
            Proof::Azure(tokens) => tokens.refused(now),
            Proof::Signature {
                keys: Keys::Pod(cached),
                ..
            } => cached.refused(now),
            Proof::Header
            | Proof::Signature {
                keys: Keys::Fixed(_), ..
            } => {}
        }
    }

    /// Removes from a provider's words what was sent to it.
    pub fn scrub(&self, failure: Failure) -> Failure {
        let without_token = |failure: Failure, token: Arc<Bearer>| failure.scrubbed(&token.text);
        let without_key =
            |failure: Failure, key: Arc<AwsCredentials>| failure.scrubbed(key.session_token().unwrap_or_default());
        match &self.proof {
            Proof::Header => failure,
            Proof::Google(tokens) => tokens.known().fold(failure, without_token),
            Proof::Azure(tokens) => tokens.known().fold(failure, without_token),
            Proof::Signature {
                keys: Keys::Fixed(key), ..
            } => without_key(failure, Arc::clone(key)),
            Proof::Signature {
                keys: Keys::Pod(cached),
                ..
            } => cached.known().fold(failure, without_key),
        }
    }
}

impl Proof {
    fn of(provider: &str, opening: &Opening, clouds: &Clouds) -> Result<Self, IdentityError> {
        let asker = || Arc::clone(&clouds.asker);
        Ok(match (&opening.cloud, &opening.by) {
            (Cloud::Vertex { .. }, by) => {
                let identity = match by {
                    OpenedBy::Credential(text) => GoogleIdentity::Key(Arc::new(ServiceAccountKey::parse(text)?)),
                    OpenedBy::Pod(WorkloadIdentity { assume }) => GoogleIdentity::Pod { assume: assume.clone() },
                };
                let source = GoogleSource {
                    identity,
                    cloud: clouds.google.clone(),
                    asker: asker(),
                };
                Self::Google(Cached::new(provider.to_owned(), source))
            }
            (Cloud::Azure { .. }, OpenedBy::Pod(WorkloadIdentity { assume })) => {
                let source = AzureSource {
                    assume: assume.clone(),
                    cloud: clouds.azure.clone(),
                    asker: asker(),
                };
                Self::Azure(Cached::new(provider.to_owned(), source))
            }
            (Cloud::Bedrock { region }, OpenedBy::Pod(WorkloadIdentity { assume })) => {
                let source = AwsSource {
                    assume: assume.clone(),
                    region: region.clone(),
                    cloud: clouds.aws.clone(),
                    asker: asker(),
                };
                let keys = Keys::Pod(Cached::new(provider.to_owned(), source));
                Self::Signature {
                    region: region.clone(),
                    keys,
                }
            }
            (Cloud::Bedrock { region }, OpenedBy::Credential(text)) => match AwsCredentials::from_json(text) {
                Some(keys) => Self::Signature {
                    region: region.clone(),
                    keys: Keys::Fixed(Arc::new(keys?)),
                },
                None => Self::Header,
            },
            (Cloud::Azure { .. }, OpenedBy::Credential(_)) => Self::Header,
        })
    }
}

fn show(request: &mut Request<RequestBody>, token: &Bearer) {
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, token.header.clone());
}

/// How long it is until a time as AWS and Google write it (RFC 3339); `None`: it is none, or past.
fn until(text: &str, now: SystemTime) -> Option<Duration> {
    let time: jiff::Timestamp = text.parse().ok()?;
    SystemTime::from(time)
        .duration_since(now)
        .ok()
        .filter(|left| !left.is_zero())
}
