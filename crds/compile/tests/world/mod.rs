//! Worlds for tests, written as people write manifests.
//!
//! Beside the five kinds, `Secret` and `Namespace`, a world may hold one document `kind: Options` with what the
//! installation says: `sharedNamespaces`, `namespaceLabels` and `variables`, which says what a `${NAME}` in a Secret is
//! (`Verbatim`, as in a cluster; `Unset`; `StandIn`). A Secret may say `generatedFor` and `previousNotAfter`.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_compile::{NamespaceLabels, Options, Resources, Secret, SecretValue};
use headgate_snapshot::{ObjectName, SealingKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The sealing key of all tests.
pub fn sealing_key() -> SealingKey {
    SealingKey::new([7; 32])
}

#[derive(Clone, Copy, Default, Deserialize)]
enum Variables {
    #[default]
    Verbatim,
    Unset,
    StandIn,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OptionsManifest {
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    shared_namespaces: Vec<String>,
    #[serde(default)]
    namespace_labels: String,
    #[serde(default)]
    variables: Variables,
}

/// Reads a world of YAML documents.
pub fn read(yaml: &str) -> (Resources, Options) {
    let documents: Vec<Value> = serde_yaml::from_multiple(yaml).expect("the world is YAML");
    let (options, objects): (Vec<_>, Vec<_>) = documents
        .into_iter()
        .partition(|document| document["kind"] == "Options");
    let manifest = options
        .into_iter()
        .next()
        .map(parse::<OptionsManifest>)
        .unwrap_or_default();
    let mut resources = Resources::default();
    for object in objects {
        add(&mut resources, object, manifest.variables);
    }
    let namespace_labels = match manifest.namespace_labels.as_str() {
        "" | "Readable" => NamespaceLabels::Readable,
        "Unreadable" => NamespaceLabels::Unreadable,
        other => panic!("namespaceLabels is Readable or Unreadable, not {other}"),
    };
    (
        resources,
        Options {
            shared_namespaces: manifest.shared_namespaces,
            namespace_labels,
        },
    )
}

/// Adds one object.
fn add(resources: &mut Resources, object: Value, variables: Variables) {
    let name = &object["metadata"]["name"];
    let name = ObjectName::new(
        object["metadata"]["namespace"].as_str().unwrap_or("default"),
        name.as_str().unwrap_or_default(),
    );
    match object["kind"].as_str() {
        Some("LLMProvider") => resources.providers.push(Arc::new(parse(object))),
        Some("RoutePolicy") => resources.routes.push(Arc::new(parse(object))),
        Some("VirtualKey") => resources.keys.push(Arc::new(parse(object))),
        Some("Budget") => resources.budgets.push(Arc::new(parse(object))),
        Some("GuardrailPolicy") => resources.guardrails.push(Arc::new(parse(object))),
        Some("Secret") => drop(resources.secrets.insert(name, secret(&object, variables))),
        Some("Namespace") => {
            let labels: BTreeMap<String, String> = parse(object["metadata"]["labels"].clone());
            resources.namespace_labels.insert(name.name, labels);
        }
        kind => panic!("a world holds no {kind:?}"),
    }
}

fn secret(object: &Value, variables: Variables) -> Secret {
    let entries: BTreeMap<String, String> = parse(object["stringData"].clone());
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    Secret {
        entries: entries
            .into_iter()
            .map(|(key, text)| (key, value(text, variables)))
            .collect(),
        generated_for: object["generatedFor"]
            .as_str()
            .map(|name| ObjectName::new(namespace, name)),
        serial: None,
        previous_not_after: object["previousNotAfter"].as_i64(),
    }
}

fn value(text: String, variables: Variables) -> SecretValue {
    let variable = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .map(str::to_owned);
    match (variables, variable) {
        (Variables::Unset, Some(variable)) => SecretValue::Unset { variable },
        (Variables::StandIn, Some(variable)) => SecretValue::StandIn { variable },
        _ => SecretValue::known(text),
    }
}

fn parse<T: DeserializeOwned>(value: Value) -> T {
    let shown = value.to_string();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error} in {shown}"))
}
