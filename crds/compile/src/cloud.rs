//! What an account at a cloud has beside a key and an address: where it is by its settings, and what opens it.
//!
//! The identity of the data plane's own pod is nobody's Secret: whoever may write an `LLMProvider` may use it. So it goes
//! to the cloud's own hosts only, whatever `baseURL` says; a credential out of a Secret is its owner's to send anywhere.

use std::collections::BTreeMap;

use headgate_crds::SecretRef;
use headgate_crds::llm_provider::{self as crd, LLMProviderSpec, ProviderType};
use headgate_snapshot::{Cloud, ServiceAccountKey, WorkloadIdentity, origin_of};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::finding::{About, Reason};
use crate::secret::{self, Problem, Value};

/// What the account says of itself; `None` for a type that is no cloud.
pub(crate) fn settings(spec: &LLMProviderSpec, about: &mut About<'_>) -> Option<Cloud> {
    match spec.type_ {
        ProviderType::AzureOpenAI => Some(azure(spec, about)),
        ProviderType::VertexAI => {
            let Some(crd::Vertex { project, location }) = spec.vertex.clone() else {
                let message =
                    "this type of provider needs a project and a location; set vertex.project and vertex.location";
                about.leave_out(Reason::Invalid, "spec.vertex", message);
                return None;
            };
            Some(Cloud::Vertex { project, location })
        }
        ProviderType::Bedrock => {
            let Some(crd::Bedrock { region }) = spec.bedrock.clone() else {
                let message = "this type of provider needs a region; set bedrock.region";
                about.leave_out(Reason::Invalid, "spec.bedrock", message);
                return None;
            };
            Some(Cloud::Bedrock { region })
        }
        _ => None,
    }
}

fn azure(spec: &LLMProviderSpec, about: &mut About<'_>) -> Cloud {
    let settings = spec.azure.clone().unwrap_or_else(|| crd::Azure {
        api_version: "v1".to_owned(),
        deployments: Vec::new(),
    });
    let mut deployments = BTreeMap::new();
    for (index, crd::AzureDeployment { model, deployment }) in settings.deployments.into_iter().enumerate() {
        let path = format!("spec.azure.deployments[{index}].model");
        let is_declared = spec.models.iter().any(|declared| declared.name == model);
        if !is_declared && spec.discover.is_none() {
            let message = format!(
                "no model `{model}` is declared in spec.models, so that nobody can ask for this deployment; declare it, or \
                 correct the name"
            );
            about.warning(Reason::Invalid, path, message);
        } else if deployments.contains_key(&model) {
            let message = format!("the model `{model}` stands twice in the list; remove one of the two");
            about.error(Reason::Invalid, path, message);
            continue;
        }
        deployments.insert(model, deployment);
    }
    Cloud::Azure {
        api_version: settings.api_version,
        deployments,
    }
}

/// Where the service is by its settings, where they say it.
///
/// Vertex AI: the endpoints of multi-regions (`us`, `eu`) keep data there, `global` has no prefix
/// (<https://cloud.google.com/vertex-ai/docs/reference/rest>). Bedrock: the endpoint of the region's runtime
/// (<https://docs.aws.amazon.com/general/latest/gr/bedrock.html>).
pub(crate) fn default_address(spec: &LLMProviderSpec) -> Option<String> {
    match spec.type_ {
        ProviderType::VertexAI => Some(match spec.vertex.as_ref()?.location.as_str() {
            "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
            location @ ("us" | "eu") => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
            location => format!("https://{location}-aiplatform.googleapis.com/v1"),
        }),
        ProviderType::Bedrock => {
            let region = &spec.bedrock.as_ref()?.region;
            Some(format!("https://bedrock-runtime.{region}.amazonaws.com"))
        }
        _ => None,
    }
}

