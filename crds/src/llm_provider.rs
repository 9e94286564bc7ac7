//! `LLMProvider`: an account at an LLM service, where it is, what opens it and which models it has.
//!
//! A field that belongs to one type of provider (`azure`, `bedrock`, …) is refused with any other, so that a manifest never
//! carries a setting which nothing reads.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{Condition, unseen};
use crate::{AllowedNamespaces, Duration, Money, RateLimits, Ratio, SecretRef, schema};

/// What an `LLMProvider` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "headgate.dev",
    version = "v1alpha1",
    kind = "LLMProvider",
    plural = "llmproviders",
    shortname = "hgprov",
    category = "headgate",
    namespaced,
    status = "LLMProviderStatus",
    derive = "PartialEq",
    doc = "An account at an LLM service: where it is, what opens it and which models it has.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Models", type_ = "integer", json_path = ".status.modelCount"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type != 'OpenAICompatible' || has(self.baseURL)")
    .message("type OpenAICompatible needs baseURL; set it to where the server is, version path included, such as http://vllm.models.svc:8000/v1")
    .field_path(".baseURL")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("self.type != 'AzureOpenAI' || has(self.baseURL)")
    .message("type AzureOpenAI needs baseURL; set it to the resource's endpoint, such as https://NAME.openai.azure.com")
    .field_path(".baseURL")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("!has(self.azure) || self.type == 'AzureOpenAI'")
    .message("azure goes with type: AzureOpenAI only; remove it or change the type")
    .field_path(".azure")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("!has(self.bedrock) || self.type == 'Bedrock'")
    .message("bedrock goes with type: Bedrock only; remove it or change the type")
    .field_path(".bedrock")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("self.type != 'Bedrock' || has(self.bedrock)")
    .message("type Bedrock needs bedrock.region; set it to the account's region, such as eu-central-1")
    .field_path(".bedrock")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("!has(self.vertex) || self.type == 'VertexAI'")
    .message("vertex goes with type: VertexAI only; remove it or change the type")
    .field_path(".vertex")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("self.type != 'VertexAI' || has(self.vertex)")
    .message("type VertexAI needs vertex.project and vertex.location; set both")
    .field_path(".vertex")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("!has(self.ollama) || self.type == 'Ollama'")
    .message("ollama goes with type: Ollama only; remove it or change the type")
    .field_path(".ollama")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("!has(self.credential) || !has(self.credential.workloadIdentity) || self.type in ['Bedrock', 'VertexAI', 'AzureOpenAI']")
    .message("workloadIdentity goes with types Bedrock, VertexAI and AzureOpenAI only; use credential.secretRef")
    .field_path(".credential.workloadIdentity")
    .reason(Reason::FieldValueForbidden))]
#[x_kube(validation = Rule::new("has(self.discover) || (has(self.models) && self.models.size() > 0)")
    .message("no model is declared; list at least one in models, or set discover: Any to accept any name as provider/model")
    .field_path(".models")
    .reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new("self.type == 'VertexAI' || !has(self.models) || self.models.all(m, !has(m.publisher))")
    .message("publisher goes with type: VertexAI only; remove it from every model")
    .field_path(".models")
    .reason(Reason::FieldValueForbidden))]
