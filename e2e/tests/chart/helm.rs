//! The real helm, and what it renders as objects to be asked.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use headgate_e2e::workspace;
use serde_json::Value;

/// Everything optional at once, with more than one namespace: whatever is wrong in any template shows here.
pub const EVERYTHING: &str = r#"
global: {imagePullSecrets: [{name: registry}], commonLabels: {team: platform}}
image: {registry: registry.example.com, digest: "sha256:0123456789012345678901234567890123456789012345678901234567890123"}
crds: {annotations: {example.com/why: because}}
watchNamespaces: [team-b, team-a, team-a]
sharedNamespaces: [team-b]
operator:
  replicas: 2
  rbac: {namespaces: true}
  podLabels: {a: b}
  podAnnotations: {c: d}
  priorityClassName: system-cluster-critical
  nodeSelector: {kubernetes.io/os: linux}
  tolerations: [{key: dedicated, operator: Exists}]
  topologySpreadConstraints: []
  extraEnv: [{name: HEADGATE_SHARD_GRACE, value: 1h}, {name: HEADGATE_LOG_LEVEL, value: debug}]
  extraVolumes: [{name: extra, emptyDir: {}}]
  extraVolumeMounts: [{name: extra, mountPath: /extra}]
gateway:
  autoscaling:
    enabled: true
    metrics: [{type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}]
  adminToken: {existingSecret: admin}
  service: {type: LoadBalancer, port: 8080, loadBalancerClass: example.com/nlb, loadBalancerSourceRanges: [10.0.0.0/8], externalTrafficPolicy: Local, labels: {e: f}, annotations: {g: h}}
  ingress: {enabled: true, className: nginx, annotations: {i: j}, hosts: [llm.example.com], tls: [{secretName: tls, hosts: [llm.example.com]}]}
  httpRoute: {enabled: true, parentRefs: [{name: gateway, namespace: ingress}], hostnames: [llm.example.com], timeouts: {request: 0s}}
  serviceAccount: {annotations: {k: l}}
  affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {a: b}}}}]}}
  extraEnv: [{name: HEADGATE_MAX_CONNECTIONS, value: "20000"}]
  extraVolumes: [{name: extra, emptyDir: {}}]
  extraVolumeMounts: [{name: extra, mountPath: /extra}]
networkPolicy:
  enabled: true
  clients: [{namespaceSelector: {matchLabels: {llm: allowed}}}]
  monitoring: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  apiServer: {cidrs: [10.0.0.1/32]}
  metadataServers: true
monitoring: {enabled: true, kind: ServiceMonitor, labels: {release: prometheus}}
argocd: {healthChecks: {enabled: true}}
"#;

/// Where the chart is.
pub fn chart() -> PathBuf {
    workspace::root().join("charts/headgate")
}

/// The real helm, built once.
pub fn binary() -> &'static Path {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    HELM.get_or_init(|| workspace::set_up("helm/build").unwrap_or_else(|error| panic!("{error}")))
}

/// What helm says to these arguments, with `values` (YAML) as `--values -`. The error is what it prints instead.
pub fn run(arguments: &[&str], values: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder for helm's own files");
    let mut child = Command::new(binary())
        .args(arguments)
        .env("HELM_CACHE_HOME", folder.path())
        .env("HELM_CONFIG_HOME", folder.path())
        .env("HELM_DATA_HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("helm can be started");
    let mut input = child.stdin.take().expect("the input is a pipe");
    // Whoever takes no values may close the pipe before they are written.
    let _ = input.write_all(values.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("helm ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// What `helm template` prints for these values (YAML).
pub fn template(release: &str, namespace: &str, values: &str) -> Result<String, String> {
    let chart = chart().display().to_string();
    run(
        &["template", release, &chart, "--namespace", namespace, "--values", "-"],
        values,
    )
}

/// The objects that a release named `headgate` in the namespace `headgate` has with these values.
pub fn render(values: &str) -> Objects {
    Objects::parse(&template("headgate", "headgate", values).unwrap_or_else(|error| panic!("{error}")))
}

/// Rendered objects.
pub struct Objects(pub Vec<Value>);

impl Objects {
    /// Those of a YAML stream.
    pub fn parse(yaml: &str) -> Self {
        let values: Vec<Value> = serde_yaml::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}"));
        Self(values.into_iter().filter(|value| !value.is_null()).collect())
    }

    /// All of a kind, in the order of rendering.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The one of this kind and name.
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        let mut found = self.of(kind);
        found.retain(|object| object["metadata"]["name"] == name);
        assert_eq!(found.len(), 1, "{kind} {name} among\n{}", self.list());
        found[0]
    }

    /// `Kind namespace/name` of every object, sorted, one a line: what is there at a glance.
    pub fn list(&self) -> String {
        let mut lines: Vec<_> = self.0.iter().map(title).collect();
        lines.sort();
        lines.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").expect("a String takes all");
            text
        })
    }

    /// The variables of a Deployment's only container.
    pub fn variables(&self, deployment: &str) -> &Vec<Value> {
        let deployment = self.get("Deployment", deployment);
        deployment["spec"]["template"]["spec"]["containers"][0]["env"]
            .as_array()
            .expect("the container has variables")
    }

    /// The value of one of them.
    pub fn variable(&self, deployment: &str, name: &str) -> Option<&str> {
        let mut found = self
            .variables(deployment)
            .iter()
            .filter(|variable| variable["name"] == name);
        let value = found.next()?["value"].as_str();
        assert!(found.next().is_none(), "{name} stands twice in {deployment}");
        value
    }
}

/// `Kind namespace/name`.
pub fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    match &metadata["namespace"] {
        Value::Null => format!("{} {}", text(&object["kind"]), text(&metadata["name"])),
        namespace => format!(
            "{} {}/{}",
            text(&object["kind"]),
            text(namespace),
            text(&metadata["name"])
        ),
    }
}