/// The identity that opens the account instead of a Secret.
pub(crate) fn workload_identity(
    spec: &LLMProviderSpec,
    base_url: Option<&str>,
    about: &mut About<'_>,
) -> Option<WorkloadIdentity> {
    let crd::WorkloadIdentity { assume } = spec.credential.as_ref()?.workload_identity.as_ref()?;
    let path = "spec.credential.workloadIdentity";
    let Some(service) = Service::of(spec.type_) else {
        let message = "it goes with types Bedrock, VertexAI and AzureOpenAI only; use credential.secretRef";
        about.leave_out(Reason::Invalid, path, message);
        return None;
    };
    if let Some(base_url) = base_url
        && !service.is_at(base_url)
    {
        let message = format!(
            "the identity of the data plane's own pod goes to {} only, over https, and baseURL is elsewhere; correct it, or \
             use credential.secretRef",
            service.hosts_in_words
        );
        about.leave_out(Reason::Invalid, "spec.baseURL", message);
    }
    if let Some(assume) = assume
        && !(service.is_assumable)(assume)
    {
        let message = format!("it is not {}; correct it, or leave it out", service.assumable_in_words);
        about.leave_out(Reason::Invalid, format!("{path}.assume"), message);
    }
    Some(WorkloadIdentity { assume: assume.clone() })
}

/// What a cloud's identities may be sent to, and what they may become.
struct Service {
    /// Whose names below belong to the cloud alone.
    hosts: &'static [&'static str],
    hosts_in_words: &'static str,
    is_assumable: fn(&str) -> bool,
    assumable_in_words: &'static str,
}

impl Service {
    fn of(type_: ProviderType) -> Option<Self> {
        match type_ {
            ProviderType::VertexAI => Some(Self {
                hosts: &[".googleapis.com"],
                hosts_in_words: "Google's own hosts (googleapis.com)",
                is_assumable: is_service_account,
                assumable_in_words: "the address of a service account, such as name@project.iam.gserviceaccount.com",
            }),
            ProviderType::Bedrock => Some(Self {
                hosts: &[".amazonaws.com", ".api.aws"],
                hosts_in_words: "AWS's own hosts (amazonaws.com, api.aws)",
                is_assumable: is_role,
                assumable_in_words: "the ARN of a role, such as arn:aws:iam::123456789012:role/name",
            }),
            ProviderType::AzureOpenAI => Some(Self {
                hosts: &[
                    ".openai.azure.com",
                    ".cognitiveservices.azure.com",
                    ".services.ai.azure.com",
                ],
                hosts_in_words: "Azure's own hosts (openai.azure.com, cognitiveservices.azure.com, services.ai.azure.com)",
                is_assumable: is_uuid,
                assumable_in_words: "a client id, such as 00000000-0000-0000-0000-000000000000",
            }),
            _ => None,
        }
    }

    fn is_at(&self, base_url: &str) -> bool {
        let origin = origin_of(base_url).unwrap_or_default();
        let host = origin
            .strip_prefix("https://")
            .and_then(|rest| Some(rest.rsplit_once(':')?.0))
            .unwrap_or_default();
        self.hosts.iter().any(|suffix| host.ends_with(suffix))
    }
}

/// It becomes a part of a path, so nothing else may stand in it.
fn is_service_account(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        let is_label = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
        };
        is_label(name) && is_label(host) && host.ends_with(".gserviceaccount.com")
    })
}

