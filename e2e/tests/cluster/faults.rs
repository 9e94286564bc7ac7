//! One bad object affects itself and what names it, however many stand beside it.

use std::time::Instant;

use headgate_e2e::installation::{PATIENCE, condition_of, intents};

use kube::api::DynamicObject;

use super::{condition, scene, wait_until_programmed};

const OBJECTS: usize = 500;
const BAD: usize = 250;

#[tokio::test]
async fn a_bad_object_is_left_out_and_named_and_heals() {
    let (_provider, installation) = scene("excluded").await;
    installation
        .apply(&intents::route("lost", "lost", "nowhere", "chat"))
        .await;
    let missing = condition("ResolvedRefs", "False", "RefNotFound");
    let bad = installation
        .objects
        .wait_for_condition("routepolicy/lost", missing, PATIENCE)
        .await;
    let said = condition_of(&bad, "ResolvedRefs").expect("just waited for")["message"].to_string();
    assert!(said.contains("nowhere"), "the message names what is missing: {said}");
    installation
        .objects
        .wait_for_condition("routepolicy/lost", condition("Ready", "False", ""), PATIENCE)
        .await;
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;
    for answer in installation.ask_all(intents::CALLER_KEY, "lost").await.into_values() {
        assert!((400..600).contains(&answer.status), "{}", answer.text());
    }
    installation
        .apply(&intents::route("lost", "lost", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["routepolicy/lost"]).await;
    installation.assert_all_answer(intents::CALLER_KEY, "lost", 200).await;
}

#[tokio::test]
async fn of_500_objects_the_bad_one_is_named_and_all_others_are_served() {
    let (_provider, installation) = scene("five-hundred").await;
    let since = Instant::now();
    let routes = (0..OBJECTS).map(|number| {
        let provider = if number == BAD { "nowhere" } else { "fake" };
        intents::route(&format!("route-{number}"), &format!("model-{number}"), provider, "chat")
    });
    installation.create_many(routes).await;
    println!(
        "{OBJECTS} objects were created after {:.1} s",
        since.elapsed().as_secs_f64()
    );
    // The bad one is served, too: as a refusal with its reason. What tells it apart is whether it is ready.
    let namespace = &installation.watched[0];
    let is_ready = |route: &DynamicObject, status: &str| {
        condition_of(route, "Ready").is_some_and(|found| found["status"] == status)
    };
    let ready = installation
        .objects
        .wait_for_many("routepolicy", namespace, OBJECTS - 1, 2 * PATIENCE, |route| {
            is_ready(route, "True")
        })
        .await;
    ready.unwrap_or_else(|count| panic!("{count} are ready\n{}", installation.logs()));
    let routes = installation.objects.list("routepolicy", namespace).await;
    let bad: Vec<_> = routes.iter().filter(|route| is_ready(route, "False")).collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert_eq!(bad[0].metadata.name, Some(format!("route-{BAD}")));
    let found = condition_of(bad[0], "ResolvedRefs").expect("it is judged with the others");
    assert_eq!(found["reason"], "RefNotFound", "{found}");
    println!("… and ready after {:.1} s", since.elapsed().as_secs_f64());
    for model in [0, 123, OBJECTS - 1] {
        installation
            .assert_all_answer(intents::CALLER_KEY, &format!("model-{model}"), 200)
            .await;
    }
}
