//! Operators that die and operators that hand over: one works, the world does not notice which.

use std::time::{Duration, Instant};

use headgate_e2e::installation::{Installation, PATIENCE, intents};
use serde_json::json;

use super::{scene, serve, wait_until_programmed};

/// A pod that stops says so; nobody waits for its Lease to run out.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_second_operator_takes_over_at_once_when_the_first_stops_and_soon_when_it_dies() {
    let settings = Installation::of("two-operators")
        .operators(2)
        .operator_environment("HEADGATE_LEASE_DURATION", "5s");
    let (_provider, installation) = serve(settings).await;
    let traffic = installation.start_traffic(1, intents::CALLER_KEY, intents::MODEL);

    let first = installation.leader().await;
    let since = Instant::now();
    let gone = format!("{}/pod/{}", installation.namespace, first.name);
    installation.objects.delete(&gone).await;
    let second = installation.leader_other_than(&first.name).await;
    println!("handed over after {:.2} s", since.elapsed().as_secs_f64());
    assert!(since.elapsed() < HAND_OVER_WITHIN, "{}", installation.logs());
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["routepolicy/front"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, "front-door", 200)
        .await;

    installation.wait_until_rolled_out().await; // there is a standby again
    let since = Instant::now();
    second.kill_and_hold();
    let third = installation.leader_other_than(&second.name).await;
    println!(
        "a dead leader was replaced after {:.2} s",
        since.elapsed().as_secs_f64()
    );
    installation
        .objects
        .patch(
            "virtualkey/caller",
            json!({"metadata": {"labels": {"e2e": "seen"}}, "spec": {"suspended": true}}),
        )
        .await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    let (answered, failures) = traffic.stop().await;
    assert!(answered > 0);
    assert!(
        failures.iter().all(|failure| failure.contains("401")),
        "only the suspension: {failures:?}"
    );

    // The dead one comes back and finds that somebody leads: it does not.
    second.let_start();
    second.wait_until_ready_again(2).await;
    assert_eq!(installation.leader().await.name, third.name);
}

#[tokio::test]
async fn an_operator_killed_between_shards_and_pointer_leaves_nothing_half() {
    let (_provider, installation) = scene("killed").await;
    let before = installation.published().await;
    let shards_before = installation.shards().await;
    // Stands for the moment: shards are written, the pointer never is.
    let policy = format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: e2e-no-pointer}}\n\
         spec:\n  failurePolicy: Fail\n  matchConstraints:\n    \
         namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}\n    \
         resourceRules: [{{apiGroups: [\"\"], apiVersions: [v1], operations: [UPDATE], resources: [configmaps]}}]\n  \
         validations: [{{expression: \"object.metadata.name != 'headgate'\", message: e2e holds the pointer}}]\n---\n\
         apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {{name: e2e-no-pointer}}\n\
         spec: {{policyName: e2e-no-pointer, validationActions: [Deny]}}\n",
        namespace = installation.snapshot_namespace,
    );
    installation.apply(&policy).await;
    let pointer = installation.pointer_name();
    let touch = json!({"metadata": {"annotations": {"e2e": "touched"}}});
    let refused = installation
        .refused(async || installation.objects.try_patch(&pointer, touch.clone()).await)
        .await;
    assert!(refused.contains("e2e holds the pointer"), "{refused}");

    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    let deadline = Instant::now() + PATIENCE;
    while installation
        .shards()
        .await
        .iter()
        .all(|shard| shards_before.contains(shard))
    {
        assert!(
            Instant::now() < deadline,
            "no shard was written\n{}",
            installation.logs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for operator in installation.operators() {
        operator.kill_and_hold();
    }
    let after = installation.published().await;
    assert_eq!(
        after.pointer.head.sequence, before.pointer.head.sequence,
        "the pointer was held"
    );
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;

    installation
        .objects
        .delete("validatingadmissionpolicybinding/e2e-no-pointer")
        .await;
    installation
        .objects
        .delete("validatingadmissionpolicy/e2e-no-pointer")
        .await;
    for operator in installation.operators() {
        operator.let_start();
    }
    wait_until_programmed(&installation, &["routepolicy/front"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, "front-door", 200)
        .await;
}

#[tokio::test]
async fn a_new_leader_writes_nothing_to_what_did_not_change() {
    let (_provider, installation) = scene("quiet-leader").await;
    let before: Vec<_> = untouched(&installation).await;
    let sequence = installation.published().await.pointer.head.sequence;
    for operator in installation.operators() {
        operator.kill();
        operator.wait_until_ready_again(2).await;
    }
    // It works again, as the answer to an edit of something else proves.
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["routepolicy/front"]).await;
    assert_eq!(untouched(&installation).await, before);
    assert_eq!(installation.published().await.pointer.head.sequence, sequence + 1);
}

async fn untouched(installation: &Installation) -> Vec<Option<String>> {
    let mut versions = Vec::new();
    for object in super::SERVED {
        versions.push(installation.objects.get(object).await.metadata.resource_version);
    }
    versions
}
