//! What a release is without any value, and what holds for every set of values.

use serde_json::{Value, json};

use crate::helm::{self, EVERYTHING, Objects, render, template, title};

#[test]
fn without_values_a_release_is_these_objects() {
    let expected = "\
CustomResourceDefinition budgets.headgate.dev
CustomResourceDefinition guardrailpolicies.headgate.dev
CustomResourceDefinition llmproviders.headgate.dev
CustomResourceDefinition routepolicies.headgate.dev
CustomResourceDefinition virtualkeys.headgate.dev
Deployment headgate/headgate-gateway
Deployment headgate/headgate-operator
Namespace headgate-snapshots
PodDisruptionBudget headgate/headgate-gateway
Role headgate-snapshots/headgate.headgate.headgate.gateway
Role headgate-snapshots/headgate.headgate.headgate.operator
Role headgate/headgate-operator
Role headgate/headgate.headgate.headgate.operator
RoleBinding headgate-snapshots/headgate.headgate.headgate.gateway
RoleBinding headgate-snapshots/headgate.headgate.headgate.operator
RoleBinding headgate/headgate-operator
RoleBinding headgate/headgate.headgate.headgate.operator
Service headgate/headgate
Service headgate/headgate-gateway-admin
Service headgate/headgate-operator
ServiceAccount headgate/headgate-gateway
ServiceAccount headgate/headgate-operator
ValidatingAdmissionPolicy headgate.headgate.headgate.gateway-leases
ValidatingAdmissionPolicy headgate.headgate.headgate.operator-secrets
ValidatingAdmissionPolicyBinding headgate.headgate.headgate.gateway-leases
ValidatingAdmissionPolicyBinding headgate.headgate.headgate.operator-secrets
";
    assert_eq!(render("").list(), expected);
}

