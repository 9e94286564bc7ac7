//! Who opens an account at Azure without a key: the identity that AKS's workload identity gives the pod, else the managed
//! identity of the node.
//!
//! Workload identity: the pod's own token, which Kubernetes signed, exchanged for one of Entra's
//! (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation>); its webhook sets the variables. Managed
//! identity: the instance metadata service
//! (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http>).
//! Read in azure-identity 1.27 (`_credentials/workload_identity.py`, `_internal/aad_client_base.py`, `_credentials/imds.py`).

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::Request;

use headgate_llm::failure::{Failure, FailureKind};

use super::ask::{Answer, Asker};
use super::bearer::Bearer;
use super::cached::{Issued, Source};
use super::clouds::Azure;
use super::form::{escape, form, post_form, unusable_address};
use super::token_file::token_file;

/// What tokens are asked for: whatever Azure `OpenAI` and its neighbours are called.
const RESOURCE: &str = "https://cognitiveservices.azure.com";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const MANAGED_IDENTITY_VERSION: &str = "2018-02-01";

const ENTRA: &str = "Entra's token endpoint";
const METADATA_SERVICE: &str = "Azure's instance metadata service";

/// Where tokens for one account come from.
pub(super) struct AzureSource {
    /// The client id to become, instead of the one that the environment names.
    pub(super) assume: Option<String>,
    pub(super) cloud: Azure,
    pub(super) asker: Arc<Asker>,
}

impl Source for AzureSource {
    type Secret = Bearer;

    async fn fetch(&self, _now: SystemTime) -> Result<Issued<Bearer>, Failure> {
        let answer = match &self.cloud.federated_token_file {
            Some(path) => {
                self.exchange(&token_file(path, "AZURE_FEDERATED_TOKEN_FILE").await?)
                    .await?
            }
            None => self.managed_identity().await?,
        };
        Bearer::issued(&answer)
    }
}

impl AzureSource {
    fn client_id(&self) -> Option<&str> {
        self.assume.as_deref().or(self.cloud.client_id.as_deref())
    }

    async fn exchange(&self, assertion: &str) -> Result<Answer, Failure> {
        let missing = |variable: &str| {
            let detail = format!(
                "AZURE_FEDERATED_TOKEN_FILE is set and {variable} is not; label the pod azure.workload.identity/use and \
                 annotate its service account"
            );
            Failure::new(FailureKind::Auth, detail)
        };
        let tenant = self
            .cloud
            .tenant_id
            .as_deref()
            .ok_or_else(|| missing("AZURE_TENANT_ID"))?;
        let client_id = self.client_id().ok_or_else(|| missing("AZURE_CLIENT_ID"))?;
        let mut url = format!("{}/", self.cloud.authority);
        escape(tenant, &mut url);
        url.push_str("/oauth2/v2.0/token");
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("scope", &format!("{RESOURCE}/.default")),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion),
        ]);
        self.asker.ask(ENTRA, post_form(&url, &body)?, assertion).await
    }

    async fn managed_identity(&self) -> Result<Answer, Failure> {
        let mut query = vec![("api-version", MANAGED_IDENTITY_VERSION), ("resource", RESOURCE)];
        query.extend(self.client_id().map(|id| ("client_id", id)));
        let url = format!(
            "{}/metadata/identity/oauth2/token?{}",
            self.cloud.metadata_service,
            *form(&query)
        );
        let request = Request::get(url)
            .header("metadata", "true")
            .body(Bytes::new())
            .map_err(|_| unusable_address())?;
        self.asker.ask(METADATA_SERVICE, request, "").await
    }
}
