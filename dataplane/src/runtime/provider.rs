//! A provider made ready: its headers built, its credential opened, its URLs parsed, its counters resolved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use prometheus::IntCounter;
use zeroize::Zeroizing;

use headgate_llm::failure::Failure;
use headgate_llm::provider::{Account, Kind, ModelApi, Provider as Adapter, UnsupportedParameters};
use headgate_snapshot::origin::origin_of;
use headgate_snapshot::sealed::OpenError;
use headgate_snapshot::{
    Binder, Cloud, CredentialSlot, Model, ObjectName, Price, Provider, ProviderKind, ProviderTimeouts, Sealed,
    SealingKey, StoredObjects, UnknownPrice,
};

use super::address::ProviderAddress;
use super::{Installation, Map};
use crate::answer_headers;
use crate::identity::{Identity, IdentityError, OpenedBy, Opening};
use crate::metrics::{BackendMetrics, Metrics};
use crate::upstream::address::AddressPolicy;
use crate::upstream::tls::TlsError;
use crate::upstream::{Transport, Upstream};

/// One LLMProvider.
pub struct PreparedProvider {
    /// The LLMProvider.
    pub name: ObjectName,
    /// Its dialect's adapter.
    pub adapter: &'static dyn Adapter,
    /// Whether answers come from inside.
    pub is_echo: bool,
    /// Sent with each call: credential, static headers, what we always say.
    pub headers: HeaderMap,
    /// The caller's headers that are passed on.
    pub forward_headers: Vec<HeaderName>,
    /// The credential, to be scrubbed from what the provider says in its errors.
    pub credential: Option<Zeroizing<String>>,
    /// What opens the account, where that is more than one header.
    pub identity: Option<Arc<Identity>>,
    /// What the account says that stands in addresses.
    pub cloud: Option<Cloud>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// The way there.
    pub pool: Arc<Pool>,
    /// Declared models by the name clients ask for.
    pub models: Map<String, Arc<PreparedModel>>,
    /// Stands for the model in requests that name none.
    pub without_model: Arc<PreparedModel>,
    /// What undeclared models share, where the provider discovers models.
    pub undeclared: Option<Arc<PreparedModel>>,
    /// Whether a model without a price may be called.
    pub refuses_unknown_price: bool,
    /// What happens with parameters that its dialect does not have.
    pub unsupported_parameters: UnsupportedParameters,
    /// What binds ids of objects that are stored there to their owners; `None`: nothing may be stored there.
    pub stored_objects: Option<Binder>,
    /// Where it is.
    pub address: ProviderAddress,
    /// Calls that brought an answer.
    pub answered_attempts: IntCounter,
}

/// A model at a provider.
pub struct PreparedModel {
    /// The name the provider knows it by; empty for undeclared ones.
    pub upstream_model: String,
    /// Who publishes it, where the manifest says.
    pub publisher: Option<String>,
    /// Deployments by the upstream name of their model; for undeclared ones, those of all that the manifest names.
    pub deployments: BTreeMap<String, String>,
    /// What its answers have as headers; `x-headgate-model` of undeclared ones is to be set.
    pub answer_headers: HeaderMap,
    /// The longest answer in tokens, where it is declared.
    pub max_output_tokens: Option<u64>,
    /// By which of its provider's APIs it is asked, where it is declared.
    pub api: Option<ModelApi>,
    /// What it costs.
    pub price: Option<Price>,
    /// Its counters.
    pub metrics: BackendMetrics,
}

/// Deadlines of one call.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From the request sent to the first content (whole answers: to the head).
    pub first_token: Duration,
    /// Between two reads of the answer.
    pub idle: Duration,
    /// The whole call.
    pub total: Duration,
}

/// Connections, and what they were made for.
pub struct Pool {
    transport: Transport,
    /// The connections.
    pub upstream: Upstream,
}

