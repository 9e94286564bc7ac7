//! Everything is taken away: nothing hangs on a finalizer, nothing goes on being served, nothing is left over.

use headgate_e2e::installation::{Installation, PATIENCE, intents};
use kube::ResourceExt as _;

use super::{serve, wait_until_programmed};

#[tokio::test]
async fn deleting_everything_takes_everything_away() {
    let settings = Installation::of("deleted")
        .watching(&["team"])
        .operator_environment("HEADGATE_SHARD_GRACE", "1s");
    let (_provider, installation) = serve(settings).await;
    let generated = "apiVersion: headgate.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: minted}\n\
                     spec: {owner: {user: minted}, generate: {secretName: minted}}\n";
    installation.apply(generated).await;
    installation
        .apply(&intents::route("front", "front-door", "fake", "chat"))
        .await;
    wait_until_programmed(&installation, &["virtualkey/minted", "routepolicy/front"]).await;
    for object in [
        "virtualkey/caller",
        "virtualkey/minted",
        "routepolicy/front",
        "llmprovider/fake",
    ] {
        let finalizers = installation.objects.get(object).await.finalizers().to_vec();
        assert!(finalizers.is_empty(), "{object}: {finalizers:?}");
    }
    let full = installation.published().await.pointer.head.root;

    // As a team leaves: with the namespace, all at once.
    installation.objects.delete("namespace/deleted-team").await;
    installation
        .objects
        .wait_until_gone("namespace/deleted-team", PATIENCE)
        .await;
    installation
        .wait_until_all_answer(intents::CALLER_KEY, intents::MODEL, 401)
        .await;
    let empty = installation
        .published_when(|pointer| pointer.head.root != full && pointer.head.shards.is_empty())
        .await;
    // What nothing names any more is swept after its grace: only the previous generation is kept.
    let kept = empty.pointer.previous.map_or(0, |previous| previous.shards.len());
    let deadline = std::time::Instant::now() + PATIENCE;
    while installation.shards().await.len() > kept {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?}",
            installation.shards().await
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(
        installation
            .gateways()
            .iter()
            .all(|pod| pod.is_ready() && pod.starts() == 1)
    );
}

#[tokio::test]
async fn uninstalling_leaves_what_people_wrote() {
    let (_provider, installation) = super::scene("uninstalled").await;
    let rendered = installation.rendered().await;
    for object in rendered
        .iter()
        .filter(|object| object.types.as_ref().is_some_and(|it| it.kind == "Deployment"))
    {
        let name = format!("{}/deployment/{}", installation.namespace, object.name_any());
        installation.objects.delete(&name).await;
    }
    for pod in installation.pods() {
        let name = format!("{}/pod/{}", installation.namespace, pod.name);
        installation.objects.wait_until_gone(&name, PATIENCE).await;
    }
    for object in super::SERVED {
        installation.objects.get(object).await;
    }
}
