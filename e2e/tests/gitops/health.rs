//! Recorded statuses, and objects that the API server has just taken, as Argo CD and Flux see them.

use headgate_e2e::control_plane::{Applier, ControlPlane};
use headgate_e2e::workspace;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use serde_json::{Value, json};

use crate::{argo_cd, kstatus, recorded, yaml};

#[test]
fn argo_cd_and_flux_read_every_recorded_status_as_it_is_meant() {
    let script = yaml::text(&argo_cd::script());
    for case in recorded::cases() {
        let object = case.object();
        let health = argo_cd::health(&script, &object).unwrap_or_else(|error| panic!("{}: {error}", case.input_path));
        assert_eq!(health, case.health_status, "{}", case.input_path);
        assert_eq!(kstatus::read(&object), case.kstatus, "{}", case.input_path);
    }
}

/// Flux fails a deployment at once where Argo CD shows it red, and waits where Argo CD waits. One exception is allowed by
/// name: another installation's conditions are not overwritten, so to Flux they go on counting.
#[test]
fn argo_cd_and_flux_agree() {
    for case in recorded::cases() {
        let agreed = match case.health_status.status.as_str() {
            "Progressing" => kstatus::Reading::InProgress,
            "Degraded" => kstatus::Reading::Failed,
            "Healthy" | "Suspended" => kstatus::Reading::Current,
            other => panic!("{}: {other}", case.input_path),
        };
        let is_exception = case.input_path.ends_with("/installation_conflict.yaml");
        assert_eq!(case.kstatus == agreed, !is_exception, "{}", case.input_path);
    }
}

#[test]
fn an_object_that_is_not_as_expected_is_never_healthy() {
    let script = yaml::text(&argo_cd::script());
    let generation = json!({"generation": 1});
    let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
    for object in [
        json!({"kind": "Budget", "metadata": generation}),
        json!({"kind": "Budget", "metadata": generation, "status": {}}),
        json!({"kind": "Budget", "metadata": generation, "status": {"conditions": ready("True")}}),
        json!({"kind": "Budget", "metadata": generation, "status": {"observedGeneration": 1}}),
        json!({"kind": "Budget", "metadata": generation, "status": {"observedGeneration": 1, "conditions": null}}),
        json!({"kind": "Budget", "metadata": generation, "status": {"observedGeneration": 1, "conditions": ready("False")}}),
        json!({"kind": "Budget", "metadata": generation, "status": {"observedGeneration": 1, "conditions": ready("Unknown")}}),
        json!({"kind": "Budget", "metadata": generation, "status": {"observedGeneration": 2, "conditions": ready("True")}}),
    ] {
        let health = argo_cd::health(&script, &object).unwrap_or_else(|error| panic!("{object}: {error}"));
        assert_eq!(health.status, "Progressing", "{object}");
        assert_ne!(health.message, "", "{object}");
    }
}

#[test]
fn the_chart_carries_the_same_script() {
    let chart = workspace::root().join("charts/headgate/files/argocd/health.lua");
    assert_eq!(
        yaml::text(&chart),
        yaml::text(&argo_cd::script()),
        "cp docs/gitops/health.lua charts/headgate/files/argocd/"
    );
}

/// In a key of its own a star is not allowed (a ConfigMap refuses it), so that the wildcard has to stand in the value.
#[tokio::test]
async fn the_entry_for_argocd_cm_is_the_script_once_for_all_kinds() {
    let path = workspace::root().join("docs/gitops/argocd-cm.yaml");
    let config_map = yaml::documents(&path).remove(0);
    let entry = config_map["data"]["resource.customizations"]
        .as_str()
        .unwrap_or_default();
    let customizations = yaml::of_text(entry).expect("the entry is YAML itself").remove(0);
    assert_eq!(
        customizations["headgate.dev/*"]["health.lua"].as_str(),
        Some(yaml::text(&argo_cd::script()).as_str()),
        "the script in argocd-cm.yaml is not docs/gitops/health.lua"
    );

    let applier = Applier::new(ControlPlane::shared().await.client(), "argocd").await;
    applier
        .apply_yaml(&yaml::text(&path))
        .await
        .expect("the API server takes it");
    let mut with_a_star = config_map;
    with_a_star["data"] = json!({"resource.customizations.health.headgate.dev_*": "return {}"});
    let with_a_star: DynamicObject = serde_json::from_value(with_a_star).expect("a ConfigMap is an object");
    let refusal = applier.apply(&with_a_star).await.expect_err("a key with a star");
    assert!(refusal.0.contains("a valid config key must consist of"), "{refusal}");
}

/// Recorded, not dreamt up: each status passes the schema of its kind, strictly.
#[tokio::test]
async fn every_recorded_status_is_one_the_api_server_takes() {
    let applier = kinds("llm").await;
    for case in recorded::cases() {
        let mut object = case.object();
        let metadata = object["metadata"].as_object_mut().expect("an object has metadata");
        metadata.remove("generation");
        let status = object["status"].clone();
        let name = format!(
            "recorded-{}",
            case.input_path.replace(|c: char| !c.is_ascii_lowercase(), "-")
        );
        object["metadata"]["name"] = json!(name.trim_end_matches("-yaml"));
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        let applied = applier
            .apply(&object)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", case.input_path));
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let name = applied.metadata.name.as_deref().expect("a name was sent");
        let taken = api(&applied)
            .await
            .patch_status(name, &parameters, &Patch::Merge(json!({"status": status})))
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", case.input_path));
        assert_eq!(
            taken.data["status"], status,
            "{}: something is not in the schema",
            case.input_path
        );
    }
}

/// Without the schema's default, kstatus would take an object that has no status for a finished one.
#[tokio::test]
async fn an_object_that_nobody_has_seen_is_in_progress_to_both() {
    let applier = kinds("unseen").await;
    let script = yaml::text(&argo_cd::script());
    let mut kinds = std::collections::BTreeSet::new();
    for case in recorded::cases() {
        let mut object = case.object();
        if !kinds.insert(object["kind"].to_string()) {
            continue;
        }
        let fields = object.as_object_mut().expect("an object has fields");
        fields.remove("status");
        object["metadata"] = json!({"name": "unseen", "namespace": "unseen"});
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        applier
            .create(&object)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", case.input_path));
        let held = api(&object).await.get("unseen").await.expect("it was just created");
        let held: Value = serde_json::to_value(held).expect("an object is JSON");
        assert_eq!(held["status"]["observedGeneration"], -1, "{held}");
        assert_eq!(kstatus::read(&held), kstatus::Reading::InProgress, "{held}");
        let health = argo_cd::health(&script, &held).expect("the script runs");
        assert_eq!(health.status, "Progressing", "{held}");
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}

/// An applier on a control plane that has the five kinds.
pub async fn kinds(namespace: &str) -> Applier {
    let control_plane = ControlPlane::shared().await;
    control_plane.apply_kinds().await;
    Applier::new(control_plane.client(), namespace).await
}

async fn api(object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.as_ref().expect("an object has apiVersion and kind");
    let kind = kube::core::GroupVersionKind::try_from(types).expect("apiVersion and kind can be read");
    // Of our kinds all plurals are known; RoutePolicy is the one that is not its name and an s.
    let plural = match kind.kind.as_str() {
        "RoutePolicy" => "routepolicies".to_owned(),
        "GuardrailPolicy" => "guardrailpolicies".to_owned(),
        other => format!("{}s", other.to_lowercase()),
    };
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    let namespace = object
        .metadata
        .namespace
        .as_deref()
        .expect("these objects name their namespace");
    Api::namespaced_with(ControlPlane::shared().await.client(), namespace, &resource)
}
