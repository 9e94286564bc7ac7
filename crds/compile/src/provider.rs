//! `LLMProvider` to the provider of a snapshot: where it is, what is sent to it, what opens it, which models it has.
//!
//! What this lets through, a data plane can prepare: a certificate authority, a header or an address that it would refuse
//! is refused here, since there it would cost the whole snapshot and here only the one provider.

use std::collections::{BTreeMap, BTreeSet};

use headgate_crds::LLMProvider;
use headgate_crds::llm_provider::{
    self as crd, Credential, LLMProviderSpec, OllamaApi, ProviderModel, ProviderType, StaticHeader,
};
use headgate_snapshot::{
    CredentialSlot, Model, ModelApi, ObjectName, Provider, ProviderKind, ProviderTimeouts, Sealed, SealingKey,
    StoredObjects, UnknownPrice, UnsupportedParameters, origin_of,
};

use crate::authority;
use crate::cloud;
use crate::finding::{About, Findings, Kind, Reason};
use crate::header::{self, Use};
use crate::price;
use crate::reference::World;
use crate::secret::{self, Value};
use crate::unsupported;

/// What became of all providers.
#[derive(Default)]
pub(crate) struct Providers {
    /// Those that are served.
    pub(crate) served: BTreeMap<ObjectName, Provider>,
    /// What opens them.
    pub(crate) credentials: BTreeMap<CredentialSlot, Sealed>,
    /// Why the others are left out.
    pub(crate) left_out: BTreeMap<ObjectName, String>,
    /// Declared models that their provider does not serve, with the reason, by provider.
    pub(crate) models_left_out: BTreeMap<ObjectName, BTreeMap<String, String>>,
}

/// Compiles every provider.
pub(crate) fn compile(world: &World<'_>, key: &SealingKey, findings: &mut Findings) -> Providers {
    let mut providers = Providers::default();
    for (name, object) in &world.providers {
        let mut about = findings.about(Kind::LLMProvider, name);
        let (provider, secrets, models_left_out) = compile_one(world, name, object, &mut about);
        providers.models_left_out.insert(name.clone(), models_left_out);
        if let Some(reason) = about.left_out() {
            providers.left_out.insert(name.clone(), reason.to_owned());
            continue;
        }
        if let Some(origin) = provider.origin() {
            let sealed = secrets.into_iter().map(|(slot, value)| {
                let sealed = key.seal(&slot, &origin, value.bytes());
                (slot, sealed)
            });
            providers.credentials.extend(sealed);
        }
        providers.served.insert(name.clone(), provider);
    }
    providers
}

type Secrets = Vec<(CredentialSlot, Value)>;
type ModelsLeftOut = BTreeMap<String, String>;

fn compile_one(
    world: &World<'_>,
    name: &ObjectName,
    object: &LLMProvider,
    about: &mut About<'_>,
) -> (Provider, Secrets, ModelsLeftOut) {
    let spec = &object.spec;
    unsupported::report(unsupported::PROVIDER, spec, about);
    world.judge_allowed_namespaces(object, about);
    let kind = dialect(spec);
    let (models, models_left_out) = models(spec, kind, about);
    let mut provider = Provider {
        kind,
        base_url: None,
        cloud: cloud::settings(spec, about),
        has_credential: false,
        workload_identity: None,
        headers: BTreeMap::new(),
        secret_headers: BTreeSet::new(),
        forward_headers: BTreeSet::new(),
        timeouts: timeouts(&spec.timeouts),
        unsupported_parameters: match spec.unsupported_parameters {
            crd::UnsupportedParameters::Drop => UnsupportedParameters::Drop,
            crd::UnsupportedParameters::Pass => UnsupportedParameters::Pass,
            crd::UnsupportedParameters::Reject => UnsupportedParameters::Reject,
        },
        unknown_price: match spec.unknown_price {
            crd::UnknownPrice::Allow => UnknownPrice::Allow,
            crd::UnknownPrice::Deny => UnknownPrice::Deny,
        },
        stored_objects: stored_objects(spec, about),
        ca_pem: None,
        discovers_models: spec.discover == Some(crd::Discover::Any),
        models,
    };
    let mut secrets = Vec::new();
    if spec.type_ == ProviderType::Echo {
        warn_of_what_echo_never_uses(spec, about);
    } else {
        provider.base_url = base_url(spec, about);
        provider.headers = static_headers(&spec.headers, about);
        provider.forward_headers = forward_headers(&spec.forward_headers, about);
        provider.has_credential = credential(world, name, spec, &mut secrets, about);
        provider.workload_identity = cloud::workload_identity(spec, provider.base_url.as_deref(), about);
        provider.secret_headers = secret_headers(world, name, spec, &mut secrets, about);
        provider.ca_pem = ca_pem(world, name, spec, about);
    }
    (provider, secrets, models_left_out)
}

