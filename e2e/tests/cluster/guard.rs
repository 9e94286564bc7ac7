//! The blast-radius guard: when one change would take many keys away at once, they stay until a person says so.

use headgate_e2e::installation::{Installation, PATIENCE, intents};
use serde_json::{Value, json};

use super::{scene, wait_until_programmed};

const LEAVER: &str = "vk-canary-cluster-leaver-6PzKx3VnGq8TbWd1YmRc";
/// With the leaver more than the 20 and the 30 % at which the chart holds.
const MANY: usize = 25;

#[tokio::test]
async fn many_removals_at_once_are_held_until_they_are_approved_while_everything_else_is_served() {
    let (_provider, installation) = scene("guard").await;
    let leavers = (0..MANY).map(|number| intents::digest_key(&format!("leaver-{number}"), &format!("{number:064x}")));
    installation.create_many(leavers).await;
    installation
        .apply(
            &[
                intents::key_secret("leaver", LEAVER),
                intents::virtual_key("leaver", ""),
            ]
            .concat(),
        )
        .await;
    wait_until_programmed(&installation, &["virtualkey/leaver", "virtualkey/leaver-0"]).await;
    installation.wait_until_all_answer(LEAVER, intents::MODEL, 200).await;
    let full = installation.published_when(|pointer| pointer.head.sequence > 0).await;

    // While no operator looks, so that it meets them as one change, as it does after a pruned folder.
    for operator in installation.operators() {
        operator.kill_and_hold();
    }
    for number in 0..MANY {
        installation
            .objects
            .delete(&format!("virtualkey/leaver-{number}"))
            .await;
    }
    installation.objects.delete("virtualkey/leaver").await;
    for operator in installation.operators() {
        operator.let_start();
    }
    let approval = held(&installation).await;
    let says_so = |(_, note): &(String, String)| note.contains(&approval);
    let event = installation
        .objects
        .wait_for_event(&installation.pointer_name(), PATIENCE, says_so)
        .await;
    event.expect("an event has the line to run");

    // Held is no standstill: a new route and a suspension are served, a leaver still works.
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["routepolicy/front"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, "front-door", 200)
        .await;
    installation.assert_all_answer(LEAVER, "front-door", 200).await;
    installation
        .objects
        .patch("virtualkey/caller", json!({"spec": {"suspended": true}}))
        .await;
    wait_until_programmed(&installation, &["virtualkey/caller"]).await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;

    // A new operator finds the same, and holds the same.
    for operator in installation.operators() {
        operator.kill();
        operator.wait_until_ready_again(3).await;
    }
    assert_eq!(held(&installation).await, approval);
    installation.assert_all_answer(LEAVER, intents::MODEL, 200).await;

    // A wrong approval is none.
    let pointer = installation.pointer_name();
    let annotate = |value: &str| json!({"metadata": {"annotations": {"headgate.dev/approve-removal": value}}});
    installation.objects.patch(&pointer, annotate("0123456789abcdef")).await;
    installation
        .apply(&intents::route("side", "side-door", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["routepolicy/side"]).await;
    installation.assert_all_answer(LEAVER, "side-door", 200).await;

    installation.objects.patch(&pointer, annotate(&approval)).await;
    installation.wait_until_all_answer(LEAVER, intents::MODEL, 401).await;
    let sequence = full.pointer.head.sequence;
    let now = installation
        .published_when(|pointer| pointer.head.sequence > sequence)
        .await;
    assert!(
        conditions(&now.object).iter().all(|it| it["status"] != "True"),
        "{:?}",
        now.object.data
    );
}

/// Waits until the pointer says that removals are held, and returns what approves them.
async fn held(installation: &Installation) -> String {
    let is_held = |object: &kube::api::DynamicObject| approval(object).is_some();
    let pointer = installation
        .objects
        .wait_for(&installation.pointer_name(), PATIENCE, is_held)
        .await;
    let pointer = pointer.unwrap_or_else(|last| panic!("nothing is held: {last:.2000}\n{}", installation.logs()));
    approval(&pointer).expect("just waited for")
}

/// The 16 hex digits of the line that people are given to run.
fn approval(pointer: &kube::api::DynamicObject) -> Option<String> {
    let conditions = conditions(pointer);
    let held = conditions
        .iter()
        .find(|it| it["status"] == "True" && it["type"].as_str().is_some_and(|it| it.contains("Held")))?;
    let message = held["message"].as_str()?;
    assert!(message.contains("kubectl annotate --overwrite configmap"), "{message}");
    let (_, rest) = message.split_once("headgate.dev/approve-removal=")?;
    Some(rest.chars().take_while(char::is_ascii_hexdigit).collect())
}

fn conditions(pointer: &kube::api::DynamicObject) -> Vec<Value> {
    let text = pointer.data["data"]["status"].as_str().unwrap_or("[]");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("the pointer's status is no list: {error}: {text}"))
}
