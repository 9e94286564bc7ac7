//! Folder and cluster compile to the same digest only if a manifest read from a folder gets the very defaults that the API
//! server fills in, and if the types fill in the same when they are read from elsewhere. Three ways, one result.

use headgate_crds::{API_VERSION, Kind, Object, admit};
use serde_json::{Value, json};

fn admitted(kind: Kind, spec: &str) -> Value {
    let mut object = manifest(kind, spec);
    let violations = admit(kind, &mut object);
    assert!(violations.is_empty(), "{spec}: {violations:?}");
    object
}

fn manifest(kind: Kind, spec: &str) -> Value {
    let spec: Value = serde_yaml::from_str(spec).expect("cases are YAML");
    json!({ "apiVersion": API_VERSION, "kind": kind.as_str(), "metadata": { "name": "case" }, "spec": spec })
}

fn spec_as_serde_reads_it(kind: Kind, object: Value) -> Value {
    let read = match Object::from_value(kind, object).expect("what is admitted can be read") {
        Object::LLMProvider(object) => serde_json::to_value(object.spec),
        Object::RoutePolicy(object) => serde_json::to_value(object.spec),
        Object::VirtualKey(object) => serde_json::to_value(object.spec),
        Object::Budget(object) => serde_json::to_value(object.spec),
        Object::GuardrailPolicy(object) => serde_json::to_value(object.spec),
    };
    read.expect("a spec is plain data")
}

/// Specs that leave out whatever has a default, at every depth.
const SPARSE: [(Kind, &str); 8] = [
    (
        Kind::LLMProvider,
        "{type: OpenAI, credential: {secretRef: {name: s}}, models: [{name: m}], circuitBreaker: {},
          headerSecrets: [{name: x, secretRef: {name: s}}], tls: {caSecretRef: {name: s}}}",
    ),
    (Kind::LLMProvider, "{type: Ollama, discover: Any, ollama: {}, timeouts: {connect: 1s}, allowedNamespaces: {}}"),
    (Kind::LLMProvider, "{type: AzureOpenAI, baseURL: 'https://x', discover: Any, azure: {}}"),
    (
        Kind::RoutePolicy,
        "{models: [m], strategy: LoadBalance, targets: [{name: a, provider: {name: p}}], cache: {mode: Simple},
          loadBalance: {sticky: {by: User}}, retry: {backoff: {max: 5s}}}",
    ),
    (Kind::VirtualKey, "{generate: {secretName: s}, rotation: {serial: 1}}"),
    (Kind::VirtualKey, "{secretRef: {name: s}}"),
    (Kind::Budget, "{limitUSD: '1', period: Daily, selector: {}, onExceeded: {}}"),
    (
        Kind::GuardrailPolicy,
        "{input: [{name: a, contains: {words: [x]}}, {name: b, promptInjection: {}}, {name: c, webhook: {url: 'http://x'}},
          {name: d, contentSafety: {words: [x]}}], stream: {}}",
    ),
];

#[test]
fn the_schema_and_the_types_fill_in_the_same() {
    for (kind, spec) in SPARSE {
        let by_schema = admitted(kind, spec);
        let by_serde = spec_as_serde_reads_it(kind, manifest(kind, spec));
        assert_eq!(by_schema["spec"], by_serde, "{spec}");
        assert_eq!(
            by_schema["spec"],
            spec_as_serde_reads_it(kind, by_schema.clone()),
            "{spec}"
        );
    }
}

#[test]
fn admitting_twice_changes_nothing_more() {
    for (kind, spec) in SPARSE {
        let once = admitted(kind, spec);
        let mut twice = once.clone();
        assert!(admit(kind, &mut twice).is_empty());
        assert_eq!(once, twice, "{spec}");
    }
}

#[test]
fn documented_defaults_are_what_is_filled_in() {
    let provider = admitted(Kind::LLMProvider, "{type: OpenAI, discover: Any}");
    assert_eq!(
        provider["spec"],
        json!({
            "type": "OpenAI", "discover": "Any", "unknownPrice": "Allow", "storedObjects": "Forbid",
            "unsupportedParameters": "Drop", "allowedNamespaces": { "from": "Same" },
            "timeouts": { "connect": "5s", "firstToken": "5m", "idle": "2m", "total": "15m" },
        })
    );
    let route = admitted(
        Kind::RoutePolicy,
        "{models: [m], targets: [{name: a, provider: {name: p}}], cache: {mode: 'Off'}}",
    );
    assert_eq!(route["spec"]["strategy"], "Single");
    assert_eq!(route["spec"]["requestConfig"], "Forbid");
    assert_eq!(
        route["spec"]["retry"],
        json!({ "attempts": 3, "backoff": { "base": "1s", "max": "1m" }, "honorRetryAfter": true })
    );
    assert_eq!(
        route["spec"]["cache"],
        json!({
            "mode": "Off", "ttl": "1h", "threshold": "0.95", "scope": "VirtualKey", "maxMessages": 4,
            "maxInputTokens": 8191,
        })
    );
    let budget = admitted(Kind::Budget, "{limitUSD: '1', period: Daily, selector: {}}");
    assert_eq!(budget["spec"]["alerts"], json!([{ "percent": 80 }]));
    assert_eq!(budget["spec"]["timeZone"], "UTC");
    assert_eq!(budget["spec"]["enforcement"], "Hard");
    assert_eq!(budget["spec"]["onExceeded"], json!({ "action": "Reject" }));
}

#[test]
fn an_object_that_no_operator_has_seen_says_so() {
    let mut object = manifest(Kind::VirtualKey, "{generate: {secretName: s}}");
    object["status"] = json!({ "observedGeneration": 7, "fingerprint": "forged" });
    assert!(admit(Kind::VirtualKey, &mut object).is_empty());
    assert_eq!(
        object["status"],
        json!({ "observedGeneration": -1 }),
        "a manifest cannot set status"
    );
}

#[test]
fn a_null_is_the_same_as_leaving_the_field_out() {
    let with_nulls = admitted(
        Kind::LLMProvider,
        "{type: OpenAI, discover: Any, baseURL: null, timeouts: null, headers: null}",
    );
    assert_eq!(with_nulls, admitted(Kind::LLMProvider, "{type: OpenAI, discover: Any}"));
}

#[test]
fn a_whole_number_may_be_written_with_a_point() {
    let route = admitted(
        Kind::RoutePolicy,
        "{models: [m], targets: [{name: a, provider: {name: p}}], retry: {attempts: 2.0}}",
    );
    assert_eq!(route["spec"]["retry"]["attempts"], json!(2));
}

#[test]
fn what_clients_send_on_is_kept_as_it_is() {
    let spec = "{models: [m], targets: [{name: a, provider: {name: p, overrideParameters: {stop: null, n: 2.0, deep: {x: [1]}}}}]}";
    let route = admitted(Kind::RoutePolicy, spec);
    let overrides = &route["spec"]["targets"][0]["provider"]["overrideParameters"];
    assert_eq!(*overrides, json!({ "stop": null, "n": 2.0, "deep": { "x": [1] } }));
}