pub struct LLMProviderSpec {
    /// Which service it is, and so which wire format is spoken.
    #[serde(rename = "type")]
    pub type_: ProviderType,
    /// Where the service is, version path included (https://api.openai.com/v1). Required for OpenAICompatible and
    /// AzureOpenAI; the other types know theirs.
    #[serde(rename = "baseURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/]')")
        .message("must start with http:// or https:// and name a host, such as https://api.openai.com/v1")
        .reason(Reason::FieldValueInvalid))]
    #[x_kube(validation = Rule::new("!self.matches('^[^/]*//[^/]*@')")
        .message("must hold no user name or password; put the credential into a Secret and name it in credential.secretRef")
        .reason(Reason::FieldValueForbidden))]
    #[x_kube(validation = Rule::new("self.matches('^[!-~]*$') && !self.contains('?') && !self.contains('#')")
        .message("must hold no query, fragment or spaces; end it with the path")
        .reason(Reason::FieldValueInvalid))]
    pub base_url: Option<String>,
    /// What opens the account. Absent where the service asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Settings of type AzureOpenAI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<Azure>,
    /// Settings of type Bedrock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bedrock: Option<Bedrock>,
    /// Settings of type VertexAI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertex: Option<Vertex>,
    /// Settings of type Ollama.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ollama: Option<Ollama>,
    /// The models that clients may ask for, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub models: Vec<ProviderModel>,
    /// Any: accept every model name as provider/model, whether declared or not. Absent: declared models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discover: Option<Discover>,
    /// Whether a model without a known price may be called.
    #[serde(default)]
    pub unknown_price: UnknownPrice,
    /// Whether calls may leave objects (responses, files, batches) stored at the service.
    #[serde(default)]
    pub stored_objects: StoredObjects,
    /// Headers sent with each call. Their values are no secrets; those that are belong in headerSecrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub headers: Vec<StaticHeader>,
    /// Headers sent with each call whose values are in Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub header_secrets: Vec<HeaderSecret>,
    /// Headers of the caller that are passed on. Everything else of the caller's stays here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::header_names")]
    #[x_kube(validation = Rule::new("self.all(h, !(h.lowerAscii() in ['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'cookie', 'host', 'connection', 'content-length', 'transfer-encoding']))")
        .message("credential headers, Host and connection headers are never forwarded; remove them from the list")
        .reason(Reason::FieldValueForbidden))]
    pub forward_headers: Vec<String>,
    /// How long each part of a call may take.
    #[serde(default)]
    pub timeouts: ProviderTimeouts,
    /// What the account allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RateLimits>,
    /// What happens with tuning parameters that the service cannot take.
    #[serde(default)]
    pub unsupported_parameters: UnsupportedParameters,
    /// How the connection is secured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ProviderTls>,
    /// When the account is set aside after failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<CircuitBreaker>,
    /// Which namespaces may use this provider.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
}

/// Which service a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // names of products; the field says what the choice means
pub enum ProviderType {
    OpenAI,
    Anthropic,
    Gemini,
    VertexAI,
    AzureOpenAI,
    Bedrock,
    Groq,
    Mistral,
    DeepSeek,
    Together,
    Cohere,
    Ollama,
    OpenAICompatible,
    Echo,
}

/// What opens an account: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.workloadIdentity)")
    .message("set exactly one of secretRef and workloadIdentity")
    .reason(Reason::FieldValueInvalid))]
pub struct Credential {
    /// The entry of a Secret that holds the key. For Bedrock a bearer key or JSON with accessKeyId, secretAccessKey and
    /// sessionToken; for VertexAI the JSON of a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// The identity of the data plane's own pod, as the cloud provides it. Bedrock, VertexAI and AzureOpenAI only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,
}

/// The identity of the data plane's own pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentity {
    /// The identity to take: an AWS role ARN, a Google service account, an Azure client id. Absent: what the pod has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::GLOB))]
    pub assume: Option<String>,
}

/// Settings of type AzureOpenAI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Azure {
    /// The API version (2024-10-21), or v1 for the versionless API.
    #[serde(default = "v1")]
    #[schemars(
        length(min = 1, max = 32),
        regex(pattern = "^(v1|[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?)$")
    )]
    pub api_version: String,
    /// The deployment of each model; a model not listed is deployed under its upstreamModel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["model"]))]
    pub deployments: Vec<AzureDeployment>,
}

fn v1() -> String {
    "v1".to_owned()
}

/// Under which deployment a model is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureDeployment {
    /// The model, by the name clients ask for.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::MODEL_NAME))]
    pub model: String,
    /// The name of the deployment.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub deployment: String,
}

/// Settings of type Bedrock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bedrock {
    /// The region, such as eu-central-1.
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]$"))]
    pub region: String,
}

