//! What offline admission refuses besides CEL rules: fields, types, bounds, patterns, duplicates, metadata; where it points,
//! and that it stays fast.

use std::time::Instant;

use headgate_crds::{API_VERSION, Kind, Violation, admit};
use serde_json::{Value, json};

fn violations(kind: Kind, spec: &str) -> Vec<Violation> {
    let spec: Value = serde_yaml::from_str(spec).expect("cases are YAML");
    let mut object =
        json!({ "apiVersion": API_VERSION, "kind": kind.as_str(), "metadata": { "name": "n" }, "spec": spec });
    admit(kind, &mut object)
}

fn said(kind: Kind, spec: &str) -> Vec<String> {
    violations(kind, spec).iter().map(ToString::to_string).collect()
}

const ROUTE: &str = "models: [m], targets: [{name: a, provider: {name: p}}]";

#[test]
fn an_unknown_field_is_named_with_its_path_and_what_was_meant() {
    assert_eq!(
        said(Kind::LLMProvider, "{type: OpenAI, discover: Any, baseUrl: 'https://x'}"),
        ["spec.baseUrl: unknown field \"spec.baseUrl\"; did you mean baseURL?"]
    );
    assert_eq!(
        said(Kind::LLMProvider, "{type: OpenAI, models: [{name: m, prise: {}}]}"),
        ["spec.models[0].prise: unknown field \"spec.models[0].prise\"; did you mean price?"]
    );
    assert_eq!(
        said(
            Kind::Budget,
            "{limitUSD: '1', period: Daily, selector: {}, colour: red}"
        ),
        ["spec.colour: unknown field \"spec.colour\""]
    );
}

#[test]
fn types_bounds_patterns_and_enums_are_refused_in_the_words_of_the_api_server() {
    let cases = [
        (
            Kind::LLMProvider,
            "{type: Foo, discover: Any}",
            "spec.type: Unsupported value: \"Foo\": supported values: \"OpenAI\", \"Anthropic\", \"Gemini\", \"VertexAI\", \"AzureOpenAI\", \"Bedrock\", \"Groq\", \"Mistral\", \"DeepSeek\", \"Together\", \"Cohere\", \"Ollama\", \"OpenAICompatible\", \"Echo\"",
        ),
        (Kind::LLMProvider, "{discover: Any}", "spec.type: Required value"),
        (
            Kind::Budget,
            "{limitUSD: 500, period: Daily, selector: {}}",
            "spec.limitUSD: Invalid value: \"integer\": spec.limitUSD in body must be of type string: \"integer\"; put it in quotes",
        ),
        (
            Kind::RoutePolicy,
            "{models: [m], targets: [{name: a, provider: {name: p}}], cache: {mode: Off}}",
            "spec.cache.mode: Invalid value: \"boolean\": spec.cache.mode in body must be of type string: \"boolean\"; put it in quotes",
        ),
        (
            Kind::Budget,
            "{limitUSD: '-5', period: Daily, selector: {}}",
            "spec.limitUSD: Invalid value: \"-5\": spec.limitUSD in body should match '^[0-9]{1,9}(\\.[0-9]{1,9})?$'",
        ),
        (
            Kind::Budget,
            "{limitTokens: 0, period: Daily, selector: {}}",
            "spec.limitTokens: Invalid value: 0: spec.limitTokens in body should be greater than or equal to 1",
        ),
        (
            Kind::Budget,
            "{limitTokens: 1, rolling: 30d, selector: {}}",
            "spec.rolling: Invalid value: \"30d\": spec.rolling in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'",
        ),
        (
            Kind::RoutePolicy,
            "{models: [], targets: [{name: a, provider: {name: p}}]}",
            "spec.models: Invalid value: 0: spec.models in body should have at least 1 items",
        ),
        (
            Kind::RoutePolicy,
            "{models: ['a*b'], targets: [{name: a, provider: {name: p}}]}",
            "spec.models[0]: Invalid value: \"a*b\": spec.models[0] in body should match '^([!-)+-~]+\\*?|\\*)$'",
        ),
        (
            Kind::RoutePolicy,
            "{models: [m, m], targets: [{name: a, provider: {name: p}}]}",
            "spec.models[1]: Duplicate value: \"m\"",
        ),
        (
            Kind::RoutePolicy,
            "{models: [m], strategy: Fallback, targets: [{name: a, provider: {name: p}}, {name: a, route: {name: r}}]}",
            "spec.targets[1]: Duplicate value: {\"name\":\"a\"}",
        ),
        (
            Kind::VirtualKey,
            "{generate: {secretName: s}, owner: {}}",
            "spec.owner: Invalid value: 0: spec.owner in body should have at least 1 properties",
        ),
        (
            Kind::VirtualKey,
            "{generate: {secretName: s}, suspended: 'yes'}",
            "spec.suspended: Invalid value: \"string\": spec.suspended in body must be of type boolean: \"string\"",
        ),
        (
            Kind::VirtualKey,
            "{generate: {secretName: s}, expiresAt: '2027-02-30T00:00:00Z'}",
            "spec.expiresAt: Invalid value: \"2027-02-30T00:00:00Z\": spec.expiresAt in body must be of type date-time: \"2027-02-30T00:00:00Z\"",
        ),
        (
            Kind::VirtualKey,
            "{digests: [a, b, c, d, e, f, g, h, i]}",
            "spec.digests: Too many: 9: must have at most 8 items",
        ),
    ];
    for (kind, spec, expected) in cases {
        assert_eq!(
            said(kind, spec).first().map(String::as_str),
            Some(expected),
            "{spec}: {:#?}",
            said(kind, spec)
        );
    }
    let retry = format!("{{{ROUTE}, retry: {{attempts: 11}}}}");
    assert_eq!(
        said(Kind::RoutePolicy, &retry),
        ["spec.retry.attempts: Invalid value: 11: spec.retry.attempts in body should be less than or equal to 10"]
    );
    let long = format!("{{generate: {{secretName: {}}}}}", "s".repeat(254));
    assert_eq!(
        said(Kind::VirtualKey, &long),
        ["spec.generate.secretName: Too long: may not be more than 253 bytes"]
    );
}

