//! What single values change.

use serde_json::{Value, json};

use crate::helm::{EVERYTHING, Objects, render, template};

#[test]
fn under_autoscaling_the_deployment_names_no_number_of_replicas() {
    let objects = render("gateway: {autoscaling: {enabled: true}, replicas: 1}");
    let deployment = objects.get("Deployment", "headgate-gateway");
    assert_eq!(deployment["spec"]["replicas"], Value::Null);
    let autoscaler = objects.get("HorizontalPodAutoscaler", "headgate-gateway");
    assert_eq!(
        autoscaler["spec"]["scaleTargetRef"]["name"],
        deployment["metadata"]["name"]
    );
    assert_eq!(
        autoscaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"],
        300
    );
    objects.get("PodDisruptionBudget", "headgate-gateway");
    let left_alone = render("gateway: {replicas: null}");
    assert_eq!(
        left_alone.get("Deployment", "headgate-gateway")["spec"]["replicas"],
        Value::Null
    );
}

#[test]
fn one_replica_has_no_disruption_budget_that_would_block_a_drain() {
    assert_eq!(render("gateway: {replicas: 1}").of("PodDisruptionBudget").len(), 0);
    assert_eq!(render("operator: {replicas: 2}").of("PodDisruptionBudget").len(), 2);
    let off = "operator: {replicas: 2, podDisruptionBudget: {enabled: false}}\ngateway: {podDisruptionBudget: {enabled: false}}";
    assert_eq!(render(off).of("PodDisruptionBudget").len(), 0);
    let share = render("gateway: {podDisruptionBudget: {maxUnavailable: 25%}}");
    assert_eq!(
        share.get("PodDisruptionBudget", "headgate-gateway")["spec"]["maxUnavailable"],
        "25%"
    );
}

