//! What a real API server makes of the rendered objects. Nothing starts here: there are no kubelets.

use headgate_e2e::control_plane::{Applier, ControlPlane, documents};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::helm::{EVERYTHING, Objects, template, title};

/// Kinds of others, whose definitions the test control plane does not have.
const FOREIGN: [&str; 3] = ["HTTPRoute", "PodMonitor", "ServiceMonitor"];

/// Renders with `values` into `namespace`, which is made, as are the namespaces that values here name.
async fn installed(namespace: &str, values: &str) -> (Applier, Objects) {
    let control_plane = ControlPlane::shared().await;
    for watched in ["team-a", "team-b"] {
        Applier::new(control_plane.client(), watched).await;
    }
    let applier = Applier::new(control_plane.client(), namespace).await;
    let yaml = template("headgate", namespace, values).unwrap_or_else(|error| panic!("{error}"));
    (applier, Objects::parse(&yaml))
}

#[tokio::test]
async fn every_object_is_taken_and_taking_it_again_changes_nothing() {
    let sets = [
        ("chart-defaults", ""),
        ("chart-everything", EVERYTHING),
        (
            "chart-all-namespaces",
            "watchAllNamespaces: true\noperator: {rbac: {namespaces: true}}",
        ),
    ];
    for (namespace, values) in sets {
        let (applier, objects) = installed(namespace, values).await;
        for object in objects
            .0
            .iter()
            .filter(|object| !FOREIGN.iter().any(|kind| object["kind"] == *kind))
        {
            let name = title(object);
            let yaml = object.to_string();
            let parsed = &documents(&yaml).unwrap_or_else(|error| panic!("{name}: {error}"))[0];
            let apply = async || {
                applier
                    .apply(parsed)
                    .await
                    .unwrap_or_else(|error| panic!("{name}: {error}"))
            };
            let (first, second) = (apply().await, apply().await);
            // The API server itself writes into the status of a new kind or policy.
            if object["kind"] != "CustomResourceDefinition" {
                assert_eq!(first.metadata.generation, second.metadata.generation, "{name}");
            }
            if ["Deployment", "Service", "Role", "PodDisruptionBudget"]
                .iter()
                .any(|kind| object["kind"] == *kind)
            {
                assert_eq!(
                    first.metadata.resource_version, second.metadata.resource_version,
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_namespace_that_enforces_restricted_takes_the_pods() {
    let control_plane = ControlPlane::shared().await;
    for (namespace, values) in [("chart-restricted", ""), ("chart-restricted-all", EVERYTHING)] {
        let (applier, objects) = installed(namespace, values).await;
        let enforce = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
        let admin = Caller::admin(control_plane);
        admin
            .merge(&format!("/api/v1/namespaces/{namespace}"), &enforce)
            .await
            .unwrap();
        for account in objects.of("ServiceAccount") {
            let account = &documents(&account.to_string()).unwrap()[0];
            applier.apply(account).await.unwrap_or_else(|error| panic!("{error}"));
        }
        let pods = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict");
        for deployment in objects.of("Deployment") {
            let name = title(deployment);
            let mut pod = pod_of(deployment);
            let taken = admin
                .create(&pods, &pod)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                taken["spec"]["volumes"].to_string().contains("serviceAccountToken"),
                "{name} gets a token of its own"
            );
            // That the namespace enforces at all:
            pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
            let refused = admin.create(&pods, &pod).await.unwrap_err();
            assert!(refused.contains(r#"violates PodSecurity "restricted"#), "{refused}");
        }
    }
}

fn pod_of(deployment: &Value) -> Value {
    let template = &deployment["spec"]["template"];
    let mut pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = deployment["metadata"]["name"].clone();
    pod
}
