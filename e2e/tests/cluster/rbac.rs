//! Least privilege, from both sides: what the chart grants suffices for a whole life of an installation, and nothing is
//! granted that this life does not need.

use std::collections::BTreeSet;

use headgate_e2e::control_plane::{ControlPlane, Request};
use headgate_e2e::installation::{Installation, PATIENCE, intents};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{serve, wait_until_programmed};

/// (namespace, verb, group, resource)
type Right = (String, String, String, String);

#[tokio::test]
async fn every_verb_of_the_charts_roles_is_used_and_none_is_missing() {
    let settings = Installation::of("rights")
        .operators(2)
        .watching(&["team"])
        .values(&json!({"operator": {
            "rbac": {"namespaces": true},
            "removalGuard": {"percent": 0, "minimum": 1}, // each removal is held, which is an event about the pointer
        }}))
        .operator_environment("HEADGATE_SHARD_GRACE", "1s");
    let (_provider, installation) = serve(settings).await;
    live(&installation).await;

    let granted = granted(&installation).await;
    assert!(granted.len() > 20, "the chart has Roles: {granted:?}");
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let requests = installation.own_requests();
        let used: BTreeSet<Right> = requests
            .iter()
            .filter(|it| it.code < 400 || it.code == 404 || it.code == 409)
            .flat_map(rights_used)
            .collect();
        let unused: Vec<_> = granted.iter().filter(|right| !is_used(right, &used)).collect();
        if unused.is_empty() {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "granted, and needed by nobody: {unused:#?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // 403 is RBAC's and an admission policy's no.
    let refused: Vec<_> = installation
        .own_requests()
        .into_iter()
        .filter(|it| it.code == 403)
        .collect();
    assert!(refused.is_empty(), "asked for, and not granted: {refused:#?}");
}

#[tokio::test]
async fn watching_all_namespaces_takes_no_list_of_the_clusters_secrets() {
    // Its own, since it would meet the objects of every other test.
    let control_plane = ControlPlane::own().await;
    let settings = Installation::of("everywhere")
        .on(&control_plane)
        .gateways(1)
        .watching(&["a", "b"])
        .values(&json!({"watchAllNamespaces": true}));
    let (provider, installation) = serve(settings).await;
    let elsewhere = "vk-canary-cluster-elsewhere-8TnWq4GxKz1RbYp6LcVd";
    let manifests = intents::served(&provider.base_url()).replace(intents::CALLER_KEY, elsewhere);
    let manifests = manifests.replace("metadata: {", "metadata: {namespace: everywhere-b, ");
    let (secrets, others): (Vec<_>, Vec<_>) = manifests.split("---\n").partition(|it| it.contains("kind: Secret"));
    installation.apply(&others.join("---\n")).await;
    let missing = super::condition("ResolvedRefs", "False", "RefNotFound");
    let key = "everywhere-b/virtualkey/caller";
    installation.objects.wait_for_condition(key, missing, PATIENCE).await;
    // Nothing watches them: they are found by asking for them by name.
    installation.apply(&secrets.join("---\n")).await;
    for object in [key, "everywhere-b/llmprovider/fake"] {
        installation
            .objects
            .wait_for_condition(object, super::PROGRAMMED, PATIENCE)
            .await;
    }
    installation.assert_all_answer(elsewhere, intents::MODEL, 200).await;

    let requests = installation.own_requests();
    let of_secrets = requests
        .iter()
        .filter(|it| it.resource == "secrets" && it.verb != "get");
    let beyond: Vec<_> = of_secrets
        .filter(|it| it.namespace != installation.namespace && it.namespace != installation.snapshot_namespace)
        .collect();
    assert!(beyond.is_empty(), "{beyond:#?}");
    let refused: Vec<_> = requests.iter().filter(|it| it.code == 403).collect();
    assert!(refused.is_empty(), "asked for, and not granted: {refused:#?}");
}

/// Everything that happens in the life of an installation.
async fn live(installation: &Installation) {
    let generated = |more: &str| {
        format!(
            "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: fresh}}\n\
             spec:\n  owner: {{user: fresh}}\n  generate: {{secretName: fresh-minted}}\n{more}"
        )
    };
    installation.apply(&generated("")).await;
    wait_until_programmed(installation, &["virtualkey/fresh"]).await;
    installation
        .apply(&generated("  rotation: {serial: 1, overlap: 1h}\n"))
        .await;
    wait_until_programmed(installation, &["virtualkey/fresh"]).await;
    // A warning event, a recovery, and the same warning again: an event of which there are two is patched.
    for (provider, ready) in [("nowhere", "False"), ("fake", "True"), ("nowhere", "False")] {
        installation
            .apply(&intents::route("lost", "lost", provider, "chat"))
            .await;
        let judged = super::condition("Ready", ready, "");
        installation
            .objects
            .wait_for_condition("routepolicy/lost", judged, PATIENCE)
            .await;
    }
    // Likewise about the pointer.
    let leaver = intents::digest_key("leaver", &"a".repeat(64));
    for _ in 0..2 {
        installation.apply(&leaver).await;
        wait_until_programmed(installation, &["virtualkey/leaver"]).await;
        installation.objects.delete("virtualkey/leaver").await;
        let is_held = |pointer: &DynamicObject| pointer.data["data"]["status"].to_string().contains("approve-removal");
        let held = installation
            .objects
            .wait_for(&installation.pointer_name(), PATIENCE, is_held)
            .await;
        held.unwrap_or_else(|last| panic!("nothing is held: {last:.2000}"));
    }
    for kind in [
        "Budget\nmetadata: {name: soft}\nspec: {limitUSD: \"5\", period: Daily, enforcement: Soft, selector: {names: [caller]}}",
        "GuardrailPolicy\nmetadata: {name: words}\nspec: {input: [{name: words, contains: {words: [secret], operator: Any}, action: Flag}]}",
    ] {
        installation
            .apply(&format!("apiVersion: headgate.dev/v1alpha1\nkind: {kind}\n"))
            .await;
    }
    // The Lease of a pod that has been gone for long.
    let dead = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "dead", "labels": {
            "headgate.dev/installation": format!("headgate.{}.{}", installation.namespace, installation.release),
            "app.kubernetes.io/component": "gateway",
        }},
        "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 40, "renewTime": "2026-01-02T03:04:05.000000Z"},
    });
    installation
        .objects
        .create(&installation.snapshot_namespace, "lease", dead)
        .await;
    // What an operator lists when it starts is believed about its own age; what appears meanwhile counts as alive.
    for operator in installation.operators() {
        operator.kill();
        operator.wait_until_ready_again(2).await;
    }
    // Edits, so that shards are swept; a leader that hands over; a pod that comes.
    for suspended in [true, false] {
        installation
            .objects
            .patch("virtualkey/caller", json!({"spec": {"suspended": suspended}}))
            .await;
        wait_until_programmed(installation, &["virtualkey/caller"]).await;
    }
    let leader = installation.leader().await;
    let pod = format!("{}/pod/{}", installation.namespace, leader.name);
    installation.objects.delete(&pod).await;
    installation.leader_other_than(&leader.name).await;
    installation.objects.delete(&installation.pointer_name()).await;
    installation.published().await;
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    wait_until_programmed(installation, &["routepolicy/front"]).await;
    let dead = format!("{}/lease/dead", installation.snapshot_namespace);
    installation.objects.wait_until_gone(&dead, PATIENCE).await;
}

