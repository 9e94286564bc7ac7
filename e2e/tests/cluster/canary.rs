//! Secrets are where they belong and nowhere else: not in a ConfigMap, a status, an event, a Lease, a log line or a
//! metric. Every secret of the scene is a canary, a text unlike any other.

use headgate_e2e::installation::{Installation, intents};
use headgate_e2e::raw_http;
use headgate_snapshot::delivery::{RECORDS_KEY, Shard};

use super::{scene, wait_until_programmed};

#[tokio::test]
async fn no_secret_stands_where_it_does_not_belong() {
    let (_provider, installation) = scene("canaries").await;
    installation
        .apply(
            "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: fresh}\n\
             spec: {owner: {user: fresh}, generate: {secretName: fresh-minted}}\n",
        )
        .await;
    wait_until_programmed(&installation, &["virtualkey/fresh"]).await;
    // Some noise: a refusal, a failure, a bad object, a wrong Secret.
    installation
        .assert_all_answer("vk-wrong-0123456789012345678901234567", intents::MODEL, 401)
        .await;
    installation
        .apply(&intents::route("lost", "lost", "nowhere", "chat"))
        .await;
    installation
        .apply(&intents::key_secret("short", "vk-canary-short"))
        .await;
    installation.apply(&intents::virtual_key("short", "")).await;
    let refused = super::condition("Ready", "False", "");
    for object in ["routepolicy/lost", "virtualkey/short"] {
        installation
            .objects
            .wait_for_condition(object, refused, headgate_e2e::installation::PATIENCE)
            .await;
    }
    installation
        .assert_all_answer(intents::CALLER_KEY, intents::MODEL, 200)
        .await;

    let secret = installation.objects.get("secret/fresh-minted").await;
    let minted: k8s_openapi::ByteString = serde_json::from_value(secret.data["data"]["key"].clone()).expect("bytes");
    let ring = installation.objects.get(&installation.ring_name()).await;
    let mut canaries = vec![
        intents::CALLER_KEY.to_owned(),
        intents::CREDENTIAL.to_owned(),
        "vk-canary-short".to_owned(),
        String::from_utf8(minted.0).expect("a key is text"),
    ];
    let entries = ring.data["data"].as_object().expect("a ring has entries").values();
    // As the API shows it, which is base64: the form in which it would be copied by mistake.
    canaries.extend(entries.filter_map(|entry| entry.as_str()).map(str::to_owned));

    let places = places(&installation).await;
    assert!(places.len() > 20, "the search looks at something");
    for canary in &canaries {
        for (place, text) in &places {
            assert!(!text.contains(canary.as_str()), "{place} holds a secret");
        }
    }
    // And the search can find: the credential is sent to the provider, the shard names its own fields.
    assert!(places.iter().any(|(_, text)| text.contains("headgate.dev/v1alpha1")));
}

/// Every text that people, dashboards or other programs can see, by where it stands.
async fn places(installation: &Installation) -> Vec<(String, String)> {
    let mut places = Vec::new();
    let kinds = [
        "llmprovider",
        "routepolicy",
        "virtualkey",
        "budget",
        "guardrailpolicy",
        "configmap",
        "event",
        "lease",
        "pod",
        "deployment",
    ];
    for namespace in [&installation.namespace, &installation.snapshot_namespace] {
        for kind in kinds {
            for object in installation.objects.list(kind, namespace).await {
                let name = format!(
                    "{namespace}/{kind}/{}",
                    object.metadata.name.as_deref().unwrap_or_default()
                );
                places.push((name, serde_json::to_string(&object).expect("objects are JSON")));
            }
        }
    }
    let head = installation.published().await.pointer.head;
    for reference in &head.shards {
        for (kind, field) in [("configmap", "binaryData"), ("secret", "data")] {
            let name = format!("{}/{kind}/{}", installation.snapshot_namespace, reference.object_name());
            let Some(object) = installation.objects.find(&name).await else {
                continue;
            };
            let bytes: k8s_openapi::ByteString =
                serde_json::from_value(object.data[field][RECORDS_KEY].clone()).expect("a shard holds bytes");
            let shard = Shard::decode(reference, &bytes.0, head.format).expect("the operator wrote it");
            places.push((name, shard.text));
        }
    }
    for pod in installation.pods() {
        places.push((format!("the log of {}", pod.name), pod.output()));
        let paths = if pod.component == "gateway" {
            vec!["/metrics", "/snapshot"]
        } else {
            vec!["/metrics"]
        };
        for path in paths {
            let answer = raw_http::get(pod.admin_address(), path, &[])
                .await
                .expect("the admin listener answers");
            places.push((format!("{path} of {}", pod.name), answer.text()));
        }
    }
    places
}