/// Why a provider cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareProviderError {
    /// No usable base URL.
    #[error("`{0}` is no http or https URL with a host")]
    BaseUrl(String),
    /// A credential that the record asks for is not in the snapshot.
    #[error("the snapshot has no sealed value for {0}")]
    NoCredential(String),
    /// A sealed value does not open for this provider and origin.
    #[error("the sealed value for {slot}: {source}")]
    Open {
        /// Which.
        slot: String,
        /// Why.
        source: OpenError,
    },
    /// A credential that opens nothing.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A credential or header that cannot stand in a header.
    #[error("the value for {0} holds characters that a header cannot carry")]
    HeaderValue(String),
    /// The certificate authority.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Who we are to providers.
const USER_AGENT: &str = concat!("headgate/", env!("CARGO_PKG_VERSION"));
/// The metric label that undeclared models share, so that callers cannot grow the label set.
const UNDECLARED: &str = "other";
/// The metric label of requests that name no model.
const WITHOUT_MODEL: &str = "none";

/// What all providers are prepared with.
pub(super) struct Means<'a> {
    pub(super) credentials: &'a BTreeMap<CredentialSlot, Sealed>,
    pub(super) sealing_key: &'a SealingKey,
    pub(super) installation: Installation<'a>,
    pub(super) metrics: &'a Metrics,
}

impl PreparedProvider {
    /// `before` is the provider of this name in the runtime before: what did not change of it is taken over.
    pub(super) fn prepare(
        name: &ObjectName,
        record: Provider,
        means: &Means<'_>,
        before: Option<&Self>,
    ) -> Result<Self, PrepareProviderError> {
        let metrics = means.metrics;
        let adapter = headgate_llm::provider::of(kind_of(record.kind));
        let base_url = base_url(&record, adapter);
        let address =
            ProviderAddress::of(base_url).ok_or_else(|| PrepareProviderError::BaseUrl(base_url.to_owned()))?;
        let mut headers = static_headers(&record, &address)?;
        let open = |slot: CredentialSlot| open(&slot, base_url, means.credentials, means.sealing_key);
        let credential = if record.has_credential {
            Some(open(CredentialSlot::credential(name.clone()))?)
        } else {
            None
        };
        let identity = identity(name, &record, credential.as_ref(), means, before)?;
        if let Some(text) = &credential
            && identity.as_ref().is_none_or(|identity| identity.is_header())
        {
            let unfit = || PrepareProviderError::HeaderValue("credential".to_owned());
            let (header, mut value) = adapter.credential_header(text).ok_or_else(unfit)?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        for header in &record.secret_headers {
            let text = open(CredentialSlot::header(name.clone(), header))?;
            insert_header(&mut headers, header, &text, true)?;
        }
        let transport = transport(&record, &address, means.installation.addresses);
        let pool = take_over_or_open(before.map(|before| &before.pool), transport)?;
        let label = name.name.as_str();
        let is_echo = record.kind == ProviderKind::Echo;
        let label_header = HeaderValue::from_str(label).expect("an object's name is a DNS label");
        let deployments = match &record.cloud {
            Some(Cloud::Azure { deployments, .. }) => Some(deployments),
            Some(Cloud::Vertex { .. } | Cloud::Bedrock { .. }) | None => None,
        };
        let models = record.models.into_iter().map(|(model, record)| {
            let metrics = metrics.backend(label, &model);
            let mut prepared = PreparedModel::declared(record, label_header.clone(), metrics);
            if let Some(deployment) = deployments.and_then(|deployments| deployments.get(&model)) {
                let upstream_model = prepared.upstream_model.clone();
                prepared.deployments.insert(upstream_model, deployment.clone());
            }
            (model, Arc::new(prepared))
        });
        let models = models.collect();
        let without_model = Arc::new(PreparedModel::undeclared(
            WITHOUT_MODEL,
            record.kind.is_local(),
            label_header.clone(),
            metrics.backend(label, WITHOUT_MODEL),
        ));
        let undeclared = record.discovers_models.then(|| {
            let metrics = metrics.backend(label, UNDECLARED);
            let mut prepared = PreparedModel::undeclared(UNDECLARED, record.kind.is_local(), label_header, metrics);
            prepared.deployments = deployments.cloned().unwrap_or_default();
            Arc::new(prepared)
        });
        Ok(Self {
            name: name.clone(),
            adapter,
            is_echo,
            headers,
            forward_headers: record
                .forward_headers
                .iter()
                .filter_map(|header| header.parse().ok())
                .collect(),
            credential,
            identity,
            cloud: record.cloud,
            timeouts: Timeouts::from(record.timeouts),
            pool,
            models,
            without_model,
            undeclared,
            refuses_unknown_price: record.unknown_price == UnknownPrice::Deny,
            unsupported_parameters: policy_of(record.unsupported_parameters),
            stored_objects: (record.stored_objects == StoredObjects::Allow).then(|| means.sealing_key.binder()),
            answered_attempts: metrics.answered_attempts(label),
            address,
        })
    }

    /// The credential as it was sent; empty: none.
    pub fn credential_text(&self) -> &str {
        self.credential.as_ref().map_or("", |text| text.as_str())
    }

    /// What stands in the addresses of calls for one of its models.
    pub fn account<'a>(&'a self, model: &'a PreparedModel) -> Account<'a> {
        match &self.cloud {
            Some(Cloud::Azure { api_version, .. }) => Account::Azure {
                api_version,
                deployments: &model.deployments,
            },
            Some(Cloud::Vertex { project, location }) => Account::Vertex { project, location },
            Some(Cloud::Bedrock { .. }) | None => Account::Plain,
        }
    }

    /// It answered a request of ours: where it does not know us, what opens the account is made anew.
    pub fn answered(&self, status: StatusCode, now: SystemTime) {
        if status == StatusCode::UNAUTHORIZED
            && let Some(identity) = &self.identity
        {
            identity.refused(now);
        }
    }

    /// Removes our credential from what the provider said.
    pub fn scrub(&self, failure: Failure) -> Failure {
        let failure = match &self.credential {
            Some(credential) => failure.scrubbed(credential),
            None => failure,
        };
        match &self.identity {
            Some(identity) => identity.scrub(failure),
            None => failure,
        }
    }
}

impl PreparedModel {
    fn declared(record: Model, provider: HeaderValue, metrics: BackendMetrics) -> Self {
        Self {
            answer_headers: answer_headers::of_model(provider, &record.upstream_model),
            upstream_model: record.upstream_model,
            publisher: record.publisher,
            deployments: BTreeMap::new(),
            max_output_tokens: record.max_output_tokens,
            api: record.api.map(|api| match api {
                headgate_snapshot::ModelApi::Chat => ModelApi::Chat,
                headgate_snapshot::ModelApi::Responses => ModelApi::Responses,
            }),
            price: record.price,
            metrics,
        }
    }