/// An apply that finds nothing creates, and has to be allowed both.
fn rights_used(request: &Request) -> Vec<Right> {
    let right = |verb: &str| {
        let Request {
            group,
            resource,
            namespace,
            ..
        } = request.clone();
        (namespace, verb.to_owned(), group, resource)
    };
    let mut rights = vec![right(&request.verb)];
    if request.verb == "patch" && request.code == 201 {
        rights.push(right("create"));
    }
    rights
}

/// Cluster-wide rights are used by cluster-wide requests, those of a Role by requests in its namespace.
fn is_used((namespace, verb, group, resource): &Right, used: &BTreeSet<Right>) -> bool {
    used.iter().any(|(n, v, g, r)| {
        (v, g, r) == (verb, group, resource) && (n == namespace || (namespace.is_empty() && r == "namespaces"))
    })
}

/// What the rendered chart grants, one right a line.
async fn granted(installation: &Installation) -> BTreeSet<Right> {
    let mut granted = BTreeSet::new();
    for object in installation.rendered().await {
        let is_role = object
            .types
            .as_ref()
            .is_some_and(|it| it.kind == "Role" || it.kind == "ClusterRole");
        if is_role && !object.labels().keys().any(|label| label.contains("aggregate-to")) {
            granted.extend(rights(&object));
        }
    }
    granted
}

fn rights(role: &DynamicObject) -> Vec<Right> {
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let namespace = role.namespace().unwrap_or_default();
    let mut rights = Vec::new();
    for rule in role.data["rules"].as_array().into_iter().flatten() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    rights.push((namespace.clone(), verb, group.clone(), resource.clone()));
                }
            }
        }
    }
    rights
}
