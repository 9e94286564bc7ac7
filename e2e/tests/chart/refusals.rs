//! Values that are wrong, and what people read when they are.

use crate::helm::template;

/// Values and what helm must say to them, without its indentation.
const REFUSED: &[(&str, &str)] = &[
    // By the schema: where, and what is expected.
    ("gatway: {}", "additional properties 'gatway' not allowed"),
    (
        "gateway: {replica: 3}",
        "at '/gateway': additional properties 'replica' not allowed",
    ),
    (
        "gateway: {replicas: many}",
        "at '/gateway/replicas': got string, want null or integer",
    ),
    (
        "gateway: {replicas: -1}",
        "at '/gateway/replicas': minimum: got -1, want 0",
    ),
    (
        "gateway: {service: {type: Loadbalancer}}",
        "at '/gateway/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'",
    ),
    (
        "gateway: {extraEnv: [{value: x}]}",
        "at '/gateway/extraEnv/0': missing property 'name'",
    ),
    (
        "operator: {logFormat: JSON}",
        "at '/operator/logFormat': value must be one of 'json', 'text', 'auto'",
    ),
    (
        "operator: {removalGuard: {percent: 101}}",
        "at '/operator/removalGuard/percent': maximum: got 101, want 100",
    ),
    ("image: {tag: 0.1}", "at '/image/tag': got number, want string"),
    (
        "image: {digest: latest}",
        "at '/image/digest': 'latest' does not match pattern",
    ),
    (
        "watchNamespaces: team-a",
        "at '/watchNamespaces': got string, want array",
    ),
    (
        "watchNamespaces: ['Team A']",
        "at '/watchNamespaces/0': 'Team A' does not match pattern",
    ),
    (
        "monitoring: {kind: Pod}",
        "at '/monitoring/kind': value must be one of 'PodMonitor', 'ServiceMonitor'",
    ),
    // By the chart: values that do not go together.
    (
        "watchAllNamespaces: true\nwatchNamespaces: [a]",
        "watchAllNamespaces and watchNamespaces exclude each other: empty watchNamespaces, or set watchAllNamespaces to false",
    ),
    (
        "snapshotNamespace: {name: apps}",
        "snapshotNamespace.name is \"apps\", where other things live: data planes may read every Secret there, so give it a namespace of its own",
    ),
    (
        "watchNamespaces: [a, b]\nsnapshotNamespace: {name: b}",
        "snapshotNamespace.name is \"b\", where other things live",
    ),
    (
        "sharedNamespaces: [models]",
        "sharedNamespaces names \"models\", which is not watched: add it to watchNamespaces",
    ),
    (
        "gateway: {terminationGracePeriodSeconds: 60}",
        "gateway.terminationGracePeriodSeconds is 60, but preStopSleepSeconds and drainTimeoutSeconds take 305: raise it, or leave it out",
    ),
    (
        "gateway: {autoscaling: {enabled: true, minReplicas: 3, maxReplicas: 2}}",
        "gateway.autoscaling.maxReplicas is below minReplicas: raise it",
    ),
    (
        "gateway: {ingress: {enabled: true}}",
        "gateway.ingress.enabled needs a host: add it to gateway.ingress.hosts",
    ),
    (
        "gateway: {httpRoute: {enabled: true}}",
        "gateway.httpRoute.enabled needs a Gateway to attach to: name it in gateway.httpRoute.parentRefs",
    ),
];

#[test]
fn wrong_values_are_refused_with_what_to_change() {
    for (values, expected) in REFUSED {
        match template("r", "apps", values) {
            Ok(_) => panic!("{values:?} is taken"),
            Err(said) => assert!(
                said.contains(expected),
                "{values:?} must say {expected:?}, but says\n{said}"
            ),
        }
    }
}

#[test]
fn an_installation_id_that_no_label_can_hold_is_refused() {
    let namespace = "n".repeat(40);
    let said = template("a-release-with-a-long-name", &namespace, "").unwrap_err();
    assert!(
        said.contains("longer than the 63 characters of a label: take a shorter release name or namespace"),
        "{said}"
    );
}

#[test]
fn values_of_a_parent_chart_are_no_mistake() {
    template("r", "n", "enabled: true\nglobal: {imageRegistry: r.example.com}").unwrap();
}