/// The dialect that is spoken.
fn dialect(spec: &LLMProviderSpec) -> ProviderKind {
    let ollama_api = spec.ollama.as_ref().map_or(OllamaApi::Native, |ollama| ollama.api);
    match spec.type_ {
        ProviderType::OpenAI => ProviderKind::OpenAI,
        ProviderType::OpenAICompatible => ProviderKind::OpenAICompatible,
        ProviderType::Ollama => match ollama_api {
            OllamaApi::Native => ProviderKind::Ollama,
            OllamaApi::OpenAI => ProviderKind::OllamaOpenAI,
        },
        ProviderType::Anthropic => ProviderKind::Anthropic,
        ProviderType::Gemini => ProviderKind::Gemini,
        ProviderType::Groq => ProviderKind::Groq,
        ProviderType::Mistral => ProviderKind::Mistral,
        ProviderType::DeepSeek => ProviderKind::DeepSeek,
        ProviderType::Together => ProviderKind::Together,
        ProviderType::Cohere => ProviderKind::Cohere,
        ProviderType::AzureOpenAI => ProviderKind::AzureOpenAI,
        ProviderType::VertexAI => ProviderKind::VertexAI,
        ProviderType::Bedrock => ProviderKind::Bedrock,
        ProviderType::Echo => ProviderKind::Echo,
    }
}

fn stored_objects(spec: &LLMProviderSpec, about: &mut About<'_>) -> StoredObjects {
    match spec.stored_objects {
        crd::StoredObjects::Forbid => StoredObjects::Forbid,
        crd::StoredObjects::Allow => {
            if !keeps_objects(spec.type_) {
                let message = "no endpoint for stored objects of this type of provider is served, so that this allows \
                               nothing; remove it";
                about.warning(Reason::Invalid, "spec.storedObjects", message);
            }
            StoredObjects::Allow
        }
    }
}

/// Whether there are adapters for what the service keeps.
fn keeps_objects(type_: ProviderType) -> bool {
    match type_ {
        ProviderType::OpenAI | ProviderType::OpenAICompatible | ProviderType::AzureOpenAI | ProviderType::Groq => true,
        ProviderType::Anthropic
        | ProviderType::Gemini
        | ProviderType::VertexAI
        | ProviderType::Bedrock
        | ProviderType::Mistral
        | ProviderType::DeepSeek
        | ProviderType::Together
        | ProviderType::Cohere
        | ProviderType::Ollama
        | ProviderType::Echo => false,
    }
}

fn timeouts(timeouts: &crd::ProviderTimeouts) -> ProviderTimeouts {
    let crd::ProviderTimeouts {
        connect,
        first_token,
        idle,
        total,
    } = timeouts;
    ProviderTimeouts {
        connect_ms: connect.as_millis(),
        first_token_ms: first_token.as_millis(),
        idle_ms: idle.as_millis(),
        total_ms: total.as_millis(),
    }
}

fn warn_of_what_echo_never_uses(spec: &LLMProviderSpec, about: &mut About<'_>) {
    let used = [
        ("spec.baseURL", spec.base_url.is_some()),
        ("spec.credential", spec.credential.is_some()),
        ("spec.headers", !spec.headers.is_empty()),
        ("spec.headerSecrets", !spec.header_secrets.is_empty()),
        ("spec.forwardHeaders", !spec.forward_headers.is_empty()),
        ("spec.tls", spec.tls.is_some()),
    ];
    for (path, _) in used.into_iter().filter(|(_, is_used)| *is_used) {
        about.warning(
            Reason::Invalid,
            path,
            "Echo answers from inside the gateway and never uses this; remove it",
        );
    }
}