#[test]
fn rules_stay_silent_where_a_value_has_the_wrong_type() {
    assert_eq!(
        said(Kind::RoutePolicy, "{models: [m], targets: 7}"),
        ["spec.targets: Invalid value: \"integer\": spec.targets in body must be of type array: \"integer\""]
    );
}

#[test]
fn a_violation_points_into_the_source() {
    let violations = violations(
        Kind::LLMProvider,
        "{type: OpenAI, models: [{name: m, price: {input: '1', output: x}}]}",
    );
    assert_eq!(violations[0].path, "spec.models[0].price.output");
    assert_eq!(violations[0].pointer, ["spec", "models", "0", "price", "output"]);
}

#[test]
fn a_value_that_may_be_a_key_is_never_repeated() {
    let canary = "sk-Canary0123456789abcdefghijklmnop";
    let specs = [
        format!("{{type: OpenAI, discover: Any, credential: {{secretRef: {{name: {canary}}}}}}}"),
        format!("{{type: {canary}, discover: Any}}"),
        format!("{{type: OpenAI, discover: Any, baseURL: 'https://{canary}@host'}}"),
        format!("{{type: OpenAI, discover: Any, forwardHeaders: ['{canary} ', '{canary} ']}}"),
    ];
    for spec in specs {
        let said = said(Kind::LLMProvider, &spec);
        assert!(
            !said.is_empty() && said.iter().all(|line| !line.contains("Canary")),
            "{said:?}"
        );
    }
}

#[test]
fn metadata_is_judged_as_the_api_server_judges_it() {
    let judge = |metadata: Value| {
        let mut object = json!({ "metadata": metadata, "spec": { "generate": { "secretName": "s" } } });
        admit(Kind::VirtualKey, &mut object)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let good =
        json!({ "name": "a.b-c", "namespace": "team", "labels": { "example.com/tier": "gold", "x": "" }, "uid": "1" });
    assert!(judge(good).is_empty());
    let cases = [
        (json!({}), "metadata.name: Required value: name is required"),
        (json!({ "name": "" }), "metadata.name: Required value: name is required"),
        (
            json!({ "name": "Bob" }),
            "metadata.name: Invalid value: \"Bob\": a lowercase RFC 1123 subdomain must consist of",
        ),
        (
            json!({ "name": 7 }),
            "metadata.name: Invalid value: name must be of type string",
        ),
        (
            json!({ "name": "a", "namespace": "a.b" }),
            "metadata.namespace: Invalid value: \"a.b\": a lowercase RFC 1123 label",
        ),
        (
            json!({ "name": "a", "label": {} }),
            "metadata.label: unknown field \"metadata.label\"; did you mean labels?",
        ),
        (
            json!({ "name": "a", "labels": { "x": "not ok" } }),
            "metadata.labels.x: Invalid value: \"not ok\": a valid label must be",
        ),
        (
            json!({ "name": "a", "labels": { "x": true } }),
            "metadata.labels.x: Invalid value: must be of type string; put it in quotes",
        ),
        (
            json!({ "name": "a", "labels": { "/x": "" } }),
            "metadata.labels./x: Invalid value: name part must consist of",
        ),
    ];
    for (metadata, expected) in cases {
        let said = judge(metadata.clone());
        assert!(said.len() == 1 && said[0].starts_with(expected), "{metadata}: {said:?}");
    }
}

#[test]
fn an_object_without_a_spec_or_that_is_no_object_is_refused() {
    let mut bare = json!({ "apiVersion": API_VERSION, "kind": "Budget", "metadata": { "name": "n" } });
    assert_eq!(admit(Kind::Budget, &mut bare)[0].to_string(), "spec: Required value");
    assert_eq!(
        admit(Kind::Budget, &mut json!([1]))[0].to_string(),
        "a Budget is a mapping with apiVersion, kind, metadata and spec"
    );
}

#[test]
fn a_kind_is_ours_only_in_our_version() {
    assert_eq!(Kind::of(API_VERSION, "Budget"), Some(Kind::Budget));
    assert_eq!(Kind::of("headgate.dev/v1", "Budget"), None);
    assert_eq!(Kind::of(API_VERSION, "Secret"), None);
    assert_eq!(Kind::of("v1", "Secret"), None);
}

/// A folder of ten thousand keys has to check in well below a second when optimised; the bound here is for a debug build on
/// a busy machine, and catches what would be quadratic or compiled per object.
#[test]
fn ten_thousand_keys_are_admitted_quickly() {
    let key = json!({
        "apiVersion": API_VERSION, "kind": "VirtualKey",
        "metadata": { "name": "key", "namespace": "team", "labels": { "team": "ml" } },
        "spec": {
            "owner": { "user": "ann", "team": "ml" }, "models": ["gpt-*"], "limits": { "requestsPerMinute": 60 },
            "digests": ["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"],
        },
    });
    assert!(admit(Kind::VirtualKey, &mut key.clone()).is_empty());
    let mut keys = vec![key; 10_000];
    let start = Instant::now();
    assert!(keys.iter_mut().all(|key| admit(Kind::VirtualKey, key).is_empty()));
    let taken = start.elapsed();
    println!("10,000 keys in {taken:?}");
    assert!(taken.as_secs() < 5, "10,000 keys took {taken:?}");
}