/// `arn:aws:iam::<account>:role/<path and name>`, in any partition.
fn is_role(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let [arn, partition, iam, "", account, resource] = parts[..] else {
        return false;
    };
    arn == "arn"
        && (partition == "aws" || partition.starts_with("aws-"))
        && iam == "iam"
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// A value that opens an account of this type.
pub(crate) fn for_account(type_: ProviderType, value: Value, reference: &SecretRef) -> Result<Value, Problem> {
    let judged = match (type_, &value) {
        (_, Value::StandIn(_)) => Ok(true),
        (ProviderType::VertexAI, Value::Known(bytes)) => service_account_key(bytes).map(|()| true),
        (ProviderType::Bedrock, Value::Known(bytes)) if bytes.starts_with(b"{") => access_key(bytes).map(|()| true),
        _ => Ok(false),
    };
    match judged {
        Ok(true) => Ok(value),
        Ok(false) => secret::for_header(value, reference),
        Err(wrong) => {
            let SecretRef { name, key } = reference;
            let message = format!("entry `{key}` of Secret `{name}` {wrong}");
            Err(Problem::new(Reason::SecretKeyMissing, message))
        }
    }
}

/// The end of a sentence that begins with where the value comes from.
fn service_account_key(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    ServiceAccountKey::parse(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

/// The same for the access key of AWS, by the rules of the data plane's own `AwsCredentials`.
fn access_key(bytes: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        #[serde(default)]
        access_key_id: Zeroizing<String>,
        #[serde(default)]
        secret_access_key: Zeroizing<String>,
        session_token: Option<Zeroizing<String>>,
    }
    let key: Wire = serde_json::from_slice(bytes).map_err(|_| {
        "begins as JSON and is no object with the texts accessKeyId, secretAccessKey and, if any, sessionToken; put one \
         there, or the bare API key"
            .to_owned()
    })?;
    for (name, text) in [
        ("accessKeyId", Some(&key.access_key_id)),
        ("secretAccessKey", Some(&key.secret_access_key)),
        ("sessionToken", key.session_token.as_ref()),
    ] {
        let Some(text) = text else { continue };
        if text.is_empty() && name != "sessionToken" {
            return Err(format!("has no {name}; add it"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "holds a {name} with characters that no key has; copy it again, without spaces and line breaks"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_goes_to_the_clouds_own_hosts_and_nowhere_else() {
        let is_at = |type_, url| Service::of(type_).expect("a cloud").is_at(url);
        for (type_, url) in [
            (ProviderType::VertexAI, "https://aiplatform.eu.rep.googleapis.com/v1"),
            (
                ProviderType::VertexAI,
                "https://europe-west4-aiplatform-x.p.googleapis.com/v1",
            ),
            (
                ProviderType::Bedrock,
                "https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com",
            ),
            (ProviderType::AzureOpenAI, "https://NAME.openai.azure.com"),
        ] {
            assert!(is_at(type_, url), "{url}");
        }
        for (type_, url) in [
            (ProviderType::VertexAI, "http://aiplatform.googleapis.com/v1"),
            (
                ProviderType::VertexAI,
                "https://aiplatform.googleapis.com.example.com/v1",
            ),
            (ProviderType::VertexAI, "https://evilgoogleapis.com/v1"),
            (ProviderType::VertexAI, "https://example.com/.googleapis.com"),
            (ProviderType::VertexAI, "https://user@aiplatform.googleapis.com/v1"),
            (ProviderType::Bedrock, "https://127.0.0.1"),
            (ProviderType::AzureOpenAI, "https://name.azure-api.net"),
        ] {
            assert!(!is_at(type_, url), "{url}");
        }
    }

    #[test]
    fn what_is_assumed_has_the_form_of_its_cloud() {
        for (is_assumable, text) in [
            (
                is_service_account as fn(&str) -> bool,
                "llm@my-project.iam.gserviceaccount.com",
            ),
            (is_service_account, "123-compute@developer.gserviceaccount.com"),
            (is_role, "arn:aws:iam::123456789012:role/team/llm"),
            (is_role, "arn:aws-us-gov:iam::123456789012:role/llm"),
            (is_uuid, "01234567-89ab-cdef-0123-456789ABCDEF"),
        ] {
            assert!(is_assumable(text), "{text}");
        }
        for (is_assumable, text) in [
            (is_service_account as fn(&str) -> bool, "llm@example.com"),
            (is_service_account, "a/../b@x.iam.gserviceaccount.com"),
            (is_service_account, "@x.iam.gserviceaccount.com"),
            (is_role, "arn:aws:iam::1234:role/llm"),
            (is_role, "arn:aws:iam::123456789012:user/llm"),
            (is_role, "arn:aws:iam::123456789012:role/"),
            (is_role, "llm"),
            (is_uuid, "0123456789abcdef0123456789abcdef"),
            (is_uuid, "x1234567-89ab-cdef-0123-456789abcdef"),
        ] {
            assert!(!is_assumable(text), "{text}");
        }
    }
}
