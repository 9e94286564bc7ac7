//! Every CEL rule of every kind: one case that it refuses, with path and message, and cases close by that it lets through.
//!
//! A table a kind; what makes it complete is the last check: a rule of the schema without a refused case fails the test.

mod budget;
mod guardrail_policy;
mod llm_provider;
mod route_policy;
mod virtual_key;

use std::collections::BTreeSet;

use headgate_crds::{Kind, Object, admit, definition};
use serde_json::{Value, json};

/// A spec (YAML), the path that is blamed, and the rule's message.
type Refused = (&'static str, &'static str, &'static str);

fn object(kind: Kind, spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).expect("cases are YAML");
    json!({
        "apiVersion": headgate_crds::API_VERSION, "kind": kind.as_str(),
        "metadata": { "name": "case", "namespace": "default" }, "spec": spec,
    })
}

fn check(kind: Kind, accepted: &[&str], refused: &[Refused]) {
    for spec in accepted {
        let mut object = object(kind, spec);
        let violations = admit(kind, &mut object);
        assert!(
            violations.is_empty(),
            "{spec} should be let through, not refused with {violations:?}"
        );
        Object::from_value(kind, object).unwrap_or_else(|error| panic!("{spec} was let through: {error:?}"));
    }
    for (spec, path, message) in refused {
        let violations = admit(kind, &mut object(kind, spec));
        let found: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(
            violations.len(),
            1,
            "{spec} should be refused for one reason, not {found:?}"
        );
        assert_eq!(violations[0].path, *path, "{spec}: {found:?}");
        assert!(
            violations[0].message.ends_with(&format!(": {message}")),
            "{spec}: {found:?}"
        );
    }
    let tested: BTreeSet<&str> = refused.iter().map(|(_, _, message)| *message).collect();
    let untested: Vec<String> = messages(&definition::structural_schema(kind))
        .into_iter()
        .filter(|message| !tested.contains(message.as_str()))
        .collect();
    assert!(
        untested.is_empty(),
        "add a refused case for each of these rules of {kind}: {untested:#?}"
    );
}

/// The messages of all rules within a schema.
fn messages(schema: &Value) -> BTreeSet<String> {
    match schema {
        Value::Object(node) => {
            let rules = node.get("x-kubernetes-validations").and_then(Value::as_array);
            let own = rules
                .into_iter()
                .flatten()
                .filter_map(|rule| rule["message"].as_str())
                .map(str::to_owned);
            own.chain(node.values().flat_map(messages)).collect()
        }
        Value::Array(nodes) => nodes.iter().flat_map(messages).collect(),
        _ => BTreeSet::new(),
    }
}