    fn undeclared(name: &str, is_free: bool, provider: HeaderValue, metrics: BackendMetrics) -> Self {
        Self {
            answer_headers: answer_headers::of_model(provider, name),
            upstream_model: String::new(),
            publisher: None,
            deployments: BTreeMap::new(),
            max_output_tokens: None,
            api: None,
            price: is_free.then(Price::default),
            metrics,
        }
    }
}

fn kind_of(kind: ProviderKind) -> Kind {
    match kind {
        ProviderKind::OpenAI => Kind::OpenAI,
        ProviderKind::OpenAICompatible => Kind::OpenAICompatible,
        ProviderKind::Ollama => Kind::Ollama,
        ProviderKind::OllamaOpenAI => Kind::OllamaOpenAI,
        ProviderKind::Anthropic => Kind::Anthropic,
        ProviderKind::Gemini => Kind::Gemini,
        ProviderKind::Groq => Kind::Groq,
        ProviderKind::Mistral => Kind::Mistral,
        ProviderKind::DeepSeek => Kind::DeepSeek,
        ProviderKind::Together => Kind::Together,
        ProviderKind::Cohere => Kind::Cohere,
        ProviderKind::AzureOpenAI => Kind::AzureOpenAI,
        ProviderKind::VertexAI => Kind::VertexAI,
        ProviderKind::Bedrock => Kind::Bedrock,
        ProviderKind::Echo => Kind::Echo,
    }
}

fn policy_of(policy: headgate_snapshot::UnsupportedParameters) -> UnsupportedParameters {
    use headgate_snapshot::UnsupportedParameters as Record;
    match policy {
        Record::Drop => UnsupportedParameters::Drop,
        Record::Pass => UnsupportedParameters::Pass,
        Record::Reject => UnsupportedParameters::Reject,
    }
}

impl From<ProviderTimeouts> for Timeouts {
    fn from(record: ProviderTimeouts) -> Self {
        Self {
            first_token: Duration::from_millis(record.first_token_ms),
            idle: Duration::from_millis(record.idle_ms),
            total: Duration::from_millis(record.total_ms),
        }
    }
}

/// Echo is nowhere; its URL is never dialled.
fn base_url<'r>(record: &'r Provider, adapter: &dyn Adapter) -> &'r str {
    if record.kind == ProviderKind::Echo {
        return "http://echo.invalid";
    }
    record
        .base_url
        .as_deref()
        .or(adapter.default_base_url())
        .unwrap_or_default()
}

