//! Whatever the schema lets through, the types can read. An operator lists objects by the thousand, and one that does not
//! deserialise fails the whole list; so no bound or pattern may be wider than the Rust type behind it.
//!
//! Objects are grown from the schema itself, at random; CEL rules do not count here, since they only ever refuse more.

use headgate_crds::{API_VERSION, Kind, Object, definition};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::{Map, Value, json};

fn grown(schema: &Value) -> BoxedStrategy<Value> {
    match schema["type"].as_str() {
        Some("object") => grown_object(schema),
        Some("array") => {
            let least = size(schema, "minItems").unwrap_or(0);
            let most = size(schema, "maxItems").map_or(2, |most| most.min(2)).max(least);
            vec(grown(&schema["items"]), least..=most)
                .prop_map(Value::Array)
                .boxed()
        }
        Some("string") => grown_string(schema),
        Some("integer") => {
            let (least, most) = (bound(schema, "minimum"), bound(schema, "maximum"));
            prop_oneof![Just(least), Just(most), least..=most]
                .prop_map(Value::from)
                .boxed()
        }
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        other => panic!("no schema of ours has type {other:?}"),
    }
}

fn grown_object(schema: &Value) -> BoxedStrategy<Value> {
    let mut strategy: BoxedStrategy<Value> = Just(json!({})).boxed();
    if schema["additionalProperties"].is_object() {
        let entries = btree_map("[a-z]{1,5}", grown(&schema["additionalProperties"]), 0..3);
        strategy = entries
            .prop_map(|entries| Value::Object(entries.into_iter().collect()))
            .boxed();
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        strategy = select(vec![json!({}), json!({ "n": 0.5, "deep": { "list": [null, "x"] } })]).boxed();
    }
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let field = if required.contains(&name.as_str()) {
            grown(field).prop_map(Some).boxed()
        } else {
            proptest::option::weighted(0.4, grown(field)).boxed()
        };
        let name = name.clone();
        strategy = (strategy, field)
            .prop_map(move |(mut object, field)| {
                if let (Some(object), Some(field)) = (object.as_object_mut(), field) {
                    object.insert(name.clone(), field);
                }
                object
            })
            .boxed();
    }
    strategy
}

fn grown_string(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(allowed) = schema["enum"].as_array() {
        return select(allowed.clone()).boxed();
    }
    if schema["format"] == "date-time" {
        let parts = (
            2000..2100,
            1..13,
            1..29,
            0..24,
            0..60,
            0..60,
            select(vec!["Z", "+14:00", "-11:30", ".123456789Z"]),
        );
        return parts
            .prop_map(|(year, month, day, hour, minute, second, end)| {
                json!(format!(
                    "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{end}"
                ))
            })
            .boxed();
    }
    let (least, most) = (
        size(schema, "minLength").unwrap_or(0),
        size(schema, "maxLength").unwrap_or(64),
    );
    let text = match schema["pattern"].as_str() {
        Some(pattern) => string_regex(pattern.trim_start_matches('^').trim_end_matches('$')),
        None => string_regex(&format!(".{{{least},{}}}", most.min(least + 20))),
    };
    let text = text.expect("patterns of ours can be grown");
    text.prop_filter("fits its length", move |text| {
        (least..=most).contains(&text.chars().count())
    })
    .prop_map(Value::from)
    .boxed()
}

fn size(schema: &Value, bound: &str) -> Option<usize> {
    schema[bound]
        .as_u64()
        .map(|bound| usize::try_from(bound).expect("bounds are small"))
}

fn bound(schema: &Value, bound: &str) -> i64 {
    schema[bound].as_i64().expect("every integer is bounded")
}

fn check(kind: Kind) {
    let strategy = grown(&definition::structural_schema(kind));
    let config = ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(object in strategy)| {
        let mut object: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
        object.insert("apiVersion".to_owned(), API_VERSION.into());
        object.insert("kind".to_owned(), kind.as_str().into());
        object.insert("metadata".to_owned(), json!({ "name": "grown" }));
        let read = Object::from_value(kind, Value::Object(object));
        prop_assert!(read.is_ok(), "{read:?}");
    });
}

#[test]
fn every_provider_that_fits_the_schema_can_be_read() {
    check(Kind::LLMProvider);
}

#[test]
fn every_route_that_fits_the_schema_can_be_read() {
    check(Kind::RoutePolicy);
}

#[test]
fn every_key_that_fits_the_schema_can_be_read() {
    check(Kind::VirtualKey);
}

#[test]
fn every_budget_that_fits_the_schema_can_be_read() {
    check(Kind::Budget);
}

#[test]
fn every_guardrail_that_fits_the_schema_can_be_read() {
    check(Kind::GuardrailPolicy);
}
