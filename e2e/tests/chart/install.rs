//! The real helm against a real API server: install, upgrade, uninstall, and what is left.

use headgate_e2e::control_plane::{Applier, ControlPlane};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::helm;

/// Runs helm on the release `headgate` in the namespace `headgate`; the chart goes where `{chart}` stands.
async fn helm(kubeconfig: &str, arguments: &str, values: &str) -> String {
    let chart = helm::chart().display().to_string();
    let line = format!("{arguments} --namespace headgate --kubeconfig {kubeconfig}");
    let (line, values) = (line.replace("{chart}", &chart), values.to_owned());
    let run = move || {
        let arguments: Vec<_> = line.split(' ').collect();
        helm::run(&arguments, &values).unwrap_or_else(|error| panic!("helm {line}: {error}"))
    };
    tokio::task::spawn_blocking(run).await.expect("helm succeeds")
}

#[tokio::test]
async fn a_release_comes_changes_goes_and_leaves_what_people_wrote() {
    // One of its own, since the kinds belong to a whole cluster and here helm must be the one to install them.
    let control_plane = ControlPlane::own().await;
    let kubeconfig = control_plane.admin_kubeconfig().display().to_string();
    let admin = Caller::admin(&control_plane);
    let get = async |path: &str| admin.get(path).await;
    let deployment = "/apis/apps/v1/namespaces/headgate/deployments/headgate-gateway";
    let kind = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/virtualkeys.headgate.dev";

    let notes = helm(&kubeconfig, "install headgate {chart} --create-namespace", "").await;
    assert!(notes.contains("kubectl get headgate -n headgate"), "{notes}");
    assert_eq!(get(deployment).await.unwrap()["spec"]["replicas"], 2);

    // The kinds are there: what the notes tell people to apply is taken.
    let applier = Applier::new(control_plane.client(), "headgate").await;
    let first = notes
        .split_once("<<'EOF'\n")
        .and_then(|(_, rest)| rest.split_once("EOF\n"))
        .expect("the notes hold manifests")
        .0;
    let first = first.replace("\n     ", "\n");
    let written = applier
        .apply_yaml(first.trim_start())
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(written.len(), 2);
    let ring = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "headgate-sealing-keys"}});
    admin
        .create("/api/v1/namespaces/headgate/secrets", &ring)
        .await
        .unwrap();

    // The same values change nothing.
    let before = get(deployment).await.unwrap();
    helm(&kubeconfig, "upgrade headgate {chart}", "").await;
    assert_eq!(
        get(deployment).await.unwrap()["metadata"]["resourceVersion"],
        before["metadata"]["resourceVersion"]
    );

    // Others change what they name, and a Role that is not needed any more goes.
    Applier::new(control_plane.client(), "team").await;
    let role = |namespace: &str| {
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/headgate.headgate.headgate.operator")
    };
    get(&role("headgate")).await.unwrap();
    let values = "watchNamespaces: [team]\ngateway: {replicas: 3}\ncrds: {annotations: {example.com/new: 'yes'}}";
    helm(&kubeconfig, "upgrade headgate {chart} --values -", values).await;
    assert_eq!(get(deployment).await.unwrap()["spec"]["replicas"], 3);
    get(&role("team")).await.unwrap();
    assert!(get(&role("headgate")).await.is_err());
    assert_eq!(
        get(kind).await.unwrap()["metadata"]["annotations"]["example.com/new"],
        "yes",
        "kinds are upgraded"
    );

    let said = helm(&kubeconfig, "uninstall headgate", "").await;
    assert!(
        said.contains("virtualkeys.headgate.dev"),
        "what is kept is named: {said}"
    );
    assert!(get(deployment).await.is_err());
    let policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
    assert_eq!(get(policies).await.unwrap()["items"], json!([]));
    let kept = [
        kind,
        "/apis/headgate.dev/v1alpha1/namespaces/headgate/virtualkeys/first",
        "/apis/headgate.dev/v1alpha1/namespaces/headgate/llmproviders/echo",
        "/api/v1/namespaces/headgate/secrets/headgate-sealing-keys",
    ];
    for path in kept {
        let left = get(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(left["metadata"]["deletionTimestamp"], Value::Null, "{path}");
    }

    // And it can come back, taking over what was kept. No controller finishes the old snapshot namespace here.
    helm(
        &kubeconfig,
        "install headgate {chart} --set snapshotNamespace.name=again",
        "",
    )
    .await;
    assert_eq!(get(deployment).await.unwrap()["spec"]["replicas"], 2);
}