fn static_headers(record: &Provider, address: &ProviderAddress) -> Result<HeaderMap, PrepareProviderError> {
    let mut headers = HeaderMap::with_capacity(8 + record.headers.len());
    headers.insert(header::HOST, address.host.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    for (name, value) in &record.headers {
        insert_header(&mut headers, name, value, false)?;
    }
    Ok(headers)
}

fn insert_header(
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
    is_secret: bool,
) -> Result<(), PrepareProviderError> {
    let unfit = || PrepareProviderError::HeaderValue(format!("header {name}"));
    let parsed = HeaderName::try_from(name).map_err(|_| unfit())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
    value.set_sensitive(is_secret);
    headers.insert(parsed, value);
    Ok(())
}

fn open(
    slot: &CredentialSlot,
    base_url: &str,
    credentials: &BTreeMap<CredentialSlot, Sealed>,
    sealing_key: &SealingKey,
) -> Result<Zeroizing<String>, PrepareProviderError> {
    let origin = origin_of(base_url).ok_or_else(|| PrepareProviderError::BaseUrl(base_url.to_owned()))?;
    let sealed = credentials
        .get(slot)
        .ok_or_else(|| PrepareProviderError::NoCredential(slot.slot.clone()))?;
    let bytes = sealing_key
        .open(slot, &origin, sealed)
        .map_err(|source| PrepareProviderError::Open {
            slot: slot.slot.clone(),
            source,
        })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(PrepareProviderError::HeaderValue(slot.slot.clone())),
    }
}

/// What opens an account at a cloud; `None`: it is at none, or nothing opens it.
fn identity(
    name: &ObjectName,
    record: &Provider,
    credential: Option<&Zeroizing<String>>,
    means: &Means<'_>,
    before: Option<&PreparedProvider>,
) -> Result<Option<Arc<Identity>>, IdentityError> {
    let Some(cloud) = record.cloud.clone() else {
        return Ok(None);
    };
    let by = match (&record.workload_identity, credential) {
        (Some(identity), _) => OpenedBy::Pod(identity.clone()),
        (None, Some(credential)) => OpenedBy::Credential(credential.clone()),
        (None, None) => return Ok(None),
    };
    let before = before.and_then(|before| before.identity.as_ref());
    let opening = Opening { cloud, by };
    Identity::of(&name.to_string(), opening, means.installation.clouds, before).map(Some)
}

fn transport(record: &Provider, address: &ProviderAddress, addresses: AddressPolicy) -> Transport {
    Transport {
        target: address.target.clone(),
        addresses,
        connect_timeout: Duration::from_millis(record.timeouts.connect_ms),
        ca_pem: record.ca_pem.clone(),
    }
}

fn take_over_or_open(before: Option<&Arc<Pool>>, transport: Transport) -> Result<Arc<Pool>, TlsError> {
    match before {
        Some(pool) if pool.transport == transport => Ok(Arc::clone(pool)),
        _ => Ok(Arc::new(Pool {
            upstream: Upstream::new(&transport)?,
            transport,
        })),
    }
}
