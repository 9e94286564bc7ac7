//! A world of any size in which nothing is wrong: for measuring, and for one bad object to be lost in.

use std::sync::Arc;

use headgate_compile::{Resources, Secret};
use headgate_snapshot::ObjectName;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Over how many namespaces the objects are spread.
const NAMESPACES: usize = 10;

/// So many providers, routes and keys, in namespaces `team-0` to `team-9` in turn.
pub fn large_world(providers: usize, routes: usize, keys: usize) -> Resources {
    let mut resources = Resources::default();
    for index in 0..providers {
        let name = format!("p{index}");
        resources.providers.push(parse(json!({
            "metadata": { "name": name, "namespace": namespace(index) },
            "spec": {
                "type": "OpenAI",
                "credential": { "secretRef": { "name": name } },
                "models": [{ "name": format!("m{index}"), "price": { "input": "1.25", "output": "10" } }],
            },
        })));
        let secret = Secret::of([("api-key", format!("sk-{index}"))]);
        resources
            .secrets
            .insert(ObjectName::new(namespace(index), name), secret);
    }
    for index in 0..routes {
        // A provider of the same namespace: one with the same remainder.
        let in_namespace = providers / NAMESPACES;
        let provider = index % NAMESPACES + NAMESPACES * (index / NAMESPACES % in_namespace);
        let target = json!({ "name": format!("p{provider}"), "model": format!("m{provider}") });
        resources.routes.push(parse(json!({
            "metadata": { "name": format!("r{index}"), "namespace": namespace(index) },
            "spec": { "models": [format!("route-{index}")], "targets": [{ "name": "only", "provider": target }] },
        })));
    }
    for index in 0..keys {
        let name = format!("k{index}");
        resources.keys.push(parse(json!({
            "metadata": { "name": name, "namespace": namespace(index), "labels": { "team": "search" } },
            "spec": {
                "secretRef": { "name": name },
                "owner": { "user": "ann", "team": "search" },
                "models": ["route-*"],
            },
        })));
        let secret = Secret::of([("key", format!("vk-token-of-a-large-world-{index:016}"))]);
        resources
            .secrets
            .insert(ObjectName::new(namespace(index), name), secret);
    }
    resources
}

fn namespace(index: usize) -> String {
    format!("team-{}", index % NAMESPACES)
}

fn parse<T: DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).expect("a manifest of the large world"))
}
