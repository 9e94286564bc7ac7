//! An account at an LLM service, as the data plane needs it: where, how and with which models, but no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ObjectName, Price};

/// The wire dialect of a provider. Kinds are added here as their adapters land; `compile` refuses the others by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProviderKind {
    /// OpenAI's own service.
    OpenAI,
    /// Any server that speaks `/chat/completions` (vLLM, llama.cpp, …).
    OpenAICompatible,
    /// Ollama's own API.
    Ollama,
    /// Ollama through its OpenAI layer.
    OllamaOpenAI,
    /// Anthropic's Messages API.
    Anthropic,
    /// Gemini's API in AI Studio.
    Gemini,
    /// Groq.
    Groq,
    /// Mistral.
    Mistral,
    /// DeepSeek.
    DeepSeek,
    /// Together.
    Together,
    /// Cohere's v2 API.
    Cohere,
    /// Azure `OpenAI`.
    AzureOpenAI,
    /// Vertex AI of Google Cloud.
    VertexAI,
    /// Bedrock of AWS.
    Bedrock,
    /// Answers from inside the gateway; the quickstart and tests need no account.
    Echo,
}

impl ProviderKind {
    /// Whether it runs on the operator's own machines, so that a model without a price is free on purpose and not of
    /// unknown cost.
    pub fn is_local(self) -> bool {
        match self {
            Self::Ollama | Self::OllamaOpenAI | Self::Echo => true,
            Self::OpenAI
            | Self::Groq
            | Self::Mistral
            | Self::DeepSeek
            | Self::Together
            | Self::Cohere
            | Self::OpenAICompatible
            | Self::Anthropic
            | Self::Gemini
            | Self::AzureOpenAI
            | Self::VertexAI
            | Self::Bedrock => false,
        }
    }
}

/// One `LLMProvider`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// The dialect it speaks.
    pub kind: ProviderKind,
    /// Where it is, version path included (`https://api.openai.com/v1`), without a trailing slash; `None` only for Echo.
    pub base_url: Option<String>,
    /// What the account at a cloud says beside its address; only, and always, for a kind that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// Whether [`CredentialSlot::credential`] of this provider opens the account.
    pub has_credential: bool,
    /// The account is opened by who the data plane itself is, at the cloud that it runs in. Never beside a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,
    /// Headers sent with each call, lower-case names.
    pub headers: BTreeMap<String, String>,
    /// Lower-case names of the headers whose values are sealed in [`CredentialSlot::header`].
    pub secret_headers: BTreeSet<String>,
    /// Lower-case names of the caller's headers that are passed on.
    pub forward_headers: BTreeSet<String>,
    /// How long each part of a call may take.
    pub timeouts: ProviderTimeouts,
    /// What happens with parameters the provider cannot take.
    pub unsupported_parameters: UnsupportedParameters,
    /// Whether a model without a price may be called.
    pub unknown_price: UnknownPrice,
    /// Whether calls may leave objects in the account, and use them.
    #[serde(default, skip_serializing_if = "StoredObjects::is_forbidden")]
    pub stored_objects: StoredObjects,
    /// PEM of the certificate authority that signs the provider's certificate; absent: the public ones.
    pub ca_pem: Option<String>,
    /// Whether any model name is accepted as `<provider>/<model>`.
    pub discovers_models: bool,
    /// Declared models by the name clients ask for.
    pub models: BTreeMap<String, Model>,
}

impl Provider {
    /// The origin that this provider's credentials are sealed for; `None` for a provider without an address.
    pub fn origin(&self) -> Option<String> {
        crate::origin_of(self.base_url.as_deref()?)
    }
}