/// The address with its version path and without a slash at its end.
fn base_url(spec: &LLMProviderSpec, about: &mut About<'_>) -> Option<String> {
    let default = match spec.type_ {
        ProviderType::OpenAI => Some("https://api.openai.com/v1"),
        ProviderType::Anthropic => Some("https://api.anthropic.com/v1"),
        ProviderType::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
        ProviderType::Groq => Some("https://api.groq.com/openai/v1"),
        ProviderType::Mistral => Some("https://api.mistral.ai/v1"),
        ProviderType::DeepSeek => Some("https://api.deepseek.com/v1"),
        ProviderType::Together => Some("https://api.together.xyz/v1"),
        ProviderType::Cohere => Some("https://api.cohere.com/v2"),
        // Where `ollama serve` listens when nothing else is said.
        ProviderType::Ollama => Some("http://127.0.0.1:11434"),
        _ => None,
    };
    let by_settings = cloud::default_address(spec);
    let Some(url) = spec.base_url.as_deref().or(default).or(by_settings.as_deref()) else {
        // What these two lack to tell their address is said of their settings.
        if !matches!(spec.type_, ProviderType::VertexAI | ProviderType::Bedrock) {
            about.leave_out(
                Reason::Invalid,
                "spec.baseURL",
                "this type of provider needs an address; set baseURL",
            );
        }
        return None;
    };
    if origin_of(url).is_none() || !url.bytes().all(is_address_byte) {
        about.leave_out(
            Reason::Invalid,
            "spec.baseURL",
            "it is not an address that can be called; write scheme, host and path only, such as https://api.openai.com/v1",
        );
        return None;
    }
    let url = url.trim_end_matches('/');
    // An Ollama server and a resource of Azure are named by their root, under which all their APIs are; people also write
    // that of the OpenAI layer.
    let layer = match spec.type_ {
        ProviderType::Ollama => "/v1",
        ProviderType::AzureOpenAI => "/openai/v1",
        _ => "",
    };
    Some(url.strip_suffix(layer).unwrap_or(url).to_owned())
}

/// What host, port and path are made of (RFC 3986): no query, no fragment, and nothing that URL parsers disagree about.
fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/[]".contains(&byte)
}

fn static_headers(headers: &[StaticHeader], about: &mut About<'_>) -> BTreeMap<String, String> {
    let mut compiled = BTreeMap::new();
    for (index, StaticHeader { name, value }) in headers.iter().enumerate() {
        let path = format!("spec.headers[{index}]");
        if !header::is_value(value.as_bytes()) {
            about.leave_out(
                Reason::Invalid,
                format!("{path}.value"),
                "it holds characters that no header can carry; use printable ASCII, without spaces at the ends",
            );
        }
        match header::name_for(name, Use::Static) {
            Err(message) => about.leave_out(Reason::Invalid, format!("{path}.name"), message),
            Ok(name) => {
                if compiled.insert(name, value.clone()).is_some() {
                    about.leave_out(Reason::Invalid, format!("{path}.name"), twice("spec.headers"));
                }
            }
        }
    }
    compiled
}

fn twice(list: &str) -> String {
    format!("the header stands twice in {list}, in whatever case; remove one of the two")
}

fn forward_headers(names: &[String], about: &mut About<'_>) -> BTreeSet<String> {
    let mut compiled = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        match header::name_for(name, Use::Forward) {
            Ok(name) => drop(compiled.insert(name)),
            Err(message) => about.leave_out(Reason::Invalid, format!("spec.forwardHeaders[{index}]"), message),
        }
    }
    compiled
}

/// Whether there is a credential to send; its value goes to `secrets`.
fn credential(
    world: &World<'_>,
    name: &ObjectName,
    spec: &LLMProviderSpec,
    secrets: &mut Secrets,
    about: &mut About<'_>,
) -> bool {
    let Some(Credential {
        secret_ref: Some(reference),
        workload_identity,
    }) = &spec.credential
    else {
        return false;
    };
    if workload_identity.is_some() {
        let message = "both secretRef and workloadIdentity open the account; remove one of the two";
        about.leave_out(Reason::Invalid, "spec.credential", message);
    }
    let value = secret::resolve(world, &name.namespace, reference);
    match value.and_then(|value| cloud::for_account(spec.type_, value, reference)) {
        Ok(value) => secrets.push((CredentialSlot::credential(name.clone()), value)),
        Err(problem) => about.leave_out(problem.reason, "spec.credential.secretRef", problem.message),
    }
    true
}

/// The header by which a service takes its credential, lower case.
fn credential_header(spec: &LLMProviderSpec) -> &'static str {
    match spec.type_ {
        ProviderType::Anthropic => "x-api-key",
        ProviderType::Gemini => "x-goog-api-key",
        ProviderType::AzureOpenAI if spec.credential.as_ref().is_some_and(|one| one.secret_ref.is_some()) => "api-key",
        _ => "authorization",
    }
}