/// Settings of type VertexAI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vertex {
    /// The Google Cloud project.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9][-a-z0-9.:]*$"))]
    pub project: String,
    /// The location, such as europe-west4, or global.
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z][-a-z0-9]*$"))]
    pub location: String,
}

/// Settings of type Ollama.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ollama {
    /// Native: Ollama's own API, which takes all its options. OpenAI: its OpenAI layer.
    #[serde(default)]
    pub api: OllamaApi,
}

/// Which API of an Ollama server is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OllamaApi {
    /// Ollama's own.
    #[default]
    Native,
    /// Its OpenAI layer.
    OpenAI,
}

/// One model of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderModel {
    /// What clients ask for.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::MODEL_NAME))]
    pub name: String,
    /// The name the service knows it by. Absent: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::GLOB))]
    pub upstream_model: Option<String>,
    /// Through which of the service's APIs it is called. Absent: as the catalogue knows it of OpenAI's models, else Chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ModelApi>,
    /// Who publishes it on VertexAI, such as google or anthropic. Absent: told from the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9][-a-z0-9]*$"))]
    pub publisher: Option<String>,
    /// Tokens that fit, input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub context_window: Option<u64>,
    /// Tokens of the longest answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub max_output_tokens: Option<u64>,
    /// What it costs. Absent: the catalogue's price, else unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<ModelPrice>,
}

/// Through which of the service's APIs a model is called. Absent: as the catalogue knows it of OpenAI's models, else Chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ModelApi {
    /// Chat completions, or what the service has in their place.
    Chat,
    /// OpenAI's Responses.
    Responses,
}

/// USD per million tokens, as decimal strings ("2.50"); `image` per image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelPrice {
    /// USD per million input tokens. "0" is free on purpose.
    pub input: Money,
    /// USD per million output tokens.
    pub output: Money,
    /// USD per million input tokens read from the service's prompt cache. Absent: as input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Money>,
    /// USD per million input tokens written to the service's prompt cache. Absent: as input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Money>,
    /// USD per million input tokens written with a lifetime of one hour. Absent: as cacheWrite.
    #[serde(rename = "cacheWrite1h", default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<Money>,
    /// USD per million reasoning tokens. Absent: as output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Money>,
    /// USD per million audio input tokens. Absent: as input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<Money>,
    /// USD per million audio output tokens. Absent: as output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<Money>,
    /// USD per image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Money>,
}

/// Any: accept every model name as provider/model, declared or not. Absent: declared models only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Discover {
    /// Any model name as `<provider>/<model>`.
    Any,
}

/// Whether a model without a known price may be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnknownPrice {
    /// Called; its cost is reported as unknown.
    #[default]
    Allow,
    /// Refused.
    Deny,
}

/// Whether calls may leave objects stored at the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoredObjects {
    /// Refused: whoever shares the account could read them.
    #[default]
    Forbid,
    /// Passed on.
    Allow,
}

/// A header that carries no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.name.lowerAscii() in ['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'cookie', 'host', 'connection', 'content-length', 'transfer-encoding'])")
    .message("credential headers, Host and connection headers cannot be set here; name a Secret in credential.secretRef or headerSecrets")
    .field_path(".name")
    .reason(Reason::FieldValueForbidden))]
pub struct StaticHeader {
    /// The header's name.
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::HEADER_NAME))]
    pub name: String,
    /// The header's value, visible to all who may read this object.
    #[schemars(length(min = 1, max = 1024), regex(pattern = schema::HEADER_VALUE))]
    pub value: String,
}

/// A header whose value is in a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.name.lowerAscii() in ['host', 'connection', 'content-length', 'transfer-encoding'])")
    .message("Host and connection headers cannot be set; remove the entry")
    .field_path(".name")
    .reason(Reason::FieldValueForbidden))]
pub struct HeaderSecret {
    /// The header's name.
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::HEADER_NAME))]
    pub name: String,
    /// The entry of a Secret that holds the header's value.
    pub secret_ref: SecretRef,
}

