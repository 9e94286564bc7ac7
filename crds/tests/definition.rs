//! The definitions are what is committed, small enough to apply, and bounded everywhere: lint rules over the schema, since
//! a forgotten bound shows only when an API server refuses the whole CRD for the cost of one rule.

use std::path::Path;

use headgate_crds::{Kind, definition};
use serde_json::Value;

/// Client-side apply fails above 262,144 bytes, and Helm keeps all manifests of a release in one Secret.
const CRD_BYTES_MAX: usize = 100 * 1024;
const ALL_CRDS_BYTES_MAX: usize = 400 * 1024;

#[test]
fn the_committed_yaml_is_what_the_types_say() {
    for kind in Kind::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(definition::file_name(kind));
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == definition::yaml(kind),
            "{} is stale; run `{}`",
            path.display(),
            definition::WRITE_COMMAND
        );
    }
}

#[test]
fn the_yaml_reads_back_as_the_definition() {
    for kind in Kind::ALL {
        let read: Value = serde_yaml::from_str(&definition::yaml(kind)).unwrap();
        assert_eq!(read, definition::definition(kind), "{kind}");
    }
}

#[test]
fn definitions_stay_small() {
    let sizes = Kind::ALL.map(|kind| definition::yaml(kind).len());
    for (kind, bytes) in Kind::ALL.iter().zip(sizes) {
        assert!(
            bytes < CRD_BYTES_MAX,
            "{kind}: {bytes} bytes of YAML, at most {CRD_BYTES_MAX}"
        );
    }
    assert!(
        sizes.iter().sum::<usize>() < ALL_CRDS_BYTES_MAX,
        "{sizes:?} bytes of YAML in all"
    );
}

#[test]
fn names_are_as_documented() {
    let expected = [
        ("llmproviders.headgate.dev", "hgprov", "Type Models Ready Age"),
        (
            "routepolicies.headgate.dev",
            "hgroute",
            "Models Strategy Targets Ready Age",
        ),
        ("virtualkeys.headgate.dev", "hgkey", "Owner Fingerprint Spent Ready Age"),
        (
            "budgets.headgate.dev",
            "hgbudget",
            "Limit Spent Used% Period Resets Ready Age",
        ),
        ("guardrailpolicies.headgate.dev", "hgguard", "Input Output Ready Age"),
    ];
    for (kind, (name, short, columns)) in Kind::ALL.into_iter().zip(expected) {
        let definition = definition::definition(kind);
        let spec = &definition["spec"];
        let version = &spec["versions"][0];
        assert_eq!(definition["metadata"]["name"], name);
        assert_eq!(spec["group"], headgate_crds::GROUP);
        assert_eq!(spec["scope"], "Namespaced");
        assert_eq!(spec["names"]["shortNames"], serde_json::json!([short]));
        assert_eq!(spec["names"]["categories"], serde_json::json!(["headgate"]));
        assert_eq!(version["name"], headgate_crds::VERSION);
        assert_eq!(version["subresources"], serde_json::json!({ "status": {} }));
        let printed = version["additionalPrinterColumns"].as_array().unwrap();
        let printed: Vec<_> = printed.iter().map(|column| column["name"].as_str().unwrap()).collect();
        assert_eq!(printed.join(" "), columns, "{kind}");
        let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(
            status["default"],
            serde_json::json!({ "observedGeneration": -1 }),
            "{kind}"
        );
        assert_eq!(
            status["properties"]["conditions"]["x-kubernetes-list-map-keys"],
            serde_json::json!(["type"])
        );
    }
}

#[test]
fn everything_is_bounded_and_described() {
    let mut faults = Vec::new();
    for kind in Kind::ALL {
        lint(&definition::structural_schema(kind), &kind.to_string(), &mut faults);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn lint(node: &Value, path: &str, faults: &mut Vec<String>) {
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{path}: {what}"));
        }
    };
    let has = |keyword: &str| !node[keyword].is_null();
    demand(!has("nullable"), "nullable: leave the field out instead");
    demand(
        !has("anyOf") && !has("oneOf") && !has("allOf"),
        "unions are said in CEL",
    );
    match node["type"].as_str() {
        Some("string") => demand(has("enum") || has("maxLength"), "a string needs maxLength or enum"),
        Some("integer") => demand(has("minimum") && has("maximum"), "an integer needs minimum and maximum"),
        Some("array") => {
            demand(has("maxItems"), "a list needs maxItems");
            demand(has("x-kubernetes-list-type"), "a list needs a list type");
            let is_map = node["x-kubernetes-list-type"] == "map";
            demand(
                is_map == has("x-kubernetes-list-map-keys"),
                "list-map-keys go with list type map",
            );
        }
        Some("object") => {
            let is_free = has("additionalProperties") || node["x-kubernetes-preserve-unknown-fields"] == true;
            demand(!is_free || has("maxProperties"), "a map needs maxProperties");
            demand(
                has("properties") || is_free || path.ends_with(".secrets"),
                "an object needs properties",
            );
        }
        Some("boolean") => {}
        other => demand(false, &format!("type {other:?} is not for an API")),
    }
    for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap_or_default();
        demand(
            !message.is_empty() && !message.contains('\n'),
            "a rule needs a message of one line",
        );
        demand(!rule["reason"].is_null(), "a rule needs a reason");
        demand(
            rule["messageExpression"].is_null(),
            "messageExpression exceeds the cost budget",
        );
    }
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        // A name with `_`, `-`, `.` or `/` would be escaped in CEL, which our own evaluator does not do.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) || name.starts_with(|c: char| c.is_ascii_uppercase())
        {
            faults.push(format!("{path}: field names are camelCase"));
        }
        if field["description"].as_str().is_none_or(str::is_empty) && !matches!(name.as_str(), "status") {
            faults.push(format!("{path}: needs a description"));
        }
        lint(field, &path, faults);
    }
    for nested in ["items", "additionalProperties"] {
        if node[nested].is_object() {
            lint(&node[nested], &format!("{path}[]"), faults);
        }
    }
    for value in node["enum"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let is_pascal = value.starts_with(|c: char| c.is_ascii_uppercase());
        // Locales are words of another standard.
        if !is_pascal && !path.ends_with(".locale[]") {
            faults.push(format!("{path}: enum value {value} is not PascalCase"));
        }
    }
}
