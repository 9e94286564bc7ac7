//! What the environment says of the clouds: who this pod is there, and where that is proven.
//!
//! The variables are those that the clouds' own webhooks and SDKs have, so that a pod needs nothing of ours. They are the
//! installation's; nothing of this ever comes from a manifest.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::ask::Asker;

/// All of them.
#[derive(Clone, Default)]
pub struct Clouds {
    /// Google Cloud.
    pub google: Google,
    /// Azure.
    pub azure: Azure,
    /// AWS.
    pub aws: Aws,
    pub(super) asker: Arc<Asker>,
}

/// Where Google hands out tokens.
#[derive(Clone)]
pub struct Google {
    /// The metadata server, without a path.
    pub metadata_server: String,
    /// The IAM Credentials API, without a path.
    pub iam_credentials: String,
    /// Where assertions are exchanged whatever a key file says; `None`: where it says.
    pub token_endpoint: Option<String>,
}

/// Who the pod is at Azure.
#[derive(Clone)]
pub struct Azure {
    /// The pod's token for Entra.
    pub federated_token_file: Option<PathBuf>,
    /// Whom it stands for.
    pub client_id: Option<String>,
    /// In which tenant.
    pub tenant_id: Option<String>,
    /// Entra, without a path.
    pub authority: String,
    /// The instance metadata service, without a path.
    pub metadata_service: String,
}

/// Who the pod is at AWS.
#[derive(Clone)]
pub struct Aws {
    /// An access key: id and secret, and the token of a temporary one.
    pub access_key: Option<(String, Zeroizing<String>, Option<Zeroizing<String>>)>,
    /// A token of the cluster and the role that it stands for (IRSA).
    pub web_identity: Option<(PathBuf, String)>,
    /// What sessions are called in AWS's logs.
    pub session_name: String,
    /// Where the agent of the node hands out keys (EKS Pod Identity, ECS).
    pub container: Option<String>,
    /// The file of the token for that agent.
    pub container_token_file: Option<PathBuf>,
    /// That token itself.
    pub container_token: Option<Zeroizing<String>>,
    /// The instance metadata service, without a path; `None`: not to be asked.
    pub metadata_service: Option<String>,
    /// The region whose STS is asked; `None`: the account's own.
    pub region: Option<String>,
    /// STS, without a path, instead of that of a region.
    pub sts: Option<String>,
}

impl Default for Google {
    fn default() -> Self {
        Self {
            metadata_server: "http://metadata.google.internal".to_owned(),
            iam_credentials: "https://iamcredentials.googleapis.com".to_owned(),
            token_endpoint: None,
        }
    }
}

impl Default for Azure {
    fn default() -> Self {
        Self {
            federated_token_file: None,
            client_id: None,
            tenant_id: None,
            authority: "https://login.microsoftonline.com".to_owned(),
            metadata_service: "http://169.254.169.254".to_owned(),
        }
    }
}

impl Default for Aws {
    fn default() -> Self {
        Self {
            access_key: None,
            web_identity: None,
            session_name: "headgate".to_owned(),
            container: None,
            container_token_file: None,
            container_token: None,
            metadata_service: Some("http://169.254.169.254".to_owned()),
            region: None,
            sts: None,
        }
    }
}

impl Clouds {
    /// What an environment says.
    pub fn of(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            google: Google::of(environment),
            azure: Azure::of(environment),
            aws: Aws::of(environment),
            asker: Arc::default(),
        }
    }
}

impl Google {
    fn of(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let usual = Self::default();
        Self {
            metadata_server: environment("GCE_METADATA_HOST")
                .map_or(usual.metadata_server, |host| format!("http://{host}")),
            ..Self::default()
        }
    }
}

impl Azure {
    fn of(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let usual = Self::default();
        Self {
            federated_token_file: environment("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            client_id: environment("AZURE_CLIENT_ID"),
            tenant_id: environment("AZURE_TENANT_ID"),
            authority: environment("AZURE_AUTHORITY_HOST").map_or(usual.authority, |host| {
                let host = without_slash(&host);
                if host.contains("://") {
                    host
                } else {
                    format!("https://{host}")
                }
            }),
            metadata_service: environment("AZURE_POD_IDENTITY_AUTHORITY_HOST")
                .map_or(usual.metadata_service, |url| without_slash(&url)),
        }
    }
}

impl Aws {
    fn of(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let usual = Self::default();
        let secret = |name| environment(name).map(Zeroizing::new);
        let is_asked = environment("AWS_EC2_METADATA_DISABLED").is_none_or(|text| !text.eq_ignore_ascii_case("true"));
        let service = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT").map(|url| without_slash(&url));
        Self {
            access_key: environment("AWS_ACCESS_KEY_ID")
                .zip(secret("AWS_SECRET_ACCESS_KEY"))
                .map(|(id, key)| (id, key, secret("AWS_SESSION_TOKEN"))),
            web_identity: environment("AWS_WEB_IDENTITY_TOKEN_FILE")
                .map(PathBuf::from)
                .zip(environment("AWS_ROLE_ARN")),
            session_name: environment("AWS_ROLE_SESSION_NAME").unwrap_or(usual.session_name),
            container: environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
                .map(|path| format!("{ECS_AGENT}{path}"))
                .or_else(|| environment("AWS_CONTAINER_CREDENTIALS_FULL_URI")),
            container_token_file: environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from),
            container_token: secret("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
            metadata_service: service.or(usual.metadata_service).filter(|_| is_asked),
            region: environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION")),
            sts: environment("AWS_ENDPOINT_URL_STS").map(|url| without_slash(&url)),
        }
    }
}

/// What relative addresses of container credentials are relative to.
const ECS_AGENT: &str = "http://169.254.170.2";

fn without_slash(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

/// There are secrets in it.
impl fmt::Debug for Clouds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clouds(redacted)")
    }
}