/// How long each part of a call may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[self.connect, self.firstToken, self.idle, self.total].all(t, duration(t) > duration('0s'))")
    .message("a timeout of zero would end every call; set each to more than 0s")
    .reason(Reason::FieldValueInvalid))]
pub struct ProviderTimeouts {
    /// Until connected, TLS included.
    #[serde(default = "connect_timeout")]
    pub connect: Duration,
    /// From the request sent to the first content of the answer.
    #[serde(default = "first_token_timeout")]
    pub first_token: Duration,
    /// Between two pieces of the answer.
    #[serde(default = "idle_timeout")]
    pub idle: Duration,
    /// The whole call.
    #[serde(default = "total_timeout")]
    pub total: Duration,
}

const fn connect_timeout() -> Duration {
    Duration::from_secs(5)
}

const fn first_token_timeout() -> Duration {
    Duration::from_secs(300)
}

const fn idle_timeout() -> Duration {
    Duration::from_secs(120)
}

const fn total_timeout() -> Duration {
    Duration::from_secs(15 * 60)
}

impl Default for ProviderTimeouts {
    fn default() -> Self {
        Self {
            connect: connect_timeout(),
            first_token: first_token_timeout(),
            idle: idle_timeout(),
            total: total_timeout(),
        }
    }
}

/// What happens with tuning parameters that a service cannot take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnsupportedParameters {
    /// Left out, and named in a response header.
    #[default]
    Drop,
    /// Sent as they are.
    Pass,
    /// Refused with 400.
    Reject,
}

/// How a connection is secured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderTls {
    /// The entry of a Secret that holds the certificate authority in PEM. Only this authority is then trusted.
    pub ca_secret_ref: SecretRef,
}

/// When an account is set aside after failures, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.openFor) > duration('0s')")
    .message("openFor of zero would set nothing aside; set it to more than 0s, or remove circuitBreaker")
    .field_path(".openFor")
    .reason(Reason::FieldValueInvalid))]
pub struct CircuitBreaker {
    /// Failures in a row that open it.
    #[serde(default = "consecutive_failures")]
    #[schemars(range(min = 1, max = 10_000))]
    pub consecutive_failures: u32,
    /// Share of failures that opens it, as a decimal string ("0.5").
    #[serde(default = "failure_ratio")]
    pub failure_ratio: Ratio,
    /// Requests that must have been seen before the share counts.
    #[serde(default = "minimum_requests")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub minimum_requests: u32,
    /// How long it stays set aside before one request tries it again.
    #[serde(default = "open_for")]
    pub open_for: Duration,
}

const fn consecutive_failures() -> u32 {
    5
}

const fn failure_ratio() -> Ratio {
    Ratio::from_ten_thousandths(5_000)
}

const fn minimum_requests() -> u32 {
    20
}

const fn open_for() -> Duration {
    Duration::from_secs(30)
}

/// What became of an `LLMProvider`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LLMProviderStatus {
    /// The generation of the spec that this status describes; -1: not seen yet.
    #[serde(default = "unseen")]
    #[schemars(range(min = -1, max = schema::WHOLE_MAX))]
    pub observed_generation: i64,
    /// Names of the models served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub models: Vec<String>,
    /// How many models are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 256))]
    pub model_count: Option<u32>,
    /// First 8 hex digits of the credential's digest: tells one credential from another, opens nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub credential_fingerprint: Option<String>,
    /// Whether the account answers, as each data plane sees it; updated seldom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["dataPlane"]))]
    pub healthy: Vec<ProviderHealth>,
    /// Accepted, ResolvedRefs, Programmed, Ready; Reconciling and Stalled while true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Whether an account answers one data plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderHealth {
    /// The data plane: its gateway's name.
    #[schemars(length(min = 1, max = 253))]
    pub data_plane: String,
    /// Whether no pod of it has set the account aside.
    pub healthy: bool,
}