#[test]
fn a_ring_that_is_named_is_neither_created_nor_writable() {
    let objects = render("sealingKeys: {existingSecret: mine}");
    let operator = |name| objects.variable("headgate-operator", name);
    assert_eq!(operator("HEADGATE_SEALING_KEYS_SECRET"), Some("mine"));
    assert_eq!(operator("HEADGATE_CREATE_SEALING_KEYS"), Some("false"));
    let pod = &objects.get("Deployment", "headgate-gateway")["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][0]["secret"]["secretName"], "mine");
    let role = objects.get("Role", "headgate-operator")["rules"].to_string();
    assert!(
        role.contains(r#""resourceNames":["mine"]"#) && !role.contains(r#"["secrets"],"verbs":["create"]"#),
        "{role}"
    );
    let policy = objects
        .get(
            "ValidatingAdmissionPolicy",
            "headgate.headgate.headgate.operator-secrets",
        )
        .to_string();
    assert!(!policy.contains("isRing") && !policy.contains("mine"), "{policy}");
}

#[test]
fn several_namespaces_get_a_role_each_and_the_policy_looks_at_no_other() {
    let objects = render("watchNamespaces: [team-b, team-a, team-b]\nsharedNamespaces: [team-a]");
    assert_eq!(
        objects.variable("headgate-operator", "HEADGATE_WATCH_NAMESPACES"),
        Some("team-a,team-b")
    );
    assert_eq!(
        objects.variable("headgate-operator", "HEADGATE_SHARED_NAMESPACES"),
        Some("team-a")
    );
    assert_eq!(
        objects.variable("headgate-operator", "HEADGATE_WATCH_ALL_NAMESPACES"),
        None
    );
    let roles = objects.list();
    for namespace in ["team-a", "team-b", "headgate-snapshots"] {
        for kind in ["Role", "RoleBinding"] {
            let line = format!("{kind} {namespace}/headgate.headgate.headgate.operator\n");
            assert!(roles.contains(&line), "{line} among\n{roles}");
        }
    }
    assert!(!roles.contains("ClusterRole"), "{roles}");
    let policy = objects.get(
        "ValidatingAdmissionPolicy",
        "headgate.headgate.headgate.operator-secrets",
    );
    let selector = &policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"][0];
    assert_eq!(
        selector["values"],
        json!(["headgate", "headgate-snapshots", "team-a", "team-b"])
    );
}

#[test]
fn all_namespaces_take_a_cluster_role_and_a_policy_that_looks_everywhere() {
    let objects = render("watchAllNamespaces: true");
    assert_eq!(
        objects.variable("headgate-operator", "HEADGATE_WATCH_ALL_NAMESPACES"),
        Some("true")
    );
    assert_eq!(objects.variable("headgate-operator", "HEADGATE_WATCH_NAMESPACES"), None);
    objects.get("ClusterRoleBinding", "headgate.headgate.headgate.operator");
    let policy = objects.get(
        "ValidatingAdmissionPolicy",
        "headgate.headgate.headgate.operator-secrets",
    );
    assert_eq!(policy["spec"]["matchConstraints"]["namespaceSelector"], Value::Null);
}

#[test]
fn the_labels_of_namespaces_are_read_only_where_asked() {
    let objects = render("operator: {rbac: {namespaces: true}}");
    assert_eq!(
        objects.variable("headgate-operator", "HEADGATE_READ_NAMESPACE_LABELS"),
        Some("true")
    );
    objects.get("ClusterRole", "headgate.headgate.headgate.operator-namespaces");
    assert!(render("").of("ClusterRole").is_empty());
}

#[test]
fn a_snapshot_namespace_that_is_there_is_used_and_not_made() {
    let objects = render("snapshotNamespace: {create: false, name: published}");
    assert!(objects.of("Namespace").is_empty());
    assert!(
        objects
            .list()
            .contains("Role published/headgate.headgate.headgate.gateway\n")
    );
    assert_eq!(
        objects.variable("headgate-gateway", "HEADGATE_SNAPSHOT_NAMESPACE"),
        Some("published")
    );
}

#[test]
fn what_is_yours_to_make_is_not_made() {
    let objects = render(
        "rbac: {create: false}\nadmissionPolicies: {create: false}\ncrds: {enabled: false}\n\
         operator: {serviceAccount: {create: false, name: op}}\ngateway: {serviceAccount: {create: false, name: gw}}",
    );
    for kind in ["Role", "RoleBinding", "CustomResourceDefinition", "ServiceAccount"] {
        assert!(objects.of(kind).is_empty(), "{kind}");
    }
    assert!(!objects.list().contains("ValidatingAdmissionPolicy"));
    let account = |name| &objects.get("Deployment", name)["spec"]["template"]["spec"]["serviceAccountName"];
    assert_eq!(
        (account("headgate-operator"), account("headgate-gateway")),
        (&json!("op"), &json!("gw"))
    );
}

#[test]
fn the_kinds_are_kept_unless_told_otherwise() {
    let annotations = |values: &str| {
        let objects = render(values);
        let kinds = objects.of("CustomResourceDefinition");
        assert_eq!(kinds.len(), 5);
        kinds[0]["metadata"]["annotations"].clone()
    };
    assert_eq!(annotations(""), json!({"helm.sh/resource-policy": "keep"}));
    assert_eq!(annotations("crds: {keep: false}"), Value::Null);
    assert_eq!(
        annotations("crds: {annotations: {argocd.argoproj.io/sync-options: Prune=false}}"),
        json!({"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false"})
    );
}

#[test]
fn a_variable_of_the_user_replaces_the_charts() {
    let objects = render("gateway: {extraEnv: [{name: HEADGATE_DRAIN_TIMEOUT, value: 1h}, {name: MINE, value: x}]}");
    assert_eq!(
        objects.variable("headgate-gateway", "HEADGATE_DRAIN_TIMEOUT"),
        Some("1h")
    );
    assert_eq!(objects.variable("headgate-gateway", "MINE"), Some("x"));
}

#[test]
fn the_admin_token_comes_from_a_secret() {
    let objects = render("gateway: {adminToken: {existingSecret: admin, key: t}}");
    let variable = objects
        .variables("headgate-gateway")
        .iter()
        .find(|variable| variable["name"] == "HEADGATE_ADMIN_TOKEN");
    let expected = json!({"secretKeyRef": {"name": "admin", "key": "t"}});
    assert_eq!(variable.map(|variable| &variable["valueFrom"]), Some(&expected));
}

#[test]
fn ingress_and_route_lead_to_v1_of_the_clients_service() {
    let objects = render(EVERYTHING);
    let path = &objects.get("Ingress", "headgate")["spec"]["rules"][0]["http"]["paths"][0];
    assert_eq!(
        (&path["path"], &path["backend"]["service"]["name"]),
        (&json!("/v1"), &json!("headgate"))
    );
    let route = &objects.get("HTTPRoute", "headgate")["spec"];
    assert_eq!(
        route["rules"][0]["backendRefs"],
        json!([{"name": "headgate", "port": 8080}])
    );
    assert_eq!(
        route["rules"][0]["matches"][0]["path"],
        json!({"type": "PathPrefix", "value": "/v1"})
    );
    assert_eq!(
        route["parentRefs"],
        json!([{"name": "gateway", "namespace": "ingress"}])
    );
    assert_eq!(route["rules"][0]["timeouts"], json!({"request": "0s"}));
    assert_eq!(objects.get("Service", "headgate")["spec"]["ports"][0]["port"], 8080);
}

#[test]
fn a_monitor_scrapes_the_admin_port_of_both() {
    for (kind, endpoints) in [("PodMonitor", "podMetricsEndpoints"), ("ServiceMonitor", "endpoints")] {
        let objects = render(&format!(
            "monitoring: {{enabled: true, kind: {kind}, labels: {{release: p}}}}"
        ));
        let monitor = objects.get(kind, "headgate");
        assert_eq!(monitor["metadata"]["labels"]["release"], "p");
        assert_eq!(
            monitor["spec"][endpoints],
            json!([{"port": "admin", "path": "/metrics", "interval": "30s"}])
        );
        let selector = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
        let is_selected = |object: &Value| {
            selector
                .iter()
                .all(|(key, value)| &object["metadata"]["labels"][key] == value)
        };
        for deployment in objects.of("Deployment") {
            assert!(is_selected(&deployment["spec"]["template"]));
        }
        let with_admin = objects.of("Service").into_iter().filter(|service| is_selected(service));
        assert_eq!(
            with_admin
                .filter(|service| service["spec"]["ports"][0]["name"] == "admin")
                .count(),
            2
        );
    }
}

#[test]
fn network_policies_let_in_clients_and_out_to_providers_but_not_to_metadata() {
    let objects = render("networkPolicy: {enabled: true}");
    let gateway = &objects.get("NetworkPolicy", "headgate-gateway")["spec"];
    assert_eq!(gateway["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        gateway["ingress"][0],
        json!({"ports": [{"port": "http", "protocol": "TCP"}]})
    );
    let out = gateway["egress"].as_array().unwrap();
    assert_eq!(
        out[2]["to"][0]["ipBlock"],
        json!({"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]})
    );
    let operator = &objects.get("NetworkPolicy", "headgate-operator")["spec"];
    let ports: Vec<_> = operator["egress"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["ports"].clone())
        .collect();
    let port = |port: u16, protocol: &str| json!({"port": port, "protocol": protocol});
    assert_eq!(
        ports,
        [
            json!([port(53, "UDP"), port(53, "TCP")]),
            json!([port(443, "TCP"), port(6443, "TCP")])
        ],
        "the operator speaks to the API server and to nobody else"
    );
    let replaced = render("networkPolicy: {enabled: true, providers: [{ports: [{port: 443}]}]}");
    let out = &replaced.get("NetworkPolicy", "headgate-gateway")["spec"]["egress"];
    assert_eq!(
        out.as_array().unwrap().last().unwrap(),
        &json!({"ports": [{"port": 443}]})
    );
}

#[test]
fn network_policies_let_out_to_the_metadata_servers_only_where_asked() {
    let rule = |values: &str| {
        let objects = render(values);
        let out = objects.get("NetworkPolicy", "headgate-gateway")["spec"]["egress"].clone();
        out.as_array().unwrap().last().unwrap().clone()
    };
    let metadata = rule("networkPolicy: {enabled: true, metadataServers: true}");
    let blocks: Vec<_> = metadata["to"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| to["ipBlock"]["cidr"].clone())
        .collect();
    assert!(blocks.contains(&json!("169.254.169.254/32")), "{metadata}");
    let replaced = "networkPolicy: {enabled: true, metadataServers: true, providers: [{ports: [{port: 443}]}]}";
    assert_eq!(rule(replaced), metadata);
    assert!(
        !rule("networkPolicy: {enabled: true}")
            .to_string()
            .contains("169.254.169")
    );
}

#[test]
fn an_image_is_named_by_tag_or_digest() {
    let image = |values: &str| {
        let objects = render(values);
        let of = |name| objects.get("Deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        assert_eq!(of("headgate-gateway"), of("headgate-operator"));
        of("headgate-gateway")
    };
    assert_eq!(image(""), format!("headgate:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(
        image("image: {registry: r.example.com:5000, tag: t}"),
        "r.example.com:5000/headgate:t"
    );
    let digest = format!("sha256:{}", "0".repeat(64));
    assert_eq!(
        image(&format!("image: {{tag: t, digest: '{digest}'}}")),
        format!("headgate@{digest}")
    );
}

#[test]
fn argo_cd_gets_a_health_check_for_each_kind() {
    let objects = render("argocd: {healthChecks: {enabled: true}}");
    let entries = objects.get("ConfigMap", "headgate-argocd-health-checks")["data"]
        .as_object()
        .unwrap()
        .clone();
    let script = std::fs::read_to_string(crate::helm::chart().join("files/argocd/health.lua")).unwrap();
    let kinds: Vec<_> = entries
        .keys()
        .map(|key| {
            key.strip_prefix("resource.customizations.health.headgate.dev_")
                .unwrap()
        })
        .collect();
    assert_eq!(
        kinds,
        ["Budget", "GuardrailPolicy", "LLMProvider", "RoutePolicy", "VirtualKey"]
    );
    for (key, value) in &entries {
        assert_eq!(value.as_str().unwrap().trim(), script.trim(), "{key}");
    }
}

#[test]
fn names_follow_the_release() {
    let names = |release: &str, values: &str| {
        let objects = Objects::parse(&template(release, "n", values).unwrap());
        let deployments = objects.of("Deployment").into_iter();
        deployments
            .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("llm", ""), ["llm-headgate-gateway", "llm-headgate-operator"]);
    assert_eq!(
        names("my-headgate", ""),
        ["my-headgate-gateway", "my-headgate-operator"]
    );
    assert_eq!(names("llm", "fullnameOverride: x"), ["x-gateway", "x-operator"]);
    for name in names(&"r".repeat(50), "") {
        assert!(name.len() <= 52, "{name}: a Pod of it must not be longer than a label");
    }
}
