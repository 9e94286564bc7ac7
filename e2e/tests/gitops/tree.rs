//! `examples/gitops`: it builds with the real kustomize, passes the check that it ships, applies, and what Argo CD and Flux
//! are pointed at is there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use headgate_e2e::installation::render;
use headgate_e2e::workspace;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::health::kinds;
use crate::yaml;

const ENVIRONMENTS: [&str; 2] = ["staging", "production"];

#[test]
fn the_check_that_the_tree_ships_passes() {
    let output = check_run(&tree());
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.trim_end().ends_with("nothing wrong"), "{said}{complained}");
}

/// The check is worth its place in CI: a typing error in one overlay fails it, and says what and where.
#[test]
fn the_check_that_the_tree_ships_refuses_a_model_that_no_provider_has() {
    let copy = tempfile::tempdir().expect("a folder");
    let copied = Command::new("cp")
        .arg("-R")
        .arg(tree().join("."))
        .arg(copy.path())
        .status();
    assert!(copied.expect("cp can be started").success());
    let overlay = copy.path().join("overlays/staging/kustomization.yaml");
    let text = yaml::text(&overlay);
    let mistyped = text.replace("value: {name: echo,", "value: {name: ecko,");
    assert_ne!(text, mistyped);
    std::fs::write(&overlay, mistyped).expect("write the overlay");
    let output = check_run(copy.path());
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("RoutePolicy llm-staging/chat"), "{said}");
    assert!(said.contains("`ecko` was not found"), "{said}");
}

#[tokio::test]
async fn every_environment_applies_and_applying_it_again_changes_nothing() {
    let namespaces = build(&tree().join("namespaces"));
    for environment in ENVIRONMENTS {
        let applier = kinds(&format!("llm-{environment}")).await;
        for namespace in &namespaces {
            applier
                .apply(namespace)
                .await
                .expect("the namespaces of the tree apply");
        }
        // Other people's kinds are not on this API server.
        let mut objects = build(&tree().join("overlays").join(environment));
        objects.retain(|object| {
            let types = object.types.as_ref().expect("kustomize writes apiVersion and kind");
            !types.api_version.starts_with("external-secrets.io/")
        });
        let versions = async || {
            let mut versions = Vec::new();
            for object in &objects {
                let applied = applier.apply(object).await;
                let applied =
                    applied.unwrap_or_else(|error| panic!("{environment}: {:?}: {error}", object.metadata.name));
                assert_eq!(applied.metadata.namespace, Some(format!("llm-{environment}")));
                versions.push(applied.metadata.resource_version);
            }
            versions
        };
        // A create stores no status, not even its defaults; the next write does. From then on nothing may move.
        versions().await;
        assert_eq!(versions().await, versions().await, "{environment}");
        assert!(objects.len() >= 3, "{environment}: {objects:?}");
    }
}

/// No Secret is in Git: those of the check are stand-ins, and of the check alone.
#[test]
fn no_environment_holds_a_secret() {
    for environment in ENVIRONMENTS {
        for object in build(&tree().join("overlays").join(environment)) {
            assert_ne!(object.types.expect("a kind").kind, "Secret", "{environment}");
        }
    }
}

#[test]
fn argo_cd_applies_on_the_server_side_ignores_nothing_and_prunes_no_kind() {
    let applications: Vec<Value> = ["headgate", "llm"]
        .into_iter()
        .flat_map(|name| yaml::documents(&tree().join(format!("argocd/{name}.yaml"))))
        .collect();
    assert_eq!(applications.len(), 3);
    for application in &applications {
        let name = &application["metadata"]["name"];
        let options = application["spec"]["syncPolicy"]["syncOptions"]
            .as_array()
            .expect("sync options");
        assert!(options.contains(&Value::from("ServerSideApply=true")), "{name}");
        assert!(application["spec"]["ignoreDifferences"].is_null(), "{name}");
    }
    let annotations = &applications[0]["spec"]["sources"][0]["helm"]["valuesObject"]["crds"]["annotations"];
    assert_eq!(
        annotations["argocd.argoproj.io/sync-options"],
        "Prune=false,Delete=false"
    );
}

#[test]
fn flux_waits_for_every_object() {
    let sync = yaml::documents(&tree().join("flux/sync.yaml"));
    let kustomizations: Vec<_> = sync
        .iter()
        .filter(|document| document["kind"] == "Kustomization")
        .collect();
    assert_eq!(kustomizations.len(), 4);
    for kustomization in kustomizations {
        assert_eq!(
            kustomization["spec"]["wait"], true,
            "{}",
            kustomization["metadata"]["name"]
        );
    }
}