fn secret_headers(
    world: &World<'_>,
    name: &ObjectName,
    spec: &LLMProviderSpec,
    secrets: &mut Secrets,
    about: &mut About<'_>,
) -> BTreeSet<String> {
    let mut compiled = BTreeSet::new();
    for (index, header) in spec.header_secrets.iter().enumerate() {
        let path = format!("spec.headerSecrets[{index}]");
        let lower = match header::name_for(&header.name, Use::Secret) {
            Ok(lower) => lower,
            Err(message) => {
                about.leave_out(Reason::Invalid, format!("{path}.name"), message);
                continue;
            }
        };
        let is_static = spec.headers.iter().any(|other| other.name.eq_ignore_ascii_case(&lower));
        let is_credential = spec.credential.is_some() && lower == credential_header(spec);
        if is_static || is_credential {
            let other = if is_static { "spec.headers" } else { "spec.credential" };
            let message = format!(
                "the header `{}` is also set by {other}; remove one of the two",
                header.name
            );
            about.leave_out(Reason::Invalid, format!("{path}.name"), message);
        }
        let reference = &header.secret_ref;
        match secret::resolve(world, &name.namespace, reference).and_then(|value| secret::for_header(value, reference))
        {
            Ok(value) => secrets.push((CredentialSlot::header(name.clone(), &lower), value)),
            Err(problem) => about.leave_out(problem.reason, format!("{path}.secretRef"), problem.message),
        }
        if !compiled.insert(lower) {
            about.leave_out(Reason::Invalid, format!("{path}.name"), twice("spec.headerSecrets"));
        }
    }
    compiled
}

fn ca_pem(world: &World<'_>, name: &ObjectName, spec: &LLMProviderSpec, about: &mut About<'_>) -> Option<String> {
    let reference = &spec.tls.as_ref()?.ca_secret_ref;
    let path = "spec.tls.caSecretRef";
    match secret::resolve(world, &name.namespace, reference) {
        Ok(Value::StandIn(_)) => None,
        Ok(Value::Known(pem)) => match authority::certificates(&pem) {
            Ok(pem) => Some(pem),
            Err(wrong) => {
                let message = format!("entry `{}` of Secret `{}` {wrong}", reference.key, reference.name);
                about.leave_out(Reason::SecretKeyMissing, path, message);
                None
            }
        },
        Err(problem) => {
            about.leave_out(problem.reason, path, problem.message);
            None
        }
    }
}

/// Models by the name clients ask for, and those that are declared and not served.
fn models(
    spec: &LLMProviderSpec,
    kind: ProviderKind,
    about: &mut About<'_>,
) -> (BTreeMap<String, Model>, ModelsLeftOut) {
    let mut served = BTreeMap::new();
    let mut left_out = BTreeMap::new();
    for (index, model) in spec.models.iter().enumerate() {
        let path = format!("spec.models[{index}]");
        if served.contains_key(&model.name) || left_out.contains_key(&model.name) {
            let message = format!(
                "the model `{}` stands twice in the list; remove one of the two",
                model.name
            );
            about.error(Reason::Invalid, format!("{path}.name"), message);
            continue;
        }
        if model.api == Some(crd::ModelApi::Responses) && !has_responses(spec.type_) {
            let message = "this type of provider has no Responses; remove api, or set it to Chat";
            about.error(Reason::Invalid, format!("{path}.api"), message);
            let reason = format!(
                "model `{}` is declared with an API that its provider does not have",
                model.name
            );
            left_out.insert(model.name.clone(), reason);
            continue;
        }
        let compiled = compile_model(model, kind);
        if spec.unknown_price == crd::UnknownPrice::Deny && compiled.price.is_none() {
            let message = format!(
                "the model `{}` has no price and unknownPrice is Deny, so that every request for it is refused; set \
                 its price",
                model.name
            );
            about.warning(Reason::Invalid, format!("{path}.price"), message);
        }
        served.insert(model.name.clone(), compiled);
    }
    (served, left_out)
}

/// Whether a service of this type may have OpenAI's Responses.
fn has_responses(type_: ProviderType) -> bool {
    matches!(
        type_,
        ProviderType::OpenAI | ProviderType::OpenAICompatible | ProviderType::AzureOpenAI
    )
}

fn compile_model(model: &ProviderModel, kind: ProviderKind) -> Model {
    let stated = model.price.as_ref().map(price::compile);
    Model {
        upstream_model: model.upstream_model.clone().unwrap_or_else(|| model.name.clone()),
        api: model.api.map(|api| match api {
            crd::ModelApi::Chat => ModelApi::Chat,
            crd::ModelApi::Responses => ModelApi::Responses,
        }),
        publisher: model.publisher.clone(),
        context_window_tokens: model.context_window,
        max_output_tokens: model.max_output_tokens,
        price: stated.or_else(|| kind.is_local().then(headgate_snapshot::Price::default)),
    }
}
