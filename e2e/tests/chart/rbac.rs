//! Who may do what: every verb, written down. A verb that is added or lost shows here before it shows in a cluster.

use serde_json::Value;

use crate::helm::{Objects, render};

/// `place: api group/resource (names): verbs` of every rule that is bound to the service account.
fn grants(objects: &Objects, account: &str) -> Vec<String> {
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten();
        words
            .map(|word| word.as_str().expect("rules hold words").to_owned())
            .collect()
    };
    let mut grants = Vec::new();
    for kind in ["Role", "ClusterRole"] {
        for binding in objects.of(&format!("{kind}Binding")) {
            let subjects = binding["subjects"].as_array().expect("a binding has subjects");
            assert_eq!(subjects.len(), 1);
            assert_eq!(subjects[0]["namespace"], "headgate");
            if subjects[0]["name"] != account {
                continue;
            }
            let namespace = &binding["metadata"]["namespace"];
            let mut roles = objects.of(kind);
            roles.retain(|role| {
                role["metadata"]["name"] == binding["roleRef"]["name"] && &role["metadata"]["namespace"] == namespace
            });
            assert_eq!((roles.len(), &binding["roleRef"]["kind"]), (1, &Value::from(kind)));
            for rule in roles[0]["rules"].as_array().expect("a role has rules") {
                let (verbs, names) = (words(&rule["verbs"]).join(" "), words(&rule["resourceNames"]).join(" "));
                let names = if names.is_empty() { names } else { format!(" ({names})") };
                for group in words(&rule["apiGroups"]) {
                    for resource in words(&rule["resources"]) {
                        let place = namespace.as_str().unwrap_or("everywhere");
                        grants.push(format!("{place}: {group}/{resource}{names}: {verbs}"));
                    }
                }
            }
        }
    }
    grants.sort();
    grants
}

#[test]
fn a_gateway_reads_what_is_published_and_acknowledges_it() {
    for values in ["", "watchAllNamespaces: true\noperator: {rbac: {namespaces: true}}"] {
        assert_eq!(
            grants(&render(values), "headgate-gateway"),
            [
                "headgate-snapshots: /configmaps (headgate): watch",
                "headgate-snapshots: /configmaps: get",
                "headgate-snapshots: /secrets: get",
                "headgate-snapshots: coordination.k8s.io/leases: create patch",
            ]
        );
    }
}

#[test]
fn the_operator_may_what_its_job_takes() {
    assert_eq!(
        grants(&render("watchNamespaces: [team]"), "headgate-operator"),
        [
            "headgate-snapshots: /configmaps (headgate): watch patch",
            "headgate-snapshots: /configmaps: get list create delete",
            "headgate-snapshots: /secrets: get list create delete",
            "headgate-snapshots: coordination.k8s.io/leases: list watch delete",
            "headgate-snapshots: events.k8s.io/events: create patch",
            "headgate: /pods: list watch",
            "headgate: /secrets (headgate-sealing-keys): get list watch",
            "headgate: /secrets: create",
            "headgate: coordination.k8s.io/leases (headgate-operator): get list watch update",
            "headgate: coordination.k8s.io/leases: create",
            "team: /secrets: create patch",
            "team: /secrets: get list watch",
            "team: events.k8s.io/events: create patch",
            "team: headgate.dev/budgets/status: patch",
            "team: headgate.dev/budgets: list watch",
            "team: headgate.dev/guardrailpolicies/status: patch",
            "team: headgate.dev/guardrailpolicies: list watch",
            "team: headgate.dev/llmproviders/status: patch",
            "team: headgate.dev/llmproviders: list watch",
            "team: headgate.dev/routepolicies/status: patch",
            "team: headgate.dev/routepolicies: list watch",
            "team: headgate.dev/virtualkeys/status: patch",
            "team: headgate.dev/virtualkeys: list watch",
        ]
    );
}

#[test]
fn watching_all_namespaces_lists_the_secrets_of_none() {
    let objects = render("watchAllNamespaces: true\noperator: {rbac: {namespaces: true}}");
    let mut everywhere = grants(&objects, "headgate-operator");
    everywhere.retain(|grant| grant.starts_with("everywhere: ") && !grant.contains(" headgate.dev/"));
    assert_eq!(
        everywhere,
        [
            "everywhere: /namespaces: list watch",
            "everywhere: /secrets: create patch",
            "everywhere: /secrets: get",
            "everywhere: events.k8s.io/events: create patch",
        ]
    );
}

#[test]
fn nothing_is_granted_by_wildcard() {
    for role in render("watchAllNamespaces: true")
        .0
        .iter()
        .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")))
    {
        assert!(!role["rules"].to_string().contains('*'), "{role}");
    }
}