#[test]
fn lint_has_nothing_to_say() {
    let chart = helm::chart().display().to_string();
    for values in ["", EVERYTHING] {
        let said = helm::run(&["lint", "--strict", &chart, "--values", "-"], values);
        let said = said.unwrap_or_else(|error| panic!("{error}"));
        let complaints: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with('[') && !line.contains("icon is recommended"))
            .collect();
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

#[test]
fn the_same_values_render_the_same_bytes() {
    for values in ["", EVERYTHING] {
        let once = || template("headgate", "headgate", values).unwrap();
        assert!(once() == once(), "rendering twice differs");
    }
}

/// Two renderings that happen to agree prove little about chance and clocks; that no template asks for them does.
#[test]
fn no_template_looks_into_the_cluster_or_draws_a_number() {
    let templates = crate::files::below(&helm::chart().join("templates"));
    assert!(templates.len() > 15, "{templates:?}");
    for file in templates {
        let text = std::fs::read_to_string(&file).unwrap();
        for call in text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            for word in call.split(|c: char| !c.is_ascii_alphanumeric()) {
                let is_chance = word.starts_with("rand") || word.starts_with("gen") && word.ends_with("Cert");
                let is_foreign = [
                    "lookup",
                    "now",
                    "uuidv4",
                    "genCA",
                    "genPrivateKey",
                    "htpasswd",
                    "bcrypt",
                ]
                .contains(&word);
                assert!(!is_chance && !is_foreign, "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn pods_are_restricted_and_get_nothing_they_did_not_ask_for() {
    for values in ["", EVERYTHING] {
        let objects = render(values);
        for deployment in objects.of("Deployment") {
            let (pod, name) = (&deployment["spec"]["template"]["spec"], title(deployment));
            assert_eq!(pod["enableServiceLinks"], false, "{name}");
            assert_eq!(pod["automountServiceAccountToken"], true, "{name}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
                "{name}"
            );
            let container = &pod["containers"][0];
            let expected = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(container["securityContext"], expected, "{name}");
            assert!(container["resources"]["requests"]["memory"].is_string(), "{name}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{name}");
            assert!(
                container["resources"]["limits"]["cpu"].is_null(),
                "{name}: throttled is late"
            );
        }
        for account in objects.of("ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{}", title(account));
        }
    }
}

#[test]
fn probes_start_serve_and_live_apart() {
    for deployment in render("").of("Deployment") {
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let path = |probe: &str| container[probe]["httpGet"]["path"].as_str().unwrap().to_owned();
        // A gateway without a snapshot is not ready and yet alive: restarting it brings no snapshot.
        assert_eq!(
            [path("startupProbe"), path("readinessProbe"), path("livenessProbe")],
            ["/livez", "/readyz", "/livez"]
        );
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert_eq!(
                container[probe]["httpGet"]["port"], "admin",
                "a full data listener must not fail probes"
            );
        }
    }
}

#[test]
fn a_stopping_gateway_has_time_to_finish() {
    let grace_of = |values: &str| {
        let objects = render(values);
        let pod = objects.get("Deployment", "headgate-gateway")["spec"]["template"]["spec"].clone();
        let sleep = &pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"];
        let drain = objects.variable("headgate-gateway", "HEADGATE_DRAIN_TIMEOUT").unwrap();
        let drain: u64 = drain.trim_end_matches('s').parse().unwrap();
        (
            sleep.as_u64(),
            drain,
            pod["terminationGracePeriodSeconds"].as_u64().unwrap(),
        )
    };
    assert_eq!(grace_of(""), (Some(5), 300, 315));
    assert_eq!(
        grace_of("gateway: {preStopSleepSeconds: 0, drainTimeoutSeconds: 900}"),
        (None, 900, 910)
    );
    assert_eq!(
        grace_of("gateway: {terminationGracePeriodSeconds: 305}"),
        (Some(5), 300, 305)
    );
}

#[test]
fn a_rollout_takes_no_pod_away_before_its_successor_is_ready() {
    for deployment in render("").of("Deployment") {
        let strategy = &deployment["spec"]["strategy"];
        assert_eq!(strategy["rollingUpdate"]["maxUnavailable"], 0, "{}", title(deployment));
    }
}

#[test]
fn pods_of_a_revision_spread_over_zones_and_nodes() {
    for deployment in render("").of("Deployment") {
        let spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"].as_array();
        let spread = spread.unwrap();
        let keys: Vec<_> = spread.iter().map(|constraint| &constraint["topologyKey"]).collect();
        assert_eq!(keys, ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]);
        for constraint in spread {
            assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
            assert_eq!(constraint["matchLabelKeys"], json!(["pod-template-hash"]));
            assert_eq!(
                constraint["labelSelector"]["matchLabels"],
                deployment["spec"]["selector"]["matchLabels"]
            );
        }
    }
}

#[test]
fn every_selector_finds_the_pods_it_means() {
    for values in ["", EVERYTHING] {
        let objects = render(values);
        let selectors = objects.0.iter().filter_map(|object| {
            let spec = &object["spec"];
            let selector = match object["kind"].as_str()? {
                "Service" => &spec["selector"],
                "PodDisruptionBudget" | "Deployment" => &spec["selector"]["matchLabels"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                _ => return None,
            };
            Some((
                title(object),
                selector,
                &object["metadata"]["labels"]["app.kubernetes.io/component"],
            ))
        });
        for (name, selector, component) in selectors {
            let component = component.as_str().unwrap();
            let deployment = objects.get("Deployment", &format!("headgate-{component}"));
            let labels = deployment["spec"]["template"]["metadata"]["labels"]
                .as_object()
                .unwrap();
            let selector = selector.as_object().unwrap();
            assert_eq!(selector.len(), 3, "{name}");
            for (key, value) in selector {
                assert_eq!(labels.get(key), Some(value), "{name} selects by {key}");
            }
            assert_eq!(labels["app.kubernetes.io/component"], component);
            // A new version of the chart alone restarts nothing.
            assert!(!labels.contains_key("helm.sh/chart"), "{labels:?}");
        }
        let selector = objects
            .variable("headgate-operator", "HEADGATE_DATA_PLANE_SELECTOR")
            .unwrap();
        let gateway = objects.get("Deployment", "headgate-gateway");
        let labels: Value = selector.split(',').map(|pair| pair.split_once('=').unwrap()).collect();
        assert_eq!(labels, gateway["spec"]["selector"]["matchLabels"]);
    }
}

#[test]
fn every_object_says_whose_it_is() {
    let objects = render(EVERYTHING);
    for object in &objects.0 {
        let (labels, name) = (&object["metadata"]["labels"], title(object));
        assert_eq!(labels["app.kubernetes.io/name"], "headgate", "{name}");
        assert_eq!(labels["app.kubernetes.io/instance"], "headgate", "{name}");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm", "{name}");
        assert_eq!(labels["team"], "platform", "{name}: global.commonLabels");
    }
}

/// Two releases, also of one name in two namespaces, must not fight over an object.
#[test]
fn two_releases_share_no_name_but_those_of_the_kinds() {
    let of = |release: &str, namespace: &str| {
        let values = "watchNamespaces: [shared]\noperator: {rbac: {namespaces: true}}";
        Objects::parse(&template(release, namespace, values).unwrap())
    };
    let [one, two, three] = [of("headgate", "a"), of("headgate", "b"), of("other", "c")];
    let names = |objects: &Objects| -> Vec<String> { objects.list().lines().map(str::to_owned).collect() };
    for (left, right) in [(&one, &two), (&one, &three), (&two, &three)] {
        let right = names(right);
        let common: Vec<_> = names(left).into_iter().filter(|name| right.contains(name)).collect();
        assert!(
            common.len() == 5 && common.iter().all(|name| name.starts_with("CustomResourceDefinition ")),
            "{common:?}"
        );
    }
    let of_all = |watch: &str| Objects::parse(&template("headgate", "a", watch).unwrap());
    for role in of_all("watchAllNamespaces: true").of("ClusterRole") {
        assert_eq!(role["metadata"]["name"], "headgate.a.headgate.operator");
    }
}

#[test]
fn the_processes_are_told_what_they_need_by_variables() {
    let objects = render("");
    let names = |deployment: &str| -> Vec<String> {
        let names = objects.variables(deployment).iter();
        let mut names: Vec<_> = names
            .map(|variable| variable["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names("headgate-operator"),
        [
            "HEADGATE_ADMIN_LISTEN",
            "HEADGATE_CREATE_SEALING_KEYS",
            "HEADGATE_DATA_PLANE_SELECTOR",
            "HEADGATE_GUARD_MIN",
            "HEADGATE_GUARD_PERCENT",
            "HEADGATE_INSTALLATION",
            "HEADGATE_LEADER_LEASE",
            "HEADGATE_LOG_FORMAT",
            "HEADGATE_LOG_LEVEL",
            "HEADGATE_NAMESPACE",
            "HEADGATE_POD_NAME",
            "HEADGATE_READ_NAMESPACE_LABELS",
            "HEADGATE_SEALING_KEYS_SECRET",
            "HEADGATE_SNAPSHOT_NAME",
            "HEADGATE_SNAPSHOT_NAMESPACE",
            "HEADGATE_WATCH_NAMESPACES",
        ]
    );
    assert_eq!(
        names("headgate-gateway"),
        [
            "HEADGATE_ADMIN_LISTEN",
            "HEADGATE_ALLOW_LOOPBACK",
            "HEADGATE_ALLOW_PRIVATE",
            "HEADGATE_DRAIN_TIMEOUT",
            "HEADGATE_INSTALLATION",
            "HEADGATE_LISTEN",
            "HEADGATE_LOG_FORMAT",
            "HEADGATE_LOG_LEVEL",
            "HEADGATE_POD_NAME",
            "HEADGATE_SEALING_KEYS",
            "HEADGATE_SNAPSHOT_NAME",
            "HEADGATE_SNAPSHOT_NAMESPACE",
            "HEADGATE_STATE_DIR",
        ]
    );
    for name in [
        "HEADGATE_INSTALLATION",
        "HEADGATE_SNAPSHOT_NAMESPACE",
        "HEADGATE_SNAPSHOT_NAME",
    ] {
        let of = |deployment| objects.variable(deployment, name).unwrap();
        assert_eq!(
            of("headgate-operator"),
            of("headgate-gateway"),
            "{name}: both must mean the same"
        );
    }
    let installation = objects.variable("headgate-operator", "HEADGATE_INSTALLATION");
    assert_eq!(installation, Some("headgate.headgate.headgate"));
}

#[test]
fn the_sealing_keys_are_mounted_read_only_and_the_state_is_bounded() {
    let objects = render("");
    let pod = &objects.get("Deployment", "headgate-gateway")["spec"]["template"]["spec"];
    let mounts = &pod["containers"][0]["volumeMounts"];
    let expected = json!([
        {"name": "sealing-keys", "mountPath": "/etc/headgate/sealing-keys", "readOnly": true},
        {"name": "state", "mountPath": "/var/lib/headgate"},
    ]);
    assert_eq!(*mounts, expected);
    let expected = json!([
        {"name": "sealing-keys", "secret": {"secretName": "headgate-sealing-keys", "defaultMode": 0o440}},
        {"name": "state", "emptyDir": {"sizeLimit": "64Mi"}},
    ]);
    assert_eq!(pod["volumes"], expected);
    let variable = |name| objects.variable("headgate-gateway", name).unwrap();
    assert_eq!(variable("HEADGATE_SEALING_KEYS"), mounts[0]["mountPath"]);
    assert_eq!(variable("HEADGATE_STATE_DIR"), mounts[1]["mountPath"]);
    let secret = objects.variable("headgate-operator", "HEADGATE_SEALING_KEYS_SECRET");
    assert_eq!(secret, pod["volumes"][0]["secret"]["secretName"].as_str());
    assert!(objects.of("Secret").is_empty(), "no template makes a secret");
}
