//! The status is shared with others: what they wrote stays, and who claims ours is named.

use headgate_e2e::installation::{PATIENCE, Settings, intents};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{condition, scene, wait_until_programmed};

#[tokio::test]
async fn conditions_labels_and_annotations_of_others_stay() {
    let (_provider, installation) = scene("foreign").await;
    let foreign = json!({
        "apiVersion": "headgate.dev/v1alpha1", "kind": "VirtualKey", "metadata": {"name": "caller"},
        "status": {"conditions": [{
            "type": "example.com/Reviewed", "status": "True", "reason": "Reviewed", "message": "by hand",
            "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 1,
        }]},
    });
    let keys = installation.objects.api("virtualkey", &installation.watched[0]);
    keys.patch_status("caller", &PatchParams::apply("example.com"), &Patch::Apply(&foreign))
        .await
        .expect("anybody may add a condition of their own");
    let mine = json!({"metadata": {"labels": {"example.com/team": "a"}, "annotations": {"example.com/note": "mine"}}});
    installation.objects.patch("virtualkey/caller", mine.clone()).await;
    let pointer = installation.pointer_name();
    installation.objects.patch(&pointer, mine).await;

    for suspended in [true, false] {
        installation
            .objects
            .patch("virtualkey/caller", json!({"spec": {"suspended": suspended}}))
            .await;
        wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    }
    let key = installation.objects.get("virtualkey/caller").await;
    let conditions = key.data["status"]["conditions"].as_array().expect("it has conditions");
    let reviewed = conditions
        .iter()
        .find(|it| it["type"] == "example.com/Reviewed")
        .expect("the foreign one stays");
    assert_eq!(reviewed["message"], "by hand");
    assert_eq!(reviewed["lastTransitionTime"], "2026-01-02T03:04:05Z");
    for object in [key, installation.objects.get(&pointer).await] {
        assert_eq!(object.labels()["example.com/team"], "a");
        assert_eq!(object.annotations()["example.com/note"], "mine");
    }
}

#[tokio::test]
async fn a_time_of_transition_moves_only_with_the_condition() {
    let (_provider, installation) = scene("transition").await;
    let times = async || {
        let key = installation.objects.get("virtualkey/caller").await;
        let conditions = key.data["status"]["conditions"]
            .as_array()
            .expect("it has conditions")
            .clone();
        let times: std::collections::BTreeMap<String, String> = conditions
            .iter()
            .map(|it| (it["type"].to_string(), it["lastTransitionTime"].to_string()))
            .collect();
        times
    };
    let before = times().await;
    installation
        .objects
        .patch("virtualkey/caller", json!({"spec": {"models": ["chat"]}}))
        .await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    let after = times().await;
    for kind in ["\"Accepted\"", "\"ResolvedRefs\""] {
        assert_eq!(before[kind], after[kind], "{kind} was true all the time");
    }
}

#[tokio::test]
async fn a_second_installation_over_the_same_namespace_is_refused_with_a_condition() {
    let (_provider, first) = scene("conflict").await;
    let second = Settings::of("conflict-second")
        .gateways(1)
        .watching_existing(&["conflict"])
        .start()
        .await;
    let conflict = condition("InstallationConflict", "True", "");
    let key = first
        .objects
        .wait_for_condition("virtualkey/caller", conflict, PATIENCE)
        .await;
    let found = headgate_e2e::installation::condition_of(&key, "InstallationConflict").expect("just waited for");
    let said = found["message"].to_string();
    assert!(
        said.contains("headgate.conflict.headgate"),
        "the message names the other installation: {said}"
    );
    // The first goes on, the second serves nothing of it.
    wait_until_programmed(&first, &super::SERVED).await;
    first.assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200).await;
    second.assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401).await;
}