/// What an account at a cloud says beside its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Cloud {
    /// Azure `OpenAI`.
    Azure {
        /// `v1` for the API without versions, else a date such as `2024-10-21`.
        api_version: String,
        /// The deployment of a model by the name clients ask for; one that is not here is deployed under its
        /// [`Model::upstream_model`].
        deployments: BTreeMap<String, String>,
    },
    /// Vertex AI.
    Vertex {
        /// The project.
        project: String,
        /// `global`, a multi-region (`us`, `eu`) or a region.
        location: String,
    },
    /// Bedrock.
    Bedrock {
        /// The region, which requests are also signed for.
        region: String,
    },
}

/// The identity of the data plane's own pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadIdentity {
    /// Who to become with it: the ARN of an AWS role, the address of a Google service account, an Azure client id. `None`:
    /// what the pod has.
    pub assume: Option<String>,
}

/// Deadlines of one upstream call, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderTimeouts {
    /// Until connected, TLS included.
    pub connect_ms: u64,
    /// From the request sent to the first content (whole answers: to the head).
    pub first_token_ms: u64,
    /// Between two reads of the answer.
    pub idle_ms: u64,
    /// The whole call.
    pub total_ms: u64,
}

/// What happens with tuning parameters that a provider cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnsupportedParameters {
    /// Left out, and named in a response header.
    Drop,
    /// Sent as they are.
    Pass,
    /// Refused with 400.
    Reject,
}

/// Whether a model without a price may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownPrice {
    /// Called; its cost is reported as unknown.
    Allow,
    /// Refused.
    Deny,
}

/// Whether calls may leave objects (files, batches, responses) in an account that all callers share, and use them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredObjects {
    /// Refused. Not written into records, so that those of before this field are equal.
    #[default]
    Forbid,
    /// Each caller reaches its own.
    Allow,
}

impl StoredObjects {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_forbidden(&self) -> bool {
        *self == Self::Forbid
    }
}

/// One declared model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// The name the provider knows it by.
    pub upstream_model: String,
    /// Through which API it is called; absent: as the data plane's catalogue says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ModelApi>,
    /// Who publishes it at Vertex AI, where that is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Tokens that fit, if known.
    pub context_window_tokens: Option<u64>,
    /// The longest answer, if known.
    pub max_output_tokens: Option<u64>,
    /// What it costs; `None` is unknown.
    pub price: Option<Price>,
}

/// Through which API a model is called, where a provider has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelApi {
    /// Chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
}

/// Names one sealed value: the provider's credential (`ns/name/credential`) or the value of a secret header
/// (`ns/name/header:<lower-case name>`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialSlot {
    /// The provider it belongs to.
    pub provider: ObjectName,
    /// `credential` or `header:<name>`.
    pub slot: String,
}

impl CredentialSlot {
    /// The slot of the provider's credential.
    pub fn credential(provider: ObjectName) -> Self {
        Self {
            provider,
            slot: "credential".to_owned(),
        }
    }

    /// The slot of a secret header's value.
    pub fn header(provider: ObjectName, name: &str) -> Self {
        Self {
            provider,
            slot: format!("header:{name}"),
        }
    }
}

impl fmt::Display for CredentialSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.slot)
    }
}

/// The text is not `namespace/name/slot`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not namespace/name/slot")]
pub struct NotACredentialSlot(String);

impl FromStr for CredentialSlot {
    type Err = NotACredentialSlot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotACredentialSlot(text.to_owned());
        let (namespace, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (name, slot) = rest.split_once('/').ok_or_else(wrong)?;
        if namespace.is_empty() || name.is_empty() || slot.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            provider: ObjectName::new(namespace, name),
            slot: slot.to_owned(),
        })
    }
}

impl Serialize for CredentialSlot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CredentialSlot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_which_no_api_is_said_is_written_as_before_there_was_one() {
        let json = r#"{"upstreamModel":"m","contextWindowTokens":null,"maxOutputTokens":null,"price":null}"#;
        let model: Model = serde_json::from_str(json).expect("a model");
        assert_eq!(model.api, None);
        assert_eq!(serde_json::to_string(&model).expect("JSON"), json);
    }
}
