//! Two teams, each in its own namespace, under one installation: names resolve at home.

use headgate_e2e::fake_provider::FakeProvider;
use headgate_e2e::installation::{Installation, PATIENCE, intents};

use super::condition;

const KEYS: [&str; 2] = [
    "vk-canary-cluster-team-a-1QzXw6RtYp4LmNb8VcKs",
    "vk-canary-cluster-team-b-5HjGf9DsAq2WeRt7ZuIo",
];

#[tokio::test]
async fn two_tenants_claim_one_model_name_and_each_gets_its_own() {
    let providers = [FakeProvider::start().await, FakeProvider::start().await];
    let installation = Installation::of("tenants").watching(&["a", "b"]).start().await;
    let namespaces = ["tenants-a", "tenants-b"];
    for ((namespace, provider), token) in namespaces.iter().zip(&providers).zip(KEYS) {
        let manifests = intents::served(&provider.base_url()).replace(intents::CALLER_KEY, token);
        let route = intents::route("front", "front-door", "fake", "chat");
        let manifests = [manifests, route]
            .concat()
            .replace("metadata: {", &format!("metadata: {{namespace: {namespace}, "));
        installation.apply(&manifests).await;
    }
    for namespace in namespaces {
        for object in ["llmprovider/fake", "routepolicy/front", "virtualkey/caller"] {
            let object = format!("{namespace}/{object}");
            installation
                .objects
                .wait_for_condition(&object, super::PROGRAMMED, PATIENCE)
                .await;
        }
    }
    for model in ["chat", "front-door"] {
        for (index, token) in KEYS.into_iter().enumerate() {
            let before: Vec<_> = providers.iter().map(FakeProvider::count).collect();
            installation.assert_all_answer(token, model, 200).await;
            assert_eq!(
                providers[index].count(),
                before[index] + 2,
                "{model}: its own provider answers"
            );
            assert_eq!(
                providers[1 - index].count(),
                before[1 - index],
                "{model}: nobody else's does"
            );
        }
    }

    // What is next door cannot be reached, nor found out: absent and forbidden read the same.
    let foreign = "apiVersion: headgate.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: NAME}\n\
                   spec: {models: [NAME], targets: [{name: only, provider: {name: PROVIDER, namespace: tenants-b, model: chat}}]}\n";
    let mut said = Vec::new();
    for (name, provider) in [("foreign", "fake"), ("absent", "nothing")] {
        installation
            .apply(&foreign.replace("NAME", name).replace("PROVIDER", provider))
            .await;
        let refused = condition("ResolvedRefs", "False", "RefNotFound");
        let object = format!("routepolicy/{name}");
        let object = installation
            .objects
            .wait_for_condition(&object, refused, PATIENCE)
            .await;
        let found = headgate_e2e::installation::condition_of(&object, "ResolvedRefs").expect("just waited for");
        said.push(found["message"].to_string().replace(provider, "PROVIDER"));
    }
    assert_eq!(said[0], said[1]);
}