/// A path is from the root of the repository it is in: that of this tree, or that of the chart.
#[test]
fn what_argo_cd_and_flux_point_at_is_there() {
    let mut seen = 0;
    for (repository, path) in paths() {
        let root = match repository.as_str() {
            "llm-config" => tree(),
            "headgate" => workspace::root().to_owned(),
            other => panic!("{path} is in a repository that nobody knows: {other}"),
        };
        assert!(root.join(&path).is_dir(), "{repository}: {path} is no folder");
        seen += 1;
    }
    assert_eq!(
        seen,
        4 + 5,
        "Argo CD has four sources, Flux four Kustomizations and a chart"
    );
}

/// Its schema refuses a value that it does not know.
#[tokio::test]
async fn the_chart_takes_what_argo_cd_and_flux_set() {
    let argo_cd = yaml::documents(&tree().join("argocd/headgate.yaml")).remove(0);
    let release = yaml::documents(&tree().join("flux/headgate/release.yaml")).remove(1);
    for values in [
        &argo_cd["spec"]["sources"][0]["helm"]["valuesObject"],
        &release["spec"]["values"],
    ] {
        let rendered = render("headgate", "headgate", values).await;
        let rendered = rendered.unwrap_or_else(|error| panic!("{values}: {error}"));
        for namespace in ["llm-staging", "llm-production"] {
            assert!(
                rendered.contains(&format!("namespace: {namespace}")),
                "a Role in {namespace}"
            );
        }
    }
    let mistyped = serde_json::json!({"watchNamespace": ["llm"]});
    assert!(render("headgate", "headgate", &mistyped).await.is_err());
}

/// Every folder that Argo CD or Flux is told to read, with the name of its repository.
fn paths() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let repository = |url: &Value| {
        let url = text(url);
        let name = url.rsplit('/').next().expect("a URL has a last part");
        name.trim_end_matches(".git").to_owned()
    };
    let mut paths = Vec::new();
    for name in ["headgate", "llm"] {
        for application in yaml::documents(&tree().join(format!("argocd/{name}.yaml"))) {
            let spec = &application["spec"];
            let sources = spec["sources"]
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![spec["source"].clone()]);
            paths.extend(
                sources
                    .iter()
                    .map(|source| (repository(&source["repoURL"]), text(&source["path"]))),
            );
        }
    }
    let flux = ["flux/sync.yaml", "flux/headgate/release.yaml"].map(|file| yaml::documents(&tree().join(file)));
    for document in flux.iter().flatten() {
        let spec = &document["spec"];
        match document["kind"].as_str() {
            Some("Kustomization") => paths.push((text(&spec["sourceRef"]["name"]), text(&spec["path"]))),
            Some("HelmRelease") => {
                let chart = &spec["chart"]["spec"];
                paths.push((text(&chart["sourceRef"]["name"]), text(&chart["chart"])));
            }
            // By name is how the two above refer to it; the name is the last part of the URL here.
            Some("GitRepository") => assert_eq!(repository(&spec["url"]), text(&document["metadata"]["name"])),
            other => panic!("{other:?}"),
        }
    }
    paths
}

fn tree() -> PathBuf {
    workspace::root().join("examples/gitops")
}

fn kustomize() -> &'static Path {
    static KUSTOMIZE: OnceLock<PathBuf> = OnceLock::new();
    KUSTOMIZE
        .get_or_init(|| workspace::set_up("tests/gitops/kustomize/build").unwrap_or_else(|error| panic!("{error}")))
}

/// `kustomize build` of a folder.
fn build(folder: &Path) -> Vec<DynamicObject> {
    let output = Command::new(kustomize()).arg("build").arg(folder).output();
    let output = output.expect("kustomize can be started");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complained}", folder.display());
    assert_eq!(complained, "", "{}: nothing deprecated", folder.display());
    let documents = yaml::of_text(&String::from_utf8_lossy(&output.stdout)).expect("kustomize writes YAML");
    let objects = documents
        .into_iter()
        .map(|document| serde_json::from_value(document).expect("an object"));
    objects.collect()
}

/// `check/run` of a copy of the tree, with the tools under test.
fn check_run(tree: &Path) -> Output {
    let folder = kustomize().parent().expect("the binary is in a folder");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path)));
    Command::new(tree.join("check/run"))
        .env("PATH", path.expect("paths that were a PATH before"))
        .env("HEADGATE", workspace::headgate_binary())
        .output()
        .expect("check/run can be started")
}
