//! From `kubectl apply` to served: whatever the order, and the next request follows.

use std::collections::BTreeSet;

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{Installation, PATIENCE, intents};

use super::{SERVED, scene, wait_until_programmed};

#[tokio::test]
async fn a_request_is_answered_by_every_data_plane() {
    let (provider, installation) = scene("answered").await;
    let answers = installation.ask_all(intents::CALLER_KEY, intents::MODEL).await;
    assert_eq!(answers.len(), 2, "the chart runs two gateways: {:?}", answers.keys());
    for (pod, answer) in &answers {
        assert_eq!(answer.status, 200, "{pod}: {}", answer.text());
        assert_eq!(answer.header("x-headgate-provider"), Some("fake"), "{pod}");
    }
    assert_eq!(provider.count(), 2);
    let sent = provider.last();
    let credential = format!("Bearer {}", intents::CREDENTIAL);
    assert_eq!(sent.header("authorization"), Some(credential.as_str()));
    for object in SERVED {
        let ready = super::condition("Ready", "True", "");
        installation.objects.wait_for_condition(object, ready, PATIENCE).await;
    }
}

#[tokio::test]
async fn an_edited_route_is_what_the_next_request_follows_once_programmed_says_so() {
    let (provider, installation) = scene("edited").await;
    installation
        .apply(&intents::provider_with_models(
            "fake",
            &provider.base_url(),
            &["chat", "slow", "echo"],
        ))
        .await;
    for upstream in ["chat", "echo", "slow"] {
        installation
            .apply(&intents::route("front", "front-door", "fake", upstream))
            .await;
        wait_until_programmed(&installation, &["routepolicy/front"]).await;
        for pod in installation
            .ask_all(intents::CALLER_KEY, "front-door")
            .await
            .into_values()
        {
            assert_eq!(pod.status, 200, "{}", pod.text());
        }
        let models: BTreeSet<_> = provider
            .received()
            .iter()
            .rev()
            .take(2)
            .map(|it| it.json()["model"].to_string())
            .collect();
        assert_eq!(
            models,
            BTreeSet::from([format!("\"{upstream}\"")]),
            "both gateways follow the edit"
        );
    }
}

/// The five kinds, and the Secrets that two of them name.
fn parts(base_url: &str) -> [String; 7] {
    [
        intents::provider("fake", base_url),
        intents::route("front", "front-door", "fake", "chat"),
        intents::virtual_key("caller", ""),
        intents::credential("fake", intents::CREDENTIAL),
        intents::key_secret("caller", intents::CALLER_KEY),
        "apiVersion: headgate.dev/v1alpha1\nkind: Budget\nmetadata: {name: soft}\n\
         spec: {limitUSD: \"5\", period: Daily, enforcement: Soft, selector: {names: [caller]}}\n---\n"
            .to_owned(),
        "apiVersion: headgate.dev/v1alpha1\nkind: GuardrailPolicy\nmetadata: {name: words}\n\
         spec: {input: [{name: words, contains: {words: [secret], operator: Any}, action: Flag}]}\n---\n"
            .to_owned(),
    ]
}

#[tokio::test]
async fn whatever_the_order_of_applying_the_snapshot_is_the_same() {
    let provider = FakeProvider::start().await;
    let installation = Installation::of("orders").gateways(1).start().await;
    let parts = parts(&provider.base_url());
    let orders = [
        // Every order of provider, route and key, the rest strewn in.
        [0, 1, 2, 3, 4, 5, 6],
        [6, 0, 2, 1, 5, 4, 3],
        [3, 1, 0, 6, 2, 4, 5],
        [1, 4, 2, 5, 0, 3, 6],
        [5, 2, 6, 0, 4, 3, 1],
        [4, 3, 6, 2, 5, 1, 0],
    ];
    let empty = installation.published().await.pointer.head.root;
    let mut roots = BTreeSet::new();
    for order in orders {
        for part in order {
            installation.apply(&parts[part]).await;
            // Each state on the way is published, or the order would not matter to anybody.
            if part < 3 {
                let accepted = super::condition("Accepted", "True", "");
                let object = ["llmprovider/fake", "routepolicy/front", "virtualkey/caller"][part];
                installation
                    .objects
                    .wait_for_condition(object, accepted, PATIENCE)
                    .await;
            }
        }
        wait_until_programmed(
            &installation,
            &["llmprovider/fake", "routepolicy/front", "virtualkey/caller"],
        )
        .await;
        installation
            .assert_all_answer(intents::CALLER_KEY, "front-door", 200)
            .await;
        roots.insert(installation.published().await.pointer.head.root.to_string());
        for object in [
            "virtualkey/caller",
            "routepolicy/front",
            "llmprovider/fake",
            "secret/caller-key",
        ] {
            installation.objects.delete(object).await;
        }
        for object in ["secret/fake-credential", "budget/soft", "guardrailpolicy/words"] {
            installation.objects.delete(object).await;
        }
        installation.published_when(|pointer| pointer.head.root == empty).await;
    }
    assert_eq!(roots.len(), 1, "{roots:?}");
}
